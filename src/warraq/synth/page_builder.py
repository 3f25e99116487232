"""A page, part by part: each call prints something and notes at once what is thereby true of the page.

So the answers can hold nothing that is not printed on that very page.
"""

import re
from random import Random

from warraq.synth import layout
from warraq.synth.answers import FIELDS, fill_field, make_blank_answers, make_invoice_item
from warraq.synth.layout import PageLayout, Point, Stamp, TextBox, set_direction
from warraq.synth.scan import Scan
from warraq.synth.style import MARGIN_PT, ZONE_PT, Style
from warraq.synth.words import Language

BOXES = {True: ("checkbox_checked", "☒"), False: ("checkbox_empty", "☐")}
TITLE = "metadata.classification.title"
LETTERHEAD = ("metadata.source.issuing_body", "invoice.sender.name")


class PageBuilder:
    """A page of a document of `kind`, filled from top to bottom, ended by `add_foot` and laid out by `build`."""

    def __init__(self, style: Style, kind: str) -> None:
        self.style = style
        self.answers = make_blank_answers(kind)
        self._kind = kind
        self._html: list[str] = []
        self._height_pt = 0.0
        self._stamp: tuple[str, ...] = ()
        self._signature: tuple[str, ...] = ()
        self._handwritten = False
        self._footer: str | None = None

    def _add(
        self, kind: str, text: str, html: str, height_pt: float, level: int | None = None,
        language: Language | None = None,
    ) -> None:  # fmt: skip
        self._html.append(html)
        self._add_block(kind, text, level, language)
        self._height_pt += height_pt

    def _add_block(self, kind: str, text: str, level: int | None = None, language: Language | None = None) -> None:
        spoken = any(map(str.isalpha, re.sub(r"<[^>]+>", "", text)))
        named = (language or self.style.language) if spoken else None
        self.answers["content"]["blocks"].append({"kind": kind, "text": text, "level": level, "language": named})

    def fill_fields(self, paths: tuple[str, ...], value: str) -> None:
        """Note a value as the answer of the fields at `paths`."""
        for path in paths:
            fill_field(self.answers, path, value)

    def add_heading(self, text: str, *paths: str) -> None:
        """The heading, which is the value of the fields at `paths`."""
        self._add("heading", text, f"<h1>{text}</h1>", self.style.heading_pt, 1)
        self.fill_fields(paths, text)

    def add_running_head(self, word: str, number: str) -> None:
        """The top of a later page: the kind of document and its number."""
        self._add("page_header", f"{word} {number}", f"<p>{word} {number}</p>", self.style.line_pt)
        self.fill_fields(FIELDS["number"], number)

    def add_line(self, label: str, value: str, unit: str = "", detail: str = "") -> None:
        """`label detail: value unit`."""
        word = f"{self.style.labels[label]} {detail}".rstrip() + ":"
        rest = f"{value} {unit}".rstrip()
        html = f"<p>{f'<b>{word}</b>' if self.style.bold_labels else word} {rest}</p>"
        self._add("form_field", f"{word} {rest}", html, self.style.count_lines(f"{word} {rest}") * self.style.line_pt)
        self.fill_fields(FIELDS[label], value)

    def add_date(self, label: str, date: str, calendar: str) -> None:
        """A line with a date."""
        self.add_line(label, date)
        self.answers["metadata"]["dates"][-1]["calendar"] = calendar

    def add_registration(self, direction: str, number: str, date: str | None, wording: str) -> None:
        """A line with the number of what came in or went out and, in `wording`, its date."""
        self.add_line(direction, number if date is None else wording.format(number=number, date=date))
        row = {"direction": direction, "number": number, "date": date}
        self.answers["metadata"]["registrations"].append(row)

    def add_text(self, text: str, *paths: str, language: Language | None = None, ink: str | None = None) -> None:
        """A line without a label, or a sentence, which may run on to a second line; in the page's language and ink."""
        html = f'<p style="color:{ink}">{text}</p>' if ink else f"<p>{text}</p>"
        height_pt = self.style.count_lines(text) * self.style.line_pt
        self._add("paragraph", text, html, height_pt, language=language)
        self.fill_fields(paths, text)

    def add_boxes(self, texts: list[str], checked: int) -> None:
        """Boxes to be ticked, a line each, of which one is."""
        for index, text in enumerate(texts):
            kind, box = BOXES[index == checked]
            self._add(kind, text, f"<p>{box} {text}</p>", self.style.line_pt)

    def add_table(self, rows: list[dict[str, str]]) -> None:
        """Goods; the keys of a row are fields of an invoice item. In Arabic the first column is the right one."""
        cells = [[self.style.columns[key] for key in rows[0]], *(list(row.values()) for row in rows)]
        shown = [row[::-1] for row in cells] if self.style.rtl else cells  # MuPDF sets columns from the left always
        self._add("table", _table_html(cells, "th"), _table_html(shown), len(cells) * self.style.row_pt + 5)
        self.answers["invoice"]["items"] += map(make_invoice_item, rows)

    def add_foot(
        self, stamp: tuple[str, ...], signature: tuple[str, ...], handwritten: bool, footer: str | None
    ) -> None:
        """The foot: the lines of a stamp, a signer's name and role, whether signed by hand, a page number."""
        self._stamp, self._signature, self._handwritten, self._footer = stamp, signature, handwritten, footer
        metadata = self.answers["metadata"]
        if stamp:
            metadata["official_marks"].append({"kind": "stamp", "text": " ".join(stamp)})
        if signature:
            name, role = (*signature, None)[:2]
            kind = "handwritten" if handwritten else "printed"
            metadata["signatures"].append({"signer_name": name, "signer_role": role, "kind": kind})
        metadata["physical"]["page_number"] = footer

    def build(self, rng: Random, scan: Scan | None) -> PageLayout:
        """Lay the page out; `scan` is None for a born-digital one."""
        style, right = self.style, self.style.width_pt - MARGIN_PT
        y = MARGIN_PT + self._height_pt + 4
        texts = [TextBox((MARGIN_PT, MARGIN_PT, right, y), set_direction("".join(self._html), style.rtl))]
        stamp: Stamp | None = None
        strokes: tuple[Point, ...] = ()
        if self._stamp or self._signature:
            name, stamp, strokes = self._build_foot(rng, y)
            texts += name
            y += ZONE_PT
        if self._footer:
            self._add_block("page_number", self._footer)
            html = f'<p style="text-align:center;margin:0">{self._footer}</p>'
            texts.append(TextBox((MARGIN_PT, y, right, y + style.footer_pt), set_direction(html, style.rtl)))
            y += style.footer_pt
        self._describe_page(scan)
        height = max(y + MARGIN_PT, style.width_pt)
        return PageLayout(
            style.width_pt, height, style.css, style.ruled, tuple(texts), stamp, strokes, scan, self.answers
        )  # fmt: skip

    def _build_foot(self, rng: Random, y: float) -> tuple[list[TextBox], Stamp | None, tuple[Point, ...]]:
        """Signature and stamp side by side, either first in reading order."""
        style, right = self.style, self.style.width_pt - MARGIN_PT
        signature_first = rng.random() < 0.5
        signature_left = signature_first != style.rtl
        middle = style.width_pt * (0.56 if signature_left else 0.44)  # a name is wider than a stamp
        left_box, right_box = (MARGIN_PT, y, middle, y + ZONE_PT), (middle, y, right, y + ZONE_PT)
        signature_box, stamp_box = (left_box, right_box) if signature_left else (right_box, left_box)
        blocks = [("signature", " ".join(self._signature)), ("stamp", " ".join(self._stamp))]
        for kind, text in blocks if signature_first else blocks[::-1]:
            if text:
                self._add_block(kind, text)
        stamp = layout.place_stamp(rng, stamp_box, self._stamp, style.rtl) if self._stamp else None
        if not self._signature:
            return [], stamp, ()
        x0, y0, x1, y1 = signature_box
        top = y1 - len(self._signature) * style.name_pt * 1.25 - 2
        lines = f'<p style="text-align:center;margin:0;font-size:{style.name_pt}px">{"<br>".join(self._signature)}</p>'
        strokes = layout.draw_strokes(rng, (x0 + 20, y0 + 2, x1 - 20, top)) if self._handwritten else ()
        return [TextBox((x0, top, x1, y1), set_direction(lines, style.rtl))], stamp, strokes

    def _describe_page(self, scan: Scan | None) -> None:
        """What is true of the page as a whole."""
        metadata = self.answers["metadata"]
        blocks = self.answers["content"]["blocks"]
        languages = sorted({self.style.language, *(block["language"] for block in blocks if block["language"])})
        metadata["physical"] |= {
            "languages": languages,
            "script_direction": "mixed" if len(languages) > 1 else "rtl" if self.style.rtl else "ltr",
            "production": "scanned" if scan else "born_digital",
        }
        notes = list(scan.notes) if scan else []
        confidence = "medium" if {"noise", "faded"}.intersection(notes) else "high"
        metadata["quality"] = {"condition_notes": notes, "confidence": confidence, "needs_human_review": False}
        if self._kind not in ("receipt", "invoice"):
            del self.answers["invoice"]


def _table_html(rows: list[list[str]], head: str = "td") -> str:
    tags = [head, *["td"] * (len(rows) - 1)]
    lines = ("".join(f"<{tag}>{cell}</{tag}>" for cell in row) for row, tag in zip(rows, tags, strict=True))
    return f"<table>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"

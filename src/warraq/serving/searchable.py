"""A document's pages and answers -> a PDF whose pages are their images, with what was read as text that is not seen.

A word of the answer stands where the same word was found on the page. What was found nowhere is left out, and said so;
where that is most of an answer it is no reading of the page, and the page has no text.

The font has no outlines, and its codes are UTF-16. Lines are written as they are seen, from left to right, letters of
Arabic words in reverse: so readers of PDFs expect them, and give them back in the order of reading.
"""

import io
import re
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from rapidfuzz import fuzz
from rapidfuzz.distance import Levenshtein

from warraq import tasks
from warraq.files import replace_file
from warraq.metrics.arabic import normalize, strip_diacritics
from warraq.metrics.tables import strip_tags
from warraq.records import Page
from warraq.runtimes.tesseract import BoxedWord
from warraq.serving.output import AnsweredPage, DocumentAnswers, PdfGap
from warraq.serving.word_boxes import find_words
from warraq.serving.words import load_words

LEAST = 0.5  # of an answer's words that are found on the page
ALIKE = 60  # of 100, from which on two words between the same neighbours are one
PT_PER_PX = 0.5  # of an image that does not say how large it is
UNSEEN = re.compile("[\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
RTL = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")
LEFT_TO_RIGHT = re.compile(
    "[A-Za-z0-9\u0660-\u0669\u06f0-\u06f9]+(?:[-.,/:\u066b\u066c]?[A-Za-z0-9\u0660-\u0669\u06f0-\u06f9]+)*"
)
TO_UNICODE = b"""/CIDInit /ProcSet findresource begin 12 dict begin begincmap
/CIDSystemInfo << /Registry (Adobe) /Ordering (UCS) /Supplement 0 >> def
/CMapName /Adobe-Identity-UCS def /CMapType 2 def
1 begincodespacerange <0000> <FFFF> endcodespacerange
1 beginbfrange <0000> <FFFF> <0000> endbfrange
endcmap CMapName currentdict /CMap defineresource pop end end
"""


@dataclass(frozen=True)
class PlacedWord:
    """A word of an answer, where it stands on the page."""

    text: str
    box: BoxedWord


def list_words(page: AnsweredPage) -> list[str]:
    """The words of the answers that copy the page, in reading order."""
    words: list[str] = []
    for name, checked in page.answers.items():
        if list_elements := tasks.load(name).list_elements:
            words += UNSEEN.sub("", " ".join(strip_tags(one.text) for one in list_elements(checked.answer))).split()
    return words


def place_words(words: Sequence[str], boxes: Sequence[BoxedWord]) -> list[PlacedWord]:
    """The words that are found on the page, in their order: in the same order there, else anywhere."""
    ours, theirs = list(map(_fold, words)), [_fold(box.text) for box in boxes]
    found: dict[int, int] = {}
    for step in Levenshtein.opcodes(ours, theirs):
        first, last = step.dest_start, step.dest_end
        for place in range(step.src_start, step.src_end):
            alike = (other for other in range(first, last) if fuzz.ratio(ours[place], theirs[other]) >= ALIKE)
            if (other := next(alike, None)) is not None:
                found[place], first = other, other + 1
    taken, free = set(found.values()), defaultdict[str, deque[int]](deque)
    for other, text in enumerate(theirs):
        if other not in taken:
            free[text].append(other)
    for place, text in enumerate(ours):
        if place not in found and free[text]:
            found[place] = free[text].popleft()
    return [PlacedWord(words[place], boxes[other]) for place, other in sorted(found.items())]


def _fold(word: str) -> str:
    return strip_diacritics(normalize(word)).casefold()


def write_searchable_pdf(
    path: Path, document: DocumentAnswers, drawn: Sequence[Page], images: Path, layers: Path
) -> tuple[PdfGap, ...]:
    """Write the PDF of a document, or none where no page has text; returns the pages that lack text in it, and why."""
    import pymupdf

    answered = {(page.page, page.part): page for page in document.pages}
    gaps, texts = [], []
    for page in drawn:
        placed, why = _place_page(answered.get((page.page, page.part)), page, images, layers)
        texts.append(placed)
        gaps += [PdfGap(page=page.page, part=page.part, why=why)] if why else []
    if not any(texts):
        path.unlink(missing_ok=True)
        return tuple(gaps)
    with pymupdf.open() as pdf, replace_file(path) as part:
        font = _add_font(pdf)
        for page, placed in zip(drawn, texts, strict=True):
            _add_page(pdf, page, images / page.image, placed, font)
        pdf.set_metadata({"title": document.files[0], "subject": _describe(document, gaps), "producer": "warraq"})
        pdf.save(part, deflate=True, garbage=3, no_new_id=True)
    return tuple(gaps)


def _place_page(
    answered: AnsweredPage | None, page: Page, images: Path, layers: Path
) -> tuple[list[PlacedWord], str | None]:
    """The words of a page with their places, and why not all of them have one."""
    words = list_words(answered) if answered else []
    if not words:
        return [], "no text of it was read"
    boxes = find_words(page, images, layers)
    if isinstance(boxes, str):
        return [], boxes
    placed = place_words(words, boxes)
    told = f"{len(words) - len(placed)} of the {len(words)} words that were read are not found on it"
    if len(placed) < LEAST * len(words):
        return [], told
    return placed, told if len(placed) < len(words) else None


def _describe(document: DocumentAnswers, gaps: Sequence[PdfGap]) -> str:
    """What is in doubt, for the PDF's metadata."""
    words = load_words("en")
    told = [f"{note}." for note in document.notes]
    for page in document.pages:
        told += [f"Page {page.page}: {words.explain_marks(one)}." for one in page.answers.values() if one.marks]
    told += [f"Page {row.page} was not read ({row.reason})." for row in document.rejected if row.page]
    return " ".join([*told, *(f"Page {gap.page}: {gap.why}." for gap in gaps)])


def _add_page(pdf: Any, page: Page, image: Path, placed: Sequence[PlacedWord], font: int) -> None:
    scale = 1 / page.px_per_pt if page.px_per_pt else PT_PER_PX
    width, height = page.width_px * scale, page.height_px * scale
    sheet = pdf.new_page(width=width, height=height)
    pdf.xref_set_key(sheet.xref, "Resources", f"<</Font<</Unseen {font} 0 R>>>>")
    sheet.insert_image(sheet.rect, filename=image)
    if placed:
        content = f"BT 3 Tr {' '.join(_show_words(placed, scale, height))} ET".encode()
        _, contents = pdf.xref_get_key(sheet.xref, "Contents")
        text = _add_object(pdf, "<<>>", content)
        pdf.xref_set_key(sheet.xref, "Contents", f"[{contents.strip('[]')} {text} 0 R]")


def _show_words(placed: Sequence[PlacedWord], scale: float, height: float) -> Iterator[str]:
    """The operators that write words, line by line in reading order, each line from left to right."""
    lines: list[list[PlacedWord]] = []
    for word in placed:
        if not lines or lines[-1][-1].box.line != word.box.line:
            lines.append([])
        lines[-1].append(word)
    for line in lines:
        for word in sorted(line, key=lambda word: word.box.left):
            left, top, right, bottom = (side * scale for side in word.box[1:5])
            size = max(bottom - top, 1.0)
            codes = order_letters(word.text).encode("utf-16-be")
            stretch = 100 * max(right - left, 1.0) / (len(codes) / 4 * size)  # a code is half as wide as it is high
            yield f"/Unseen {size:.2f} Tf {stretch:.2f} Tz 1 0 0 1 {left:.2f} {height - bottom:.2f} Tm"
            yield f"<{codes.hex()}> Tj"


def order_letters(word: str) -> str:
    """A word's letters as they are seen, from left to right: in an Arabic one numbers and Latin stay as they are."""
    if not RTL.search(re.sub(LEFT_TO_RIGHT, "", word)):
        return word
    return LEFT_TO_RIGHT.sub(lambda run: run[0][::-1], word)[::-1]


def _add_font(pdf: Any) -> int:
    """Add the font without outlines; returns its number in the file."""
    program = _add_object(pdf, f"<</Length1 {len(build_font())}>>", build_font())
    unicode, glyphs = _add_object(pdf, "<<>>", TO_UNICODE), _add_object(pdf, "<<>>", b"\0\1" * 65536)
    descriptor = _add_object(
        pdf,
        "<</Type/FontDescriptor/FontName/Unseen/Flags 5/FontBBox[0 0 500 1000]/ItalicAngle 0/Ascent 1000/Descent 0"
        f"/CapHeight 1000/StemV 80/FontFile2 {program} 0 R>>",
    )
    below = _add_object(
        pdf,
        "<</Type/Font/Subtype/CIDFontType2/BaseFont/Unseen/CIDSystemInfo<</Registry(Adobe)/Ordering(Identity)"
        f"/Supplement 0>>/CIDToGIDMap {glyphs} 0 R/FontDescriptor {descriptor} 0 R/DW 500>>",
    )
    return _add_object(
        pdf,
        f"<</Type/Font/Subtype/Type0/BaseFont/Unseen/Encoding/Identity-H/DescendantFonts[{below} 0 R]"
        f"/ToUnicode {unicode} 0 R>>",
    )


def _add_object(pdf: Any, text: str, stream: bytes | None = None) -> int:
    number: int = pdf.get_new_xref()
    pdf.update_object(number, text)
    if stream is not None:
        pdf.update_stream(number, stream, new=True)
    return number


@cache
def build_font() -> bytes:
    """A TrueType font of two glyphs, both without outlines."""
    from fontTools.fontBuilder import FontBuilder
    from fontTools.ttLib.tables._g_l_y_f import Glyph

    builder = FontBuilder(1000, isTTF=True)
    names = [".notdef", "unseen"]
    builder.setupGlyphOrder(names)
    builder.setupCharacterMap({32: "unseen"})
    builder.setupGlyf({name: Glyph() for name in names})
    builder.setupHorizontalMetrics(dict.fromkeys(names, (500, 0)))
    builder.setupHorizontalHeader(ascent=1000, descent=0)
    builder.setupNameTable({"familyName": "Unseen", "styleName": "Regular", "psName": "Unseen"})
    builder.setupOS2()
    builder.setupPost()
    builder.updateHead(created=0, modified=0)
    builder.font.recalcTimestamp = False
    stream = io.BytesIO()
    builder.save(stream)
    return stream.getvalue()

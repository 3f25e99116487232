"""A document's answers -> its Markdown: what was read and nothing else, and what of it is in doubt.

A table that is written from right to left, or has cells over several columns or rows, stays HTML, which Markdown may
hold; any other is a table of pipes.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from html import escape

from warraq.files import JsonObject
from warraq.metrics.fields import flatten
from warraq.metrics.table_likeness import Table, expand_grid
from warraq.metrics.tables import read_tables, strip_tags
from warraq.serving.output import DocumentAnswers
from warraq.serving.words import Words, load_words

RTL = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")
TAG = re.compile(r"<(?=[a-zA-Z/!?])")
BOXES = {"checkbox_checked": "- [x] ", "checkbox_empty": "- [ ] "}
BLOCK = re.compile(r"^(\s*)(#{1,6}(?=\s)|>|(?:```|~~~))", re.MULTILINE)


def render_markdown(document: DocumentAnswers, words: Words | None = None) -> str:
    """The document page by page; what needs a person says so, and so does a page that was not read."""
    words = words or load_words("en")
    parts = [f"> **Note**: {note}." for note in document.notes]
    for page in document.pages:
        parts.append(f"<!-- page {page.page}{f', part {page.part}' if page.part else ''} -->")
        for name, checked in page.answers.items():
            if checked.marks:
                parts.append(f"> **{words.own['review']}** ({words.name(name)}): {words.explain_marks(checked)}.")
            blocks = checked.answer.get("blocks")
            parts += map(_write_block, blocks) if blocks is not None else _write_fields(checked.answer, words)
    for row in document.rejected:
        where = f"Page {row.page}" if row.page else "The file"
        parts.append(f"> **{where} was not read** ({row.reason}): {row.message}")
    return "\n\n".join(part for part in parts if part) + "\n"


def _write_block(block: JsonObject) -> str:
    """A block of a page's content: a heading with its level, a box as of a task list, a table as such."""
    text: str = block["text"].strip()
    if block["kind"] == "table":
        return write_table(text)
    text = escape_markup(text)
    if block["kind"] == "heading":
        return "#" * min(max(block["level"] or 1, 1), 6) + " " + " ".join(text.split())
    return BOXES.get(block["kind"], "") + text


def escape_markup(text: str) -> str:
    """Text that Markdown would take for a tag, a heading, a quote or a fence, so that it stands as it was printed."""
    return BLOCK.sub(r"\1\\\2", TAG.sub(r"\<", text))


def write_table(html: str) -> str:
    """A table of an answer; what is none, or has text beside its cells, is text."""
    tables = read_tables(html)
    text = strip_tags(html) if tables else html
    table = tables[0] if len(tables) == 1 else Table()
    if not table.cells or text.split() != " ".join(cell.text for cell in table.cells).split():
        return escape_markup(text)
    is_rtl = 2 * len(RTL.findall(text)) > sum(map(str.isalpha, text))
    if is_rtl or any(cell.colspan > 1 or cell.rowspan > 1 for cell in table.cells):
        return _write_html(table, is_rtl)
    head, *rows = expand_grid(table)
    return write_rows(head, rows)


def write_rows(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of pipes."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(_write_cell, line)) + " |" for line in lines)


def _write_cell(text: str) -> str:
    return TAG.sub(r"\<", " ".join(text.split())).replace("|", r"\|")


def _write_fields(answer: JsonObject, words: Words) -> Iterator[str]:
    """The values of an answer in fields: a list of them, and a table of each list of objects; no value, no line."""
    lists: list[tuple[str, list[JsonObject]]] = []
    lines = []
    for path, value in list_values(answer):
        if isinstance(value, list):
            lists.append((path, value))
        else:
            lines.append(f"- **{words.name_path(path)}**: {escape_markup(' '.join(str(value).split()))}")
    yield "\n".join(lines)
    for path, items in lists:
        rows = [flatten(item) for item in items]
        keys = [key for key in rows[0] if any(row[key] is not None for row in rows)]
        table = [["" if row[key] is None else str(row[key]) for key in keys] for row in rows]
        head = [words.name_path(key) for key in keys]
        yield f"**{words.name_path(path)}**\n\n{write_rows(head, table)}" if keys else ""


def list_values(answer: Mapping[str, object], path: str = "") -> Iterator[tuple[str, object]]:
    """(path, value) of all that an answer says: a list of objects is one value, a list of others a text."""
    for key, value in answer.items():
        place = f"{path}.{key}" if path else key
        if isinstance(value, dict):
            yield from list_values(value, place)
        elif isinstance(value, list) and value and not isinstance(value[0], dict):
            yield place, "; ".join(map(str, value))
        elif value not in (None, "", []):
            yield place, value


def _write_html(table: Table, is_rtl: bool) -> str:
    lines = []
    for row in table.rows:
        cells = ""
        for cell in row:
            spans = {"colspan": cell.colspan, "rowspan": cell.rowspan}
            attributes = "".join(f' {name}="{span}"' for name, span in spans.items() if span > 1)
            kind = "th" if cell.is_head else "td"
            cells += f"<{kind}{attributes}>{escape(' '.join(cell.text.split()))}</{kind}>"
        lines.append(f"<tr>{cells}</tr>")
    direction = ' dir="rtl"' if is_rtl else ""
    return "\n".join([f"<table{direction}>", *lines, "</table>"])

"""Documents' answers -> their fields as tables: one row a document, and one an item of each list, as CSV and XLSX.

A document is asked page by page: what its pages say of a field stands in one cell, each value once, between bars. What
is copied from a page in running text is no field; that it is in doubt stands in the document's row.
"""

import csv
import datetime
import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from warraq import tasks
from warraq.files import JsonObject, replace_file
from warraq.serving.answers import CheckedAnswer, Reason
from warraq.serving.finished_model import Thresholds
from warraq.serving.output import DocumentAnswers
from warraq.serving.words import Words
from warraq.tasks import fill_template

LONGEST = 32_767  # characters of a cell of XLSX
MOST_ROWS = 1_048_575  # of a sheet, under its head
WIDEST = 45  # characters that a column is wide
OPTIONS = {"constant_memory": True}
DOUBTFUL = "#FFE699"
FORMULA = re.compile(r"\s*[=+\-@\t\r\uff1d\uff0b\uff0d\uff20]")
NUMBER = re.compile(r"[+-]?[\d.,٫٬\s%]*")
UNTITLED = re.compile(r"[\[\]:*?/\\]")  # what no title of a sheet has
SUSPECT: frozenset[Reason] = frozenset(
    ("schema_invalid", "truncated", "loop", "cut", "empty", "damaged", "lines_too_small", "too_dense")
)
"""What puts every value of an answer in doubt."""


class Cell(NamedTuple):
    """A value as it was read, and whether it is in doubt."""

    text: str
    is_doubtful: bool = False


@dataclass(frozen=True)
class Sheet:
    """A table; its rows are made anew, one document after the other, whenever they are asked for."""

    name: str  # of its CSV file
    title: str
    head: Sequence[str]
    list_rows: Callable[[], Iterator[list[Cell]]]


@dataclass(frozen=True)
class FieldTask:
    """A task that is answered in fields, with the paths of its values and of its lists of objects."""

    name: str
    values: tuple[str, ...]
    lists: dict[str, tuple[str, ...]]  # path -> the paths within an item

    @classmethod
    def load(cls, name: str) -> "FieldTask":
        """The task of a name."""
        template = fill_template(tasks.load(name).answer)
        lists = {path: tuple(walk_values(value[0])) for path, value in walk_values(template).items() if is_list(value)}
        return cls(name, tuple(path for path in walk_values(template) if path not in lists), lists)


def is_list(value: Any) -> bool:
    """Whether a value is a list of objects, which is a table of its own."""
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


def walk_values(answer: JsonObject, path: str = "") -> dict[str, Any]:
    """Path -> value, of which only lists of objects hold others."""
    found: dict[str, Any] = {}
    for key, value in answer.items():
        place = f"{path}.{key}" if path else key
        found |= walk_values(value, place) if isinstance(value, dict) else {place: value}
    return found


def build_sheets(
    thresholds: Thresholds, words: Words, list_documents: Callable[[], Iterator[DocumentAnswers]]
) -> list[Sheet]:
    """The sheet of the documents, and one for each list of objects of their tasks.

    Args:
        thresholds: of the tasks that were asked, below which a value is in doubt.
        words: of the heads.
        list_documents: gives the documents again whenever it is called.
    """
    asked = [FieldTask.load(name) for name in thresholds if tasks.load(name).list_elements is None]
    several = len(asked) > 1

    def name_field(task: FieldTask, path: str) -> str:
        return words.name_path(f"{task.name}.{path}" if several else path)

    own = words.own
    head = [own["file"], own["state"], own["pages"], own["review"], own["doubts"]]
    head += [name_field(task, path) for task in asked for path in task.values]

    def list_document_rows() -> Iterator[list[Cell]]:
        for document in list_documents():
            values = (_merge_pages(document, task.name, path, thresholds) for task in asked for path in task.values)
            yield [*_describe(document, words), *values]

    sheets = [Sheet("fields", own["documents"], head, list_document_rows)]
    for task, path in [(one, place) for one in asked for place in one.lists]:

        def list_item_rows(task: FieldTask = task, path: str = path) -> Iterator[list[Cell]]:
            for document in list_documents():
                yield from _list_items(document, task, path, words, thresholds)

        name = path if path not in {sheet.name for sheet in sheets} else f"{task.name}_{path}"
        item_head = [own["file"], own["page"], own["part"], own["place"], own["review"]]
        item_head += [words.name_path(field) for field in task.lists[path]]
        title = UNTITLED.sub(" ", words.name_path(path))
        is_taken = title.casefold() in {sheet.title.casefold() for sheet in sheets}
        sheets.append(Sheet(name, name if is_taken else title, item_head, list_item_rows))
    return sheets


def _describe(document: DocumentAnswers, words: Words) -> list[Cell]:
    """What stands before the fields of a document."""
    own = words.own
    state = ("partly" if document.pages else "not_read") if document.rejected else "read"
    answers = [(page, name, one) for page in document.pages for name, one in page.answers.items()]
    doubts = [
        f"{own['page']} {page.page}, {words.name(name)}: {words.explain_marks(one)}"
        for page, name, one in answers
        if one.marks
    ]
    doubts += [
        f"{own['page']} {row.page}: {own['not_read']}, {row.reason}" if row.page else f"{row.reason}: {row.message}"
        for row in document.rejected
    ]
    needs_review = bool(document.rejected) or any(one.needs_review for _, _, one in answers)
    return [
        Cell(", ".join(document.files)),
        Cell(own[state], state != "read"),
        Cell(str(len({page.page for page in document.pages}))),
        Cell(own["yes" if needs_review else "no"], bool(doubts)),
        Cell("\n".join(doubts), bool(doubts)),
    ]


def _merge_pages(document: DocumentAnswers, task: str, path: str, thresholds: Thresholds) -> Cell:
    """What the pages say of a field, each value once."""
    found: dict[str, bool] = {}
    for page in document.pages:
        if (checked := page.answers.get(task)) is not None:
            cell = _read_cell(checked, path, walk_values(checked.answer).get(path), thresholds.get(task))
            if cell.text:
                found[cell.text] = found.get(cell.text, False) or cell.is_doubtful
    return Cell(" | ".join(found), any(found.values()))


def _list_items(
    document: DocumentAnswers, task: FieldTask, path: str, words: Words, thresholds: Thresholds
) -> Iterator[list[Cell]]:
    for page in document.pages:
        checked = page.answers.get(task.name)
        items = walk_values(checked.answer).get(path) or [] if checked else []
        for place, item in enumerate(items):
            assert checked is not None
            values = walk_values(item)
            cells = [
                _read_cell(checked, f"{path}[{place}].{field}", values.get(field), thresholds.get(task.name))
                for field in task.lists[path]
            ]
            is_doubtful = any(cell.is_doubtful for cell in cells)
            review = words.own["yes" if checked.needs_review or is_doubtful else "no"]
            where = (", ".join(document.files), str(page.page), str(page.part or ""), str(place + 1))
            yield [*map(Cell, where), Cell(review, is_doubtful), *cells]


def _read_cell(checked: CheckedAnswer, path: str, value: Any, threshold: float | None) -> Cell:
    """A value, in doubt where its answer is or where the model is less sure of it than the threshold."""
    text = "; ".join(map(str, value)) if isinstance(value, list) else "" if value is None else str(value)
    sureness = [
        one for place, one in checked.confidence_by_field.items() if place == path or place.startswith(f"{path}[")
    ]
    is_unsure = threshold is not None and min(sureness, default=1.0) < threshold
    is_suspect = not SUSPECT.isdisjoint(checked.reasons) or (not sureness and "low_confidence" in checked.reasons)
    return Cell(text, bool(text) and (is_unsure or is_suspect))


def write_csv(path: Path, sheet: Sheet) -> None:
    """A sheet as CSV that Excel opens as UTF-8; what it would take for a formula begins with an apostrophe."""
    with replace_file(path) as part, part.open("w", encoding="utf-8-sig", newline="") as stream:
        writer = csv.writer(stream, quoting=csv.QUOTE_ALL)
        writer.writerow(sheet.head)
        writer.writerows([disarm(cell.text) for cell in row] for row in sheet.list_rows())


def disarm(text: str) -> str:
    """Text that no spreadsheet takes for a formula; a number with its sign is none."""
    return f"'{text}" if FORMULA.match(text) and not NUMBER.fullmatch(text) else text


def write_xlsx(path: Path, sheets: Sequence[Sheet], notes: Sequence[str], words: Words) -> None:
    """All sheets as one workbook, with what is in doubt coloured, and the notes; every cell is text."""
    import xlsxwriter

    with replace_file(path) as part, part.open("wb") as stream, xlsxwriter.Workbook(stream, OPTIONS) as book:
        book.set_properties({"created": datetime.datetime(2000, 1, 1)})  # equal answers give equal bytes
        plain = {"text_wrap": True, "valign": "top", "num_format": "@"}
        formats = [book.add_format(plain), book.add_format(plain | {"bg_color": DOUBTFUL})]
        bold = book.add_format(plain | {"bold": True, "bottom": 1})
        left_out = [_fill(book, sheet, formats, bold, words) for sheet in sheets]
        told = [*notes, words.own["coloured"]]
        told += [
            f"{count} more rows are in {sheet.name}.csv alone"
            for sheet, count in zip(sheets, left_out, strict=True)
            if count
        ]
        _fill(book, Sheet("", words.own["notes"], [words.own["notes"]], lambda: ([Cell(one)] for one in told)),
              formats, bold, words)  # fmt: skip


def _fill(book: Any, sheet: Sheet, formats: Sequence[Any], bold: Any, words: Words) -> int:
    """Write a sheet; returns how many rows had no room."""
    page = book.add_worksheet(sheet.title[:31])
    if words.is_rtl:
        page.right_to_left()
    page.freeze_panes(1, 1)
    page.set_column(0, len(sheet.head) - 1, 18)
    page.set_column(0, 0, WIDEST)
    for column, title in enumerate(sheet.head):
        page.write_string(0, column, title, bold)
    rows = sheet.list_rows()
    for number, row in enumerate(itertools.islice(rows, MOST_ROWS), start=1):
        for column, cell in enumerate(row):
            page.write_string(number, column, shorten(cell.text), formats[cell.is_doubtful])
    return sum(1 for _ in rows)


def shorten(text: str) -> str:
    """Text that a cell of XLSX holds; what is cut says where all of it is."""
    told = " … (cut: all of it is in the JSON)"
    return text if len(text.encode("utf-16-le")) <= 2 * LONGEST else text[: LONGEST // 2 - len(told)] + told

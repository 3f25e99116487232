"""The forms of what was read: each opened again with the library of those who use it, and what is in doubt in each."""

import csv
import json
import re
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any

import openpyxl
import pymupdf
import pypdfium2
import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from support.scripted_model import CONTENT, INVOICE, ScriptedModel
from warraq.cli.main import main
from warraq.files import write_json
from warraq.metrics.tables import read_tables
from warraq.runtimes.tesseract import BoxedWord, list_languages
from warraq.serving.markdown import escape_markup, write_table
from warraq.serving.searchable import order_letters, place_words
from warraq.serving.tables import disarm, shorten

ALL = "json,markdown,csv,xlsx,jsonl,pdf"


def read(model: Path, out: Path, *words: object) -> Result:
    return CliRunner().invoke(main, ["read", "--model", str(model), "--out", str(out), *map(str, words)])


def fill_invoice(**values: Any) -> str:
    return json.dumps({**json.loads(INVOICE), **values}, ensure_ascii=False)


def fill_item(**values: Any) -> dict[str, Any]:
    names = ("quantity", "unit_price", "tax_rate", "tax_amount", "total", "currency")
    return {"description": "", **dict.fromkeys(names), **values}


def write_content(*blocks: tuple[str, str]) -> str:
    rows = [{"kind": kind, "text": text, "level": None, "language": None} for kind, text in blocks]
    return json.dumps({"blocks": rows}, ensure_ascii=False)


def read_csv(path: Path) -> list[dict[str, str]]:
    assert path.read_bytes().startswith(b"\xef\xbb\xbf"), "Excel takes it for UTF-8 by its mark"
    with path.open(encoding="utf-8-sig", newline="") as stream:
        return list(csv.DictReader(stream))


def read_outcome(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "outcome.jsonl").read_text(encoding="utf-8").splitlines()]


def list_files(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in out.iterdir()}


def test_a_row_a_document_and_a_row_an_item(
    model: Path, server: ScriptedModel, raw: Callable[..., Path], tmp_path: Path
) -> None:
    """Of a document whose pages differ each value stands there; a file that is none has its row."""
    answers = iter(
        fill_invoice(invoice_number=number, total=total, items=[fill_item(description=number, total=total)])
        for number, total in (("7", "1"), ("7", "2"), ("7", "3"))
    )
    server.reply = lambda prompt, _: (next(answers), "stop")
    result = read(model, tmp_path / "out", raw("letter.pdf", "empty.pdf"), "--task", "invoice", "--workers", "1")
    assert result.exit_code == 0, result.output
    letter, empty = read_csv(tmp_path / "out/fields.csv")
    assert (letter["File"], letter["Pages read"], letter["Invoice number"]) == ("letter.pdf", "3", "7")
    assert letter["Total"] == "1 | 2 | 3" and letter["State"] == "read"
    assert (empty["File"], empty["State"], empty["Total"]) == ("empty.pdf", "not read", "")
    items = read_csv(tmp_path / "out/items.csv")
    found = [(row["Page"], row["Description"], row["Total"]) for row in items]
    assert found == [("1", "7", "1"), ("2", "7", "2"), ("3", "7", "3")]


def test_a_workbook_in_arabic_runs_from_right_to_left_and_colours_doubt(
    model: Path, server: ScriptedModel, raw: Callable[..., Path], tmp_path: Path
) -> None:
    """The doubt is in the total alone: its letters are less sure than the threshold."""
    server.reply = lambda *_: (fill_invoice(total="=1+1", items=[fill_item(description="ورق")]), "stop")
    server.logprob = -0.1
    write_json(tmp_path / "review.json", {"model": {"invoice": 0.5}})
    words = ["--task", "invoice", "--headers", "ar", "--review", tmp_path / "review.json"]
    assert read(model, tmp_path / "out", raw("picture.png"), *words).exit_code == 0
    book = openpyxl.load_workbook(tmp_path / "out/fields.xlsx")
    assert all(sheet.sheet_view.rightToLeft for sheet in book) and book.sheetnames[:2] == ["الوثائق", "البنود"]
    head, row = book["الوثائق"].iter_rows()
    total = next(cell for title, cell in zip(head, row, strict=True) if title.value == "المجموع")
    assert total.value == "=1+1" and total.data_type == "s", "text, and no formula"
    assert total.fill.fgColor.rgb == "00000000" and book["البنود"]["F2"].value == "ورق"
    write_json(tmp_path / "review.json", {"model": {"invoice": 0.95}})
    assert read(model, tmp_path / "out", raw("picture.png"), *words).exit_code == 0
    head, row = openpyxl.load_workbook(tmp_path / "out/fields.xlsx")["الوثائق"].iter_rows()
    coloured = {str(title.value) for title, cell in zip(head, row, strict=True) if cell.fill.fgColor.rgb == "FFFFE699"}
    assert {"المجموع", "رقم الفاتورة", "تحتاج مراجعة"} <= coloured and "التاريخ" not in coloured
    assert read_csv(tmp_path / "out/fields.csv")[0]["المجموع"] == "'=1+1"


def test_every_form_marks_a_cut_answer(
    model: Path, server: ScriptedModel, raw: Callable[..., Path], tmp_path: Path
) -> None:
    server.reply = lambda *_: (fill_invoice(total="5"), "length")
    assert read(model, tmp_path / "out", raw("picture.png"), "--task", "invoice").exit_code == 0
    answer = json.loads((tmp_path / "out/picture.png.json").read_text())["pages"][0]["answers"]["invoice"]
    assert answer["reasons"] == ["truncated", "cut"]
    (line,) = map(json.loads, (tmp_path / "out/answers.jsonl").read_text().splitlines())
    assert line["answer"]["needs_review"] and (line["page"], line["task"]) == (1, "invoice")
    (row,) = read_csv(tmp_path / "out/fields.csv")
    assert row["Needs review"] == "yes" and "the answer is cut" in row["Doubts"]
    assert "the answer is cut" in (tmp_path / "out/picture.png.md").read_text(encoding="utf-8")
    head, cells = openpyxl.load_workbook(tmp_path / "out/fields.xlsx")["Documents"].iter_rows()
    fills = {title.value: cell.fill.fgColor.rgb for title, cell in zip(head, cells, strict=True)}
    assert fills["Total"] == "FFFFE699"


def test_an_empty_answer_to_a_page_is_not_told_as_cut(
    model: Path, server: ScriptedModel, raw: Callable[..., Path], tmp_path: Path
) -> None:
    """The first answer was too long; what was asked for in its place is whole, and says nothing."""
    server.reply = lambda _, schema: ('{"blocks":[]}', "stop") if schema else (CONTENT, "length")
    assert read(model, tmp_path / "out", raw("picture.png"), "--task", "content").exit_code == 0
    answer = json.loads((tmp_path / "out/picture.png.json").read_text())["pages"][0]["answers"]["content"]
    assert answer["reasons"] == ["truncated", "empty"]
    text = (tmp_path / "out/picture.png.md").read_text(encoding="utf-8")
    assert "the answer has no text, though the page may have some" in text and "is cut" not in text


def test_without_a_proved_threshold_it_is_said_once(model: Path, raw: Callable[..., Path], tmp_path: Path) -> None:
    write_json(tmp_path / "review.json", {"model": {"content": None, "invoice": None}})
    result = read(model, tmp_path / "out", raw("letter.pdf"), "--review", tmp_path / "review.json")
    told = "no threshold is proved for content, invoice"
    assert result.stderr.count(told) == result.stderr.splitlines()[-1].count(told) == 1
    head, document = read_outcome(tmp_path / "out")
    assert sum(told in note for note in head["notes"]) == 1 and document["pages_marked"] == 0
    text = (tmp_path / "out/letter.pdf.md").read_text(encoding="utf-8")
    assert text.count(told) == 1 and "Needs review" not in text
    assert read_csv(tmp_path / "out/fields.csv")[0]["Needs review"] == "yes"


def test_forms_are_made_again_from_the_json(
    model: Path, server: ScriptedModel, raw: Callable[..., Path], tmp_path: Path
) -> None:
    """As after a run that was killed between two of them: the same bytes, and no question."""
    folder, out = raw("letter.pdf"), tmp_path / "out"
    assert read(model, out, folder, "--forms", ALL).exit_code == 0
    before, asked = list_files(out), len(server.asked)
    assert {"letter.pdf.pdf", "fields.xlsx", "answers.jsonl"} <= set(before)
    for name in set(before) - {"letter.pdf.json"}:
        (out / name).unlink()
    (out / "fields.xlsx.part").write_bytes(b"PK")
    assert read(model, out, folder, "--forms", ALL).exit_code == 0
    assert list_files(out) == before and len(server.asked) == asked
    assert read(model, out, folder, "--forms", "jsonl").exit_code == 0
    assert set(before) - set(list_files(out)) == {"fields.csv", "items.csv", "fields.xlsx"}


def test_a_searchable_pdf_by_the_text_layer_of_the_file(
    model: Path, server: ScriptedModel, raw: Callable[..., Path], tmp_path: Path
) -> None:
    """The words of the answer stand where they are printed, for two readers of PDF; what is invented is left out."""
    server.reply = lambda *_: (
        write_content(("heading", "وزارة المالية"), ("paragraph", "Invoice no. 1001 sold")),
        "stop",
    )
    assert read(model, tmp_path / "out", raw("letter.pdf"), "--task", "content", "--forms", "pdf").exit_code == 0
    path = tmp_path / "out/letter.pdf.pdf"
    with pymupdf.open(path) as document:
        page = document[0]
        assert "وزارة المالية" in page.get_text() and "sold" not in page.get_text()
        (word,) = page.search_for("1001")
        assert word in pymupdf.Rect(30, 30, 270, 200)
        assert page.search_for("المالية") and len(page.get_images()) == 1
        assert "1 of the 6 words that were read are not found on it" in document.metadata["subject"]
    with pypdfium2.PdfDocument(path) as document:
        text = document[0].get_textpage()
        assert all(text.search(wanted).get_next() for wanted in ("وزارة المالية", "المالية", "Invoice no. 1001"))
    _, outcome = read_outcome(tmp_path / "out")
    assert [gap["page"] for gap in outcome["pdf_gaps"]] == [1, 2, 3] and outcome["forms"]["pdf"] == path.name


def test_an_invented_answer_has_no_searchable_pdf(
    model: Path, server: ScriptedModel, raw: Callable[..., Path], tmp_path: Path
) -> None:
    server.reply = lambda *_: (write_content(("paragraph", "Once upon a time there was a king")), "stop")
    assert read(model, tmp_path / "out", raw("letter.pdf"), "--task", "content", "--forms", "pdf").exit_code == 0
    assert not (tmp_path / "out/letter.pdf.pdf").exists()
    _, outcome = read_outcome(tmp_path / "out")
    assert outcome["pdf_gaps"][0]["why"] == "8 of the 8 words that were read are not found on it"


@pytest.mark.skipif("eng" not in list_languages(), reason="needs Tesseract")
def test_a_searchable_pdf_of_a_scan_by_tesseract(
    model: Path, server: ScriptedModel, raw: Callable[..., Path], tmp_path: Path
) -> None:
    server.reply = lambda *_: (write_content(("paragraph", "Invoice no. 1001")), "stop")
    assert read(model, tmp_path / "out", raw("scan.pdf"), "--task", "content", "--forms", "pdf").exit_code == 0
    with pymupdf.open(tmp_path / "out/scan.pdf.pdf") as document:
        assert document[0].search_for("Invoice")


def test_a_form_that_there_is_not_is_one_sentence(model: Path, raw: Callable[..., Path], tmp_path: Path) -> None:
    result = read(model, tmp_path / "out", raw("picture.png"), "--forms", "json,docx")
    assert result.exit_code == 2 and "--forms has no 'docx'; there are json, markdown" in result.output


def test_what_was_written_into_the_folder_of_the_files_is_not_read(
    model: Path, raw: Callable[..., Path], tmp_path: Path
) -> None:
    folder = raw("letter.pdf")
    for _ in range(2):
        assert read(model, folder / "read", folder, "--task", "content", "--forms", "csv,pdf").exit_code == 0
        assert [row["File"] for row in read_csv(folder / "read/fields.csv")] == ["letter.pdf"]
    result = read(model, folder, folder)
    assert result.exit_code == 2 and "is read itself; name another folder" in result.output
    (folder / "letter").write_bytes((folder / "letter.pdf").read_bytes() + b"%")
    result = read(model, folder, folder / "letter", folder / "letter.pdf")
    assert result.exit_code == 2 and "--out would write over" in result.output


@given(st.text(st.sampled_from("=+-@\t\r 1a.,٣"), max_size=5))
def test_no_cell_of_csv_is_a_formula(text: str) -> None:
    """A sign before digits makes a number."""
    shown = disarm(text)
    assert shown in (text, f"'{text}")
    first = shown.strip()[:1]
    assert first not in ("=", "@") and (first not in ("+", "-") or not {"a", "@", "="} & set(shown))


@given(st.text(max_size=40), st.integers(0, 40_000))
def test_a_cell_of_a_workbook_holds_its_text_or_says_that_it_is_cut(text: str, length: int) -> None:
    whole = text + "م" * length
    shown = shorten(whole)
    assert len(shown.encode("utf-16-le")) <= 2 * 32_767 and (shown == whole or shown.endswith("in the JSON)"))


@given(
    st.lists(st.sampled_from(("سعر", "ab", "12", "1.5", "x-y", "٣٤")), max_size=8), st.randoms(use_true_random=False)
)
def test_a_word_stands_on_its_own_place_or_nowhere(words: list[str], random: Any) -> None:
    shuffled = random.sample(words, len(words))
    boxes = [BoxedWord(text, place, 0, place + 1, 1, "1") for place, text in enumerate(shuffled)]
    placed = place_words(words, boxes)
    assert [one.text for one in placed] == words and len({one.box.left for one in placed}) == len(words)
    assert all(one.text == one.box.text for one in placed)


@pytest.mark.parametrize(
    ("word", "seen"),
    [("وزارة", "ةرازو"), ("INV-1", "INV-1"), ("١٢/٠٣", "١٢/٠٣"), ("2024م", "م2024"), ("(مال)", ")لام(")],
)
def test_letters_are_written_as_they_are_seen(word: str, seen: str) -> None:
    assert order_letters(word) == seen


@given(st.lists(st.lists(st.text("ab|<&ورق\n", max_size=4), min_size=2, max_size=2), min_size=1, max_size=3))
def test_a_table_keeps_its_cells(rows: list[list[str]]) -> None:
    """As a table of pipes, or as HTML where it is written from right to left."""
    cells = [[f"<td>{escape(text)}</td>" for text in row] for row in rows]
    shown = write_table("<table>" + "".join(f"<tr>{''.join(row)}</tr>" for row in cells) + "</table>")
    if shown.startswith("<table"):
        told = [[cell.text for cell in row] for row in read_tables(shown)[0].rows]
    else:
        lines = shown.splitlines()
        told = [re.split(r"(?<!\\)\|", line)[1:-1] for line in (lines[0], *lines[2:])]
        told = [[cell.strip().replace("\\|", "|").replace("\\<", "<") for cell in row] for row in told]
    assert told == [[" ".join(text.split()) for text in row] for row in rows]


@pytest.mark.parametrize(
    ("text", "shown"), [("# 5 <b>x", "\\# 5 \\<b>x"), ("> a", "\\> a"), ("a < b", "a < b"), ("#12", "#12")]
)
def test_text_stands_in_markdown_as_it_is_printed(text: str, shown: str) -> None:
    assert escape_markup(text) == shown

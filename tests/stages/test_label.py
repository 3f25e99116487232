"""Labels of people and of text layers, and the rows that every teacher's answers end in."""

import json

import pymupdf
import pytest

from support.label_project import Project, content_answer
from warraq import tasks
from warraq.records import Review, dump_row
from warraq.teachers import Answer
from warraq.teachers.human import HumanTeacher

ENGLISH = "Minutes of the meeting of 4 May\nAll members were present.\n\nThe budget was approved."
ARABIC = "محضر اجتماع اللجنة المالية\nحضر جميع الأعضاء، وأقرت الميزانية إلى نهاية العام."


def test_gold_flows_through(project: Project) -> None:
    reviewed, _ = project.add_page(1), project.add_page(2)
    project.add_review(reviewed, content_answer("نص"))

    result = project.label("human")

    assert result.exit_code == 0, result.output
    first, second = project.rows()
    assert (first.answer, first.teacher, first.reference, first.model) == (content_answer("نص"), "human", "gold", None)
    assert (second.answer, second.reason) == (None, "no_review")
    assert "label content: 2 pages, 0 known, 2 asked: human 1, declined 1 (no_review 1)" in result.output


def test_the_same_again_gives_the_same_bytes(project: Project) -> None:
    project.add_review(project.add_page(1), content_answer("x"))
    project.add_page(2, text=ENGLISH)
    project.label("human", "textlayer")
    before = project.out.read_bytes()

    result = project.label("human", "textlayer")

    assert project.out.read_bytes() == before
    assert "2 pages, 2 known, 0 asked\n" in result.output


def test_a_review_of_an_earlier_schema_is_gold_in_today_s_shape(project: Project) -> None:
    page, party = project.add_page(1), dict.fromkeys(("name", "address", "tax_id"))
    item = {"description": "ورق", "quantity": "2", "unit_price": None, "total": "9"}
    told = dict.fromkeys(("date", "due_date", "currency", "subtotal"))
    project.add_review(page, told | {"invoice_number": "7", "sender": party, "recipient": party, "items": [item],
                                     "tax": "1.35", "total": "10.35"}, "invoice")  # fmt: skip

    assert project.label("human", task="invoice").exit_code == 0

    (row,) = project.rows("invoice")
    assert row.answer is not None and (row.answer["tax_amount"], row.answer["tax_rate"]) == ("1.35", None)
    assert row.answer["items"][0] == item | dict.fromkeys(("tax_rate", "tax_amount", "currency"))


def test_a_page_that_is_gone_is_gone_from_the_labels(project: Project) -> None:
    project.add_page(1, text=ENGLISH)
    project.add_page(2, text=ENGLISH)
    project.label("textlayer")
    project.pages.pop()

    project.label("textlayer")

    assert [row.page_id for row in project.rows()] == [page.page_id for page in project.pages]


def test_the_last_review_wins_and_beats_the_text_layer(project: Project) -> None:
    page = project.add_page(1, text=ENGLISH)
    project.add_review(page, content_answer("first"))
    project.add_review(page, content_answer("second"))

    project.label("human", "textlayer")

    (row,) = project.rows()
    assert (row.reference, row.answer) == ("gold", content_answer("second"))


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ('"task":"content","answer":{"blocks":5},"reviewer":"r"}', "review_invalid"),
        ('"task":"content","answer":{"blo', "review_invalid"),  # halved
        ('"task":"invoice","answer":{},"reviewer":"r"}', "review_invalid"),
        ('"task":"content","reviewer":"r","status":"unreadable","reason":"stained"}', "unreadable"),
    ],
    ids=["schema", "half a row", "another task", "unreadable"],
)
def test_a_review_without_an_answer_is_one_page_s_reason(project: Project, row: str, reason: str) -> None:
    """And no teacher is asked in the place of the person."""
    page, other = project.add_page(1, text=ENGLISH), project.add_page(2)
    project.add_review(page, content_answer("first"))
    with (project.root / "reviews/content.jsonl").open("a", encoding="utf-8") as stream:
        stream.write(f'{{"page_id":"{page.page_id}",{row}\nno row at all\n')
    project.add_review(other, content_answer("kept"))

    result = project.label("human", "textlayer")

    assert result.exit_code == 0, result.output
    assert [(one.reason, one.answer) for one in project.rows()] == [(reason, None), (None, content_answer("kept"))]
    assert "content.jsonl, line 3 is left out, as it names no page" in result.output
    assert (page.page_id in result.output) == (reason == "review_invalid")


def test_a_review_of_a_question_holds_it(project: Project) -> None:
    page, answer = project.add_page(1), {"reasoning": "r", "answer": "a", "question": "q"}
    project.add_review(page, answer, task="table_qa")

    outcome = HumanTeacher(tasks.load("table_qa"), project.root / "reviews", [page]).answer(page, "")

    assert isinstance(outcome, Answer) and outcome.value == answer


def test_only_rows_that_count_replace_an_answer(project: Project) -> None:
    first, second = project.add_page(1), project.add_page(2)
    for page, status in ((first, "second"), (first, "skipped"), (second, "withdrawn")):
        project.add_review(page, content_answer("kept"))
        answer = content_answer("other") if status == "second" else None
        row = Review(page_id=page.page_id, task="content", answer=answer, reviewer="r2", status=status)  # type: ignore[arg-type]
        with (project.root / "reviews/content.jsonl").open("a", encoding="utf-8") as stream:
            stream.write(dump_row(row))

    project.label("human")

    assert [row.answer for row in project.rows()] == [content_answer("kept"), None]


@pytest.mark.parametrize(
    ("text", "paragraphs"),
    [
        (ENGLISH, ["Minutes of the meeting of 4 May\nAll members were present.", "The budget was approved."]),
        (ARABIC, [ARABIC]),
        ("ﻭﺯﺍﺭﺓ ﺍﻟﺘﻌﻠﻴﻢ ﺍﻟﻌﺎﻟﻲ ﻭﺍﻟﺒﺤﺚ ﺍﻟﻌﻠﻤﻲ\u200f", ["وزارة التعليم العالي والبحث العلمي"]),
    ],
    ids=["english", "arabic", "presentation forms"],
)
def test_a_usable_text_layer_answers(project: Project, text: str, paragraphs: list[str]) -> None:
    project.add_page(1, text=text)

    project.label("textlayer")

    (row,) = project.rows()
    assert row.reference == "textlayer" and row.answer is not None
    assert [block["text"] for block in row.answer["blocks"]] == paragraphs


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "no_text_layer"),
        (" \n\f\n", "no_text_layer"),
        ("Page 3 of 7", "text_layer_unusable"),
        (ARABIC.replace("الأ", "األ").replace("الإ", "اإل"), "text_layer_unusable"),
        ("\n".join(row[::-1] for row in ARABIC.split("\n")), "text_layer_unusable"),
        ("ﺍǄﺴǂبﻡ ﻋǁﻴﻜﻢ ﻭﺭﺣﻤﺔ ﺍǄǁﻪ ﻣﻦ ﺍǄﺸﻬﺮ", "text_layer_unusable"),
        (ARABIC + " في ٤٢٠٢", "text_layer_unusable"),
        (ENGLISH + "\x03", "text_layer_unusable"),
        (ENGLISH + "\uf04e\uf04e", "text_layer_unusable"),
        ("䴀甀氀琀椀挀漀氀漀爀 䈀氀愀挀欀 倀甀爀攀 䈀氀愀挀欀 倀甀爀攀 䴀愀最攀渀琀愀", "text_layer_unusable"),
    ],
    ids=[
        "none",
        "blank",
        "few letters",
        "lam-alef",
        "visual order",
        "foreign",
        "numbers",
        "control",
        "private",
        "byte order",
    ],
)
def test_an_unproved_text_layer_is_declined(project: Project, text: str | None, reason: str) -> None:
    project.add_page(1, text=text)

    project.label("human", "textlayer")

    (row,) = project.rows()
    assert (row.answer, row.reason) == (None, reason)


def test_the_layer_that_pymupdf_writes_is_declined(project: Project) -> None:
    """Letters mapped to foreign ones, and numbers written backwards."""
    with pymupdf.open() as document:
        sheet = document.new_page()
        sheet.insert_htmlbox(pymupdf.Rect(50, 50, 500, 300), f"<p dir=rtl>{ARABIC} ٢٠٢٤</p>")
        text = sheet.get_text()
    project.add_page(1, text=text)

    project.label("textlayer")

    assert "٤٢٠٢" in text
    assert [row.reason for row in project.rows()] == ["text_layer_unusable"]


def test_a_text_layer_has_no_fields(project: Project) -> None:
    project.add_page(1, text=ENGLISH)

    project.label("human", "textlayer", task="invoice")

    assert [row.reason for row in project.rows("invoice")] == ["no_review"]


def test_the_counts_are_a_metric(project: Project) -> None:
    project.add_review(project.add_page(1), content_answer("نص"))
    project.add_page(2, text=ENGLISH)
    project.add_page(3)

    project.label("human", "textlayer")

    assert json.loads((project.root / "metrics/content.json").read_text()) == {
        "pages": 3, "answered": 2, "answered_human": 1, "answered_textlayer": 1, "declined_no_text_layer": 1,
    }  # fmt: skip


def test_without_a_model_there_is_no_ledger(project: Project) -> None:
    project.add_page(1, text=ENGLISH)

    project.label("human", "textlayer")

    assert not (project.root / "ledger").exists()

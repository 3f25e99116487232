"""Whatever the notation of an answer, what was read in it is read."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warraq import tasks
from warraq.metrics import notations
from warraq.tasks import JsonObject
from warraq.tasks.scoring import score_answer, score_core

TABLE = "<table><tr><td>الصنف</td><td>السعر</td></tr><tr><td>ورق</td><td>٩٫٥٠</td></tr></table>"
MARKDOWN = "| الصنف | السعر |\n|---|--:|\n| **ورق** | ٩٫٥٠ |"
LETTER = "إلى السيد المدير المحترم تحية طيبة وبعد نحيطكم بأن الدفعة الثالثة قد صرفت في موعدها"
PAGE = {
    "blocks": [
        {"kind": "paragraph", "text": LETTER, "level": None, "language": None},
        {"kind": "table", "text": TABLE, "level": None, "language": None},
    ]
}
PARTY = {"name": 'مؤسسة "البحر"', "address": None, "tax_id": None}
INVOICE: JsonObject = {
    "invoice_number": "٢٠٢٤/٥٥", "customer_id": None, "status": None, "date": "5/3/2024", "due_date": None,
    "sender": PARTY, "recipient": PARTY | {"name": None},
    "items": [{"description": "ورق أبيض", "quantity": "12", "unit_price": "9.50", "tax_rate": None,
               "tax_amount": None, "total": "114.00", "currency": None}],
    "currency": "SAR", "subtotal": None, "tax_rate": None, "tax_amount": None, "total": "131.10", "notes": None,
}  # fmt: skip
QUESTION = {"reasoning": "The second row says so", "answer": "1,250"}
GOLD: dict[str, JsonObject] = {"content": PAGE, "invoice": INVOICE, "table_qa": QUESTION}
SCORES = {"content": ("words_found", "words_true", "teds"), "invoice": ("field_f1",), "table_qa": ("question_score",)}


def write_lines(value: Any, mark: str) -> str:
    if not isinstance(value, dict):
        return "".join(write_lines(one, mark) for one in value)
    return "".join(
        write_lines(one, mark) if isinstance(one, dict | list) else mark.format(key=key, value=one)
        for key, one in value.items()
        if one is not None
    )


WRITERS: dict[str, Callable[[JsonObject], str]] = {
    "Python": repr,
    "JSON in a string": lambda answer: json.dumps(tasks.dumps(answer), ensure_ascii=False),
    "JSON in a string, in ASCII": lambda answer: json.dumps(json.dumps(answer)),
    "a wrapper": lambda answer: json.dumps({"result": [answer]}),
    "words in brackets before it": lambda answer: f"Here is {{the}} [JSON]:\n{tasks.dumps(answer)}",
    "another key": lambda answer: tasks.dumps(answer | {"note": None}),
    "lines": lambda answer: write_lines(answer, "{key}: {value}\n"),
    "a list of Markdown": lambda answer: write_lines(answer, "- **{key}:** {value}\n"),
    "XML": lambda answer: "<answer>" + write_lines(answer, "<{key}>{value}</{key}>") + "</answer>",
}


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("task", GOLD)
def test_the_notation_of_an_answer_changes_its_form_alone(task: str, writer: str) -> None:
    found = score_answer(tasks.load(task), GOLD[task], WRITERS[writer](GOLD[task]))
    assert found.answer is None
    assert [found.value(name) for name in SCORES[task]] == [1] * len(SCORES[task])


@pytest.mark.parametrize(
    ("task", "raw"),
    [
        ("content", f"{LETTER}\n\n{MARKDOWN}"),
        ("content", tasks.dumps({"blocks": [PAGE["blocks"][0], PAGE["blocks"][1] | {"text": MARKDOWN}]})),
        ("content", f"<!DOCTYPE html><html><body><p style='x'>{LETTER}<br></p>{TABLE}</body></html>"),
        ("table_qa", "1250"),
        ("table_qa", "**Answer:** 1250"),
        ("table_qa", "The answer is: 1,250."),
        ("table_qa", '{"التعليل":"الصف الثاني","الجواب":"1,250"}'),
    ],
)
def test_what_is_written_for_readers_is_read(task: str, raw: str) -> None:
    found = score_answer(tasks.load(task), GOLD[task], raw)
    assert [found.value(name) for name in SCORES[task]] == [1] * len(SCORES[task])


def test_fields_are_read_under_labels_of_any_language_and_in_tables_of_markdown() -> None:
    raw = (
        '**رقم الفاتورة:** ٢٠٢٤/٥٥\n**Date**: 5/3/2024\n**Sender:** مؤسسة "البحر"\n\n'
        "| الوصف | الكمية | السعر | المجموع |\n"
        "|---|---|---|---|\n| ورق أبيض | 12 | 9.50 | 114.00 |\n\nالعملة: SAR\nTotal: 131.10"
    )
    assert score_answer(tasks.load("invoice"), INVOICE, raw).value("field_f1") == 1


def test_colons_on_a_printed_page_are_no_keys() -> None:
    raw = "text: one\nDate: 5/3/2024\nTotal: 12"
    assert notations.rewrite_as_json(raw, {"kind", "text"}, labelled=False) == raw


@pytest.mark.parametrize("write", [tasks.dumps, json.dumps, lambda answer: f"```json\n{json.dumps(answer, indent=1)}"])
def test_whatever_character_an_answer_is_cut_at_nothing_is_added_and_no_more_is_lost(write: Any) -> None:
    gold = {
        "blocks": [
            {"kind": "paragraph", "text": f'{text}\n😀\\ «"{n}"»', "level": None, "language": None}
            for n, text in enumerate((LETTER[:20], TABLE[:60]))
        ]
    }
    whole, best = write(gold), 0.0
    for end in range(len(whole) // 10, len(whole)):
        found = score_core(tasks.load("content"), gold, whole[:end]).sums
        read = found["words_found"][0]
        assert found["insertion_rate"][0] == 0 and read >= best - 1, whole[:end]  # the last word may be half of one
        best = max(read, best)


@given(st.text("{}[]\"'“”:,\\n|-<>/`* ab1\n\ud83d", max_size=60), st.sampled_from(sorted(GOLD)))
def test_no_text_is_an_error_and_no_share_leaves_its_scale(raw: str, task: str) -> None:
    found = score_answer(tasks.load(task), GOLD[task], raw)
    assert 0 <= found.quality <= 1
    for name in (*SCORES[task], "empty_share", "schema_valid_share"):
        assert 0 <= (found.value(name) or 0) <= 1


@given(st.lists(st.text("ab|- \n", max_size=8), max_size=6).map("".join))
def test_a_text_without_a_rule_has_no_table_and_none_is_found_twice(text: str) -> None:
    once = notations.convert_markdown_tables(text)
    assert (once == text) or "<table>" in once
    assert notations.convert_markdown_tables(once.replace("|", "")) == once.replace("|", "")

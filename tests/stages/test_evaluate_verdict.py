"""What was read and its form are two things, and neither silence nor form nor luck makes a gain."""

from pathlib import Path
from typing import Any

import pytest

from support.evaluate_project import (
    VARIANTS,
    evaluate,
    make_gold,
    make_prediction,
    make_project,
    make_sample,
    write_dataset,
    write_predictions,
)
from warraq import tasks
from warraq.records import Turn

DOCUMENTS = 20
LETTER = "إلى السيد مدير عام الشؤون المالية المحترم تحية طيبة وبعد نحيطكم بأن الدفعة الثالثة قد صرفت في موعدها"
MINUTES = "وقد حضر الجلسة ممثلون عن البلدية وغرفة التجارة ورابطة الصيادين لبحث أوضاع الميناء القديم والسوق"
WORDS, OTHER = LETTER.split(), MINUTES.split()


def make_text(number: int) -> str:
    return " ".join(f"{word}{number}" for word in WORDS)


def page(*texts: str) -> str:
    return tasks.dumps(
        {"blocks": [{"kind": "paragraph", "text": text, "level": None, "language": None} for text in texts]}
    )


def question(answer: str, reasoning: str) -> str:
    return tasks.dumps({"reasoning": reasoning, "answer": answer})


def compare(folder: Path, gold: list[str], base: list[str], merged: list[str], task: str = "content") -> dict[str, Any]:
    """What is found where the right answers of one-page documents are `gold`, and base and merged wrote these."""
    make_project(folder, len(gold))
    samples = []
    for number, right in enumerate(gold):
        turns = Turn(role="user", content="<image>?"), Turn(role="assistant", content=right)
        samples.append(make_sample(number, "content").model_copy(update={"task": task, "conversations": turns}))
    write_dataset(folder, samples)
    (folder / f"labels/{task}.jsonl").touch()
    for variant, texts in zip(VARIANTS, (base, merged, merged), strict=True):
        rows = [make_prediction(n, task, text) for n, text in enumerate(texts)]
        write_predictions(folder / f"predictions/{variant}/predictions.jsonl", rows)
    return evaluate(folder)


def test_a_perfect_reading_in_a_fence_has_no_error_but_one_of_form(tmp_path: Path) -> None:
    gold = [page(make_text(n)) for n in range(3)]
    found = compare(tmp_path, gold, [f"```json\n{one}\n```" for one in gold], gold)
    assert (found["base_cer"], found["base_words_found"], found["base_words_true"]) == (0, 1, 1)
    assert (found["base_schema_valid_share"], found["base_fenced_share"]) == (0, 1)


def test_a_reading_that_is_cut_loses_its_end_and_adds_nothing(tmp_path: Path) -> None:
    gold = [page(make_text(n)) for n in range(3)]
    cut = [one[: one.index(WORDS[-2])] for one in gold]
    found = compare(tmp_path, gold, cut, gold)
    lost = 1 - len(make_text(0).split(f" {WORDS[-2]}")[0]) / len(make_text(0))
    assert found["base_deletion_rate"] == found["base_cer"] == pytest.approx(lost, abs=0.02)
    assert found["base_insertion_rate"] == found["base_words_added"] == 0


@pytest.mark.parametrize(
    ("raw", "form"),
    [
        ('{{"invoice_number":null,"sender":{{"name":"{text}"}}', "other_task_share"),
        ("# {text}", "lost_share"),
        ('[{{"content":"{text}"}}]', "lost_share"),
        ('"kind":"paragraph"{{"text":"{text}","kind":"seal"', "lost_share"),
    ],
    ids=["another task's keys", "Markdown", "keys of its own", "pieces"],
)
def test_whatever_was_read_counts_as_read(tmp_path: Path, raw: str, form: str) -> None:
    gold = [page(make_text(n)) for n in range(3)]
    found = compare(tmp_path, gold, [raw.format(text=make_text(n)) for n in range(3)], gold)
    assert (found["base_cer"], found["base_words_found"], found["base_words_true"]) == (0, 1, 1)
    assert (found["base_schema_valid_share"], found[f"base_{form}"]) == (0, 1)


def test_form_alone_is_no_gain_in_reading(tmp_path: Path) -> None:
    gold = [page(make_text(n)) for n in range(DOCUMENTS)]
    found = compare(tmp_path, gold, [f"# {make_text(n)}" for n in range(DOCUMENTS)], gold)
    assert (found["verdict_form"], found["verdict"]) == ("significant gain", "no significant gain")


@pytest.mark.parametrize(
    ("base", "merged", "verdict"), [(0, DOCUMENTS, "significant gain"), (DOCUMENTS, 1, "significant loss")]
)
def test_questions_are_judged_by_their_answers_and_not_by_the_words_of_the_reasoning(
    tmp_path: Path, base: int, merged: int, verdict: str
) -> None:
    numbers = range(DOCUMENTS)
    gold = [question(str(1000 + n), f"The table says so in row {n}.") for n in numbers]
    first, second = (
        [question(str(1000 + n) if n < right else "7", f"Thought {right} of {n}") for n in numbers]
        for right in (base, merged)
    )
    assert compare(tmp_path, gold, first, second, "table_qa")["verdict"] == verdict


def test_silence_in_place_of_loops_is_no_gain(tmp_path: Path) -> None:
    gold = [page(make_text(n)) for n in range(DOCUMENTS)]
    looped = [page("مدير " * 400) if n < 8 else gold[n] for n in range(DOCUMENTS)]
    silent = [page() if n < 8 else gold[n] for n in range(DOCUMENTS)]
    assert compare(tmp_path, gold, looped, silent)["verdict"] == "no significant gain"


def test_nothing_is_a_gain_where_most_answers_are_empty(tmp_path: Path) -> None:
    gold = [page(make_text(n)) for n in range(DOCUMENTS)]
    silent = ["" if n < 12 else gold[n] for n in range(DOCUMENTS)]
    found = compare(tmp_path, gold, ["—"] * DOCUMENTS, silent)
    assert found["merged_empty_share"] == 0.6 and found["verdict"] == "no significant gain"


@pytest.mark.parametrize("silence", [page(), page(""), '{"blocks":[', "{}"])
def test_silence_in_any_form_is_silence(tmp_path: Path, silence: str) -> None:
    gold = [page(make_text(n)) for n in range(DOCUMENTS)]
    silent = [silence if n < 12 else gold[n] for n in range(DOCUMENTS)]
    found = compare(tmp_path, gold, ["—"] * DOCUMENTS, silent)
    assert found["merged_empty_share"] == 0.6 and found["verdict"] == "no significant gain"


def test_no_answer_is_not_silence_about_a_blank_page(tmp_path: Path) -> None:
    gold = [page(), *(page(make_text(n)) for n in range(3))]
    failed = [
        make_prediction(0, "content", "", finish_reason="error"),
        *(make_prediction(n, "content", gold[n]) for n in range(1, 4)),
    ]
    compare(tmp_path, gold, gold, gold)
    write_predictions(tmp_path / "predictions/base/predictions.jsonl", failed)
    found = evaluate(tmp_path)
    assert (found["base_words_true"], found["merged_words_true"]) == (0.75, 1)


def test_who_invents_fields_where_there_are_none_is_worse_than_who_does_not(tmp_path: Path) -> None:
    nothing: dict[str, Any] = {
        key: dict.fromkeys(part) if isinstance(part, dict) else [] if isinstance(part, list) else None
        for key, part in make_gold(1, "invoice").items()
    }
    gold = [tasks.dumps(nothing | {"total": str(1000 + n)} if n % 2 else nothing) for n in range(2 * DOCUMENTS)]
    invented = [one if n % 2 else tasks.dumps(make_gold(n, "invoice")) for n, one in enumerate(gold)]
    found = compare(tmp_path, gold, gold, invented, "invoice")
    assert found["base_field_f1"] == 1
    assert found["merged_minus_base_field_f1_documents"] == found["independent_documents"]
    assert found["merged_minus_base_field_f1"] < 0


@pytest.mark.parametrize("form", ["Answer: {0}", '{{"reasoning":"","answer":"{0}","sure":1}}', "```\n{0}\n```"])
def test_the_form_of_an_answer_is_no_gain_in_questions(tmp_path: Path, form: str) -> None:
    gold = [question(str(1000 + n), "") for n in range(DOCUMENTS)]
    found = compare(tmp_path, gold, [form.format(1000 + n) for n in range(DOCUMENTS)], gold, "table_qa")
    assert (found["base_question_score"], found["verdict"]) == (1, "no significant gain")
    assert found["verdict_form"] == "significant gain"


def test_a_paragraph_in_place_of_another_is_lost_and_invented(tmp_path: Path) -> None:
    gold = [page(make_text(n), " ".join(f"{word}{n}" for word in OTHER)) for n in range(3)]
    replaced = [page(make_text(n), " ".join(f"{word}{n}" for word in WORDS)) for n in range(3)]
    found = compare(tmp_path, gold, replaced, gold)
    assert found["base_deletion_rate"] > 0.25 and found["base_insertion_rate"] > 0.25
    assert found["base_added_run_page_share"] == 1
    assert found["base_words_found"] < 0.6 and found["base_words_true"] < 0.6


def test_copies_of_one_document_are_one_document(tmp_path: Path) -> None:
    gold = [page(make_text(min(n, 3))) for n in range(DOCUMENTS)]
    found = compare(tmp_path, gold, [page("سطر")] * DOCUMENTS, gold)
    assert (found["test_documents"], found["independent_documents"]) == (DOCUMENTS, 4)
    assert found["verdict"] == "too few documents"


def test_confidence_by_field_is_held_against_the_fields(tmp_path: Path) -> None:
    make_project(tmp_path)
    for variant in VARIANTS:
        rows = []
        for number in range(8):
            row = make_prediction(number, "invoice")
            raw = row.text.replace('"SAR"', '"USD"')
            sure = {"currency": 0.2, "total": 0.9, "subtotal": 0.9, "items[0].description": 0.8}
            rows.append(row.model_copy(update={"text": raw, "confidence_by_field": sure}))
        write_predictions(tmp_path / f"predictions/{variant}/predictions.jsonl", rows)
    write_dataset(tmp_path, [make_sample(number, "invoice") for number in range(8)])
    assert evaluate(tmp_path)["merged_field_confidence_auroc"] == 1

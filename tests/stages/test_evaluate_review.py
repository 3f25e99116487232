"""Which answers a person has to read, by validation, and the teacher held against people."""

import json
from pathlib import Path

import pytest

from support.evaluate_project import (
    DOCUMENTS,
    TASKS,
    VARIANTS,
    add_teacher_labels,
    add_validation,
    change_prediction,
    evaluate,
    make_gold,
    make_page_id,
    make_prediction,
    make_sample,
    run_evaluate,
    write_dataset,
)
from warraq.metrics import plot_tables, review
from warraq.metrics.grading import GradedAnswer
from warraq.records import Review, write_rows


def chosen(folder: Path) -> dict[str, dict[str, float | None]]:
    return dict(json.loads((folder / "out/review.json").read_text()))


def test_enough_right_validation_documents_let_answers_go_unread(folder: Path) -> None:
    add_validation(folder, 73)
    cut = {"text": "cut", "finish_reason": "length"}
    change_prediction(folder, "merged", 0, "invoice", lambda row: [row.model_copy(update=cut)])
    found = evaluate(folder)
    assert chosen(folder)["merged"] == {"content": 0.0, "invoice": 0.0}
    assert (found["validation_documents"], found["validation_documents_needed"]) == (73, 73)
    assert (found["merged_needs_review_share"], found["merged_unread_field_error"]) == (1 / 16, 0)
    assert found["base_needs_review_share"] == 1  # it does not follow the schema
    assert found["test_documents"] == DOCUMENTS  # validation is never scored
    html = (folder / "out/report.html").read_text(encoding="utf-8")
    assert "was chosen on 73 validation documents." in html and "1 of 8" in html


def test_few_or_wrong_validation_answers_justify_nothing(folder: Path) -> None:
    add_validation(folder, 72)
    found = evaluate(folder)
    assert chosen(folder) == {variant: {"content": None, "invoice": None} for variant in VARIANTS}
    assert found["merged_needs_review_share"] == 1 and "merged_unread_field_error" not in found
    assert "at least 73 are needed" in (folder / "out/report.html").read_text(encoding="utf-8")


def test_without_validation_nothing_is_said_of_review(folder: Path) -> None:
    found = evaluate(folder)
    assert chosen(folder)["merged"] == {"content": None, "invoice": None}
    assert "merged_needs_review_share" not in found
    assert "has to read" not in (folder / "out/report.html").read_text(encoding="utf-8")


def graded(number: int, confidence: float, wrong: int) -> GradedAnswer:
    """An answer of ten fields that states `confidence`."""
    right = {f"field_{place}": "1" for place in range(10)}
    written = right | {f"field_{place}": "2" for place in range(wrong)}
    return GradedAnswer(
        sample=make_sample(number, "invoice"), prediction=make_prediction(number, "invoice"), gold=right,
        answer=written, read=written, strict=True, kinds={}, gold_text=None, answer_text=None, confidence=confidence,
        sums={},
    )  # fmt: skip


def test_the_threshold_is_the_lowest_level_that_holds_with_all_above_it() -> None:
    high = [graded(number, 1.0, 0) for number in range(80)]
    medium = [graded(number, 0.5, 0) for number in range(80, 120)]
    low = [graded(number, 0.0, 9) for number in range(120, 140)]
    assert review.choose_threshold(high + medium + low, 0.05) == 0.5
    assert review.choose_threshold(high[:40] + medium + low, 0.05) == 0.5  # the surest alone are too few to be tried
    assert review.choose_threshold(low + [graded(number, 1.0, 9) for number in range(80)] + medium, 0.05) is None
    assert review.choose_threshold([], 0.05) is None
    assert review.count_errors(graded(1, 1.0, 3)) == (3, 10)


@pytest.mark.parametrize(("accepted", "documents"), [(0.05, 73), (0.1, 35), (0.2, 16)])
def test_documents_needed_are_those_that_suffice_without_an_error(accepted: float, documents: int) -> None:
    right = [graded(number, 1.0, 0) for number in range(documents)]
    assert review.count_documents_needed(accepted) == documents
    assert review.choose_threshold(right, accepted) == 1.0
    assert review.choose_threshold(right[1:], accepted) is None


def test_the_teacher_is_held_against_people_on_the_same_pages(folder: Path) -> None:
    add_teacher_labels(folder, range(DOCUMENTS), total="1")
    found = evaluate(folder)
    assert (found["variants"], found["teacher"]) == ("base merged onnx teacher", "gemini-3.8-flash")
    assert (found["teacher_cer"], found["teacher_field_wrong"]) == (0, 8)
    assert (found["merged_right_where_teacher_wrong"], found["base_right_where_teacher_wrong"]) == (1, 0)
    assert found["teacher_pages_per_s"] is None  # nobody measured it here
    html = (folder / "out/report.html").read_text(encoding="utf-8")
    assert "Teacher is gemini-3.8-flash, on the same pages." in html and '<th scope="col">teacher</th>' in html


def test_a_teachers_label_that_the_schema_refuses_is_a_wrong_answer(folder: Path) -> None:
    add_teacher_labels(folder, range(DOCUMENTS), items=None)
    found = evaluate(folder)
    assert (found["teacher_schema_valid_share"], found["teacher_strict_json_share"]) == (0.5, 1)
    assert 0.5 < found["teacher_field_f1"] < 1 and found["teacher_cer"] == 0


def test_a_teacher_asked_about_some_pages_only_is_not_put_beside_the_others(folder: Path) -> None:
    add_teacher_labels(folder, range(DOCUMENTS - 1))
    found = evaluate(folder)
    assert (found["variants"], found["teacher_samples"], found["teacher"]) == ("base merged onnx", 14, None)
    assert "The teacher labelled 14 of these 16 samples" in " ".join(run_evaluate(folder).stdout.split())


def test_a_teacher_is_never_held_against_its_own_labels(folder: Path) -> None:
    add_teacher_labels(folder, range(DOCUMENTS))
    write_dataset(folder, [make_sample(n, task, "silver") for n in range(DOCUMENTS) for task in TASKS])
    assert evaluate(folder)["variants"] == "base merged onnx"


def test_confidence_that_orders_answers_is_told_from_one_that_does_not() -> None:
    answers = [graded(n, confidence, wrong) for n, (confidence, wrong) in enumerate([(0.9, 0), (0.8, 2), (0.5, 5)])]
    right, wrong = [(0.9, 10), (0.8, 8), (0.5, 5)], [(0.8, 2), (0.5, 5)]
    won = sum(a * b * ((x > y) + (x == y) / 2) for x, a in right for y, b in wrong)
    assert review.compute_auroc(answers) == pytest.approx(won / (23 * 7))
    assert review.compute_auroc([graded(n, 0.5, 1) for n in range(4)]) == 0.5
    assert review.compute_auroc([graded(1, 1.0, 0)]) is None


def test_fifths_of_confidence_keep_equals_together_and_lose_no_answer() -> None:
    levels = [1.0] * 7 + [0.9, 0.8, 0.7]
    rows = plot_tables.tabulate_confidence({"merged": [graded(n, level, n) for n, level in enumerate(levels)]})
    assert [(row["highest"], row["lowest"], row["answers"]) for row in rows] == [
        (1.0, 1.0, 7), (0.9, 0.9, 1), (0.8, 0.8, 1), (0.7, 0.7, 1),
    ]  # fmt: skip
    assert rows[0]["error"] == pytest.approx(sum(range(7)) / 70) and rows[-1]["coverage"] == 1
    assert rows[-1]["error_above"] == pytest.approx(sum(range(10)) / 100)


def test_how_far_two_people_agree_is_the_ceiling_of_the_report(folder: Path) -> None:
    """The second invoice differs in one field of seven, in one document of two; a page that is gone is no pair."""
    rows = [Review(page_id=make_page_id(n), task="invoice", answer=make_gold(n, "invoice"), reviewer="one")
            for n in (0, 1, 99)]  # fmt: skip
    rows += [row.model_copy(update={"status": "second", "reviewer": "two"}) for row in rows]
    rows[-2] = rows[-2].model_copy(update={"answer": make_gold(1, "invoice") | {"currency": "SYP"}})
    rows.append(rows[0].model_copy(update={"page_id": make_page_id(2), "status": "skipped", "answer": None}))
    write_rows(folder / "reviews/invoice.jsonl", rows, key=lambda row: row.status)
    found = evaluate(folder)
    assert [found[f"people_{name}"] for name in ("invoice_answers", "invoice_documents", "answers")] == [2, 2, 2]
    assert found["people_field_f1"] == found["people_invoice_field_f1"] == pytest.approx((1 + 6 / 7) / 2, abs=1e-6)
    assert 0 < found["people_field_f1_lo"] < found["people_field_f1"] < found["people_field_f1_hi"] <= 1
    said = "Two people, the second blind, agree to: invoice field F1 0.929 ["
    assert said in " ".join(run_evaluate(folder).stdout.split())
    html = (folder / "out/report.html").read_text(encoding="utf-8")
    assert said in html and '<span class="who">people</span><span class="num">0.929' in html


def test_without_second_readings_nothing_is_said_of_people(folder: Path) -> None:
    assert not any(name.startswith("people") for name in evaluate(folder))
    assert "people" not in run_evaluate(folder).stdout

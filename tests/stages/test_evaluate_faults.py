"""What a model adds, mends, loses or breaks moves the score that names it, and is told on its page."""

from pathlib import Path
from typing import Any

import pytest

from support.evaluate_project import (
    VARIANTS,
    change_prediction,
    evaluate,
    make_gold,
    make_page_id,
    make_prediction,
    make_project,
    make_sample,
    read_views,
    rewrite,
    run_evaluate,
    write_dataset,
    write_predictions,
)
from warraq import tasks
from warraq.records import Planted, Turn, write_rows

PAGE = (
    "إلى السيد مدير عام الشؤون المالية المحترم تحية طيبة وبعد نحيطكم بأن الدفعة الثالثة من العقد رقم 20871 قد اعتمدت "
    "وصرفت فى موعدها المحدد وفق النظام المعتمد لدى الوزارة وتقبلوا فائق الاحترام والتقدير"
)
TABLE = "<table><tr><td>البند</td><td>السعر</td></tr><tr><td>كتاب</td><td>12</td></tr></table>"
MIRRORED = "<table><tr><td>السعر</td><td>البند</td></tr><tr><td>12</td><td>كتاب</td></tr></table>"


def page(text: str, table: str = TABLE) -> dict[str, Any]:
    parts = (("paragraph", text), ("table", table))
    return {"blocks": [{"kind": kind, "text": part, "level": None, "language": None} for kind, part in parts]}


FAULTS: dict[str, tuple[str, dict[str, Any] | str, set[str], str]] = {
    # what was done: the task, the answer, the scores that it must move, what the page of the report must say
    "added sentence": (
        "content", page(PAGE + " يرجى السداد فورا لتجنب الإجراءات"), {"added_run_page_share", "added_run_rate"},
        "added: يرجى السداد فورا",
    ),
    "fixed spelling": (
        "content", page(PAGE.replace(" فى ", " في ")), {"silent_correction_rate"}, "spelling mended: 1 letter",
    ),
    "Chinese character": (
        "content", page(PAGE.replace("الوزارة", "الوزارة中")), {"foreign_answer_share", "foreign_letter_rate"},
        "foreign letters: 中 U+4E2D",
    ),
    "looped phrase": ("content", page(PAGE + " وتقبلوا" * 40), {"looped_answer_share"}, "in circles"),
    "cut JSON": (
        "content", tasks.dumps(page(PAGE))[:-40], {"truncated_share", "mended_share"}, "cut at the token limit",
    ),
    "invented field": ("invoice", {"tax_amount": "0.45"}, {"field_invention_rate"}, "invented: tax_amount"),
    "mirrored table": ("content", page(PAGE, MIRRORED), {"mirrored_table_share"}, "table mirrored"),
    "lost digit": ("content", page(PAGE.replace("20871", "2087")), {"fact_near_miss_share"}, "not on the page: 2087"),
}  # fmt: skip
NAMED = set().union(*(names for _, _, names, _ in FAULTS.values()))


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_moves_the_score_that_names_it_and_stands_on_its_page(folder: Path, fault: str) -> None:
    task, spoilt, names, sentence = FAULTS[fault]
    right = {"content": page(PAGE), "invoice": make_gold(3, "invoice")}
    turns = {name: (Turn(role="user", content="<image>?"), Turn(role="assistant", content=tasks.dumps(right[name])))
             for name in right}  # fmt: skip
    write_dataset(folder, [make_sample(3, name).model_copy(update={"conversations": turns[name]}) for name in right])
    whole = [make_prediction(3, name, tasks.dumps(right[name])) for name in right]
    for variant in VARIANTS:
        write_predictions(folder / f"predictions/{variant}/predictions.jsonl", whole)
    if isinstance(spoilt, dict):
        spoilt = tasks.dumps(right[task] | spoilt)
    ends = {"finish_reason": "length"} if fault == "cut JSON" else {}
    change_prediction(folder, "merged", 3, task, lambda row: [row.model_copy(update={"text": spoilt, **ends})])
    found = evaluate(folder)
    moved = {name for name in NAMED if found.get(f"merged_{name}") != found.get(f"base_{name}")}
    assert moved == names | ({"added_run_page_share", "added_run_rate"} if fault == "looped phrase" else set())
    answers = next(one for one in read_views(folder)["pages"][0]["tasks"] if one["task"] == task)["answers"]
    assert any(": ".join(issue).startswith(sentence) for issue in answers["merged"]["issues"])


def test_an_answer_that_only_needs_a_wrapper_off_is_counted_as_such(folder: Path) -> None:
    wrapped = f"```json\n{tasks.dumps(make_gold(2, 'invoice'))}\n```"
    change_prediction(folder, "merged", 2, "invoice", rewrite(wrapped))
    found = evaluate(folder)
    assert (found["merged_mended_share"], found["merged_lost_share"], found["merged_talk_share"]) == (1 / 16, 0, 1 / 16)
    assert (found["merged_fenced_share"], found["merged_schema_valid_share"]) == (1 / 16, 15 / 16)
    assert found["merged_field_f1"] == 1


def test_right_values_written_otherwise_are_right_and_counted(folder: Path) -> None:
    other = make_gold(1, "invoice") | {"total": "٩٫٥", "invoice_number": "2024/1"}
    change_prediction(folder, "merged", 1, "invoice", rewrite(tasks.dumps(other)))
    found = evaluate(folder)
    assert found["merged_field_f1"] == 1
    assert found["merged_field_rewritten_share"] == pytest.approx(2 / 56, abs=1e-6)


def test_planted_errors_are_scored_where_the_test_set_has_them(folder: Path) -> None:
    plants = [Planted(page_id=make_page_id(n), kind="spelling", printed="المدير", mended="الوزير") for n in (4, 5)]
    write_rows(folder / "dataset/planted.jsonl", plants, key=lambda row: row.page_id)
    mended = {"blocks": [{"kind": "paragraph", "text": "إلى السيد الوزير رقم 4", "level": None, "language": None}]}
    change_prediction(folder, "merged", 4, "content", rewrite(tasks.dumps(mended)))
    found = evaluate(folder)
    assert (found["merged_planted_copied_share"], found["merged_planted_fixed_share"]) == (0.5, 0.5)
    assert (found["onnx_planted_copied_share"], found["base_planted_copied_share"]) == (1, 0)


def test_what_became_worse_is_told_beside_a_gain(tmp_path: Path) -> None:
    folder, documents = tmp_path, 24
    make_project(folder, documents)
    for number in range(documents):
        text = tasks.dumps(make_gold(number, "invoice") | {"tax_amount": "中"})
        change_prediction(folder, "merged", number, "invoice", rewrite(text))
    assert evaluate(folder)["verdict"] == "significant gain"
    told = "Worse, though no part of the verdict: answers, foreign script 0.000 → 0.500"
    assert told in " ".join(run_evaluate(folder).stdout.split())
    assert told in (folder / "out/report.html").read_text(encoding="utf-8")

"""predictions -> metrics.json and plots, through `warraq evaluate`: what counts, what is compared, what is refused."""

import csv
from collections.abc import Callable
from pathlib import Path

import pytest

from support.evaluate_project import (
    DOCUMENTS,
    VARIANTS,
    change_prediction,
    evaluate,
    make_gold,
    make_page_id,
    make_prediction,
    make_sample,
    read_views,
    rewrite,
    run_evaluate,
    write_dataset,
    write_predictions,
)
from warraq import tasks
from warraq.records import Prediction, Reference, Turn, write_rows


def test_metrics_are_flat_sorted_and_have_intervals(folder: Path) -> None:
    found = evaluate(folder)
    assert list(found) == sorted(found)
    assert all(value is None or isinstance(value, int | float | str) for value in found.values())
    names = ["schema_valid_share", "strict_json_share", "field_f1", "field_precision", "field_recall", "cer", "wer",
             "words_found", "words_true", "truncated_share", "failed_share"]  # fmt: skip
    for variant in VARIANTS:
        assert {f"{variant}_{name}{end}" for name in names for end in ("", "_lo", "_hi")} <= found.keys()
    assert (found["test_documents"], found["test_pages"], found["test_samples"]) == (8, 8, 16)
    assert (found["merged_cer"], found["merged_field_f1"], found["merged_strict_json_share"]) == (0, 1, 1)
    assert (found["base_schema_valid_share"], found["base_field_f1"], found["base_field_missing"]) == (0, 0, 56)
    assert (found["merged_minus_base_field_f1"], found["merged_minus_base_field_f1_lo"]) == (
        1,
        pytest.approx(2 * 0.025 ** (1 / 8) - 1, abs=0.05),
    )
    assert found["verdict"] == "significant gain"


def test_equal_inputs_give_equal_bytes(folder: Path) -> None:
    run_evaluate(folder)
    run_evaluate(folder, "again")
    written = sorted(path.relative_to(folder / "out") for path in (folder / "out").rglob("*.*"))
    assert len(written) == 10
    for name in written:
        assert (folder / "out" / name).read_bytes() == (folder / "again" / name).read_bytes()


def test_the_table_fits_a_terminal_and_ends_with_verdict_and_report(folder: Path) -> None:
    output = run_evaluate(folder).stdout
    assert max(map(len, output.split("Report:")[0].splitlines())) <= 100
    verdict = " ".join(output.split())
    assert "Form: significant gain, schema-valid answers 0.000 → 1.000, +1.000 [" in verdict
    assert "Reading: tuning helped: field F1 0.000 → 1.000, +1.000 [" in verdict
    assert output.rstrip().endswith(f"Report: {folder / 'out/report.html'}")


@pytest.mark.parametrize("how", ["missing", "failed"])
def test_a_page_without_an_answer_scores_worst_and_is_counted(folder: Path, how: str) -> None:
    def none(row: Prediction) -> list[Prediction]:
        failed = {"text": "", "finish_reason": "error", "message": "out of memory"}
        return [] if how == "missing" else [row.model_copy(update=failed)]

    for task in ("content", "invoice"):
        change_prediction(folder, "merged", 3, task, none)
    found = evaluate(folder)
    lost = len(make_gold(3, "content")["blocks"][0]["text"])
    everything = sum(len(make_gold(number, "content")["blocks"][0]["text"]) for number in range(DOCUMENTS))
    assert found["merged_cer_pooled"] == pytest.approx(lost / everything, abs=1e-6)
    assert found["merged_cer"] == found["merged_failed_share"] == 1 / 8
    assert (found["merged_field_correct"], found["merged_field_missing"]) == (49, 7)
    assert found["merged_schema_valid_share"] == found["merged_field_recall"] == 7 / 8
    assert found["merged_missing_predictions"] == (2 if how == "missing" else 0)
    first = read_views(folder)["pages"][0]
    assert first["id"] == make_page_id(3)
    told = ["no prediction", ""] if how == "missing" else ["failed", "out of memory"]
    assert first["tasks"][0]["answers"]["merged"]["issues"] == [told]


def test_scores_by_hand(folder: Path) -> None:
    wrong = make_gold(1, "invoice") | {"total": "9.05", "tax_amount": "0.45", "currency": None}
    change_prediction(folder, "merged", 1, "invoice", rewrite(tasks.dumps(wrong)))
    cut = {"text": "plain", "finish_reason": "length"}
    change_prediction(folder, "merged", 2, "content", lambda row: [row.model_copy(update=cut)])
    found = evaluate(folder)
    outcomes = {name: found[f"merged_field_{name}"] for name in ("correct", "wrong", "missing", "invented")}
    assert outcomes == {"correct": 54, "wrong": 1, "missing": 1, "invented": 1}
    assert found["merged_field_f1"] == pytest.approx(2 * 54 / (56 + 56), abs=1e-6)
    assert found["merged_truncated_share"] == 1 / 16
    assert found["merged_strict_json_share"] == found["merged_schema_valid_share"] == 15 / 16
    assert found["merged_wer"] > 0
    assert (found["merged_pages_per_s"], found["merged_answers_per_s"]) == (1, 2)
    with (folder / "out/plots/fields.csv").open() as stream:
        rows = {row["field"]: row for row in csv.DictReader(stream)}
    assert rows["invoice.total"]["merged_wrong"] == "1"
    assert rows["invoice.items[].quantity"]["onnx_correct"] == "8"


@pytest.mark.parametrize(
    "text",
    [
        '{"blocks":[],"blocks":[]}',
        '{"blocks":NaN}',
        "[" * 100_000,
        '{"blocks":[{"kind":"other","text":"\\ud800","level":null,"language":null}]}',
    ],
    ids=["a key twice", "no number", "deep", "half a pair"],
)
def test_what_is_not_strict_json_is_not_called_so(folder: Path, text: str) -> None:
    change_prediction(folder, "merged", 5, "content", rewrite(text))
    found = evaluate(folder)
    assert found["merged_strict_json_share"] == found["merged_schema_valid_share"] == 15 / 16


def test_only_the_strongest_reference_is_scored_and_the_rest_counted(folder: Path) -> None:
    kinds: list[Reference] = ["gold", "silver", "textlayer", "gold"]
    write_dataset(
        folder, [make_sample(n, task, kinds[n % 4]) for n in range(DOCUMENTS) for task in ("content", "invoice")]
    )
    found = evaluate(folder)
    assert (found["reference"], found["test_samples"]) == ("gold", 8)
    assert (found["left_out_gold"], found["left_out_textlayer"], found["left_out_silver"]) == (0, 4, 4)
    assert "their reference is only silver: 4" in run_evaluate(folder).stdout


def test_against_a_teacher_the_verdict_speaks_of_agreement(folder: Path) -> None:
    write_dataset(folder, [make_sample(n, task, "silver") for n in range(DOCUMENTS) for task in ("content", "invoice")])
    output = run_evaluate(folder).stdout
    assert "nearer its teacher" in output
    assert "helped" not in output


def test_equal_models_are_no_significant_gain(folder: Path) -> None:
    path = folder / "predictions/{}/predictions.jsonl"
    Path(str(path).format("merged")).write_bytes(Path(str(path).format("base")).read_bytes())
    assert evaluate(folder)["verdict"] == "no significant gain"
    assert "Reading: no significant gain: field F1" in " ".join(run_evaluate(folder).stdout.split())


def test_five_documents_are_too_few_for_a_verdict(folder: Path) -> None:
    keep = range(5)
    write_dataset(folder, [make_sample(n, "invoice") for n in keep])
    for variant in VARIANTS:
        write_predictions(
            folder / f"predictions/{variant}/predictions.jsonl", [make_prediction(n, "invoice") for n in keep]
        )
    found = evaluate(folder)
    assert found["verdict"] == "too few documents"
    assert found["merged_words_found"] is None


def test_a_small_gain_is_no_significant_gain_and_says_what_could_not_be_seen(folder: Path) -> None:
    """Field F1 differs in one of eight documents."""
    base = folder / "predictions/base/predictions.jsonl"
    base.write_bytes((folder / "predictions/merged/predictions.jsonl").read_bytes())
    wrong = make_gold(1, "invoice") | {"total": "1"}
    change_prediction(folder, "base", 1, "invoice", rewrite(tasks.dumps(wrong)))
    found = evaluate(folder)
    assert found["verdict"] == "no significant gain"
    assert found["merged_minus_base_field_f1"] > 0
    assert found["merged_minus_base_field_f1_mde"] > found["merged_minus_base_field_f1"]
    assert found["merged_minus_base_field_f1_p_holm"] == 1
    assert "not to be seen" in run_evaluate(folder).stdout


def test_better_fields_and_worse_text_are_told_as_both(folder: Path) -> None:
    for number in range(DOCUMENTS):
        for variant, task in (("merged", "content"), ("base", "content")):
            text = tasks.dumps(make_gold(number, task)) if variant == "base" else '{"blocks":[]}'
            change_prediction(folder, variant, number, task, rewrite(text))
    found = evaluate(folder)
    assert found["verdict"] == "gain and loss"
    assert "tuning helped and hurt: field F1 0.000 → 1.000" in " ".join(run_evaluate(folder).stdout.split())


def test_stated_confidence_is_held_against_the_fields(folder: Path) -> None:
    run_evaluate(folder)
    assert (folder / "out/plots/confidence.csv").read_text() == "variant\n"  # invoices state none


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda folder: change_prediction(folder, "base", 0, "content", lambda row: [row, row]),
            "twice; run `warraq predict` again",
        ),
        (
            lambda folder: write_dataset(folder, [make_sample(n, "invoice") for n in range(DOCUMENTS)]),
            "no test sample asks for it; run `warraq predict` again",
        ),
        (lambda folder: write_dataset(folder, []), "has no samples"),
        (lambda folder: write_dataset(folder, [make_sample(0, "content")] * 2), "twice; run `warraq dataset` again"),
        (lambda folder: (folder / "dataset/test.json").write_text("[{}]"), "not a sample"),
        (lambda folder: (folder / "predictions/onnx/predictions.jsonl").unlink(), "is missing"),
        (lambda folder: (folder / f"pages/{2:012x}/0001.png").unlink(), "has no image of"),
    ],
)
def test_bad_inputs_are_one_sentence_and_write_nothing(
    folder: Path, spoil: Callable[[Path], object], message: str
) -> None:
    spoil(folder)
    result = run_evaluate(folder)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (folder / "out").exists()


def test_a_question_about_a_table_is_scored_as_its_task_says(folder: Path) -> None:
    right = {"reasoning": "The total row.", "answer": "1,250"}
    turns = Turn(role="user", content="<image>?"), Turn(role="assistant", content=tasks.dumps(right))
    write_dataset(
        folder, [make_sample(n, "table_qa").model_copy(update={"conversations": turns}) for n in range(DOCUMENTS)]
    )
    write_rows(folder / "labels/table_qa.jsonl", [], key=str)
    for variant, value in (("base", "7"), ("merged", "1260"), ("onnx", "1250")):
        text = tasks.dumps(right | {"answer": value})
        write_predictions(
            folder / f"predictions/{variant}/predictions.jsonl",
            [make_prediction(n, "table_qa", text) for n in range(DOCUMENTS)],
        )
    found = evaluate(folder)
    assert [found[f"{variant}_question_score"] for variant in VARIANTS] == [0, 0, 1]
    assert [found[f"{variant}_question_relaxed"] for variant in VARIANTS] == [0, 1, 1]

"""predictions -> metrics.json, review.json, plots/*.csv, report.html, model_card.md.

Every test sample counts for every variant: one without an answer is scored as if nothing had been copied. Only the
samples with the strongest reference present are scored, so that a person's answers and a teacher's are never in one
number. On validation samples it is only chosen which answers may go unread. The models themselves are not needed: what
they answered is on disk.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, get_args

from pydantic import Field

from warraq import tasks
from warraq.errors import InputError
from warraq.files import read_json, short_hash, write_json, write_text
from warraq.metrics import plot_tables, review
from warraq.metrics.grading import (
    GradedAnswer,
    GradedVariants,
    compare_with_teacher,
    compute_metrics,
    count_field_outcomes,
)
from warraq.records import Label, Page, Planted, Prediction, Reference, Sample, Split, read_rows, read_samples
from warraq.reports import comparison, model_card, report
from warraq.section import Section
from warraq.tasks import Task
from warraq.tasks.scoring import score_answer
from warraq.workers import progress

Key = tuple[str, str]
"""Page and task."""
Answers = dict[Key, Prediction]

UNASKED = {"no_review", "not_this_task", "not_sendable", "budget"}
"""Reasons of a label for which its teacher never saw the page."""


class Evaluate(Section):
    accepted_error: Annotated[float, Field(gt=0, lt=1)]
    resamples: Annotated[int, Field(ge=100, le=100_000)]
    seed: Annotated[int, Field(ge=0)]
    worst_pages: Annotated[int, Field(ge=0, le=500)]


@dataclass(frozen=True)
class Case:
    """A sample with its task, its gold answer and the errors planted on its page."""

    sample: Sample
    task: Task
    gold: dict[str, Any]
    planted: tuple[Planted, ...]


def cases(path: Path) -> list[Case]:
    """The samples of val.json or test.json, sorted by page and task.

    Raises:
        InputError: the file cannot be read, or has an answer that its task's schema refuses.
    """
    plants = path.with_name("planted.jsonl")
    planted = read_rows(plants, Planted) if plants.exists() else []
    found = []
    for sample in read_samples(path):
        task = tasks.load(sample.task)
        gold, _ = task.parse(sample.conversations[-1].content)
        if gold is None:
            name = f"{sample.page_id}, {sample.task}"
            raise InputError(f"{path}: the answer of {name} does not fit its task; run `warraq dataset` again.")
        found.append(Case(sample, task, gold, tuple(one for one in planted if one.page_id == sample.page_id)))
    return found


def answers(path: Path, sides: dict[Key, Split]) -> Answers:
    """A variant's predictions by page and task; raises InputError where one is stale or there twice."""
    found: Answers = {}
    for row in read_rows(path, Prediction):
        if sides.get(key(row)) != row.split or key(row) in found:
            what = "twice" if key(row) in found else f"but no {row.split} sample asks for it"
            raise InputError(f"{path} answers {row.page_id}, {row.task} {what}; run `warraq predict` again.")
        found[key(row)] = row
    return found


def taught(labels: Path, scored: list[Case]) -> tuple[Answers, set[str]]:
    """What the teacher labelled of samples that a person answers for, as predictions, and the names of its models."""
    wanted = {key(case.sample) for case in scored}
    files = [labels / f"{task}.jsonl" for task in sorted({task for _, task in wanted})]
    rows = [row for file in files for row in read_rows(file, Label)]
    own = [row for row in rows if key(row) in wanted and row.teacher != "human" and row.reason not in UNASKED]
    found = {
        key(row): Prediction(
            page_id=row.page_id, task=row.task, split="test", tokens=0, seconds=0.0, message=row.reason,
            text="" if row.answer is None else tasks.dumps(tasks.load(row.task).build_example(row.answer)[1]),
            finish_reason="error" if row.answer is None else "stop",
        )
        for row in own
    }  # fmt: skip
    return found, {row.model or row.teacher for row in own}


def key(row: Sample | Prediction | Label) -> Key:
    return row.page_id, row.task


def grade(case: Case, prediction: Prediction | None) -> GradedAnswer:
    """Score an answer; a missing or failed one as an empty text."""
    reason = "error" if prediction is None else prediction.finish_reason
    raw = prediction.text if prediction is not None and reason != "error" else ""
    found = score_answer(case.task, case.gold, raw, finish_reason=reason, planted=case.planted)
    confidence = None if prediction is None else prediction.confidence
    if confidence is None and found.answer is not None:
        confidence = case.task.read_confidence(found.answer)
    return GradedAnswer(
        sample=case.sample, prediction=prediction, gold=case.gold, answer=found.answer, strict=found.strict,
        kinds=case.task.kinds, gold_text=found.gold_text, answer_text=found.answer_text, confidence=confidence,
        sums=found.sums,
    )  # fmt: skip


def hashes(dataset: Path, scored: list[Case], pages: dict[str, Page]) -> dict[str, str]:
    """What the numbers rest on, in the first 12 hex digits of SHA-256 each."""

    def digest(parts: list[str]) -> str:
        return short_hash("\n".join(sorted(set(parts))))

    return {
        "test_sha256": short_hash((dataset / "test.json").read_bytes()),
        "prompts_sha256": digest([turn.content for case in scored for turn in case.sample.conversations[:-1]]),
        "images_sha256": digest([pages[case.sample.page_id].image_sha256 for case in scored]),
        "preprocessing_sha256": digest([pages[case.sample.page_id].recipe for case in scored]),
    }


def run(
    dataset: Path, pages: Path, labels: Path | None, predictions: Path, proof: Path, out: Path, parameters: Evaluate
) -> str:
    """Write metrics.json, review.json, plots/*.csv, report.html and model_card.md to `out`. Variants are base, merged,
    onnx, whatever else has predictions beside theirs, and the teacher, where people answered for the same pages.

    Returns:
        The comparison as text for a terminal, at most 100 columns wide.

    Raises:
        InputError: a file is missing or stale; nothing has been written then.
    """
    known, lineage = cases(dataset / "test.json"), read_json(proof)
    held = cases(dataset / "val.json") if (dataset / "val.json").exists() else []
    sides: dict[Key, Split] = {key(case.sample): "val" for case in held}
    sides |= {key(case.sample): "test" for case in known}
    others = sorted({path.parent.name for path in predictions.glob("*/predictions.jsonl")} - set(comparison.VARIANTS))
    names = (*comparison.VARIANTS, *others)
    answered = {name: answers(predictions / name / "predictions.jsonl", sides) for name in names}
    if not answered["onnx"]:  # a student that is left out of export
        del answered["onnx"]
    names = tuple(answered)
    rendered = {page.page_id: page for page in read_rows(pages / "pages.jsonl", Page)}
    for case in known:
        page = rendered.get(case.sample.page_id)
        if page is None or not (pages / page.image).exists():
            raise InputError(f"{pages} has no image of {case.sample.page_id}; run `warraq render` and all after it.")

    references = Counter(case.sample.reference for case in known)
    strongest = next(kind for kind in get_args(Reference) if references[kind])
    scored = [case for case in known if case.sample.reference == strongest]
    told, models = taught(labels, scored) if labels is not None and strongest == "gold" else ({}, set())
    if len(told) == len(scored):  # all or none: scores of different samples do not stand side by side
        answered["teacher"] = told
    held = [case for case in held if case.sample.reference == strongest]
    graded: GradedVariants = {variant: [] for variant in answered}
    validation: GradedVariants = {variant: [] for variant in names}
    work = [
        (part[variant], variant, case)
        for part, own in ((validation, held), (graded, scored))
        for variant in part
        for case in own
    ]
    for rows, variant, case in progress(work, len(work), "evaluate", "answers"):
        rows.append(grade(case, answered[variant].get(key(case.sample))))
    asked = sorted({case.sample.task for case in scored})
    chosen = review.choose_thresholds(validation, asked, parameters.accepted_error)
    if held:
        graded |= {variant: review.score_review(graded[variant], chosen[variant]) for variant in names}
    if "teacher" in graded:
        graded |= {variant: compare_with_teacher(graded[variant], graded["teacher"]) for variant in names}

    numbers: comparison.Metrics = {
        "reference": strongest,
        "variants": " ".join(graded),
        "teacher": " ".join(sorted(models)) if "teacher" in graded else None,
        "tuning": lineage["tuning"],
        "model_sha256": short_hash(proof.read_bytes()),
        **hashes(dataset, scored, rendered),
        "test_documents": len({case.sample.document for case in scored}),
        "test_pages": len({case.sample.page_id for case in scored}),
        "test_samples": len(scored),
        "teacher_samples": len(told),
        "validation_documents": len({case.sample.document for case in held}),
        "validation_documents_needed": review.count_documents_needed(parameters.accepted_error),
        **{f"left_out_{kind}": references[kind] * (kind != strongest) for kind in get_args(Reference)},
        **{
            f"{variant}_missing_predictions": sum(key(case.sample) not in rows for case in scored)
            for variant, rows in answered.items()
        },
        **{f"{variant}_confidence_auroc": plot_tables.compute_auroc(part) for variant, part in graded.items()},
        **compute_metrics(graded, parameters.resamples, parameters.seed),
    }
    metrics = {name: round(value, 6) if isinstance(value, float) else value for name, value in numbers.items()}
    metrics = dict(sorted({**metrics, "verdict": comparison.decide_verdict(metrics)[0]}.items()))
    drawn, title = plot_tables.build_plots(graded, chosen), predictions.resolve().name
    sheets = report.pick_worst(graded, rendered, parameters.worst_pages)
    write_text(
        out / "report.html", report.render_report(metrics, drawn, count_field_outcomes(graded), sheets, pages, title)
    )
    for plot, lines in drawn.items():
        write_text(out / f"plots/{plot}.csv", plot_tables.format_csv(lines))
    if (dataset / "audit.json").exists():  # a test set alone trained nothing
        write_text(out / "model_card.md", model_card.render_model_card(metrics, lineage, dataset, title))
    write_json(out / "review.json", chosen)
    write_json(out / "metrics.json", metrics)
    return comparison.format_terminal(metrics, str(out / "report.html"))

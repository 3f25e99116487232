"""predictions -> metrics.json, review.json, plots/*.csv, report.html, model_card.md.

Variants are base, merged, onnx, whatever else has predictions beside theirs, and the teacher where people answered for
the same pages. Every test sample counts for every variant: one without an answer is scored as if nothing had been
copied. Only the samples with the strongest reference present are scored, so that a person's answers and a teacher's are
never in one number. On validation samples it is only chosen which answers may go unread. How far two people agree about
the same pages stands beside it all. The models themselves are not needed: what they answered is on disk.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, get_args

from pydantic import Field

from warraq.files import read_json
from warraq.metrics import review
from warraq.metrics.aggregate import compare_with_teacher, compute_metrics, find_copies
from warraq.metrics.grading import GradedVariants
from warraq.records import Reference
from warraq.reports.comparison import VARIANTS, decide_verdict, format_terminal
from warraq.reports.folder import Results, Sources, write_reports
from warraq.reports.student_metrics import MetricValue, StudentMetrics
from warraq.section import Section
from warraq.tasks import agreement, cases
from warraq.workers import log_progress


class Evaluate(Section):
    """The branch `evaluate` of params.yaml."""

    accepted_error: Annotated[float, Field(gt=0, lt=1)]
    drawings: Annotated[int, Field(ge=1000, le=100_000)]
    seed: Annotated[int, Field(ge=0)]
    image_mib: Annotated[int, Field(ge=0, le=1000)]


@dataclass(frozen=True)
class Inputs:
    """The samples with the strongest reference, and the answers to them by variant; the teacher's where it has all."""

    references: Counter[Reference]  # of all test samples
    reference: Reference
    test: list[cases.Case]
    validation: list[cases.Case]
    answers: dict[str, cases.Predictions]
    teacher: cases.TeacherAnswers
    readings: list[agreement.Pair]  # of two people, wherever their page stands
    hashes: dict[str, str]
    sources: Sources


def load(
    *, dataset: Path, pages: Path, labels: Path | None, reviews: Path | None, predictions: Path, proof: Path
) -> Inputs:
    """Read and check all that is scored.

    Raises:
        InputError: a file is missing or stale.
    """
    test, lineage = cases.read_cases(dataset / "test.json"), read_json(proof)
    validation = cases.read_cases(dataset / "val.json") if (dataset / "val.json").exists() else []
    answers = cases.read_variants(predictions, VARIANTS, test=test, validation=validation)
    answers = {name: rows for name, rows in answers.items() if rows or name not in ("onnx", "gguf")}
    rendered = cases.read_pages(pages, test)
    references = Counter(case.sample.reference for case in test)
    strongest = next(kind for kind in get_args(Reference) if references[kind])
    test, validation = ([case for case in part if case.sample.reference == strongest] for part in (test, validation))
    teacher = cases.read_teacher_answers(labels if strongest == "gold" else None, test)
    if len(teacher.predictions) == len(test):  # scores of different samples do not stand side by side
        answers["teacher"] = teacher.predictions
    hashes = cases.hash_inputs(dataset / "test.json", proof, test, rendered)
    sources = Sources(predictions.resolve().name, lineage, dataset, pages, rendered)
    readings = agreement.read_pairs(reviews, sorted({case.sample.task for case in test}), rendered)
    return Inputs(references, strongest, test, validation, answers, teacher, readings, hashes, sources)


def grade(inputs: Inputs) -> tuple[GradedVariants, GradedVariants]:
    """Score every answer to every test and validation sample; a teacher has none to the latter."""
    test: GradedVariants = {variant: [] for variant in inputs.answers}
    validation: GradedVariants = {variant: [] for variant in inputs.answers if variant != "teacher"}
    work = [
        (rows, case, inputs.answers[variant].get(case.key))
        for graded, samples in ((validation, inputs.validation), (test, inputs.test))
        for variant, rows in graded.items()
        for case in samples
    ]
    for rows, case, prediction in log_progress(work, len(work), "evaluate", "answers"):
        rows.append(cases.grade_answer(case, prediction))
    return test, validation


def aggregate(inputs: Inputs, graded: GradedVariants, validation: GradedVariants, parameters: Evaluate) -> Results:
    """Choose the thresholds of review on validation, and sum the scores up over documents."""
    tasks = sorted({case.sample.task for case in inputs.test})
    thresholds = review.choose_thresholds(validation, tasks, parameters.accepted_error)
    if inputs.validation:
        graded = graded | {
            variant: review.score_review(graded[variant], chosen) for variant, chosen in thresholds.items()
        }
    if "teacher" in graded:
        graded = graded | {variant: compare_with_teacher(graded[variant], graded["teacher"]) for variant in thresholds}
    copies = find_copies(graded["merged"])
    numbers: dict[str, MetricValue] = {
        **describe(inputs),
        "validation_documents_needed": review.count_documents_needed(parameters.accepted_error),
        **review.measure_confidence(graded),
        **compute_metrics(graded, parameters.drawings, parameters.seed, copies),
        **agreement.measure_people(inputs.readings, parameters.drawings, parameters.seed),
    }
    verdict = decide_verdict(StudentMetrics.collect(numbers))
    words = {"verdict": verdict.word, "verdict_form": verdict.form}
    return Results(StudentMetrics.collect({**numbers, **words}), thresholds, graded, copies)


def describe(inputs: Inputs) -> dict[str, MetricValue]:
    """What was scored, in the names of metrics.json."""
    missing = {name: sum(case.key not in rows for case in inputs.test) for name, rows in inputs.answers.items()}
    return {
        **inputs.hashes,
        "reference": inputs.reference,
        "variants": " ".join(inputs.answers),
        "teacher": " ".join(sorted(inputs.teacher.models)) if "teacher" in inputs.answers else None,
        "tuning": inputs.sources.lineage["tuning"],
        **cases.count_cases(inputs.test),
        "teacher_samples": len(inputs.teacher.predictions),
        "validation_documents": len({case.sample.document for case in inputs.validation}),
        **{f"left_out_{kind}": inputs.references[kind] * (kind != inputs.reference) for kind in get_args(Reference)},
        **{f"{variant}_missing_predictions": count for variant, count in missing.items()},
    }


def run(
    *, dataset: Path, pages: Path, labels: Path | None, reviews: Path | None = None, predictions: Path, proof: Path,
    out: Path, parameters: Evaluate,
) -> str:  # fmt: skip
    """Write metrics.json, review.json, plots/*.csv, report.html and model_card.md to `out`.

    Returns:
        The comparison as text for a terminal, at most 100 columns wide.

    Raises:
        InputError: a file is missing or stale; nothing has been written then.
    """
    inputs = load(dataset=dataset, pages=pages, labels=labels, reviews=reviews, predictions=predictions, proof=proof)
    results = aggregate(inputs, *grade(inputs), parameters)
    write_reports(results, inputs.sources, out, parameters)
    return format_terminal(results.metrics, str(out / "report.html"))

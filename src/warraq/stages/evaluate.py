"""predictions -> metrics.json, plots/*.csv, report.html, model_card.md.

Every test sample counts for every variant: one without an answer is scored as if nothing had been copied. Only the
samples with the strongest reference present are scored, so that a person's answers and a teacher's are never in one
number. The models themselves are not needed: what they answered is on disk.
"""

import hashlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, get_args

from pydantic import Field, ValidationError

from warraq import tasks
from warraq.metrics import curves, faithfulness, grading, json
from warraq.metrics.grading import Graded, Variants, field_counts, grouped, measured
from warraq.records import (
    InputError,
    Page,
    Planted,
    Prediction,
    Reference,
    Sample,
    read_json,
    read_rows,
    read_samples,
    write_json,
    write_text,
)
from warraq.section import Section
from warraq.web import card, comparison, report
from warraq.workers import progress


class Evaluate(Section):
    resamples: Annotated[int, Field(ge=100, le=100_000)]
    seed: Annotated[int, Field(ge=0)]
    worst_pages: Annotated[int, Field(ge=0, le=500)]


@dataclass(frozen=True)
class Case:
    """A test sample with its task, its gold answer and the errors planted on its page."""

    sample: Sample
    task: ModuleType
    gold: dict[str, Any]
    planted: tuple[Planted, ...]


def cases(dataset: Path) -> list[Case]:
    """The test samples, sorted by page and task.

    Raises:
        InputError: the file cannot be read, or has an answer that its task's schema refuses.
    """
    path, plants = dataset / "test.json", dataset / "planted.jsonl"
    planted = read_rows(plants, Planted) if plants.exists() else []
    found = []
    for sample in read_samples(path):
        task = tasks.load(sample.task)
        gold, _ = tasks.parse(task.Answer, sample.conversations[-1].content)
        if gold is None:
            name = f"{sample.page_id}, {sample.task}"
            raise InputError(f"{path}: the answer of {name} does not fit its task; run `warraq dataset` again.")
        found.append(Case(sample, task, gold, tuple(one for one in planted if one.page_id == sample.page_id)))
    return found


def answers(path: Path, known: list[Case]) -> dict[tuple[str, str], Prediction]:
    """A variant's predictions by page and task; raises InputError where one is stale or there twice."""
    keys = {_key(case.sample) for case in known}
    found: dict[tuple[str, str], Prediction] = {}
    for row in read_rows(path, Prediction):
        if _key(row) not in keys or _key(row) in found:
            what = "twice" if _key(row) in found else "but no test sample asks for it"
            raise InputError(f"{path} answers {row.page_id}, {row.task} {what}; run `warraq predict` again.")
        found[_key(row)] = row
    return found


def _key(row: Sample | Prediction) -> tuple[str, str]:
    return row.page_id, row.task


def grade(case: Case, prediction: Prediction | None) -> Graded:
    """Score an answer; a missing or failed one as an empty text."""
    task, gold = case.task, case.gold
    raw = prediction.text if prediction is not None and prediction.finish_reason != "error" else ""
    answer, strict = tasks.parse(task.Answer, raw)
    mended = answer if answer is not None else _mended(task, raw)
    reason = "error" if prediction is None else prediction.finish_reason
    sums = grading.answer_sums(tasks.dumps(gold), raw, answer is not None, strict, mended is not None, reason)
    confidence = task.confidence(answer) if answer is not None and hasattr(task, "confidence") else None
    gold_text = answer_text = kinds = None
    if hasattr(task, "KINDS"):
        kinds, answer = task.KINDS, json.aligned(gold, answer, task.KINDS)
        sums |= grading.field_sums(gold, answer, mended, kinds)
    if hasattr(task, "elements"):
        wanted, given = task.elements(gold), task.elements(answer) if answer is not None else None
        gold_text, answer_text = grading.running_text(wanted), raw if given is None else grading.running_text(given)
        sums |= grading.text_sums(wanted, given, raw) | faithfulness.planted(case.planted, answer_text)
    return Graded(
        sample=case.sample, prediction=prediction, gold=gold, answer=answer, strict=strict, kinds=kinds,
        gold_text=gold_text, answer_text=answer_text, confidence=confidence, sums=sums,
    )  # fmt: skip


def _mended(task: ModuleType, raw: str) -> dict[str, Any] | None:
    for value in json.mended(raw):
        try:
            return task.Answer.model_validate(value, strict=True).model_dump(mode="json")
        except ValidationError:
            continue
    return None


def worst(graded: Variants, pages: dict[str, Page], count: int) -> list[report.Sheet]:
    """The pages that the merged model read worst by the mean of their samples, worst first."""
    by_page = grouped(graded, lambda one: one.sample.page_id)
    quality = {page: sum(one.quality for one in part["merged"]) / len(part["merged"]) for page, part in by_page.items()}
    return [report.Sheet(pages[page], by_page[page]) for page in sorted(quality, key=quality.__getitem__)[:count]]


def hashes(dataset: Path, scored: list[Case], pages: dict[str, Page]) -> dict[str, str]:
    """What the numbers rest on, in the first 12 hex digits of SHA-256 each."""

    def digest(parts: list[str]) -> str:
        return hashlib.sha256("\n".join(sorted(set(parts))).encode()).hexdigest()[:12]

    return {
        "test_sha256": hashlib.sha256((dataset / "test.json").read_bytes()).hexdigest()[:12],
        "prompts_sha256": digest([turn.content for case in scored for turn in case.sample.conversations[:-1]]),
        "images_sha256": digest([pages[case.sample.page_id].image_sha256 for case in scored]),
        "preprocessing_sha256": digest([pages[case.sample.page_id].recipe for case in scored]),
    }


def run(dataset: Path, pages: Path, predictions: Path, proof: Path, out: Path, parameters: Evaluate) -> str:
    """Write metrics.json, plots/*.csv, report.html and model_card.md to `out`. Variants are base, merged and onnx, and
    whatever else has predictions beside theirs.

    Returns:
        The comparison as text for a terminal, at most 100 columns wide.

    Raises:
        InputError: a file is missing or stale; nothing has been written then.
    """
    known, lineage = cases(dataset), read_json(proof)
    others = sorted({path.parent.name for path in predictions.glob("*/predictions.jsonl")} - set(comparison.VARIANTS))
    variants = (*comparison.VARIANTS, *others)
    answered = {variant: answers(predictions / variant / "predictions.jsonl", known) for variant in variants}
    rendered = {page.page_id: page for page in read_rows(pages / "pages.jsonl", Page)}
    for case in known:
        page = rendered.get(case.sample.page_id)
        if page is None or not (pages / page.image).exists():
            raise InputError(f"{pages} has no image of {case.sample.page_id}; run `warraq render` and all after it.")

    references = Counter(case.sample.reference for case in known)
    strongest = next(kind for kind in get_args(Reference) if references[kind])
    scored = [case for case in known if case.sample.reference == strongest]
    graded: Variants = {variant: [] for variant in variants}
    work = [(variant, case) for variant in graded for case in scored]
    for variant, case in progress(work, len(work), "evaluate", "answers"):
        graded[variant].append(grade(case, answered[variant].get(_key(case.sample))))

    numbers: comparison.Metrics = {
        "reference": strongest,
        "variants": " ".join(variants),
        "tuning": lineage["tuning"],
        "model_sha256": hashlib.sha256(proof.read_bytes()).hexdigest()[:12],
        **hashes(dataset, scored, rendered),
        "test_documents": len({case.sample.document for case in scored}),
        "test_pages": len({case.sample.page_id for case in scored}),
        "test_samples": len(scored),
        **{f"left_out_{kind}": references[kind] * (kind != strongest) for kind in get_args(Reference)},
        **{f"{variant}_missing_predictions": len(known) - len(rows) for variant, rows in answered.items()},
        **{f"{variant}_confidence_auroc": curves.told_apart(part) for variant, part in graded.items()},
        **measured(graded, parameters.resamples, parameters.seed),
    }
    metrics = {key: round(value, 6) if isinstance(value, float) else value for key, value in numbers.items()}
    metrics = dict(sorted({**metrics, "verdict": comparison.verdict(metrics)[0]}.items()))
    drawn, name = curves.plots(graded), predictions.resolve().name
    sheets = worst(graded, rendered, parameters.worst_pages)
    write_text(out / "report.html", report.build(metrics, drawn, field_counts(graded), sheets, pages, name))
    for plot, rows in drawn.items():
        write_text(out / f"plots/{plot}.csv", curves.csv(rows))
    if (dataset / "audit.json").exists():  # a test set alone trained nothing
        write_text(out / "model_card.md", card.build(metrics, lineage, dataset, name))
    write_json(out / "metrics.json", metrics)
    return comparison.terminal(metrics, str(out / "report.html"))

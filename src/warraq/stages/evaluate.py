"""predictions -> metrics.json, plots/fields.csv, report.html.

Every test sample counts for every variant: one without an answer is scored as if nothing had been copied. Only the
samples with the strongest reference present are scored, so that a person's answers and a teacher's are never in one
number.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, get_args

from pydantic import Field

from warraq import tasks
from warraq.metrics.grading import Graded, Variants, field_counts, grouped, measured
from warraq.metrics.json import Outcome
from warraq.records import (
    InputError,
    Page,
    Prediction,
    Reference,
    Sample,
    read_rows,
    read_samples,
    write_json,
    write_text,
)
from warraq.section import Section
from warraq.web import comparison, report
from warraq.workers import progress


class Evaluate(Section):
    resamples: Annotated[int, Field(ge=100, le=100_000)]
    seed: Annotated[int, Field(ge=0)]
    worst_pages: Annotated[int, Field(ge=0, le=500)]


@dataclass(frozen=True)
class Case:
    """A test sample with its task and its gold answer."""

    sample: Sample
    task: ModuleType
    gold: dict[str, Any]


def cases(path: Path) -> list[Case]:
    """The test samples, sorted by page and task.

    Raises:
        InputError: the file cannot be read, or has an answer that its task's schema refuses.
    """
    found = []
    for sample in read_samples(path):
        task = tasks.load(sample.task)
        gold, _ = tasks.parse(task.Answer, sample.conversations[-1].content)
        if gold is None:
            name = f"{sample.page_id}, {sample.task}"
            raise InputError(f"{path}: the answer of {name} does not fit its task; run `warraq dataset` again.")
        found.append(Case(sample, task, gold))
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
    raw = prediction.text if prediction is not None and prediction.finish_reason != "error" else ""
    answer, strict = tasks.parse(case.task.Answer, raw)
    score = case.task.score(case.gold, answer, raw)
    running = score.characters is not None
    return Graded(
        sample=case.sample,
        prediction=prediction,
        gold=case.gold,
        gold_text=case.task.plain(case.gold) if running else None,
        answer=answer,
        answer_text=case.task.plain(answer) if running and answer is not None else None,
        strict=strict,
        characters=score.characters,
        words=score.words,
        fields=score.fields,
    )


def fields_csv(fields: dict[str, dict[str, Counter[str]]]) -> str:
    """One line a field and variant; the names are identifiers and need no quotes."""
    lines = [",".join(("field", "variant", *get_args(Outcome)))]
    for field, variants in fields.items():
        for variant, counts in variants.items():
            lines.append(",".join((field, variant, *(str(counts[outcome]) for outcome in get_args(Outcome)))))
    return "\n".join(lines) + "\n"


def worst(graded: Variants, pages: dict[str, Page], count: int) -> list[report.Sheet]:
    """The pages that the merged model read worst by the mean of their samples, worst first."""
    by_page = grouped(graded, "page_id")
    quality = {page: sum(one.quality for one in part["merged"]) / len(part["merged"]) for page, part in by_page.items()}
    return [report.Sheet(pages[page], by_page[page]) for page in sorted(quality, key=quality.__getitem__)[:count]]


def run(dataset: Path, pages: Path, predictions: Path, out: Path, tuning: str, parameters: Evaluate) -> str:
    """Write metrics.json, plots/fields.csv and report.html to `out`.

    Returns:
        The comparison as text for a terminal, at most 100 columns wide.

    Raises:
        InputError: a file is missing or stale; nothing has been written then.
    """
    known = cases(dataset / "test.json")
    answered = {variant: answers(predictions / variant / "predictions.jsonl", known) for variant in comparison.VARIANTS}
    rendered = {page.page_id: page for page in read_rows(pages / "pages.jsonl", Page)}
    for case in known:
        page = rendered.get(case.sample.page_id)
        if page is None or not (pages / page.image).exists():
            raise InputError(f"{pages} has no image of {case.sample.page_id}; run `warraq render` and all after it.")

    references = Counter(case.sample.reference for case in known)
    strongest = next(kind for kind in get_args(Reference) if references[kind])
    scored = [case for case in known if case.sample.reference == strongest]
    graded: Variants = {variant: [] for variant in comparison.VARIANTS}
    work = [(variant, case) for variant in graded for case in scored]
    for variant, case in progress(work, len(work), "evaluate", "answers"):
        graded[variant].append(grade(case, answered[variant].get(_key(case.sample))))

    numbers: comparison.Metrics = {
        "reference": strongest,
        "tuning": tuning,
        "test_documents": len({case.sample.document for case in scored}),
        "test_pages": len({case.sample.page_id for case in scored}),
        "test_samples": len(scored),
        **{f"left_out_{kind}": references[kind] * (kind != strongest) for kind in get_args(Reference)},
        **{f"{variant}_missing_predictions": len(known) - len(rows) for variant, rows in answered.items()},
        **measured(graded, parameters.resamples, parameters.seed),
    }
    metrics = {key: round(value, 6) if isinstance(value, float) else value for key, value in numbers.items()}
    metrics = dict(sorted({**metrics, "verdict": comparison.verdict(metrics)[0]}.items()))
    fields = field_counts(graded)
    sheets = worst(graded, rendered, parameters.worst_pages)
    write_text(out / "report.html", report.build(metrics, fields, sheets, pages, predictions.resolve().name))
    write_text(out / "plots/fields.csv", fields_csv(fields))
    write_json(out / "metrics.json", metrics)
    return comparison.terminal(metrics, str(out / "report.html"))

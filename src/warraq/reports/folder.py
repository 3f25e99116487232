"""What evaluate found -> the files of reports/<student>/."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

from warraq.files import write_json, write_text
from warraq.metrics import plot_tables
from warraq.metrics.aggregate import compute_metrics, count_field_outcomes, group_answers
from warraq.metrics.grading import GradedVariants
from warraq.metrics.review import Thresholds
from warraq.records import Page
from warraq.reports.model_card import Lineage, render_model_card
from warraq.reports.page_views import build_views
from warraq.reports.report import ReportContent, describe_lengths, render_report
from warraq.reports.student_metrics import StudentMetrics

TASK_DRAWINGS = 2_000  # for the scores of a task, of which there may be many; no verdict rests on them


@dataclass(frozen=True)
class Results:
    """Numbers, the thresholds of review, and the graded answers that both are of."""

    metrics: StudentMetrics
    thresholds: Thresholds
    graded: GradedVariants
    copies: Mapping[str, str]  # document -> the one that it nearly is


@dataclass(frozen=True)
class Sources:
    """What the files name and show beside the results."""

    title: str
    lineage: Lineage
    dataset: Path
    images: Path  # the folder that pages' images are relative to
    pages: Mapping[str, Page]


class ReportSettings(Protocol):
    """How intervals are drawn, and how many MiB of page images report.html may hold."""

    drawings: int
    seed: int
    image_mib: int


def write_reports(results: Results, sources: Sources, out: Path, settings: ReportSettings) -> None:
    """Write report.html, plots/*.csv, model_card.md, review.json and metrics.json."""
    plots = plot_tables.build_plots(results.graded, results.thresholds)
    for plot, rows in plots.items():
        write_text(out / f"plots/{plot}.csv", plot_tables.format_csv(rows))
    if (sources.dataset / "audit.json").exists():  # a test set alone trained nothing
        card = render_model_card(results.metrics, sources.lineage, sources.dataset, sources.title)
        write_text(out / "model_card.md", card)
    write_json(out / "review.json", results.thresholds)
    write_json(out / "metrics.json", results.metrics.values)
    content = ReportContent(
        title=sources.title,
        metrics=results.metrics,
        tasks=measure_tasks(results, settings),
        plots=plots,
        fields=count_field_outcomes(results.graded),
        views=build_views(results.graded, sources.pages, sources.images, out, settings.image_mib),
        files=list_files(out, results.metrics.variants),
        lengths=describe_lengths(results.graded),
        draws=f"{settings.drawings:,} drawings for each interval, at most {TASK_DRAWINGS:,} for those of one task, "
        f"from seed {settings.seed}.",
    )
    write_text(out / "report.html", render_report(content))


def measure_tasks(results: Results, settings: ReportSettings) -> dict[str, StudentMetrics]:
    """The scores of each task alone, where there are several."""
    tasks = group_answers(results.graded, lambda one: one.sample.task)
    if len(tasks) == 1:
        return {}
    drawings, variants = min(settings.drawings, TASK_DRAWINGS), " ".join(results.graded)
    numbers = {task: compute_metrics(part, drawings, settings.seed, results.copies) for task, part in tasks.items()}
    return {task: StudentMetrics.collect({"variants": variants, **part}) for task, part in numbers.items()}


def list_files(out: Path, variants: Iterable[str]) -> list[str]:
    """The addresses of the files of numbers and answers that stand in `out`, relative to it."""
    names = ["metrics.json", "review.json", "audit.json", "model_card.md"]
    names += sorted(f"plots/{path.name}" for path in out.glob("plots/*.csv"))
    names += [f"{variant}/predictions.jsonl" for variant in variants]
    return [f"./{quote(name)}" for name in names if (out / name).exists()]

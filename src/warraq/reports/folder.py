"""What evaluate found -> the files of reports/<student>/."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from warraq.files import write_json, write_text
from warraq.metrics import plot_tables
from warraq.metrics.aggregate import count_field_outcomes
from warraq.metrics.grading import GradedVariants
from warraq.metrics.review import Thresholds
from warraq.records import Page
from warraq.reports.model_card import Lineage, render_model_card
from warraq.reports.report import render_report
from warraq.reports.student_metrics import StudentMetrics
from warraq.reports.worst_pages import show_worst


@dataclass(frozen=True)
class Results:
    """Numbers, the thresholds of review, and the graded answers that both are of."""

    metrics: StudentMetrics
    thresholds: Thresholds
    graded: GradedVariants


@dataclass(frozen=True)
class Sources:
    """What the files name and show beside the results."""

    title: str
    lineage: Lineage
    dataset: Path
    images: Path  # the folder that pages' images are relative to
    pages: Mapping[str, Page]


def write_reports(results: Results, sources: Sources, out: Path, *, worst_pages: int) -> None:
    """Write report.html with so many of the worst pages, plots/*.csv, model_card.md, review.json and metrics.json."""
    plots = plot_tables.build_plots(results.graded, results.thresholds)
    fields = count_field_outcomes(results.graded)
    sheets = show_worst(results.graded, sources.pages, sources.images, worst_pages)
    write_text(out / "report.html", render_report(results.metrics, plots, fields, sheets, sources.title))
    for plot, rows in plots.items():
        write_text(out / f"plots/{plot}.csv", plot_tables.format_csv(rows))
    if (sources.dataset / "audit.json").exists():  # a test set alone trained nothing
        card = render_model_card(results.metrics, sources.lineage, sources.dataset, sources.title)
        write_text(out / "model_card.md", card)
    write_json(out / "review.json", results.thresholds)
    write_json(out / "metrics.json", results.metrics.values)

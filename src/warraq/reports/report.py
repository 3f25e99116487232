"""metrics, the tables of the plots and the worst pages -> report.html, one file that needs nothing else.

No script and no address outside the file: the page's policy allows inline style and embedded images alone, so that
whatever a document or a model wrote stays text. Marked words stand in <bdi>, or the bidi algorithm would mix them with
their neighbours.
"""

import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from warraq.metrics.aggregate import FieldCounts
from warraq.metrics.catalogue import GROUPS, PRIMARY, SCORES
from warraq.metrics.plot_tables import Plots
from warraq.reports import charts, comparison
from warraq.reports.comparison import Judgement
from warraq.reports.student_metrics import StudentMetrics
from warraq.reports.worst_pages import Sheet

OPEN = 3  # pages unfolded at first
LETTERS = 24  # pairs shown


@dataclass(frozen=True)
class ScoreRow:
    """A line of the tables of scores."""

    label: str
    text: str
    cells: list[tuple[str, str]]  # of each variant the number and its interval
    gain: str
    judgement: Judgement
    detectable: str


def render_report(
    metrics: StudentMetrics, plots: Plots, fields: FieldCounts, sheets: Sequence[Sheet], title: str
) -> str:
    """The report as HTML."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    names = [name for name in SCORES if metrics.has_score(name)]
    letters = [row for row in plots["letters"] if row["variant"] == "merged" and row["reference"] and row["answer"]]
    return environment.get_template("report.html").render(
        title=title,
        metrics=metrics.values,
        size=comparison.describe_size(metrics),
        tuning=comparison.describe_tuning(metrics),
        reference=comparison.describe_reference(metrics),
        verdict=comparison.decide_verdict(metrics),
        left_out=comparison.list_left_out(metrics),
        losses=comparison.describe_losses(metrics),
        charts=[
            charts.build_bars(metrics, name) for name in PRIMARY if metrics.get_score("merged", name).value is not None
        ],
        variants=metrics.variants,
        headline=[_build_row(metrics, name) for name in comparison.HEADLINE if name in names],
        groups={group: [_build_row(metrics, name) for name in part if name in names] for group, part in GROUPS.items()},
        curves=charts.build_curves(plots, metrics.variants),
        letters=[(*map(_show_letter, (row["reference"], row["answer"])), row["count"]) for row in letters[:LETTERS]],
        confidence=[row for row in plots["confidence"] if row["variant"] == "merged"],
        review=[row for row in plots["review"] if row["variant"] == "merged"],
        review_note=comparison.describe_review(metrics),
        fields=_group_by_task(fields),
        sheets=sheets,
        open=OPEN,
        fewest=comparison.count_documents_wanted(metrics),
        number=comparison.format_number,
    )


def _build_row(metrics: StudentMetrics, name: str) -> ScoreRow:
    scores = [metrics.get_score(variant, name) for variant in metrics.variants]
    gain = metrics.get_gain(name)
    return ScoreRow(
        label=SCORES[name].label, text=SCORES[name].text,
        cells=[(comparison.format_number(one.value), comparison.format_interval(one)) for one in scores],
        gain="" if gain is None else comparison.format_gain(gain),
        judgement=comparison.judge_score(metrics, name), detectable=comparison.format_detectable(metrics, name),
    )  # fmt: skip


def _group_by_task(fields: FieldCounts) -> dict[str, FieldCounts]:
    """By task and path, without what is null everywhere; the sum of a task stands at the empty path."""
    tasks: dict[str, FieldCounts] = {}
    for field, variants in fields.items():
        task, _, path = field.partition(".")
        rows = tasks.setdefault(task, {"": {variant: Counter() for variant in variants}})
        for variant, counts in variants.items():
            rows[""][variant] += counts
        if any(set(counts) - {"correct_null"} for counts in variants.values()):
            rows[path] = variants
    return tasks


def _show_letter(letter: str) -> str:
    """A letter as it can be seen: spaces and marks by their code point."""
    plain = letter.isprintable() and not letter.isspace() and not unicodedata.combining(letter)
    return letter if plain else "␣" if letter == " " else f"U+{ord(letter):04X}"

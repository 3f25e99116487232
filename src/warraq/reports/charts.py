"""metrics and the tables of the plots -> where bars, lines and dots stand; the template draws them."""

from collections.abc import Sequence
from dataclasses import dataclass

from warraq.metrics.catalogue import SCORES
from warraq.metrics.plot_tables import PlotRow, Plots
from warraq.reports import comparison
from warraq.reports.comparison import Judgement
from warraq.reports.student_metrics import StudentMetrics

WIDTH, HEIGHT = 320, 150  # of a curve's plane, in units of its drawing


@dataclass(frozen=True)
class Bar:
    """A variant's score as text, and in percent of the scale from 0 to 1."""

    variant: str
    number: str
    interval: str
    lo: float | None
    value: float | None
    hi: float | None


@dataclass(frozen=True)
class BarChart:
    """A score of all variants."""

    label: str
    lower: bool  # is better
    bars: list[Bar]
    gain: str | None
    judgement: Judgement
    detectable: str


@dataclass(frozen=True)
class LineChart:
    """A line a variant: its points (x, y) in units of the drawing, y from the top."""

    title: str
    axis: str
    top: str  # the value at the top
    over: bool  # whether a value lies above it
    series: dict[str, list[tuple[float, float]]]


def build_bars(metrics: StudentMetrics, name: str) -> BarChart:
    """A score of all variants, and of two people against each other where they read the same pages, on a scale from 0
    to 1; what lies beyond 1, as a CER may, is drawn at the end."""
    bars = []
    for variant in (*metrics.variants, "people"):
        score = metrics.get_score(variant, name)
        if variant == "people" and score.value is None:
            continue
        lo, value, hi = (_to_percent(one) for one in (score.lo, score.value, score.hi))
        interval = comparison.format_interval(score)
        bars.append(Bar(variant, comparison.format_number(score.value), interval, lo, value, hi))
    gain = metrics.get_gain(name)
    return BarChart(
        label=SCORES[name].label, lower=SCORES[name].lower, bars=bars,
        gain=None if gain is None else comparison.format_gain(gain),
        judgement=comparison.judge_score(metrics, name), detectable=comparison.format_detectable(metrics, name),
    )  # fmt: skip


def _to_percent(value: float | None) -> float | None:
    return None if value is None else round(100 * min(max(value, 0), 1), 2)


def build_curves(plots: Plots, variants: Sequence[str]) -> list[LineChart]:
    """Scores by the page's length and by the place in the page; without any where no page has text."""
    length, place = plots["length"], plots["place"]
    charts = [
        _build_curve("CER by the page's length", "fifths of the pages, short to long", length, variants, "cer"),
        _build_curve("Added by the page's length", "the same fifths", length, variants, "insertion_rate"),
        _build_curve("Lost or changed by place", "tenths of the page, beginning to end", place, variants, "missed"),
    ]
    return [chart for chart in charts if any(chart.series.values())]


def _build_curve(title: str, axis: str, rows: Sequence[PlotRow], variants: Sequence[str], score: str) -> LineChart:
    """Lines on a scale from 0 to the highest value, at most 1; above it they run along the top."""
    values = {variant: [row[f"{variant}_{score}"] for row in rows] for variant in variants}
    heights = [value for line in values.values() for value in line if value is not None]
    top = min(1.0, max(heights, default=1.0)) or 1.0
    step = WIDTH / max(len(rows) - 1, 1)
    series = {
        variant: [
            (round(index * step, 1), round(HEIGHT * (1 - min(value / top, 1)), 1))
            for index, value in enumerate(line)
            if value is not None
        ]
        for variant, line in values.items()
    }
    return LineChart(title, axis, comparison.format_number(top), any(value > top for value in heights), series)

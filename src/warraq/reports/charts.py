"""metrics and the rows of the plots -> where bars, lines and dots stand; the template draws them."""

from typing import Any

from warraq.metrics.catalogue import SCORES
from warraq.reports import comparison
from warraq.reports.comparison import Metrics

Plots = dict[str, list[dict[str, Any]]]
WIDTH, HEIGHT = 320, 150  # of a curve's plane, in units of its drawing


def _to_percent(value: float | None) -> float | None:
    return None if value is None else round(100 * min(max(value, 0), 1), 2)


def build_bars(metrics: Metrics, name: str) -> dict[str, Any]:
    """A score of all variants on a scale from 0 to 1; what lies beyond 1, as a CER may, is drawn at the end."""
    rows = []
    for variant in comparison.list_variants(metrics):
        key = f"{variant}_{name}"
        rows.append(
            {
                "variant": variant,
                "number": comparison.format_number(metrics[key]),
                "interval": comparison.format_interval(metrics, key),
                "lo": _to_percent(metrics[f"{key}_lo"]),
                "value": _to_percent(metrics[key]),
                "hi": _to_percent(metrics[f"{key}_hi"]),
            }
        )
    return {
        "label": SCORES[name].label,
        "lower": SCORES[name].lower,
        "bars": rows,
        "difference": None if metrics[f"merged_minus_base_{name}"] is None else comparison.format_change(metrics, name),
        "verdict": comparison.judge_score(metrics, name),
        "unseen": comparison.format_detectable(metrics, name),
    }


def build_curves(plots: Plots, variants: list[str]) -> list[dict[str, Any]]:
    """Scores by the page's length and by the place in the page; without any where no page has text."""
    planes = [
        _build_curve(
            "CER by the page's length", "fifths of the pages, short to long", plots["length"], variants, "cer"
        ),
        _build_curve("Added by the page's length", "the same fifths", plots["length"], variants, "insertion_rate"),
        _build_curve(
            "Lost or changed by place", "tenths of the page, beginning to end", plots["place"], variants, "missed"
        ),
    ]
    return [plane for plane in planes if any(plane["series"].values())]


def _build_curve(title: str, axis: str, rows: list[dict[str, Any]], variants: list[str], score: str) -> dict[str, Any]:
    """Lines on a scale from 0 to the highest value, at most 1; above it they run along the top."""
    values = {variant: [row[f"{variant}_{score}"] for row in rows] for variant in variants}
    known = [value for line in values.values() for value in line if value is not None]
    top = min(1.0, max(known, default=1.0)) or 1.0
    step = WIDTH / max(len(rows) - 1, 1)
    series = {
        variant: [
            (round(index * step, 1), round(HEIGHT * (1 - min(value / top, 1)), 1))
            for index, value in enumerate(line)
            if value is not None
        ]
        for variant, line in values.items()
    }
    over = any(value > top for value in known)
    return {"title": title, "axis": axis, "top": comparison.format_number(top), "over": over, "series": series}

"""metrics.json -> the verdict in a sentence, and the comparison as plain text."""

import textwrap
from typing import Any

from warraq.metrics.grading import DIFFERENCES

Metrics = dict[str, Any]

VARIANTS = ("base", "merged", "onnx")
ROWS = {
    "schema_valid_share": "schema-valid answers",
    "strict_json_share": "strict JSON",
    "field_f1": "field F1",
    "field_precision": "field precision",
    "field_recall": "field recall",
    "field_correct": "fields correct",
    "field_wrong": "fields wrong",
    "field_missing": "fields missing",
    "field_invented": "fields invented",
    "cer": "CER",
    "cer_macro": "CER, document mean",
    "wer": "WER",
    "wer_macro": "WER, document mean",
    "truncated_share": "cut at token limit",
    "failed_share": "no answer",
    "pages_per_s": "pages per second",
    "answers_per_s": "answers per second",
}
LOWER_IS_BETTER = ("cer",)
VOUCHED = {
    "gold": "answers that a person gave or checked",
    "textlayer": "the documents' own text layer",
    "silver": "a teacher model's answers: agreement, not accuracy",
}
TUNED = {
    "lora": "Merged is base with a LoRA adapter",
    "full": "Merged is base with every weight trained (full tuning, no LoRA)",
}
FEWEST_DOCUMENTS = 6
"""With fewer, even the same sign in every document has a chance of 1 in 16 or more: 2 / 2^5 > 0.05 (sign test)."""


def number(value: float | int | None) -> str:
    return "–" if value is None else str(value) if isinstance(value, int) else f"{value:.3f}"


def interval(metrics: Metrics, key: str, spec: str = ".3f") -> str:
    """`[lo, hi]`, or nothing where there is none."""
    lo, hi = metrics.get(f"{key}_lo"), metrics.get(f"{key}_hi")
    return "" if lo is None or hi is None else f"[{lo:{spec}}, {hi:{spec}}]"


def direction(metrics: Metrics, name: str) -> str:
    """What the interval of merged - base says: better, worse, unclear, or few where documents are too few to say."""
    key = f"merged_minus_base_{name}"
    lo, hi = metrics[f"{key}_lo"], metrics[f"{key}_hi"]
    if metrics[f"{key}_documents"] < FEWEST_DOCUMENTS:
        return "few"
    if lo is None or lo <= 0 <= hi:
        return "unclear"
    return "better" if (lo > 0) != (name in LOWER_IS_BETTER) else "worse"


def change(metrics: Metrics, name: str) -> str:
    """`+0.580 [+0.510, +0.660]`"""
    key = f"merged_minus_base_{name}"
    return f"{metrics[key]:+.3f} {interval(metrics, key, '+.3f')}".rstrip().replace("-", "−")


def counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' * (count != 1)}"


def verdict(metrics: Metrics) -> tuple[str, str, str]:
    """Did tuning help? Decided on field F1, where no sample has fields on CER.

    Returns:
        (the verdict in a word or three, its sentence up to the scores, the rest of the sentence).
    """
    compared = [name for name in ("field_f1", "cer") if metrics[f"merged_minus_base_{name}"] is not None]
    if not compared:
        return "nothing to compare", "Nothing to compare", "no test sample has fields or text"
    first = compared[0]
    word, opening = {
        "better": ("significant gain", "Tuning helped"),
        "worse": ("significant loss", "Tuning hurt"),
        "unclear": ("no significant gain", "No significant gain"),
        "few": ("too few documents", "Too few documents for a verdict"),
    }[direction(metrics, first)]
    if metrics["reference"] == "silver":
        opening = {
            "Tuning helped": "Tuning brought the student nearer its teacher",
            "Tuning hurt": "Tuning took the student away from its teacher",
        }.get(opening, opening)
    key = f"merged_minus_base_{first}"
    better, worse = metrics[f"{key}_higher_documents"], metrics[f"{key}_lower_documents"]
    if first in LOWER_IS_BETTER:
        better, worse = worse, better
    documents = counted(metrics[f"{key}_documents"], "held-out document")
    rest = f"{change(metrics, first)} on {documents} ({better} better, {worse} worse)"
    for name in compared[1:]:
        but = "but " if direction(metrics, name) == "worse" else ""
        rest += f"; {but}{_scores(metrics, name)}, {change(metrics, name)}"
    return word, f"{opening}: {_scores(metrics, first)}", rest


def _scores(metrics: Metrics, name: str) -> str:
    return f"{ROWS[name]} {number(metrics[f'base_{name}'])} → {number(metrics[f'merged_{name}'])}"


def size(metrics: Metrics) -> str:
    counts = (("test_documents", "held-out document"), ("test_pages", "page"), ("test_samples", "answer"))
    return ", ".join(counted(metrics[key], noun) for key, noun in counts)


def left_out(metrics: Metrics) -> list[str]:
    """What is not scored or counts as failed, one sentence each; empty where nothing is."""
    counts = {f"Test samples not scored, their reference is only {kind}": f"left_out_{kind}" for kind in VOUCHED}
    counts |= {f"Samples without a prediction of {v}, counted as failed": f"{v}_missing_predictions" for v in VARIANTS}
    return [f"{sentence}: {metrics[key]}." for sentence, key in counts.items() if metrics[key]]


def terminal(metrics: Metrics, report: str) -> str:
    """The comparison in at most 100 columns, the verdict and the report's path."""
    lines = [f"{'':<24}{'base':<25}{'merged':<25}{'onnx':<25}"]
    for name, label in ROWS.items():
        cells = [f"{number(metrics[f'{v}_{name}'])} {interval(metrics, f'{v}_{name}')}" for v in VARIANTS]
        lines.append(f"{label:<24}" + "".join(f"{cell:<25}" for cell in cells))
    lines.append("")
    for name in DIFFERENCES:
        if metrics[f"merged_minus_base_{name}"] is not None:
            lines.append(f"{'merged − base':<24}{ROWS[name]} {change(metrics, name)}")
    _, sentence, rest = verdict(metrics)
    counts = (
        f"{size(metrics)}, scored against {VOUCHED[metrics['reference']]}. Brackets: 95 % intervals over documents."
    )
    made = f"{TUNED[metrics['tuning']]}."
    for paragraph in (" ".join([counts, *left_out(metrics)]), made, f"{sentence}, {rest}."):
        lines += ["", *textwrap.wrap(paragraph, 100)]
    return "\n".join(line.rstrip() for line in [*lines, "", f"Report: {report}"])

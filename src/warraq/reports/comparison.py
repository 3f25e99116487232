"""metrics.json -> the verdict in a sentence, and the comparison as plain text."""

import textwrap
from typing import Any

from warraq.metrics.catalogue import PRIMARY, SCORES

Metrics = dict[str, Any]

VARIANTS = ("base", "merged", "onnx")
"""Those of every student; others may stand beside them."""
HEADLINE = (
    "question_score", "field_f1", "cer", "cer_folded", "insertion_rate", "deletion_rate", "added_run_page_share",
    "silent_correction_rate", "fact_precision", "fact_recall", "field_invention_rate", "foreign_answer_share",
    "looped_answer_share", "talk_share", "planted_copied_share", "planted_fixed_share", "teds", "grits_precision",
    "grits_recall", "element_precision", "schema_valid_share", "strict_json_share", "truncated_share", "failed_share",
    "needs_review_share", "answers_per_s",
)  # fmt: skip
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
LEVEL = 0.05


def format_number(value: float | int | None) -> str:
    if value is None:
        return "–"
    return str(value) if isinstance(value, int) else f"{value:.3f}" if abs(value) < 100 else f"{value:.0f}"


def format_interval(metrics: Metrics, key: str, sign: str = "") -> str:
    """`[lo, hi]`, or nothing where there is none."""
    bounds: list[Any] = [metrics.get(f"{key}_lo"), metrics.get(f"{key}_hi")]
    if None in bounds:
        return ""
    return "[" + ", ".join(("+" if sign and bound > 0 else "") + format_number(bound) for bound in bounds) + "]"


def list_variants(metrics: Metrics) -> list[str]:
    return metrics["variants"].split()


def has_score(metrics: Metrics, name: str) -> bool:
    """Whether any variant has the score."""
    return any(metrics.get(f"{variant}_{name}") is not None for variant in list_variants(metrics))


def judge_score(metrics: Metrics, name: str) -> str:
    """What interval and chance of merged - base say, for the primary scores with Holm's correction: better, worse,
    unclear, or few where documents are too few to say."""
    key = f"merged_minus_base_{name}"
    chance = metrics.get(f"{key}_p_holm" if name in PRIMARY else f"{key}_p")
    lo, hi = metrics.get(f"{key}_lo"), metrics.get(f"{key}_hi")
    if not metrics.get(f"{key}_documents") or metrics[f"{key}_documents"] < FEWEST_DOCUMENTS:
        return "few"
    if chance is None or chance > LEVEL or (lo is not None and hi is not None and lo <= 0 <= hi):
        return "unclear"
    return "better" if (metrics[key] > 0) != SCORES[name].lower else "worse"


def format_change(metrics: Metrics, name: str) -> str:
    """`+0.580 [+0.510, +0.660]`"""
    key = f"merged_minus_base_{name}"
    plus = "+" * (metrics[key] > 0)
    return f"{plus}{format_number(metrics[key])} {format_interval(metrics, key, '+')}".rstrip().replace("-", "−")


def format_count(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' * (count != 1)}"


def decide_verdict(metrics: Metrics) -> tuple[str, str, str]:
    """Did tuning help? Decided on the primary scores together: a gain needs one that is better and none that is worse.

    Returns:
        (the verdict in a word or three, its sentence up to the scores, the rest of the sentence).
    """
    compared = [name for name in PRIMARY if metrics.get(f"merged_minus_base_{name}") is not None]
    if not compared:
        return "nothing to compare", "Nothing to compare", "no test sample has fields or text"
    found = {name: judge_score(metrics, name) for name in compared}
    first = next((name for word in ("better", "worse") for name in compared if found[name] == word), compared[0])
    word, opening = {
        (True, False): ("significant gain", "Tuning helped"),
        (False, True): ("significant loss", "Tuning hurt"),
        (True, True): ("gain and loss", "Tuning helped and hurt"),
        (False, False): ("no significant gain", "No significant gain"),
    }["better" in found.values(), "worse" in found.values()]
    if set(found.values()) == {"few"}:
        word, opening = "too few documents", "Too few documents for a verdict"
    if metrics["reference"] == "silver":
        opening = {
            "Tuning helped": "Tuning brought the student nearer its teacher",
            "Tuning hurt": "Tuning took the student away from its teacher",
            "Tuning helped and hurt": "Tuning brought the student both nearer its teacher and away from it",
        }.get(opening, opening)
    key = f"merged_minus_base_{first}"
    better, worse = metrics[f"{key}_higher_documents"], metrics[f"{key}_lower_documents"]
    if SCORES[first].lower:
        better, worse = worse, better
    documents = format_count(metrics[f"{key}_documents"], "held-out document")
    rest = f"{format_change(metrics, first)} on {documents} ({better} better, {worse} worse)"
    for name in compared:
        if name != first:
            but = {"worse": "but ", "unclear": "no clear difference in "}.get(found[name], "")
            chance = metrics.get(f"merged_minus_base_{name}_p_holm")
            doubt = f" (p {chance:.2f})" if found[name] == "unclear" and chance is not None else ""
            rest += f"; {but}{_format_scores(metrics, name)}, {format_change(metrics, name)}{doubt}"
    return word, f"{opening}: {_format_scores(metrics, first)}", rest


def describe_losses(metrics: Metrics) -> str:
    """What became worse and has no part in the verdict, in a sentence; empty where nothing did."""
    names = [name for name in HEADLINE if name not in PRIMARY and judge_score(metrics, name) == "worse"]
    return (
        f"Worse, though no part of the verdict: {'; '.join(_format_scores(metrics, name) for name in names)}."
        * bool(names)
    )


def _format_scores(metrics: Metrics, name: str) -> str:
    return f"{SCORES[name].label} {format_number(metrics[f'base_{name}'])} → {format_number(metrics[f'merged_{name}'])}"


def describe_size(metrics: Metrics) -> str:
    counts = (("test_documents", "held-out document"), ("test_pages", "page"), ("test_samples", "answer"))
    return ", ".join(format_count(metrics[key], noun) for key, noun in counts)


def list_left_out(metrics: Metrics) -> list[str]:
    """What is not scored or counts as failed, one sentence each; empty where nothing is."""
    counts = {f"Test samples not scored, their reference is only {kind}": f"left_out_{kind}" for kind in VOUCHED}
    counts |= {
        f"Samples without a prediction of {v}, counted as failed": f"{v}_missing_predictions"
        for v in list_variants(metrics)
    }
    told = [f"{sentence}: {metrics[key]}." for sentence, key in counts.items() if metrics[key]]
    if 0 < metrics["teacher_samples"] < metrics["test_samples"]:
        told.append(
            f"The teacher labelled {metrics['teacher_samples']} of these {metrics['test_samples']} samples and is not "
            "shown; with human last under label.teachers it is asked about all of them."
        )
    return told


def describe_review(metrics: Metrics) -> str:
    """Why answers go unread or do not; empty without validation documents."""
    documents, needed = metrics["validation_documents"], metrics["validation_documents_needed"]
    if not documents:
        return ""
    few = f"; at least {needed} are needed, even if all is right there" if documents < needed else ""
    return f"Which answers may go unread was chosen on {format_count(documents, 'validation document')}{few}."


def format_detectable(metrics: Metrics, name: str) -> str:
    """What difference these documents could not have shown; empty where it cannot be told."""
    detectable = metrics.get(f"merged_minus_base_{name}_mde")
    return "" if detectable is None else format_number(detectable)


def format_terminal(metrics: Metrics, report: str) -> str:
    """The comparison in at most 100 columns for three variants, the verdict and the report's path."""
    names = list_variants(metrics)
    lines = [f"{'':<24}" + "".join(f"{name:<25}" for name in names)]
    for name in HEADLINE:
        if has_score(metrics, name):
            cells = [
                f"{format_number(metrics[f'{v}_{name}'])} {format_interval(metrics, f'{v}_{name}')}" for v in names
            ]
            lines.append(f"{SCORES[name].label:<24.23}" + "".join(f"{cell:<25}" for cell in cells))
    lines.append("")
    for name in PRIMARY:
        if metrics.get(f"merged_minus_base_{name}") is not None:
            below = (
                f"; below {format_detectable(metrics, name)} not to be seen" if format_detectable(metrics, name) else ""
            )
            lines.append(f"{'merged − base':<24}{SCORES[name].label} {format_change(metrics, name)}{below}")
    _, sentence, rest = decide_verdict(metrics)
    scored = f"{describe_size(metrics)}, scored against {VOUCHED[metrics['reference']]}."
    counts = f"{scored} Brackets: 95 % intervals over documents."
    made = f"{TUNED[metrics['tuning']]}."
    verdict_of = " ".join([f"{sentence}, {rest}.", describe_losses(metrics)])
    for paragraph in (" ".join([counts, *list_left_out(metrics)]), made, verdict_of):
        lines += ["", *textwrap.wrap(paragraph, 100)]
    return "\n".join(line.rstrip() for line in [*lines, "", f"Report: {report}"])

"""metrics.json -> the verdict in a sentence, and the comparison as plain text."""

import re
import textwrap
from dataclasses import dataclass
from typing import Literal

from warraq.metrics.catalogue import FORM, PRIMARY, READING, SCORES
from warraq.metrics.statistics import count_documents_needed
from warraq.reports.student_metrics import Gain, ScoreInterval, StudentMetrics

Judgement = Literal["better", "worse", "unclear", "few"]

VARIANTS = ("base", "merged", "onnx")
"""Those of every student; others may stand beside them."""
HEADLINE = (
    "question_score", "field_f1", "words_found", "words_true", "words_added", "cer", "cer_pooled", "cer_folded",
    "insertion_rate", "deletion_rate", "added_run_page_share",
    "silent_correction_rate", "fact_precision", "fact_recall", "field_invention_rate", "foreign_answer_share",
    "looped_answer_share", "talk_share", "planted_copied_share", "planted_fixed_share", "teds", "grits_precision",
    "grits_recall", "element_precision", "schema_valid_share", "strict_json_share", "fenced_share", "other_task_share",
    "truncated_share", "empty_share", "failed_share", "needs_review_share", "answers_per_s",
)  # fmt: skip
SUMMARY = (
    "question_score", "field_f1", "words_found", "words_true", "words_added", "cer", "fact_precision", "teds",
    "planted_copied_share", "planted_fixed_share", "schema_valid_share", "needs_review_share", "answers_per_s",
)  # fmt: skip
"""What a terminal shows unless asked for all of HEADLINE."""
REFERENCES = {
    "gold": "answers that a person gave or checked",
    "textlayer": "the documents' own text layer",
    "silver": "a teacher model's answers: agreement, not accuracy",
}
TUNING = {
    "lora": "Merged is base with a LoRA adapter",
    "full": "Merged is base with every weight trained (full tuning, no LoRA)",
}
LEVEL = 0.05


@dataclass(frozen=True)
class Verdict:
    """Whether tuning helped: reading and form in a word or three each, as a sentence up to the scores, and the rest."""

    word: str
    form: str
    sentence: str
    rest: str


def format_number(value: float | int | None) -> str:
    """A score with three decimals, a whole number as it is; a dash where there is none."""
    if value is None:
        return "–"
    return str(value) if isinstance(value, int) else f"{value:.3f}" if abs(value) < 100 else f"{value:.0f}"


def format_interval(score: ScoreInterval | Gain, *, signed: bool = False) -> str:
    """`[lo, hi]`, or nothing where there is none."""
    if score.lo is None or score.hi is None:
        return ""
    lo, hi = ("+" * (signed and bound > 0) + format_number(bound) for bound in (score.lo, score.hi))
    return f"[{lo}, {hi}]"


def format_score(score: ScoreInterval) -> str:
    """`0.580 [0.510, 0.660]`, or a number alone."""
    return f"{format_number(score.value)} {format_interval(score)}".strip()


def format_gain(gain: Gain) -> str:
    """`+0.580 [+0.510, +0.660]`, or a number alone."""
    plus = "+" * (gain.value > 0)
    return f"{plus}{format_number(gain.value)} {format_interval(gain, signed=True)}".rstrip().replace("-", "−")


def format_count(count: int, noun: str) -> str:
    """`1 page`, `2 pages`."""
    return f"{count} {noun}{'s' * (count != 1)}"


def format_detectable(metrics: StudentMetrics, name: str) -> str:
    """What difference these documents could not have shown; empty where it cannot be told."""
    gain = metrics.get_gain(name)
    return "" if gain is None or gain.detectable is None else format_number(gain.detectable)


def count_documents_wanted(metrics: StudentMetrics) -> int:
    """The fewest documents that a verdict takes, with as many tests as are made."""
    return count_documents_needed(sum(metrics.get_gain(name) is not None for name in PRIMARY))


def judge_score(metrics: StudentMetrics, name: str) -> Judgement:
    """What interval and chance of `merged - base` say; `few` where documents are too few to say anything.

    Words that are truer are no gain where as many more are lost, and nothing is where most answers are empty.
    """
    gain = metrics.get_gain(name)
    if gain is None or gain.documents < count_documents_wanted(metrics):
        return "few"
    if gain.p is None or gain.p > LEVEL:
        return "unclear"
    if (gain.value > 0) == SCORES[name].lower:
        return "worse"
    found = metrics.get_gain("words_found")
    paid_by_loss = name == "words_true" and found is not None and -found.value > gain.value
    return "unclear" if paid_by_loss or _is_mostly_silent(metrics) else "better"


def _is_mostly_silent(metrics: StudentMetrics) -> bool:
    return (metrics.get_number("merged_empty_share") or 0) > 0.5


def decide_verdict(metrics: StudentMetrics) -> Verdict:
    """Did tuning help? Reading is judged by the primary scores together: a gain needs a better one and none worse."""
    gains = {name: gain for name in READING if (gain := metrics.get_gain(name)) is not None}
    if not gains:
        return Verdict("nothing to compare", "nothing to compare", "Nothing to compare", "no test sample has an answer")
    judged = {name: judge_score(metrics, name) for name in gains}
    first = next((name for word in ("better", "worse") for name in gains if judged[name] == word), next(iter(gains)))
    word, opening = _open_verdict(set(judged.values()), metrics)
    form, _ = _open_verdict({judge_score(metrics, FORM)}, metrics)
    shape = metrics.get_gain(FORM)
    formed = f"Form: {form}" + ("" if shape is None else f", {_format_change(metrics, FORM)}, {format_gain(shape)}")
    gain = gains[first]
    documents = format_count(gain.documents, "held-out document")
    rest = f"{format_gain(gain)} on {documents} ({gain.higher_documents} better, {gain.lower_documents} worse)"
    for name, gain in gains.items():
        if name != first:
            but = {"worse": "but ", "unclear": "no clear difference in "}.get(judged[name], "")
            doubt = f" (p {gain.p:.3f})" if judged[name] == "unclear" and gain.p is not None else ""
            rest += f"; {but}{_format_change(metrics, name)}, {format_gain(gain)}{doubt}"
    return Verdict(word, form, f"{formed}. Reading: {opening}: {_format_change(metrics, first)}", rest)


def _open_verdict(judgements: set[Judgement], metrics: StudentMetrics) -> tuple[str, str]:
    """The verdict in a word or three, and how its sentence begins."""
    if judgements == {"few"}:
        return "too few documents", f"too few documents for a verdict, {count_documents_wanted(metrics)} are needed"
    if _is_mostly_silent(metrics) and "worse" not in judgements:
        return "no significant gain", "no gain, most answers are empty"
    word, opening, against_teacher = {
        (True, False): ("significant gain", "tuning helped", "tuning brought the student nearer its teacher"),
        (False, True): ("significant loss", "tuning hurt", "tuning took the student away from its teacher"),
        (True, True): (
            "gain and loss", "tuning helped and hurt",
            "tuning brought the student both nearer its teacher and away from it",
        ),
        (False, False): ("no significant gain", "no significant gain", "no significant gain"),
    }["better" in judgements, "worse" in judgements]  # fmt: skip
    return word, against_teacher if metrics.get_text("reference") == "silver" else opening


def describe_lost(metrics: StudentMetrics) -> str:
    """How many documents the merged model hardly read, and how many may be so among those that nobody has seen."""
    lost, limit = metrics.get_count("merged_lost_documents"), metrics.get_number("merged_lost_documents_hi")
    documents = format_count(metrics.get_count("independent_documents"), "document")
    return (
        f"Merged read hardly anything of {lost} of {documents}; of others it may be up to {100 * (limit or 0):.0f} %."
    )


def describe_losses(metrics: StudentMetrics) -> str:
    """What became worse and has no part in the verdict, in a sentence; empty where nothing did."""
    names = [name for name in HEADLINE if name not in PRIMARY and judge_score(metrics, name) == "worse"]
    changes = "; ".join(_format_change(metrics, name) for name in names)
    return f"Worse, though no part of the verdict: {changes}." if names else ""


def _format_change(metrics: StudentMetrics, name: str) -> str:
    base, merged = (format_number(metrics.get_score(variant, name).value) for variant in ("base", "merged"))
    return f"{SCORES[name].label} {base} → {merged}"


def describe_size(metrics: StudentMetrics) -> str:
    """What was scored: held-out documents, pages, answers."""
    counts = (("test_documents", "held-out document"), ("test_pages", "page"), ("test_samples", "answer"))
    return ", ".join(format_count(metrics.get_count(key), noun) for key, noun in counts)


def describe_reference(metrics: StudentMetrics) -> str:
    """Who vouches for the answers that were scored against."""
    return REFERENCES[metrics.get_text("reference")]


def describe_tuning(metrics: StudentMetrics) -> str:
    """What merged is, beside base."""
    return TUNING[metrics.get_text("tuning")]


def list_left_out(metrics: StudentMetrics) -> list[str]:
    """What is not scored or counts as failed, one sentence each; empty where nothing is."""
    names = {f"Test samples not scored, their reference is only {kind}": f"left_out_{kind}" for kind in REFERENCES}
    for variant in metrics.variants:
        names[f"Samples without a prediction of {variant}, counted as failed"] = f"{variant}_missing_predictions"
    sentences = [f"{text}: {count}." for text, name in names.items() if (count := metrics.get_count(name))]
    labelled, samples = metrics.get_count("teacher_samples"), metrics.get_count("test_samples")
    if 0 < labelled < samples:
        sentences.append(
            f"The teacher labelled {labelled} of these {samples} samples and is not shown; with human last under "
            "label.teachers it is asked about all of them."
        )
    return sentences


def describe_people(metrics: StudentMetrics) -> str:
    """How far two people agree, by task: the ceiling of every score; empty where no page was read twice."""
    sentences = []
    for task in (found[1] for name in metrics.values if (found := re.fullmatch(r"people_(\w+)_answers", name))):
        scores = {name: metrics.get_score("people", f"{task}_{name}") for name in ("cer", *READING[:2])}
        told = [f"{SCORES[name].label} {format_score(one)}" for name, one in scores.items() if one.value is not None]
        counts = (("answers", "answer"), ("documents", "document"))
        size = " of ".join(format_count(metrics.get_count(f"people_{task}_{key}"), noun) for key, noun in counts)
        sentences.append(f"{task} {', '.join(told)} on {size}")
    return f"Two people, the second blind, agree to: {'; '.join(sentences)}." if sentences else ""


def describe_review(metrics: StudentMetrics) -> str:
    """Why answers go unread or do not; empty without validation documents."""
    documents, needed = (metrics.get_count(f"validation_documents{end}") for end in ("", "_needed"))
    if not documents:
        return ""
    few = f"; at least {needed} are needed, even if all is right there" if documents < needed else ""
    return f"Which answers may go unread was chosen on {format_count(documents, 'validation document')}{few}."


def format_terminal(metrics: StudentMetrics, report: str, names: tuple[str, ...] = SUMMARY) -> str:
    """The scores `names` in at most 100 columns for three variants, the verdict and the report's path."""
    variants = metrics.variants
    lines = [f"{'':<24}" + "".join(f"{variant:<25}" for variant in variants)]
    for name in names:
        if metrics.has_score(name):
            cells = "".join(f"{format_score(metrics.get_score(variant, name)):<25}" for variant in variants)
            lines.append(f"{SCORES[name].label:<24.23}{cells}")
    lines.append("")
    for name in PRIMARY:
        if (gain := metrics.get_gain(name)) is not None:
            detectable = format_detectable(metrics, name)
            below = f"; below {detectable} not to be seen" if detectable else ""
            lines.append(f"{'merged − base':<24}{SCORES[name].label} {format_gain(gain)}{below}")
    verdict = decide_verdict(metrics)
    scored = f"{describe_size(metrics)}, scored against {describe_reference(metrics)}."
    counts = [scored, "Brackets: 95 % intervals over documents.", *list_left_out(metrics), describe_people(metrics)]
    conclusion = [f"{verdict.sentence}, {verdict.rest}.", describe_losses(metrics), describe_lost(metrics)]
    for paragraph in (
        " ".join(filter(None, counts)),
        f"{describe_tuning(metrics)}.",
        " ".join(filter(None, conclusion)),
    ):
        lines += ["", *textwrap.wrap(paragraph, 100)]
    return "\n".join(line.rstrip() for line in [*lines, "", f"Report: {report}"])

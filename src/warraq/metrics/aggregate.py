"""Graded answers -> the sums of each document, the numbers of metrics.json, and the outcomes of fields."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import get_args

from warraq.metrics.catalogue import PRIMARY, SCORES, ScoreSums
from warraq.metrics.fields import Outcome, compare_fields, strip_indices
from warraq.metrics.grading import GradedAnswer, GradedVariants
from warraq.metrics.statistics import Bootstrap, Estimate, holm

Numbers = dict[str, float | int | None]
"""Part of metrics.json."""

FieldCounts = dict[str, dict[str, Counter[str]]]
"""Outcomes by `task.path`, list indices folded (`invoice.items[].total`), and by variant."""


def group_answers(graded: GradedVariants, key: Callable[[GradedAnswer], str]) -> dict[str, GradedVariants]:
    """The same by a key of each, sorted by it."""
    groups: dict[str, GradedVariants] = {}
    for variant, part in graded.items():
        for one in part:
            groups.setdefault(key(one), {name: [] for name in graded})[variant].append(one)
    return dict(sorted(groups.items()))


def sum_scores(graded: Iterable[GradedAnswer]) -> ScoreSums:
    """The sums of some answers; every score has an entry."""
    sums = dict.fromkeys(SCORES, (0.0, 0.0))
    for one in graded:
        for name, (numerator, denominator) in one.sums.items():
            sums[name] = sums[name][0] + numerator, sums[name][1] + denominator
    return sums


def sum_document(graded: Sequence[GradedAnswer]) -> ScoreSums:
    """The sums of one document; the macro scores weigh each document as one."""
    sums = sum_scores(graded)
    for name in ("cer", "wer"):
        errors, length = sums[name]
        sums[f"{name}_macro"] = (errors / length, 1) if length else (0, 0)
    answered = [one for one in graded if not one.failed]
    seconds = sum(one.prediction.seconds for one in graded if one.prediction)
    sums["pages_per_s"] = len({one.sample.page_id for one in answered}), seconds
    sums["answers_per_s"] = len(answered), seconds
    return sums


def compute_metrics(graded: GradedVariants, resamples: int, seed: int) -> Numbers:
    """All scores, in metrics.json's names; a score that no variant has is left out.

    Returns:
        `<variant>_<score>` with `_lo` and `_hi`, and for each score but speed `merged_minus_base_<score>` with `_lo`,
        `_hi`, `_p`, `_mde` and in how many documents it is higher and lower.
    """
    documents = [
        {f"{variant}_{name}": pair for variant, part in document.items() for name, pair in sum_document(part).items()}
        for document in group_answers(graded, lambda one: one.sample.document).values()
    ]
    bootstrap = Bootstrap(documents, resamples, seed)
    numbers: Numbers = {}
    for name, score in SCORES.items():
        estimates = {f"{variant}_{name}": bootstrap.estimate(f"{variant}_{name}", score.share) for variant in graded}
        if any(estimate.documents for estimate in estimates.values()) or name in PRIMARY:
            for key, estimate in estimates.items():
                numbers |= _flatten_estimate(key, estimate)
            if not name.endswith("_per_s"):
                numbers |= _compare_with_base(bootstrap, name, score.share)
    p_values = {name: numbers[f"merged_minus_base_{name}_p"] for name in PRIMARY}
    numbers |= {f"merged_minus_base_{name}_p_holm": value for name, value in holm(p_values).items()}
    fields = count_field_outcomes(graded).values()
    for outcome in get_args(Outcome):
        numbers |= {f"{v}_field_{outcome}": sum(counts[v][outcome] for counts in fields) for v in graded}
    return numbers


def _flatten_estimate(key: str, estimate: Estimate) -> Numbers:
    return {key: estimate.value, f"{key}_lo": estimate.lo, f"{key}_hi": estimate.hi}


def _compare_with_base(bootstrap: Bootstrap, name: str, share: bool) -> Numbers:
    key, left, right = f"merged_minus_base_{name}", f"merged_{name}", f"base_{name}"
    difference = bootstrap.estimate_difference(left, right, share)
    return _flatten_estimate(key, difference) | {
        f"{key}_documents": difference.documents,
        f"{key}_higher_documents": bootstrap.count_higher(left, right),
        f"{key}_lower_documents": bootstrap.count_higher(right, left),
        f"{key}_mde": bootstrap.compute_detectable(left, right),
        f"{key}_p": bootstrap.compute_p_value(left, right) if difference.documents > 1 else None,
    }


def compare_with_teacher(graded: Sequence[GradedAnswer], teacher: Sequence[GradedAnswer]) -> list[GradedAnswer]:
    """The same answers with how many of the fields that the teacher has wrong or missing are right here.

    It is the evidence that a student does more than copy its teacher's errors.
    """
    answers = []
    for one, other in zip(graded, teacher, strict=True):
        if one.kinds is not None:
            ours, theirs = (compare_fields(each.gold, each.answer, one.kinds) for each in (one, other))
            wrong = [path for path, outcome in theirs.items() if outcome in ("wrong", "missing")]
            right = sum(ours[path] == "correct" for path in wrong)
            one = replace(one, sums=one.sums | {"right_where_teacher_wrong": (right, len(wrong))})
        answers.append(one)
    return answers


def count_field_outcomes(graded: GradedVariants) -> FieldCounts:
    """How often each field has each outcome, sorted by field."""
    fields: FieldCounts = {}
    for variant, part in graded.items():
        for one in part:
            if one.kinds is not None:
                for path, outcome in compare_fields(one.gold, one.answer, one.kinds).items():
                    name = f"{one.sample.task}.{strip_indices(path)}"
                    fields.setdefault(name, {other: Counter() for other in graded})[variant][outcome] += 1
    return dict(sorted(fields.items()))

"""Answers to the validation documents -> from which confidence on an answer may go unread by a person.

The threshold is chosen on documents that are not scored, since on those that are it would flatter itself. Levels are
tried from the surest down and the first that fails ends it, so that trying several is no second chance (fixed-sequence
testing; Geifman and El-Yaniv 2017, NeurIPS, "Selective classification").
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import groupby
from operator import itemgetter

from warraq.files import parse_strict_json
from warraq.metrics.fields import align_lists, compare_fields
from warraq.metrics.grading import GradedAnswer, GradedVariants
from warraq.metrics.statistics import wilson_interval

Thresholds = dict[str, dict[str, float | None]]
"""By variant and task; None where no threshold is justified and every answer goes to a person."""

UNSTATED = 0.0  # the confidence of an answer where neither runtime nor task tells any: all go unread, or none


def is_complete(one: GradedAnswer) -> bool:
    """The answer fits the schema and was not cut; any other goes to a person however sure the model is."""
    return one.answer is not None and not one.truncated


def read_confidence(one: GradedAnswer) -> float:
    """The confidence that orders the answers, 0 to 1."""
    return UNSTATED if one.confidence is None else one.confidence


def count_errors(one: GradedAnswer) -> tuple[float, float]:
    """Wrong ones and all of the fields that an answer or its reference has; of a task without fields, of characters.

    Of a task with a score of its own, what that lacks.
    """
    score = one.value("question_score")
    if score is not None:
        return 1 - score, 1
    if one.kinds is not None:
        outcomes = Counter(compare_fields(one.gold, one.answer, one.kinds).values())
        fields = outcomes.total() - outcomes["correct_null"]
        return fields - outcomes["correct"], fields
    wrong, size = one.sums["cer"]
    return min(wrong, size), size


def measure_confidence(graded: GradedVariants) -> dict[str, float | None]:
    """Both AUROCs of each variant, in the names of metrics.json."""
    return {f"{variant}_confidence_auroc": compute_auroc(part) for variant, part in graded.items()} | {
        f"{variant}_field_confidence_auroc": compute_field_auroc(part) for variant, part in graded.items()
    }


def compute_auroc(graded: Sequence[GradedAnswer]) -> float | None:
    """AUROC of the confidence: how often a right field has more of it than a wrong one, ties half.

    0.5 is no information. None without confidence, right or wrong fields.
    """
    stated = [one for one in graded if one.confidence is not None and one.kinds is not None]
    return _compute_auroc((read_confidence(one), *count_errors(one)) for one in stated)


def compute_field_auroc(graded: Sequence[GradedAnswer]) -> float | None:
    """The same of the confidence in each field.

    None where the runtime tells no field's confidence, or all fields are right or all wrong. Each list is aligned with
    the reference's, which stands at the answer's places here, where the confidences are.
    """
    rows: list[tuple[float, float, float]] = []
    for one in graded:
        sure = {} if one.prediction is None else one.prediction.confidence_by_field
        if sure and one.answer is not None and one.prediction and one.kinds is not None and "field_f1" in one.sums:
            answer = parse_strict_json(one.prediction.text)
            outcomes = compare_fields(align_lists(answer, one.gold, one.kinds), answer, one.kinds)
            rows += [
                (sure[path], outcome != "correct", 1)
                for path, outcome in outcomes.items()
                if path in sure and outcome in ("correct", "wrong", "invented")
            ]
    return _compute_auroc(rows)


def _compute_auroc(rows: Iterable[tuple[float, float, float]]) -> float | None:
    """Of (confidence, wrong ones, all of them)."""
    won, wrong_below, right_all = 0.0, 0.0, 0.0
    for _, group in groupby(sorted(rows), key=itemgetter(0)):
        _, wrong, size = (sum(parts) for parts in zip(*group, strict=True))
        won += (size - wrong) * (wrong_below + wrong / 2)
        wrong_below, right_all = wrong_below + wrong, right_all + size - wrong
    return won / (right_all * wrong_below) if right_all and wrong_below else None


def choose_threshold(validation: Sequence[GradedAnswer], accepted_error: float) -> float | None:
    """The lowest confidence from which on the share of errors is below `accepted_error`, or None.

    By the upper 95 % limit with the documents as trials, as if a document were right or wrong as a whole. The first
    level tried is the surest with as many documents as could justify any.
    """
    chosen, documents, wrong, size = None, set[str](), 0.0, 0.0
    answers = sorted((one for one in validation if is_complete(one)), key=read_confidence, reverse=True)
    for level, group in groupby(answers, key=read_confidence):
        for one in group:
            errors, whole = count_errors(one)
            documents.add(one.sample.document)
            wrong, size = wrong + errors, size + whole
        if len(documents) >= count_documents_needed(accepted_error):
            if not size or wilson_interval(wrong / size, len(documents))[1] > accepted_error:
                break
            chosen = level
    return chosen


def count_documents_needed(accepted_error: float) -> int:
    """How many validation documents without any error justify a threshold."""
    limit = wilson_interval(0, 1)[1]
    square = limit / (1 - limit)  # of the normal quantile z: the limit of 0 of n is z^2 / (n + z^2)
    return math.ceil(square * (1 - accepted_error) / accepted_error - 1e-9)


def choose_thresholds(validation: GradedVariants, tasks: Sequence[str], accepted_error: float) -> Thresholds:
    """The threshold of each variant for each task."""
    return {
        variant: {
            task: choose_threshold([one for one in part if one.sample.task == task], accepted_error) for task in tasks
        }
        for variant, part in validation.items()
    }


def needs_review(one: GradedAnswer, threshold: float | None) -> bool:
    """Whether a person has to read the answer."""
    return threshold is None or not is_complete(one) or read_confidence(one) < threshold


def score_review(graded: Sequence[GradedAnswer], chosen: dict[str, float | None]) -> list[GradedAnswer]:
    """The same with what a person would have to read, and what would be wrong in the rest."""
    answers = []
    for one in graded:
        unread = not needs_review(one, chosen[one.sample.task])
        name = "unread_field_error" if one.kinds is not None else "unread_character_error"
        sums = {"needs_review_share": (float(not unread), 1.0), name: count_errors(one) if unread else (0.0, 0.0)}
        answers.append(replace(one, sums=one.sums | sums))
    return answers

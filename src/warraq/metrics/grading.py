"""Graded answers -> the scores of each document, the numbers of metrics.json, and what the plots are drawn from.

The sample (one page, one task) is graded, the document is drawn. A score is a ratio of two sums over documents, given
here as numerator and denominator, so that intervals and differences of all scores are made alike.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from warraq.metrics import faithfulness, fields, structure, tables, text
from warraq.metrics.catalogue import PRIMARY, SCORES
from warraq.metrics.fields import Kinds, Outcome, align_lists, compare_fields
from warraq.metrics.statistics import Bootstrap, Estimate, holm
from warraq.metrics.structure import Element, join_elements
from warraq.records import Prediction, Sample

Answer = dict[str, Any]
Sums = dict[str, tuple[float, float]]
"""Numerator and denominator by the name of a score."""


@dataclass(frozen=True)
class GradedAnswer:
    """A variant's answer to a sample.

    `prediction` is None where there is no row for the sample, `answer` where the raw text does not fit the schema; the
    texts are None for a task without running text, `kinds` for one without fields. Lists of `answer` stand as those of
    `gold` do.
    """

    sample: Sample
    prediction: Prediction | None
    gold: Answer
    answer: Answer | None
    strict: bool
    kinds: Kinds | None
    gold_text: str | None
    answer_text: str | None
    confidence: float | None  # 0 to 1: the model's, or as the answer states it where the runtime does not tell
    sums: Sums

    @property
    def failed(self) -> bool:
        return self.prediction is None or self.prediction.finish_reason == "error"

    @property
    def truncated(self) -> bool:
        return self.prediction is not None and self.prediction.finish_reason == "length"

    def value(self, name: str) -> float | None:
        numerator, denominator = self.sums.get(name, (0, 0))
        return numerator / denominator if denominator else None

    @property
    def quality(self) -> float:
        """From 0 to 1 = perfect: 1 - CER, not below 0, or field F1. Ranks the pages of the report and nothing else."""
        rate, f1 = self.value("cer"), self.value("field_f1")
        if self.failed:
            return 0.0
        return max(0.0, 1 - rate) if rate is not None else 1.0 if f1 is None else f1


GradedVariants = dict[str, list[GradedAnswer]]
"""Every variant's answers to the same samples in the same order."""


def score_field_values(gold: Answer, answer: Answer | None, mended: Answer | None, kinds: Kinds) -> Sums:
    """Scores of a task with fields; the answer's lists are aligned."""
    return fields.score_fields(gold, answer, kinds) | {
        "field_f1_mended": fields.score_fields(gold, align_lists(gold, mended, kinds), kinds)["field_f1"]
    }


def score_running_text(gold: Sequence[Element], answer: Sequence[Element] | None, raw: str) -> Sums:
    """Scores of a task with running text. An answer that does not fit the schema (None) is scored on its raw text, so
    that a model which transcribes without the schema is not called blind."""
    left, right = join_elements(gold), raw if answer is None else join_elements(answer)
    there = [table for kind, part in gold if kind == "table" for table in tables.parse_tables(part)]
    found = [table for kind, part in answer or () if kind == "table" for table in tables.parse_tables(part)]
    return {
        **text.score_text(left, right),
        **faithfulness.score_faithfulness(left, right),
        **tables.score_tables(there, found),
        **structure.score_elements(gold, answer or ()),
    }


def score_form(reference: str, raw: str, valid: bool, strict: bool, mended: bool, finish_reason: str) -> Sums:
    """Scores of any answer: its form, and what is in the raw text that the right answer, `reference`, has not."""
    foreign = faithfulness.count_foreign_letters(reference, raw)
    return {
        "schema_valid_share": (valid, 1),
        "strict_json_share": (strict, 1),
        "mended_share": (mended and not valid, 1),
        "lost_share": (not mended and not valid, 1),
        "truncated_share": (finish_reason == "length", 1),
        "failed_share": (finish_reason == "error", 1),
        "foreign_answer_share": (bool(foreign), 1),
        "foreign_letter_rate": (foreign.total(), len(raw)),
        # JSON of another schema repeats other keys than the reference, which is no circle
        "looped_answer_share": (
            faithfulness.has_added_loop(reference, raw) if valid else faithfulness.is_repetitive(raw),
            1,
        ),
        "talk_share": (faithfulness.has_talk(reference, raw), 1),
    }


def group_answers(graded: GradedVariants, key: Callable[[GradedAnswer], str]) -> dict[str, GradedVariants]:
    """The same by a key of each, sorted by it."""
    found: dict[str, GradedVariants] = {}
    for variant, part in graded.items():
        for one in part:
            found.setdefault(key(one), {name: [] for name in graded})[variant].append(one)
    return dict(sorted(found.items()))


def sum_scores(graded: Iterable[GradedAnswer]) -> Sums:
    """The sums of some answers; every score has an entry."""
    sums = dict.fromkeys(SCORES, (0.0, 0.0))
    for one in graded:
        for name, (numerator, denominator) in one.sums.items():
            sums[name] = sums[name][0] + numerator, sums[name][1] + denominator
    return sums


def sum_document(graded: Sequence[GradedAnswer]) -> Sums:
    """The sums of one document; the macro scores weigh each document as one."""
    sums = sum_scores(graded)
    for name in ("cer", "wer"):
        errors, length = sums[name]
        sums[f"{name}_macro"] = (errors / length, 1) if length else (0, 0)
    read = [one for one in graded if not one.failed]
    seconds = sum(one.prediction.seconds for one in graded if one.prediction)
    sums["pages_per_s"] = len({one.sample.page_id for one in read}), seconds
    sums["answers_per_s"] = len(read), seconds
    return sums


def compute_metrics(graded: GradedVariants, resamples: int, seed: int) -> dict[str, float | int | None]:
    """`<variant>_<score>` with `_lo` and `_hi`, and for each score but speed `merged_minus_base_<score>` with `_lo`,
    `_hi`, `_p`, `_mde` and in how many documents it is higher and lower. A score that no variant has is left out."""
    rows = [
        {f"{variant}_{name}": pair for variant, part in document.items() for name, pair in sum_document(part).items()}
        for document in group_answers(graded, lambda one: one.sample.document).values()
    ]
    drawings = Bootstrap(rows, resamples, seed)
    found: dict[str, float | int | None] = {}
    for name, score in SCORES.items():
        estimates = {f"{variant}_{name}": drawings.estimate(f"{variant}_{name}", score.share) for variant in graded}
        if any(estimate.documents for estimate in estimates.values()) or name in PRIMARY:
            for key, estimate in estimates.items():
                found |= _flatten_estimate(key, estimate)
            if not name.endswith("_per_s"):
                found |= _compare_variants(drawings, name, score.share)
    p_values = {name: found[f"merged_minus_base_{name}_p"] for name in PRIMARY}
    found |= {f"merged_minus_base_{name}_p_holm": value for name, value in holm(p_values).items()}
    for outcome, counts in _total_outcomes(count_field_outcomes(graded), graded).items():
        found |= {f"{variant}_field_{outcome}": counts[variant] for variant in graded}
    return found


def _flatten_estimate(key: str, estimate: Estimate) -> dict[str, float | int | None]:
    return {key: estimate.value, f"{key}_lo": estimate.lo, f"{key}_hi": estimate.hi}


def _compare_variants(drawings: Bootstrap, name: str, share: bool) -> dict[str, float | int | None]:
    key, left, right = f"merged_minus_base_{name}", f"merged_{name}", f"base_{name}"
    difference = drawings.estimate_difference(left, right, share)
    return _flatten_estimate(key, difference) | {
        f"{key}_documents": difference.documents,
        f"{key}_higher_documents": drawings.count_higher(left, right),
        f"{key}_lower_documents": drawings.count_higher(right, left),
        f"{key}_mde": drawings.compute_detectable(left, right),
        f"{key}_p": drawings.compute_p_value(left, right) if difference.documents > 1 else None,
    }


def compare_with_teacher(graded: Sequence[GradedAnswer], teacher: Sequence[GradedAnswer]) -> list[GradedAnswer]:
    """The same with how many of the fields that the teacher has wrong or missing are right here: the evidence that a
    student does more than copy its teacher's errors."""
    found = []
    for one, other in zip(graded, teacher, strict=True):
        if one.kinds is not None:
            ours, theirs = (compare_fields(each.gold, each.answer, one.kinds) for each in (one, other))
            wrong = [path for path, outcome in theirs.items() if outcome in ("wrong", "missing")]
            right = sum(ours[path] == "correct" for path in wrong)
            one = replace(one, sums=one.sums | {"right_where_teacher_wrong": (right, len(wrong))})
        found.append(one)
    return found


FieldCounts = dict[str, dict[str, Counter[str]]]
"""Outcomes by `task.path`, list indices folded (`invoice.items[].total`), and by variant."""


def count_field_outcomes(graded: GradedVariants) -> FieldCounts:
    found: FieldCounts = {}
    for variant, part in graded.items():
        for one in part:
            if one.kinds is not None:
                for path, outcome in compare_fields(one.gold, one.answer, one.kinds).items():
                    name = f"{one.sample.task}.{fields.strip_indices(path)}"
                    found.setdefault(name, {other: Counter() for other in graded})[variant][outcome] += 1
    return dict(sorted(found.items()))


def _total_outcomes(fields: FieldCounts, variants: Iterable[str]) -> dict[Outcome, Counter[str]]:
    names: tuple[Outcome, ...] = ("correct", "wrong", "missing", "invented", "correct_null")
    return {
        outcome: Counter({v: sum(counts[v][outcome] for counts in fields.values()) for v in variants})
        for outcome in names
    }

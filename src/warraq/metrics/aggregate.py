"""Graded answers -> the sums of each document, the numbers of metrics.json, and the outcomes of fields."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import get_args

from warraq.metrics.catalogue import PRIMARY, READING, SCORES, ScoreSums
from warraq.metrics.duplicates import Fingerprint, cluster_documents, hash_shingles
from warraq.metrics.fields import Outcome, compare_fields, flatten_texts, strip_indices
from warraq.metrics.grading import GradedAnswer, GradedVariants
from warraq.metrics.statistics import CONFIDENCE, Estimate, Weighings, bound_score, holm, subtract

LOST = 0.1  # the best reading score of a document below which it counts as lost

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


def score_document(graded: Sequence[GradedAnswer]) -> dict[str, float | None]:
    """Each score of one document, 0 to 1: its pages' sums, errors beyond the reference's length cut at 1; None where it
    has none."""
    sums = sum_scores(graded)
    return {name: bound_score(*sums[name]) for name, score in SCORES.items() if not score.pooled}


def compute_metrics(graded: GradedVariants, drawings: int, seed: int, copies: Mapping[str, str]) -> Numbers:
    """All scores, in metrics.json's names; a score that no variant has is left out.

    `copies`: document -> the one that it nearly is; those of one are one document.

    Returns:
        `<variant>_<score>` with `_lo` and `_hi`; for each score that is not pooled `merged_minus_base_<score>` with
        `_lo`, `_hi`, `_p`, `_p_holm` and in how many documents it is higher and lower, for the primary ones `_mde`.
    """
    by_document = group_answers(graded, lambda one: copies.get(one.sample.document, one.sample.document))
    documents = [{name: score_document(part) for name, part in variants.items()} for variants in by_document.values()]
    columns = {
        f"{variant}_{name}": [document[variant][name] for document in documents]
        for variant in graded
        for name in SCORES
        if not SCORES[name].pooled
    }
    shown = [
        name for name in SCORES if name in PRIMARY or any(set(columns.get(f"{v}_{name}", ())) - {None} for v in graded)
    ]
    gains = {
        f"merged_minus_base_{name}": subtract(columns[f"merged_{name}"], columns[f"base_{name}"]) for name in shown
    }
    weighings = Weighings(columns | gains, drawings, seed)
    numbers: Numbers = {"independent_documents": len(documents)}
    for name in shown:
        for variant in graded:
            numbers |= _flatten_estimate(f"{variant}_{name}", weighings.estimate(f"{variant}_{name}"))
    numbers |= _compare_with_base(weighings, shown)
    for variant, part in graded.items():
        numbers |= {f"{variant}_{name}": value for name, value in _pool_scores(part).items()}
        numbers |= _count_lost(documents, variant)
    fields = count_field_outcomes(graded).values()
    for outcome in get_args(Outcome):
        numbers |= {f"{v}_field_{outcome}": sum(counts[v][outcome] for counts in fields) for v in graded}
    return numbers


def _flatten_estimate(key: str, estimate: Estimate) -> Numbers:
    return {key: estimate.value, f"{key}_lo": estimate.lo, f"{key}_hi": estimate.hi}


def _compare_with_base(weighings: Weighings, names: Sequence[str]) -> Numbers:
    """Gains of merged over base; each p is corrected for its kind: the primary scores, or all others looked at."""
    numbers: Numbers = {}
    for family in (PRIMARY, [name for name in names if name not in PRIMARY]):
        chances = {name: weighings.compute_p_value(f"merged_minus_base_{name}") for name in family}
        tests = sum(chance is not None for chance in chances.values())
        for name, corrected in holm(chances).items():
            key = f"merged_minus_base_{name}"
            gain = weighings.estimate(key, worst=-1.0)
            higher, lower = weighings.count_signs(key)
            numbers |= _flatten_estimate(key, gain) | {
                f"{key}_documents": gain.documents, f"{key}_higher_documents": higher, f"{key}_lower_documents": lower,
                f"{key}_p": chances[name], f"{key}_p_holm": corrected,
            }  # fmt: skip
            if name in PRIMARY:
                numbers[f"{key}_mde"] = weighings.compute_detectable(key, tests)
    return numbers


def _pool_scores(graded: Sequence[GradedAnswer]) -> Numbers:
    """The scores that are ratios of sums over all documents."""
    answered = [one for one in graded if not one.failed]
    seconds = sum(one.prediction.seconds for one in graded if one.prediction)
    errors, length = sum_scores(graded)["cer"]
    return {
        "cer_pooled": errors / length if length else None,
        "pages_per_s": len({one.sample.page_id for one in answered}) / seconds if seconds else None,
        "answers_per_s": len(answered) / seconds if seconds else None,
    }


def _count_lost(documents: Sequence[Mapping[str, Mapping[str, float | None]]], variant: str) -> Numbers:
    """In how many documents hardly anything was read, and the upper 95 % limit of their share (Clopper-Pearson)."""
    from scipy.stats import beta

    best = [[value for name in READING if (value := document[variant][name]) is not None] for document in documents]
    lost = sum(max(values) < LOST for values in best if values)
    limit = float(beta.ppf(CONFIDENCE, lost + 1, len(best) - lost)) if lost < len(best) else 1.0
    return {f"{variant}_lost_documents": lost, f"{variant}_lost_documents_hi": limit}


def find_copies(graded: Sequence[GradedAnswer]) -> dict[str, str]:
    """Document -> the first by name of all whose right answers nearly say the same, of one variant's answers.

    A form that is there fifty times is no fifty documents.
    """
    pages: dict[str, list[str]] = {}
    for one in graded:
        pages.setdefault(one.sample.page_id, []).append(
            one.gold_text or " ".join(filter(None, flatten_texts(one.gold).values()))
        )
    documents = {one.sample.page_id: one.sample.document for one in graded}
    prints = {page: Fingerprint(hash_shingles("\n".join(texts)), None) for page, texts in pages.items()}
    return cluster_documents(prints, documents)


def compare_with_teacher(graded: Sequence[GradedAnswer], teacher: Sequence[GradedAnswer]) -> list[GradedAnswer]:
    """The same answers with how many of the fields that the teacher has wrong or missing are right here.

    It is the evidence that a student does more than copy its teacher's errors.
    """
    answers = []
    for one, other in zip(graded, teacher, strict=True):
        if "field_f1" in one.sums and one.kinds is not None:
            ours, theirs = (compare_fields(each.gold, each.read, one.kinds) for each in (one, other))
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
            if "field_f1" in one.sums and one.kinds is not None:
                for path, outcome in compare_fields(one.gold, one.read, one.kinds).items():
                    name = f"{one.sample.task}.{strip_indices(path)}"
                    fields.setdefault(name, {other: Counter() for other in graded})[variant][outcome] += 1
    return dict(sorted(fields.items()))

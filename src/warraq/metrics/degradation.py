"""The answers of one model in two precisions -> what the coarser one costs, with intervals over documents."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from warraq.files import JsonObject
from warraq.metrics import fields, text
from warraq.metrics.catalogue import ScoreSums
from warraq.metrics.fields import Kinds
from warraq.metrics.statistics import Weighings, bound_score, subtract

DRAWINGS, SEED = 10_000, 1
NAMES: Mapping[str, tuple[str, str]] = {
    "cer_added": ("coarse_cer", "exact_cer"),
    "field_f1_lost": ("exact_field_f1", "coarse_field_f1"),
}


@dataclass(frozen=True)
class AnswerPair:
    """One question: its label, and both answers, raw and as far as they fit the schema."""

    document: str
    reference: str
    exact: str
    coarse: str
    gold: JsonObject
    exact_fields: JsonObject | None
    coarse_fields: JsonObject | None
    kinds: Kinds | None  # None: the task is not scored by fields


def measure_degradation(pairs: Sequence[AnswerPair]) -> dict[str, float | int | None]:
    """Character errors added and field F1 lost by the coarser precision, and the share of answers that stay the same.

    Character errors are those of the raw answer against its label, so that structure counts too.
    """
    documents: dict[str, ScoreSums] = {}
    for pair in pairs:
        sums = documents.setdefault(pair.document, {})
        for precision, raw, answer in (
            ("exact", pair.exact, pair.exact_fields),
            ("coarse", pair.coarse, pair.coarse_fields),
        ):
            edits = text.count_character_edits(pair.reference, raw)
            _add(sums, f"{precision}_cer", (edits.errors, edits.reference))
            kinds = pair.kinds or {}
            aligned = answer and fields.align_lists(pair.gold, answer, kinds)
            f1 = fields.score_fields(pair.gold, aligned, kinds)["field_f1"] if pair.kinds is not None else (0.0, 0.0)
            _add(sums, f"{precision}_field_f1", f1)
    values = {
        name: [bound_score(*sums[name]) for sums in documents.values()] for pair in NAMES.values() for name in pair
    }
    losses = {name: subtract(values[first], values[second]) for name, (first, second) in NAMES.items()}
    weighings = Weighings(losses, DRAWINGS, SEED)
    costs: dict[str, float | int | None] = {"answers": len(pairs), "documents": len(documents)}
    costs["equal_answers"] = sum(pair.exact == pair.coarse for pair in pairs) / len(pairs)
    for name in NAMES:
        estimate = weighings.estimate(name, worst=-1.0)
        for key, value in ((name, estimate.value), (f"{name}_lo", estimate.lo), (f"{name}_hi", estimate.hi)):
            costs[key] = None if value is None else round(value, 6)
    return costs


def _add(sums: ScoreSums, name: str, score: tuple[float, float]) -> None:
    numerator, denominator = sums.get(name, (0.0, 0.0))
    sums[name] = numerator + score[0], denominator + score[1]

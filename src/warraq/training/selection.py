"""Scores of answers -> whether a tier is adopted, and how well the loss would have chosen the checkpoint.

The scores are the tasks' own, on validation documents; the numbers of the report are evaluate's, on documents that this
choice never saw.
"""

from collections.abc import Mapping, Sequence
from typing import TypedDict


class Gain(TypedDict):
    """What a tier adds to the score of those before it: mean and 95 % interval."""

    adopted: bool
    gain: float | None
    gain_lo: float | None
    gain_hi: float | None
    documents: int


def measure_gain(before: Mapping[str, float], after: Mapping[str, float], seed: int) -> Gain:
    """Whether a tier is adopted: the 95 % interval of its gain, paired, documents drawn, lies above zero.

    The keys begin with the page, and a page with its document. The checkpoint was chosen on the same documents, so the
    gain is somewhat flattered; the report's is not.
    """
    from warraq.metrics.statistics import Bootstrap

    documents: dict[str, list[str]] = {}
    for name in sorted(before):
        documents.setdefault(name.split(" ")[0].rsplit("-p", 1)[0], []).append(name)
    rows = [
        {
            "before": (sum(before[name] for name in names), float(len(names))),
            "after": (sum(after[name] for name in names), float(len(names))),
        }
        for names in documents.values()
    ]
    difference = Bootstrap(rows, 1000, seed).estimate_difference("after", "before", share=True)
    return {
        "adopted": difference.lo is not None and difference.lo > 0,
        "gain": difference.value,
        "gain_lo": difference.lo,
        "gain_hi": difference.hi,
        "documents": difference.documents,
    }


def correlate_ranks(losses: Sequence[float], scores: Sequence[float]) -> float | None:
    """Spearman's, of loss and score over the evaluations; near -1 where the loss would have chosen as well.

    None with fewer than three evaluations, or where all losses or all scores are equal.
    """
    if len(losses) < 3 or len(set(losses)) < 2 or len(set(scores)) < 2:
        return None
    from scipy.stats import spearmanr

    return round(float(spearmanr(losses, scores).statistic), 3)

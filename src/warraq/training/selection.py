"""Scores of answers -> whether a tier is adopted, and how well the loss would have chosen the checkpoint.

The scores are the tasks' own, on validation documents; the numbers of the report are evaluate's, on documents that this
choice never saw.
"""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import TypedDict

from warraq.metrics.statistics import Weighings

DRAWINGS, SEED = 10_000, 1  # of the weights of documents: as many as evaluate makes


class Gain(TypedDict):
    """What a tier adds to the score of those before it: mean and 95 % interval."""

    adopted: bool
    gain: float | None
    gain_lo: float | None
    gain_hi: float | None
    documents: int


def measure_gain(before: Mapping[str, float], after: Mapping[str, float]) -> Gain:
    """Whether a tier is adopted: the 95 % interval of its mean gain over documents lies above 0, and the interval is
    evaluate's, which holds however the gains are spread.

    The keys begin with the page, and a page with its document. The checkpoint was chosen on the same documents, so the
    gain is somewhat flattered.
    """
    documents: dict[str, list[float]] = {}
    for name in sorted(before):
        documents.setdefault(name.split(" ")[0].rsplit("-p", 1)[0], []).append(after[name] - before[name])
    gains = {"gain": [fmean(one) for one in documents.values()]}
    gain = Weighings(gains, DRAWINGS, SEED).estimate("gain", worst=-1.0)
    return {
        "adopted": gain.lo is not None and gain.lo > 0,
        "gain": gain.value,
        "gain_lo": gain.lo,
        "gain_hi": gain.hi,
        "documents": gain.documents,
    }


def correlate_ranks(losses: Sequence[float], scores: Sequence[float]) -> float | None:
    """Spearman's, of loss and score over the evaluations; near -1 where the loss would have chosen as well.

    None with fewer than three evaluations, or where all losses or all scores are equal.
    """
    if len(losses) < 3 or len(set(losses)) < 2 or len(set(scores)) < 2:
        return None
    from scipy.stats import spearmanr

    return round(float(spearmanr(losses, scores).statistic), 3)

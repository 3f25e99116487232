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


def measure_gain(before: Mapping[str, float], after: Mapping[str, float]) -> Gain:
    """Whether a tier is adopted: the 95 % interval of its mean gain over documents (Student's t, paired) lies above 0.

    The keys begin with the page, and a page with its document. The checkpoint was chosen on the same documents, so the
    gain is somewhat flattered; the report's, which assumes less, is not.
    """
    import numpy as np
    from scipy.stats import t

    documents: dict[str, list[float]] = {}
    for name in sorted(before):
        documents.setdefault(name.split(" ")[0].rsplit("-p", 1)[0], []).append(after[name] - before[name])
    gains = np.array([np.mean(one) for one in documents.values()])
    if len(gains) < 2:
        value = float(gains[0]) if len(gains) else None
        return {"adopted": False, "gain": value, "gain_lo": None, "gain_hi": None, "documents": len(gains)}
    value, half = float(gains.mean()), float(t.ppf(0.975, len(gains) - 1) * gains.std(ddof=1) / len(gains) ** 0.5)
    return {
        "adopted": value - half > 0,
        "gain": value,
        "gain_lo": value - half,
        "gain_hi": value + half,
        "documents": len(gains),
    }


def correlate_ranks(losses: Sequence[float], scores: Sequence[float]) -> float | None:
    """Spearman's, of loss and score over the evaluations; near -1 where the loss would have chosen as well.

    None with fewer than three evaluations, or where all losses or all scores are equal.
    """
    if len(losses) < 3 or len(set(losses)) < 2 or len(set(scores)) < 2:
        return None
    from scipy.stats import spearmanr

    return round(float(spearmanr(losses, scores).statistic), 3)

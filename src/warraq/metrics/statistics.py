"""Intervals for scores of documents: the page is scored, the document is drawn.

Pages of one document resemble each other: an interval that draws pages is far too narrow (nominal 95 % covered 59 % in
a simulation with 40 documents). So every score is a ratio of two sums over documents, and documents are drawn with
replacement. One drawing serves all scores of all models, which pairs them: a difference is taken within each drawing.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

CONFIDENCE = 0.95
_BLOCK = 256  # drawings made at once; bounds the memory

DocumentSums = Mapping[str, tuple[float, float]]
"""What one document adds to each named score: numerator and denominator."""


@dataclass(frozen=True)
class Estimate:
    """A value and its 95 % interval over `documents`; None is undefined: nothing to divide by, or no spread."""

    value: float | None
    lo: float | None
    hi: float | None
    documents: int


class Bootstrap:
    """Documents drawn with replacement, and the scores of each drawing."""

    def __init__(self, documents: Sequence[DocumentSums], resamples: int, seed: int) -> None:
        import numpy as np

        self._at = {name: (2 * i, 2 * i + 1) for i, name in enumerate(documents[0])}
        self._totals = np.array([[part for name in self._at for part in row[name]] for row in documents], float)
        self._sums = resample_sums(self._totals, resamples, seed)
        self._swaps = list_swaps(len(documents), resamples, seed)

    def estimate(self, name: str, share: bool) -> Estimate:
        """The score of all documents.

        `share`: it lies in [0, 1], and where no two drawings differ it gets the interval of a share with the documents
        as trials, because nothing in [0, 1] spreads more than yes and no.
        """
        at = self._at[name]
        estimate = _estimate_bca(self._totals, self._sums, lambda sums: _ratio(sums, at), self._count_documents(at))
        return _add_share_interval(estimate, wilson_interval, estimate.value) if share else estimate

    def estimate_difference(self, left: str, right: str, share: bool) -> Estimate:
        """`left - right` within each drawing; `documents` counts those where both are defined."""
        first, second = self._at[left], self._at[right]

        def subtract(sums: "np.ndarray") -> "np.ndarray":
            difference: np.ndarray = _ratio(sums, first) - _ratio(sums, second)
            return difference

        estimate = _estimate_bca(self._totals, self._sums, subtract, self._count_documents(first, second))
        if not share:
            return estimate
        totals = self._totals.sum(axis=0)
        shares = (float(_ratio(totals, at)) for at in (first, second))
        return _add_share_interval(estimate, newcombe_interval, *shares)

    def compute_p_value(self, left: str, right: str) -> float | None:
        """The probability of a difference at least as large if the two were alike.

        In each document they may as well be swapped then (paired permutation test; with few documents all swaps are
        tried).
        """
        import numpy as np

        ours, theirs = (self._totals[:, slice(at, at + 2)] for at in (self._at[left][0], self._at[right][0]))

        def swap(swapped: "np.ndarray") -> "np.ndarray":
            first = ours.sum(axis=0) + swapped @ (theirs - ours)
            second = theirs.sum(axis=0) + swapped @ (ours - theirs)
            difference: np.ndarray = _ratio(first, (0, 1)) - _ratio(second, (0, 1))
            return difference

        observed = float(swap(np.zeros(len(ours))))
        if math.isnan(observed):
            return None
        differences = swap(self._swaps)
        beyond = int((np.abs(differences[~np.isnan(differences)]) >= abs(observed) - 1e-12).sum())
        exhaustive = len(self._swaps) == 2 ** len(ours)
        return beyond / len(differences) if exhaustive else (beyond + 1) / (len(differences) + 1)

    def compute_detectable(self, left: str, right: str) -> float | None:
        """The smallest true difference that documents as many and as varied would show four times in five.

        It is 2.8 standard errors (two-sided 5 %, power 80 %); None where no two drawings differ.
        """
        import numpy as np

        gap = _ratio(self._sums, self._at[left]) - _ratio(self._sums, self._at[right])
        gap, documents = gap[~np.isnan(gap)], self._count_documents(self._at[left], self._at[right])
        if documents < 2 or len(gap) < 2 or np.ptp(gap) < 1e-12:
            return None
        return 2.8 * float(gap.std(ddof=1)) * math.sqrt(documents / (documents - 1))

    def count_higher(self, left: str, right: str) -> int:
        """In how many documents `left` is higher than `right`."""
        return int((_ratio(self._totals, self._at[left]) > _ratio(self._totals, self._at[right])).sum())

    def _count_documents(self, *scores: tuple[int, int]) -> int:
        return int((self._totals[:, [denominator for _, denominator in scores]] > 0).all(axis=1).sum())


def _add_share_interval(
    estimate: Estimate, bound: Callable[..., tuple[float, float]], *shares: float | None
) -> Estimate:
    """Give an estimate without spread the interval of its shares."""
    if estimate.value is None or estimate.lo is not None or estimate.documents < 2:
        return estimate
    lo, hi = bound(*shares, estimate.documents)
    return replace(estimate, lo=lo, hi=hi)


def _ratio(sums: "np.ndarray", at: tuple[int, int]) -> "np.ndarray":
    """(..., columns) -> (...); NaN where there is nothing to divide by."""
    import numpy as np

    numerator, denominator = sums[..., at[0]], sums[..., at[1]]
    ratio: np.ndarray = np.divide(
        numerator, denominator, out=np.full(np.shape(numerator), np.nan), where=denominator > 0
    )
    return ratio


def resample_sums(totals: "np.ndarray", resamples: int, seed: int) -> "np.ndarray":
    """(documents, columns) -> (resamples, columns): the sums over as many documents, drawn with replacement."""
    import numpy as np

    generator = np.random.default_rng(seed)
    documents = len(totals)
    blocks = []
    for start in range(0, resamples, _BLOCK):
        size = min(_BLOCK, resamples - start)
        weights = generator.multinomial(documents, np.full(documents, 1 / documents), size)
        blocks.append(weights.astype(float) @ totals)
    return np.concatenate(blocks)


def list_swaps(documents: int, resamples: int, seed: int) -> "np.ndarray":
    """(swaps, documents), 1 where the two are swapped: every way if there are at most `resamples`, else drawn ones."""
    import numpy as np

    if 2**documents <= resamples:
        return (np.arange(2**documents)[:, None] >> np.arange(documents) & 1).astype(float)
    return np.random.default_rng([seed, 1]).integers(0, 2, (resamples, documents)).astype(float)


def holm(p_values: Mapping[str, float | int | None]) -> dict[str, float | None]:
    """The p-values corrected for being several (Holm 1979, Scand. J. Statist. 6:65); None stays None and is not one."""
    ranked = sorted((value, name) for name, value in p_values.items() if value is not None)
    corrected: dict[str, float | None] = dict.fromkeys(p_values)
    highest = 0.0
    for rank, (value, name) in enumerate(ranked):
        highest = max(highest, min(1.0, value * (len(ranked) - rank)))
        corrected[name] = highest
    return corrected


def _estimate_bca(
    totals: "np.ndarray", sums: "np.ndarray", statistic: Callable[["np.ndarray"], "np.ndarray"], documents: int
) -> Estimate:
    """The statistic of all documents with its bias-corrected and accelerated interval (Efron 1987, JASA 82:171).

    The bounds are None for fewer than two documents, and where no two drawings differ: the bootstrap is blind then.
    """
    import numpy as np

    value = float(statistic(totals.sum(axis=0)))
    if math.isnan(value):
        return Estimate(None, None, None, documents)
    values, left_out = statistic(sums), statistic(totals.sum(axis=0) - totals)
    values, left_out = values[~np.isnan(values)], left_out[~np.isnan(left_out)]
    if documents < 2 or not len(values) or np.ptp(values) < 1e-12:
        return Estimate(value, None, None, documents)
    lo, hi = np.quantile(values, choose_levels(value, values, left_out, documents)).tolist()
    return Estimate(value, lo, hi, documents)


def choose_levels(value: float, values: "np.ndarray", left_out: "np.ndarray", documents: int) -> list[float]:
    """The two quantiles of the drawings that bound the interval.

    The tails are those of Student's t, widened by n / (n - 1), because drawings of few documents spread too little
    (Hesterberg 2015, The American Statistician 69:371, "expanded percentile"). For many documents this is plain BCa.
    """
    from statistics import NormalDist

    from scipy.special import stdtrit

    normal = NormalDist()
    tail = math.sqrt(documents / (documents - 1)) * float(stdtrit(documents - 1, (1 + CONFIDENCE) / 2))
    below = float((values < value).mean() + (values <= value).mean()) / 2
    away = left_out.mean() - left_out
    spread = float((away**2).sum())
    if not 0 < below < 1 or spread < 1e-24:
        return [normal.cdf(-tail), normal.cdf(tail)]
    bias, acceleration = normal.inv_cdf(below), float((away**3).sum()) / (6 * spread**1.5)
    shifted = [bias - tail, bias + tail]
    return [normal.cdf(bias + shift / max(1 - acceleration * shift, 1e-9)) for shift in shifted]


def wilson_interval(share: float, trials: int) -> tuple[float, float]:
    """The 95 % score interval of a share (Wilson 1927); it has width even where nothing or everything happened."""
    from statistics import NormalDist

    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    middle = (share + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials)) / (1 + z * z / trials)
    return max(0.0, middle - half), min(1.0, middle + half)


def newcombe_interval(left: float, right: float, trials: int) -> tuple[float, float]:
    """The 95 % interval of `left - right`, two shares, from their Wilson intervals (Newcombe 1998, method 10)."""
    (left_lo, left_hi), (right_lo, right_hi) = wilson_interval(left, trials), wilson_interval(right, trials)
    gap = left - right
    return gap - math.hypot(left - left_lo, right_hi - right), gap + math.hypot(left_hi - left, right - right_lo)

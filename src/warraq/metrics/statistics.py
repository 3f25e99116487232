"""Intervals and tests for scores of documents that hold however skewed the scores and however few the documents.

The page is scored, the document is drawn: pages of one document resemble each other, so a document has one value of
each score, between 0 and 1, and what is told is the mean over documents. A mean of bounded values has limits that
assume nothing of how they are spread: the documents are weighed at random (Dirichlet weights, as in the Bayesian
bootstrap of Rubin 1981, Ann. Statist. 9:130) together with one more that nobody has seen, which is as bad as can be for
the lower limit and as good as can be for the upper (Gaffke 2005, Math. Methods Statist. 14:451). So a model that fails
on every twelfth document is not called better because the test set happens to hold none of those. One drawing of
weights serves all scores of all models; differences are of one document each, which pairs them.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

CONFIDENCE = 0.95
POWER = 0.85  # aimed at, so that what is estimated from the same documents shows four times in five
_BLOCK = 256  # drawings made at once; bounds the memory
_WORLDS = 400  # imagined test sets for the smallest difference that can be seen


@dataclass(frozen=True)
class Estimate:
    """A mean over `documents` and its 95 % interval; None is undefined: no document has a value, or only one has."""

    value: float | None
    lo: float | None
    hi: float | None
    documents: int


Values = Sequence[float | None]
"""A value of each document, None where it has none."""


def bound_score(numerator: float, denominator: float) -> float | None:
    """A document's score of its sums, at most 1; errors with nothing to divide them by are 1."""
    if not denominator:
        return 1.0 if numerator else None
    return min(1.0, numerator / denominator)


def subtract(left: Values, right: Values) -> list[float | None]:
    """`left - right` in each document where both have a value."""
    pairs = zip(left, right, strict=True)
    return [None if one is None or other is None else one - other for one, other in pairs]


class Weighings:
    """Values of documents by the name of a score, None where a document has none, weighed at random many times."""

    def __init__(self, columns: Mapping[str, Values], drawings: int, seed: int) -> None:
        import numpy as np

        self._at = {name: index for index, name in enumerate(columns)}
        self._seed = seed
        self._values = np.array([list(column) for column in columns.values()], float).T
        known = ~np.isnan(self._values)
        values = np.where(known, self._values, 0.0)
        generator = np.random.default_rng(seed)
        sums, weights, unseen = [], [], []
        for start in range(0, drawings, _BLOCK):
            drawn = generator.standard_exponential((min(_BLOCK, drawings - start), len(values) + 1))
            sums.append(drawn[:, 1:] @ values)
            weights.append(drawn[:, 1:] @ known.astype(float))
            unseen.append(drawn[:, 0])
        self._sums, self._weights, self._unseen = map(np.concatenate, (sums, weights, unseen))

    def estimate(self, name: str, *, worst: float = 0.0) -> Estimate:
        """The mean of a score whose values lie between `worst` (-1 for differences) and 1."""
        import numpy as np

        values = self._select(name)
        if not len(values):
            return Estimate(None, None, None, 0)
        value = float(values.mean())
        if len(values) < 2:
            return Estimate(value, None, None, len(values))
        tail = (1 - CONFIDENCE) / 2
        lo = float(np.quantile(self._weigh(name, worst), tail))
        hi = float(np.quantile(self._weigh(name, 1.0), 1 - tail))
        return Estimate(value, min(lo, value), max(hi, value), len(values))

    def compute_p_value(self, name: str) -> float | None:
        """The probability of a mean difference at least as far from 0 if it were none; two-sided, None without any."""
        if not len(self._select(name)):
            return None
        below, above = (self._weigh(name, -1.0) <= 0).sum(), (self._weigh(name, 1.0) >= 0).sum()
        return min(1.0, 2 * (int(min(below, above)) + 1) / (len(self._unseen) + 1))

    def compute_detectable(self, name: str, tests: int) -> float | None:
        """The smallest true mean difference that documents as many and as varied would show four times in five.

        It is that of the hardest of `tests` tests under Holm's correction; None where even the greatest would not show.
        """
        import numpy as np

        values = self._select(name)
        if len(values) < 2:
            return None
        generator = np.random.default_rng([self._seed, 1])
        drawn = generator.standard_exponential((len(self._unseen), len(values) + 1))
        drawn /= drawn.sum(axis=1, keepdims=True)
        rest = (values - values.mean()) * math.sqrt(len(values) / (len(values) - 1))
        worlds = rest[generator.integers(0, len(values), (len(values), _WORLDS))]
        needed = (drawn[:, :1] - drawn[:, 1:] @ worlds) / (1 - drawn[:, :1])
        shown = np.quantile(needed, 1 - (1 - CONFIDENCE) / 2 / tests, axis=0)
        detectable = float(np.quantile(shown, POWER))
        return detectable if detectable <= 1 else None

    def count_signs(self, name: str) -> tuple[int, int]:
        """In how many documents a difference is above 0, and below."""
        values = self._select(name)
        return int((values > 0).sum()), int((values < 0).sum())

    def _select(self, name: str) -> "np.ndarray":
        import numpy as np

        column = self._values[:, self._at[name]]
        known: np.ndarray = column[~np.isnan(column)]
        return known

    def _weigh(self, name: str, unseen: float) -> "np.ndarray":
        """(drawings,): the weighted means with an unseen document of that value."""
        at = self._at[name]
        means: np.ndarray = (self._sums[:, at] + self._unseen * unseen) / (self._weights[:, at] + self._unseen)
        return means


def count_documents_needed(tests: int) -> int:
    """The fewest documents that can show anything: where the greatest difference in each is significant.

    With all of n documents at the greatest difference the chance is 2 / 2^n, and the hardest of `tests` tests asks for
    0.05 / tests.
    """
    return math.ceil(math.log2(2 * max(tests, 1) / (1 - CONFIDENCE)))


def holm(p_values: Mapping[str, float | int | None]) -> dict[str, float | None]:
    """The p-values corrected for being several (Holm 1979, Scand. J. Statist. 6:65); None stays None and is not one."""
    ranked = sorted((value, name) for name, value in p_values.items() if value is not None)
    corrected: dict[str, float | None] = dict.fromkeys(p_values)
    highest = 0.0
    for rank, (value, name) in enumerate(ranked):
        highest = max(highest, min(1.0, value * (len(ranked) - rank)))
        corrected[name] = highest
    return corrected


def wilson_interval(share: float, trials: int) -> tuple[float, float]:
    """The 95 % score interval of a share (Wilson 1927); it has width even where nothing or everything happened."""
    from statistics import NormalDist

    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    middle = (share + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials)) / (1 + z * z / trials)
    return max(0.0, middle - half), min(1.0, middle + half)

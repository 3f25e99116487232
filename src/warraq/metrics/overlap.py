"""Bags of features, pieces of texts -> how many each two of them share."""

from collections import Counter
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

Bag = Counter[Hashable]


def count_trigrams(text: str) -> Bag:
    """Each three characters of a text with a space around it; they outlive misread letters better than words do."""
    padded = f" {text} "
    return Counter(padded[start : start + 3] for start in range(len(padded) - 2))


def count_shared(left: Sequence[Bag], right: Sequence[Bag]) -> "np.ndarray":
    """(left, right): the size of the intersection of each two bags; at least one on either side.

    One product of sparse matrices, whose columns are the first, second ... of equal features. The time grows with the
    size of the bags, and with the number of pairs that share a feature.
    """
    import numpy as np
    from scipy.sparse import csr_array

    columns: dict[tuple[Hashable, int], int] = {}
    places = [
        [
            columns.setdefault((feature, number), len(columns))
            for bag in bags
            for feature, count in bag.items()
            for number in range(count)
        ]
        for bags in (left, right)
    ]
    ours, theirs = (
        csr_array(
            (np.ones(len(one), np.float32), one, np.cumsum([0, *(bag.total() for bag in bags)])),
            shape=(len(bags), len(columns)),
        )
        for one, bags in zip(places, (left, right), strict=True)
    )
    shared: np.ndarray = (ours @ theirs.T).toarray()
    return shared

"""The elements of a page (headings, paragraphs, tables, stamps ...) against those of its reference.

Which were found, which were made up, whether they were called by their kind, and in which order they stand.
"""

from collections.abc import Iterable, Sequence

from warraq.metrics import tables
from warraq.metrics.arabic import normalize
from warraq.metrics.catalogue import ScoreSums

ALIKE = 0.5  # similarity of two texts from which on they may be the same element

Element = tuple[str, str]
"""Kind and text."""


def join_elements(elements: Iterable[Element]) -> str:
    """The text of all elements, a line each; of tables only what is in their cells."""
    return "\n".join(tables.strip_tags(part) if kind == "table" else part for kind, part in elements)


def score_elements(gold: Sequence[Element], other: Sequence[Element]) -> ScoreSums:
    """Numerator and denominator of each score of one page."""
    pairs = match_elements([text for _, text in gold], [text for _, text in other])
    in_order = sum(one[1] < two[1] for index, one in enumerate(pairs) for two in pairs[index + 1 :])
    return {
        "element_f1": (2 * len(pairs), len(gold) + len(other)),
        "element_precision": (len(pairs), len(other)),
        "element_recall": (len(pairs), len(gold)),
        "element_kind_accuracy": (sum(gold[i][0] == other[j][0] for i, j in pairs), len(pairs)),
        "reading_order": (in_order, len(pairs) * (len(pairs) - 1) // 2),
    }


def match_elements(gold: Sequence[str], other: Sequence[str]) -> list[tuple[int, int]]:
    """One-to-one pairs of alike texts with the greatest sum of similarity, in the reference's order.

    An element without text (a figure, a signature) is like any other without.
    """
    if not gold or not other:
        return []
    import numpy as np
    from rapidfuzz.distance import Levenshtein
    from rapidfuzz.process import cdist
    from scipy.optimize import linear_sum_assignment

    left, right = [normalize(text) for text in gold], [normalize(text) for text in other]
    similarity = cdist(left, right, scorer=Levenshtein.normalized_similarity, dtype=np.float64)
    distance = 1e-6 * np.abs(np.arange(len(left))[:, None] / len(left) - np.arange(len(right))[None, :] / len(right))
    rows, columns = linear_sum_assignment(np.where(similarity >= ALIKE, similarity - distance, 0), maximize=True)
    return [(int(i), int(j)) for i, j in zip(rows, columns, strict=True) if similarity[i, j] >= ALIKE]

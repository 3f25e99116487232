"""The elements of a page (headings, paragraphs, tables, stamps ...) against those of its reference.

Which were found, which were made up, whether they were called by their kind, and in which order they stand.
"""

from bisect import bisect_left, insort
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from math import comb, isqrt
from typing import NamedTuple

from warraq.metrics import tables
from warraq.metrics.arabic import normalize
from warraq.metrics.catalogue import ScoreSums
from warraq.metrics.overlap import Bag, count_shared, count_trigrams

ALIKE = 0.5  # similarity of two texts from which on they may be the same element
MOST_PAIRS = 4_000_000  # of elements that are compared, those of 2,000 with 2,000
MOST_CHARACTERS = 128_000  # of a side that are compared, of each element as many: 64 of 2,000
LONGEST = 20_000  # characters of joined elements that are compared


class Element(NamedTuple):
    """A part of a page; `language` is None where nothing is said of it."""

    kind: str
    text: str
    language: str | None = None


Links = list[tuple[int, int]]
"""Places of an element of the reference and of one of the answer that are the same, or one a part of the other."""


def join_elements(elements: Iterable[Element]) -> str:
    """The text of all elements, a line each; a table within is the text of its cells, a line a row."""
    return "\n".join(tables.strip_tags(element.text) for element in elements)


def score_elements(gold: Sequence[Element], other: Sequence[Element]) -> ScoreSums:
    """Numerator and denominator of each score of one page, from the links of `match_elements`.

    An element that has a link is found, or is not made up: those of the reference that were merged into one of the
    answer are all found; one that was split is found once, and none of its parts is made up. Precision is of the
    answer's elements, recall of the reference's, F1 of both sides' together. `element_joined_share` is what was merged
    or split, of all that has a link. Kinds are compared link by link: a heading merged into a paragraph has the wrong
    one. A box to be ticked is right if it was found with its state, and a language counts where the reference tells
    it. The reading order is of pairs of links, right if the same on both sides; two links of one merged or split
    element are no such pair.
    """
    links = match_elements(*([tables.strip_tags(one.text) for one in side] for side in (gold, other)))
    lefts, rights = Counter(i for i, _ in links), Counter(j for _, j in links)
    found = len(lefts) + len(rights)
    joined = [(i, j) for i, j in links if lefts[i] > 1 or rights[j] > 1]
    told = [(i, j) for i, j in links if gold[i].language is not None]
    boxes = {i for i, element in enumerate(gold) if element.kind.startswith("checkbox_")}
    in_order, before = 0, list[int]()
    for _, j in sorted(links, key=lambda link: (link[0], -link[1])):
        in_order += bisect_left(before, j)
        insort(before, j)
    compared = comb(len(links), 2) - sum(comb(count, 2) for count in (*lefts.values(), *rights.values()))
    return {
        "element_f1": (found, len(gold) + len(other)),
        "element_precision": (len(rights), len(other)),
        "element_recall": (len(lefts), len(gold)),
        "element_joined_share": (len({i for i, _ in joined}) + len({j for _, j in joined}), found),
        "element_kind_accuracy": (sum(gold[i].kind == other[j].kind for i, j in links), len(links)),
        "element_language_accuracy": (sum(gold[i].language == other[j].language for i, j in told), len(told)),
        "checkbox_accuracy": (len({i for i, j in links if i in boxes and gold[i].kind == other[j].kind}), len(boxes)),
        "reading_order": (in_order, compared),
    }


def match_elements(gold: Sequence[str], other: Sequence[str]) -> Links:
    """Which texts are the same, or parts of one another, in the reference's order.

    Equal texts are pairs, the first with the first; then alike ones, one to one with the greatest sum of similarity. An
    element without text (a figure, a signature) is like any other without. Then each text, on either side, takes up
    adjacent ones of the other that have no pair, as long as at least half of each (of its trigrams) stands in what the
    others leave of the text, and together they are more like it than the pair alone was.

    The time is bounded by MOST_PAIRS, MOST_CHARACTERS and LONGEST; what they leave out counts as lost or made up.
    """
    left, right = [normalize(text) for text in gold], [normalize(text) for text in other]
    pairs = _pair_equal(left, right)
    pairs |= _pair_alike(left, right, pairs)
    merged = _find_parts(right, left, {j: i for i, j in pairs.items()}, set())
    links = {*pairs.items(), *((i, j) for j, run in merged.items() for i in run)}
    split = _find_parts(left, right, dict(links), {i for run in merged.values() for i in run})
    return sorted(links | {(i, j) for i, run in split.items() for j in run})


def _pair_equal(left: Sequence[str], right: Sequence[str]) -> dict[int, int]:
    """Texts that are as often on one side as on the other."""
    places: tuple[defaultdict[str, list[int]], ...] = (defaultdict(list), defaultdict(list))
    for texts, found in zip((left, right), places, strict=True):
        for place, text in enumerate(texts):
            found[text].append(place)
    ours, theirs = places
    return dict(
        pair
        for text, one in ours.items()
        if len(one) == len(theirs[text])
        for pair in zip(one, theirs[text], strict=True)
    )


def _pair_alike(left: Sequence[str], right: Sequence[str], pairs: dict[int, int]) -> dict[int, int]:
    """Of several equally alike the one at the same part of the page; what is like nothing does not move the others."""
    ours, theirs = _list_free(left, pairs, right, pairs.values())
    if not ours or not theirs:
        return {}
    import numpy as np
    from rapidfuzz.distance import Levenshtein
    from rapidfuzz.process import cdist
    from scipy.optimize import linear_sum_assignment

    length = MOST_CHARACTERS // max(len(ours), len(theirs))
    similarity = cdist(
        [left[i][:length] for i in ours], [right[j][:length] for j in theirs],
        scorer=Levenshtein.normalized_similarity, score_cutoff=ALIKE, dtype=np.float64,
    )  # fmt: skip
    rows, columns = np.flatnonzero(similarity.any(1)), np.flatnonzero(similarity.any(0))
    ours, theirs, similarity = [ours[i] for i in rows], [theirs[j] for j in columns], similarity[np.ix_(rows, columns)]
    one, two = (
        np.searchsorted(sorted([*free, *paired]), free) / (len(free) + len(pairs))
        for free, paired in ((ours, pairs), (theirs, pairs.values()))
    )
    nearness = 1e-6 * np.abs(one[:, None] - two)
    rows, columns = linear_sum_assignment(np.where(similarity > 0, similarity - nearness, 0), maximize=True)
    return {ours[i]: theirs[j] for i, j in zip(rows, columns, strict=True) if similarity[i, j]}


def _list_free(
    left: Sequence[str], paired: Iterable[int], right: Sequence[str], others: Iterable[int]
) -> tuple[list[int], list[int]]:
    """The places on either side that have no pair, the first ones if together they would make too many pairs."""
    ours = sorted(set(range(len(left))) - set(paired))
    theirs = sorted(set(range(len(right))) - set(others))
    ours = ours[: max(isqrt(MOST_PAIRS), MOST_PAIRS // max(len(theirs), 1))]
    return ours, theirs[: MOST_PAIRS // max(len(ours), 1)]


def _find_parts(
    wholes: Sequence[str], parts: Sequence[str], pairs: dict[int, int], joined: set[int]
) -> dict[int, range]:
    """The adjacent parts of each whole that is made of some.

    `pairs` has the part that a whole begins with; the parts among its values are not free. A whole without a pair
    begins with the free part that shares most with it. Those in `joined` are left alone.
    """
    single, free = _list_free(wholes, pairs, parts, pairs.values())
    bags = {part: count_trigrams(parts[part]) for part in free if parts[part]}
    if not bags:
        return {}
    from rapidfuzz.distance import Levenshtein

    starts: dict[int, list[int]] = {whole: [part] for whole, part in pairs.items() if whole not in joined}
    starts |= _list_starts({whole: count_trigrams(wholes[whole]) for whole in single if wholes[whole]}, bags)
    runs = {}
    for whole, candidates in sorted(starts.items()):
        start = next((part for part in candidates if whole in pairs or part in bags), None)
        if start is None:
            continue
        text, rest, run = wholes[whole], count_trigrams(wholes[whole]), range(start, start + 1)
        rest.subtract(count_trigrams(parts[start]))
        while True:
            near = (part for part in (run.start - 1, run.stop) if _is_within(bags.get(part), rest))
            if (part := next(near, None)) is None:
                break
            rest.subtract(bags[part])
            run = range(min(run.start, part), max(run.stop, part + 1))
        likeness, least = (
            Levenshtein.normalized_similarity(" ".join(parts[part] for part in some)[:LONGEST], text[:LONGEST])
            for some in (run, [start])
        )
        if likeness >= ALIKE and (whole not in pairs or likeness > least):
            runs[whole] = run
            for part in run:
                bags.pop(part, None)
    return runs


def _is_within(part: Bag | None, rest: Bag) -> bool:
    return part is not None and 2 * (part & rest).total() >= part.total()


def _list_starts(wholes: dict[int, Bag], parts: dict[int, Bag]) -> dict[int, list[int]]:
    """The parts of which at least half stands in each whole, those that share most with it first."""
    if not wholes:
        return {}
    import numpy as np

    shared = count_shared(list(parts.values()), list(wholes.values()))
    shared[2 * shared < np.array([[part.total()] for part in parts.values()])] = 0
    places = np.array(list(parts))
    best = np.argsort(-shared, axis=0, kind="stable")
    return {
        whole: places[best[: np.count_nonzero(shared[:, column]), column]].tolist()
        for column, whole in enumerate(wholes)
    }

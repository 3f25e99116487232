"""Which pages say or show nearly the same: MinHash over words, a difference hash over images.

Candidates come from hashes, so that a corpus is never compared pair by pair; what counts is the exact likeness of the
candidates. A page alone never makes a pair by its looks where texts can tell: forms of one print look alike.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

from warraq.metrics.arabic import folded

if TYPE_CHECKING:
    from PIL.Image import Image

WORDS = 4  # a shingle
BANDS, ROWS = (
    32,
    2,
)  # pairs with a likeness of 0.5 are missed once in 10,000 (Leskovec et al., Mining of Massive Datasets, 3.4)
TEXT = 0.8  # Jaccard likeness of the shingles from which texts are the same
LOOKS_BITS = 8  # of 256 that may differ in images that look the same
WITH_LOOKS = 0.5  # likeness of texts that is enough where the images look the same
LARGEST = 200  # pages in a bucket that are compared; above it the bucket is a stock phrase


@dataclass(frozen=True)
class Print:
    """What a page is compared by; `looks` is None for a page with hardly any ink."""

    shingles: frozenset[int]
    looks: int | None


def shingles(text: str) -> frozenset[int]:
    """Hashes of every run of WORDS words, without diacritics, case and kinds of digits; of all words where fewer."""
    words = folded(text).lower().split()
    runs = [words[start : start + WORDS] for start in range(max(1, len(words) - WORDS + 1))] if words else []
    return frozenset(_hash(" ".join(run)) for run in runs)


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def looks(image: "Image") -> int | None:
    """256 bits: whether each of 16 x 16 fields is darker than its right neighbour."""
    import numpy as np

    fields = np.asarray(image.convert("L").resize((17, 16), 3), dtype=int)  # 3: bicubic
    bits = (fields[:, 1:] - fields[:, :-1] > 2).ravel()
    return int.from_bytes(np.packbits(bits).tobytes(), "big") if bits.sum() >= 8 else None


def likeness(left: Print, right: Print) -> float:
    """Jaccard likeness of the texts; 0 where either has none."""
    union = len(left.shingles | right.shingles)
    return len(left.shingles & right.shingles) / union if left.shingles and right.shingles else 0.0


def same(left: Print, right: Print) -> bool:
    alike = likeness(left, right)
    if left.looks is None or right.looks is None:
        return alike >= TEXT
    close = (left.looks ^ right.looks).bit_count() <= LOOKS_BITS
    silent = not left.shingles or not right.shingles
    return alike >= TEXT or (close and (silent or alike >= WITH_LOOKS))


def pairs(prints: Mapping[str, Print]) -> Iterator[tuple[str, str]]:
    """Names that may be nearly the same, each pair once."""
    buckets: dict[tuple[str, int, object], list[str]] = defaultdict(list)
    for name in sorted(prints):
        for key in _keys(prints[name]):
            buckets[key].append(name)
    found: set[tuple[str, str]] = set()
    for names in buckets.values():
        if 1 < len(names) <= LARGEST:
            found.update(combinations(names, 2))
    yield from sorted(found)


def clusters(prints: Mapping[str, Print], documents: Mapping[str, str]) -> dict[str, str]:
    """Document -> the first by name of all that are nearly the same, over any number of steps."""
    leaders: dict[str, str] = {}

    def leader(document: str) -> str:
        while document in leaders:
            document = leaders[document]
        return document

    for one, other in pairs(prints):
        left, right = leader(documents[one]), leader(documents[other])
        if left != right and same(prints[one], prints[other]):
            leaders[max(left, right)] = min(left, right)
    return {document: leader(document) for document in sorted(set(documents.values()))}


def across(
    prints: Mapping[str, Print], documents: Mapping[str, str], sides: Mapping[str, str]
) -> dict[str, Any] | None:
    """The two pages on different sides that are most alike; those that are nearly the same come first."""
    found = [
        (same(prints[one], prints[other]), likeness(prints[one], prints[other]), one, other)
        for one, other in pairs(prints)
        if sides[documents[one]] != sides[documents[other]]
    ]
    if not found:
        return None
    _, alike, *names = max(found)
    return {"pages": names, "likeness": round(alike, 3), "sides": [sides[documents[name]] for name in names]}


def _keys(page: Print) -> Iterator[tuple[str, int, object]]:
    if page.shingles:
        least = _minima(page.shingles)
        for band in range(BANDS):
            yield "text", band, tuple(least[band * ROWS : (band + 1) * ROWS])
    if page.looks is not None:
        for part in range(16):  # with 8 of 256 bits other, half of the parts are equal
            yield "looks", part, page.looks >> (16 * part) & 0xFFFF


def _minima(hashes: Iterable[int]) -> list[int]:
    import numpy as np

    values = np.fromiter(hashes, dtype=np.uint64)
    draw = np.random.default_rng(0)
    factors = draw.integers(0, 2**63, BANDS * ROWS, dtype=np.uint64) | np.uint64(1)
    with np.errstate(over="ignore"):
        return [int((values * factor >> np.uint64(16)).min()) for factor in factors]

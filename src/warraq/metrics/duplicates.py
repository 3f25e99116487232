"""Which pages say or show nearly the same: MinHash over words, a difference hash over images.

Candidates come from hashes, so that a corpus is never compared pair by pair; what counts is the exact similarity of the
candidates. A page alone never makes a pair by its image where texts can tell: forms of one print look alike.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

from warraq.metrics.arabic import fold_letters

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

SHINGLE_WORDS = 4
BANDS, ROWS = 32, 2  # a similarity of 0.5 is missed once in 10,000 (Leskovec et al., Mining of Massive Datasets, 3.4)
TEXT = 0.8  # Jaccard similarity of the shingles from which texts are the same
IMAGE_BITS = 8  # of 256 that may differ in images that look the same
TEXT_WITH_IMAGE = 0.5  # similarity of texts that is enough where the images look the same
LARGEST_BUCKET = 200  # pages unlike each other in a bucket that are compared; above it the bucket is a stock phrase


@dataclass(frozen=True)
class Fingerprint:
    """What a page is compared by: sorted hashes of its shingles, and an image hash, None with hardly any ink."""

    shingles: "np.ndarray"  # (shingles,), uint64: 10^5 pages of 300 words take 0.25 GB
    image_hash: int | None


@dataclass(frozen=True)
class ClosestPair:
    """Two pages in different splits, the Jaccard similarity of their texts to three digits, and their splits."""

    pages: tuple[str, str]
    similarity: float
    splits: tuple[str, str]
    duplicates: bool


def hash_shingles(text: str) -> "np.ndarray":
    """Sorted hashes of every run of SHINGLE_WORDS words, without diacritics, case and kinds of digits; of all where
    fewer."""
    import numpy as np

    words = fold_letters(text).lower().split()
    starts = range(max(1, len(words) - SHINGLE_WORDS + 1)) if words else ()
    shingles = (" ".join(words[start : start + SHINGLE_WORDS]).encode() for start in starts)
    digests = b"".join(hashlib.blake2b(shingle, digest_size=8).digest() for shingle in shingles)
    hashes: np.ndarray = np.unique(np.frombuffer(digests, dtype="<u8"))
    return hashes


def hash_image(image: "Image") -> int | None:
    """256 bits: whether each of 16 x 16 fields is darker than its right neighbour; None where hardly any is."""
    import numpy as np

    fields = np.asarray(image.convert("L").resize((17, 16), 3), dtype=int)  # 3: bicubic
    bits = (fields[:, 1:] - fields[:, :-1] > 2).ravel()
    return int.from_bytes(np.packbits(bits).tobytes(), "big") if bits.sum() >= 8 else None


def jaccard(left: Fingerprint, right: Fingerprint) -> float:
    """Jaccard similarity of the texts; 0 where either has none."""
    import numpy as np

    if not len(left.shingles) or not len(right.shingles):
        return 0.0
    both = len(np.intersect1d(left.shingles, right.shingles, assume_unique=True))
    return both / (len(left.shingles) + len(right.shingles) - both)


def are_duplicates(left: Fingerprint, right: Fingerprint) -> bool:
    """Whether two pages are nearly the same, by their texts, or by their images where the texts do not contradict."""
    similarity = jaccard(left, right)
    if left.image_hash is None or right.image_hash is None:
        return similarity >= TEXT
    look_alike = (left.image_hash ^ right.image_hash).bit_count() <= IMAGE_BITS
    without_text = not len(left.shingles) or not len(right.shingles)
    return similarity >= TEXT or (look_alike and (without_text or similarity >= TEXT_WITH_IMAGE))


def find_candidate_pairs(fingerprints: Mapping[str, Fingerprint]) -> list[tuple[str, str]]:
    """Names of pages that may be nearly the same, each pair once, sorted.

    In a small bucket that is every pair. In a large one, as of 250 copies of one form, a page is held against the first
    of each kind met so far, and joins it or begins a kind.

    Raises:
        ValueError: a page is in no bucket that could be compared; the message names it.
    """
    buckets: dict[tuple[str, int, object], list[str]] = defaultdict(list)
    for name in sorted(fingerprints):
        for key in _bucket_keys(fingerprints[name]):
            buckets[key].append(name)
    pairs: set[tuple[str, str]] = set()
    left_over: set[str] = set()
    compared: set[str] = set()
    for names in buckets.values():
        reached = len(names)
        if 1 < len(names) <= LARGEST_BUCKET:
            pairs.update(combinations(names, 2))
        elif len(names) > LARGEST_BUCKET:
            found, reached = _pair_with_leaders(names, fingerprints)
            pairs.update(found)
        compared.update(names[:reached])
        left_over.update(names[reached:])
    if left_over - compared:
        raise ValueError(min(left_over - compared))
    return sorted(pairs)


def _pair_with_leaders(
    names: Sequence[str], fingerprints: Mapping[str, Fingerprint]
) -> tuple[list[tuple[str, str]], int]:
    """Pairs of a page and the first that it nearly is, and how many of `names` were held against all kinds."""
    leaders: list[str] = []
    pairs = []
    for place, name in enumerate(names):
        leader = next((one for one in leaders if are_duplicates(fingerprints[one], fingerprints[name])), None)
        if leader is not None:
            pairs.append((leader, name))
        elif len(leaders) == LARGEST_BUCKET:
            return pairs, place
        else:
            leaders.append(name)
    return pairs, len(names)


def cluster_documents(fingerprints: Mapping[str, Fingerprint], documents: Mapping[str, str]) -> dict[str, str]:
    """Document -> the first by name of all that are nearly the same, over any number of steps.

    `documents`: page -> its document, for each page of `fingerprints`.
    """
    parents: dict[str, str] = {}

    def find_first(document: str) -> str:
        while document in parents:
            document = parents[document]
        return document

    for one, other in find_candidate_pairs(fingerprints):
        left, right = find_first(documents[one]), find_first(documents[other])
        if left != right and are_duplicates(fingerprints[one], fingerprints[other]):
            parents[max(left, right)] = min(left, right)
    return {document: find_first(document) for document in sorted(set(documents.values()))}


def find_closest_pair(
    fingerprints: Mapping[str, Fingerprint], documents: Mapping[str, str], splits: Mapping[str, str]
) -> ClosestPair | None:
    """The two pages in different splits that are most alike; those that are nearly the same come first."""
    candidates = [
        (are_duplicates(fingerprints[one], fingerprints[other]), jaccard(fingerprints[one], fingerprints[other]),
         one, other)
        for one, other in find_candidate_pairs(fingerprints)
        if splits[documents[one]] != splits[documents[other]]
    ]  # fmt: skip
    if not candidates:
        return None
    duplicates, similarity, one, other = max(candidates)
    return ClosestPair(
        (one, other), round(similarity, 3), (splits[documents[one]], splits[documents[other]]), duplicates
    )


def _bucket_keys(page: Fingerprint) -> Iterator[tuple[str, int, object]]:
    if len(page.shingles):
        minima = _minhash(page.shingles)
        for band in range(BANDS):
            yield "text", band, tuple(minima[band * ROWS : (band + 1) * ROWS])
    if page.image_hash is not None:
        for part in range(16):  # with 8 of 256 bits other, half of the parts are equal
            yield "image", part, page.image_hash >> (16 * part) & 0xFFFF


def _minhash(values: "np.ndarray") -> list[int]:
    import numpy as np

    rng = np.random.default_rng(0)
    factors = rng.integers(0, 2**63, BANDS * ROWS, dtype=np.uint64) | np.uint64(1)
    with np.errstate(over="ignore"):
        return [int((values * factor >> np.uint64(16)).min()) for factor in factors]

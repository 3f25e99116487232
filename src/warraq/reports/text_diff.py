"""A reference and an answer -> which words of each the other does not have at that place.

Texts are compared as they are scored, so that a word that differs in invisible marks alone is none. A mark is
`[first word, number of words]`, or `[word, lengths]` for one word that is alike and not the same: the lengths of its
pieces in code points, in turn equal and different, the first equal. A word is what stands between white space.
"""

import re
from functools import lru_cache

from warraq.metrics.arabic import normalize

Marks = list[tuple[int, int | list[int]]]
"""The marked words of a text, in its order."""
LONG_WORD = 200  # characters; a longer word is marked whole
_WORD = re.compile(r"\S+")
_normalize_word = lru_cache(maxsize=100_000)(normalize)


def split_words(text: str) -> list[str]:
    """What stands between white space, a no-break space included."""
    return _WORD.findall(text)


def mark_differences(reference: str, answer: str) -> tuple[Marks, Marks]:
    """The marks of the words that the answer lost or changed, and of those that it has instead or besides."""
    from rapidfuzz.distance import Levenshtein

    left, right = split_words(reference), split_words(answer)
    lost: Marks = []
    added: Marks = []
    for change in Levenshtein.opcodes(list(map(_normalize_word, left)), list(map(_normalize_word, right))):
        if change.tag == "replace":
            for i, j in zip(
                range(change.src_start, change.src_end), range(change.dest_start, change.dest_end), strict=True
            ):
                ours, theirs = compare_letters(left[i], right[j])
                lost.append((i, ours or 1))
                added.append((j, theirs or 1))
        elif change.tag == "delete":
            lost.append((change.src_start, change.src_end - change.src_start))
        elif change.tag == "insert":
            added.append((change.dest_start, change.dest_end - change.dest_start))
    return lost, added


def compare_letters(word: str, other: str) -> tuple[list[int], list[int]]:
    """The lengths of both words' pieces, in turn equal and different; empty where less than half is in common."""
    from rapidfuzz.distance import Levenshtein

    if max(len(word), len(other)) > LONG_WORD or Levenshtein.normalized_similarity(word, other) < 0.5:
        return [], []
    ours, theirs = [0], [0]  # at an even place the piece is equal
    for change in Levenshtein.opcodes(word, other):
        differs = change.tag != "equal"
        for pieces, size in (
            (ours, change.src_end - change.src_start), (theirs, change.dest_end - change.dest_start)
        ):  # fmt: skip
            if differs == len(pieces) % 2:
                pieces.append(0)
            pieces[-1] += size
    return ours, theirs

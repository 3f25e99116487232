"""Text -> what it says over and over. Rules, dots and rows of numbers repeat on honest pages, so they are no loop.

Each size of what is repeated is one pass over the text, so that the time grows with its length alone.
"""

import re
from collections.abc import Iterator, Sequence

LONGEST = 24  # words of what is repeated
LONGEST_UNIT = 40  # characters of what is repeated within one long word
LENGTH = 100  # characters in all, at least: fewer repeats are speech
_TAG = re.compile(r"<[^<>]{0,200}>")


def find_loop(text: str, times: int) -> str | None:
    """The first words, or letters of one long word, that stand `times` times in a row and more."""
    words = _TAG.sub(" ", text).split()
    letters = " ".join(word for word in words if len(word) > LENGTH)
    for units, sizes, joint in ((words, range(1, LONGEST + 1), " "), (letters, range(2, LONGEST_UNIT + 1), "")):
        for size, start, found in _find_repeats(units, sizes, times):
            repeated = joint.join(units[start : start + size])
            if _is_speech(repeated, found):
                return repeated
    return None


def _find_repeats(units: Sequence[str], sizes: range, times: int) -> Iterator[tuple[int, int, int]]:
    """How many units stand `times` times in a row and more, where, and how often; no repeat goes over a space."""
    if len(units) < sizes[0] * times:
        return
    import numpy as np

    places = {" ": 0}
    numbers = np.array([places.setdefault(unit, len(places)) for unit in units])
    for size in sizes:
        same = (numbers[size:] == numbers[:-size]) & (numbers[size:] > 0)
        if np.count_nonzero(same) < (times - 1) * size:  # as on nearly every page; the rest takes longer
            continue
        edges = np.flatnonzero(np.diff(same, prepend=False, append=False)).reshape(-1, 2)
        for start, end in edges[edges[:, 1] - edges[:, 0] >= (times - 1) * size].tolist():
            yield size, start, (end - start) // size + 1


def _is_speech(repeated: str, times: int) -> bool:
    return len(repeated) * times >= LENGTH and len({letter for letter in repeated if letter.isalpha()}) >= 3

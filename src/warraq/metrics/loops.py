"""Text -> what it says over and over. Rules, dots and rows of numbers repeat on honest pages, so they are no loop."""

import re

LONGEST = 24  # words of what is repeated
LENGTH = 100  # characters in all, at least: fewer repeats are speech
_TAG = re.compile(r"<[^<>]{0,200}>")


def find_loop(text: str, times: int) -> str | None:
    """The first words, or letters of one long word, that stand `times` times in a row and more."""
    words = _TAG.sub(" ", text).split()
    for size in range(1, LONGEST + 1):
        run = 0
        for at, (one, other) in enumerate(zip(words, words[size:], strict=False)):
            run = run + 1 if one == other else 0
            if run >= (times - 1) * size and run % size == 0:
                repeated = " ".join(words[at - size + 1 : at + 1])
                if _is_speech(repeated, run // size + 1):
                    return repeated
    for word in words:
        match = re.search(rf"(.{{2,40}}?)\1{{{times - 1},}}", word) if len(word) > LENGTH else None
        if match and _is_speech(match[1], len(match[0]) // len(match[1])):
            return match[1]
    return None


def _is_speech(repeated: str, times: int) -> bool:
    return len(repeated) * times >= LENGTH and len({letter for letter in repeated if letter.isalpha()}) >= 3

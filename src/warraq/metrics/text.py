"""Character and word errors of a text against its reference."""

import re
import unicodedata
from dataclasses import dataclass

_INVISIBLE = re.compile("[\u200b-\u200f\u061c\u2060\ufeff\u00ad\u0640\u202a-\u202e\u2066-\u2069]+")
_LOOSE_MARK = re.compile(" (?=[\u064b-\u065f\u0670])")
_BASMALA = "\ufdfd", "بسم الله الرحمن الرحيم"  # NFKC spells out every other word ligature, U+FDFA for one
_RAISED = re.compile("([\u00b2\u00b3\u00b9\u00bc-\u00be\u2070\u2074-\u2079\u2080-\u2089\u2150-\u215f\u2189])")


@dataclass(frozen=True)
class Edits:
    """One optimal alignment: units substituted, inserted, deleted, and the reference's length in the same units."""

    substitutions: int = 0
    insertions: int = 0
    deletions: int = 0
    reference: int = 0

    def __add__(self, other: "Edits") -> "Edits":
        return Edits(
            self.substitutions + other.substitutions,
            self.insertions + other.insertions,
            self.deletions + other.deletions,
            self.reference + other.reference,
        )

    @property
    def errors(self) -> int:
        return self.substitutions + self.insertions + self.deletions


def encoded(text: str) -> str:
    """Normalisation level 1, "encoding": NFKC, no bidi or format marks, no tatweel, one space for any white space.

    Nothing that changes what a reader reads. Raised, lowered and fraction digits are kept from NFKC, which would make
    52 of 5². NFKC writes the isolated tanwin U+FE70 as a space and a mark; the space goes.
    """
    parts = _RAISED.split(text.replace(*_BASMALA))
    parts[::2] = [unicodedata.normalize("NFKC", part) for part in parts[::2]]
    text = " ".join(_INVISIBLE.sub("", "".join(parts)).split())
    return unicodedata.normalize("NFC", _LOOSE_MARK.sub("", text))


def _edits(reference: str | list[str], text: str | list[str]) -> Edits:
    from rapidfuzz.distance import Levenshtein

    counts = {"replace": 0, "insert": 0, "delete": 0}
    for operation in Levenshtein.editops(reference, text):
        counts[operation.tag] += 1
    return Edits(counts["replace"], counts["insert"], counts["delete"], len(reference))


def characters(reference: str, text: str) -> Edits:
    """Character edits at level 1, in code points. CER = errors / reference, summed over pages; it may exceed 1."""
    return _edits(encoded(reference), encoded(text))


def words(reference: str, text: str) -> Edits:
    """Word edits at level 1, words split at white space."""
    return _edits(encoded(reference).split(), encoded(text).split())

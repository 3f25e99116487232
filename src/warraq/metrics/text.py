"""Character and word errors of a text against its reference."""

import re
import unicodedata
from dataclasses import dataclass

from rapidfuzz.distance import Levenshtein

_INVISIBLE = dict.fromkeys(
    [0x200B, 0x200C, 0x200D, 0x200E, 0x200F, 0x061C, 0x2060, 0xFEFF, 0x00AD, 0x0640, *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
)  # fmt: skip


@dataclass(frozen=True)
class Edits:
    """One optimal alignment: units substituted, inserted, deleted, and the reference's length in the same units."""

    substitutions: int
    insertions: int
    deletions: int
    reference: int

    @property
    def errors(self) -> int:
        return self.substitutions + self.insertions + self.deletions


def encoded(text: str) -> str:
    """Normalisation level 1, "encoding": NFKC, no bidi or format marks, no tatweel, one space for any white space.

    Nothing that a reader can see changes. NFKC writes the isolated tanwin U+FE70 as a space and a mark; the space goes.
    """
    text = unicodedata.normalize("NFKC", text).translate(_INVISIBLE)
    text = re.sub(r"\s+(?=[\u064b-\u065f\u0670])", "", text)
    return re.sub(r"\s+", " ", unicodedata.normalize("NFC", text)).strip()


def _edits(reference: str | list[str], text: str | list[str]) -> Edits:
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

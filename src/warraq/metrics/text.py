"""A text against its reference: what was lost, changed and added, at four levels of normalisation.

Every score is a numerator and a denominator to be summed, so that documents can be drawn (metrics/statistics.py). Rates
of errors are by the reference's length and may pass 1.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from warraq.metrics.arabic import (
    LEVELS,
    fold_letters,
    normalize,
    normalize_unicode,
    split_diacritics,
    strip_diacritics,
)
from warraq.metrics.catalogue import ScoreSums

DECILES = 10
LONG_RUN = 15  # characters of a run of added words from which on it is more than noise
_FAMILIES = ("ىي", "ةه", "أإآٱا", "ؤو", "ئي")  # letters that a mender of spelling puts for each other
_FAMILY_LETTERS = frozenset("".join(_FAMILIES))


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
        """Edits of all three kinds."""
        return self.substitutions + self.insertions + self.deletions


def _count_edits(reference: Sequence[str], text: Sequence[str]) -> Edits:
    from rapidfuzz.distance import Levenshtein

    counts = {"replace": 0, "insert": 0, "delete": 0}
    for operation in Levenshtein.editops(reference, text):
        counts[operation.tag] += 1
    return Edits(counts["replace"], counts["insert"], counts["delete"], len(reference))


def count_character_edits(reference: str, text: str) -> Edits:
    """Character edits at level 1, in code points. CER = errors / reference, summed over pages."""
    return _count_edits(normalize(reference), normalize(text))


def count_word_edits(reference: str, text: str) -> Edits:
    """Word edits at level 1, words split at white space."""
    return _count_edits(normalize(reference).split(), normalize(text).split())


def score_text(reference: str, text: str) -> ScoreSums:
    """Numerator and denominator of each score of one page."""
    from rapidfuzz.distance import Levenshtein

    sums: ScoreSums = {}
    for level, normal in zip(LEVELS, (normalize_unicode, normalize, strip_diacritics, fold_letters), strict=True):
        name = "" if level == "encoded" else f"_{level}"
        left, right = normal(reference), normal(text)
        sums[f"cer{name}"] = Levenshtein.distance(left, right), len(left)
        sums[f"wer{name}"] = Levenshtein.distance(left.split(), right.split()), len(left.split())
    left, right = normalize(reference), normalize(text)
    edits = _count_edits(left, right)
    sums["insertion_rate"] = edits.insertions, edits.reference
    sums["deletion_rate"] = edits.deletions, edits.reference
    sums["substitution_rate"] = edits.substitutions, edits.reference
    sums["silent_correction_rate"] = count_silent_corrections(left, right)
    sums["diacritic_error_rate"] = count_diacritic_errors(left, right)
    sums |= compare_word_bags(left.split(), right.split())
    runs = find_added_runs(left.split(), right.split())
    sums["added_run_rate"] = sum(map(len, runs)), edits.reference
    sums["added_run_page_share"] = bool(runs), 1
    sums["chrf"] = chrf(left, right), 1
    return sums


def count_confusions(reference: str, text: str) -> Counter[tuple[str, str]]:
    """What was read for what at level 1; '' stands for nothing: a letter lost, or added."""
    from rapidfuzz.distance import Levenshtein

    left, right = normalize(reference), normalize(text)
    counts: Counter[tuple[str, str]] = Counter()
    for change in Levenshtein.editops(left, right):
        letter = "" if change.tag == "insert" else left[change.src_pos]
        counts[letter, "" if change.tag == "delete" else right[change.dest_pos]] += 1
    return counts


def count_silent_corrections(left: str, right: str) -> tuple[int, int]:
    """Letters of ى/ي, ة/ه, أ/إ/آ/ا and the like for which another of their kind was written, and their number."""
    from rapidfuzz.distance import Levenshtein

    changed = sum(
        any(left[change.src_pos] in family and right[change.dest_pos] in family for family in _FAMILIES)
        for change in Levenshtein.editops(left, right)
        if change.tag == "replace"
    )
    return changed, sum(letter in _FAMILY_LETTERS for letter in left)


def count_diacritic_errors(left: str, right: str) -> tuple[int, int]:
    """Of the letters that both have and either bears marks: how many bear others. Blind to letters lost or changed."""
    from rapidfuzz.distance import Levenshtein

    ours, theirs = split_diacritics(left), split_diacritics(right)
    if all(not above for _, above in (*ours, *theirs)):
        return 0, 0
    wrong = bearing = 0
    for block in Levenshtein.opcodes([letter for letter, _ in ours], [letter for letter, _ in theirs]):
        if block.tag == "equal":
            pairs = zip(ours[block.src_start : block.src_end], theirs[block.dest_start : block.dest_end], strict=True)
            for (_, above), (_, other) in pairs:
                bearing += bool(above or other)
                wrong += above != other
    return wrong, bearing


def compare_word_bags(left: list[str], right: list[str]) -> ScoreSums:
    """Words found and added whatever their order: tells a wrong reading order from a wrong reading."""
    ours, theirs = Counter(left), Counter(right)
    return {
        "words_found": ((ours & theirs).total(), len(left)),
        "words_added": ((theirs - ours).total(), len(left)),
    }


def find_added_runs(left: list[str], right: list[str]) -> list[str]:
    """Runs of added words, nothing of which stands there on the page, of at least LONG_RUN characters."""
    from rapidfuzz.distance import Levenshtein

    changes = Levenshtein.opcodes(left, right)
    runs = (" ".join(right[one.dest_start : one.dest_end]) for one in changes if one.tag == "insert")
    return [run for run in runs if len(run) >= LONG_RUN]


def chrf(left: str, right: str, orders: int = 6, beta: float = 2) -> float:
    """Character n-gram F-score of one page, 0 to 1 (Popović 2015, WMT; spaces left out, as in sacrebleu)."""
    left, right = left.replace(" ", ""), right.replace(" ", "")
    precisions, recalls = [], []
    for order in range(1, orders + 1):
        ours, theirs = _count_ngrams(left, order), _count_ngrams(right, order)
        if ours and theirs:
            both = (ours & theirs).total()
            precisions.append(both / theirs.total())
            recalls.append(both / ours.total())
    if not precisions:
        return float(not left and not right)
    precision, recall = sum(precisions) / len(precisions), sum(recalls) / len(recalls)
    below = beta**2 * precision + recall
    return (1 + beta**2) * precision * recall / below if below else 0.0


def _count_ngrams(text: str, order: int) -> Counter[str]:
    return Counter(map("".join, zip(*(islice(text, start, None) for start in range(order)), strict=False)))


def count_edits_by_place(reference: str, text: str) -> list[tuple[int, int, int]]:
    """Characters lost or changed, characters added, and the reference's, in each tenth of it from its beginning."""
    from rapidfuzz.distance import Levenshtein

    left, right = normalize(reference), normalize(text)
    tenths = [place * DECILES // len(left) for place in range(len(left))]
    changes = Levenshtein.editops(left, right)
    missed = Counter(tenths[change.src_pos] for change in changes if change.tag != "insert")
    added = Counter(tenths[min(change.src_pos, len(left) - 1)] for change in changes if change.tag == "insert" and left)
    sizes = Counter(tenths)
    return [(missed[tenth], added[tenth], sizes[tenth]) for tenth in range(DECILES)]

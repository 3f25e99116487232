"""A text against its reference: what was lost, changed and added, at four levels of normalisation.

Every score is a numerator and a denominator to be summed, so that documents can be drawn (metrics/statistics.py). Rates
of errors are by the reference's length and may pass 1.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence, Sized
from dataclasses import dataclass
from itertools import groupby, islice

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
ALIGNABLE = 2 * 10**9  # the largest product of two lengths that is aligned: some 45,000 characters each, in 0.1 s
ALIKE = 0.4  # similarity of two runs of words below which the one is no misreading of the other
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

    counts = Counter(operation.tag for operation in Levenshtein.editops(reference, text))
    return Edits(counts["replace"], counts["insert"], counts["delete"], len(reference))


def count_character_edits(reference: str, text: str) -> Edits:
    """Character edits at level 1, in code points. CER = errors / reference, summed over pages."""
    edits = Edits()
    for left, right in cut_texts(normalize(reference), normalize(text)):
        edits += _count_edits(left, right) if is_alignable(left, right) else Edits(0, len(right), len(left), len(left))
    return edits


def is_alignable(left: Sized, right: Sized) -> bool:
    """Whether two texts are equal or short enough to be aligned, which takes the product of their lengths."""
    return left == right or len(left) * len(right) <= ALIGNABLE


def cut_texts(left: str, right: str) -> list[tuple[str, str]]:
    """Two normalised texts in pieces that are aligned apart; one piece each where that is feasible.

    They are cut after words that stand once in both, of which as many are taken as have the same order in both
    (patience diff). A piece may still be too long: such a one has no common word that would tell its parts, and counts
    as lost and added as a whole.
    """
    if is_alignable(left, right):
        return [(left, right)]
    ours, theirs = _find_single_words(left), _find_single_words(right)
    anchors = _find_longest_rise(sorted((ours[word], theirs[word]) for word in ours.keys() & theirs.keys()))
    pieces, start, other_start = [], 0, 0
    for end, other_end in [*anchors, (len(left), len(right))]:
        pieces.append((left[start:end], right[other_start:other_end]))
        start, other_start = end, other_end
    return pieces


def _find_single_words(text: str) -> dict[str, int]:
    """The words that stand once in a text, with the place of their end."""
    ends: dict[str, int] = {}
    end = -1
    for word in text.split(" "):
        end += 1 + len(word)
        ends[word] = -1 if word in ends else end
    return {word: end for word, end in ends.items() if end >= 0}


def _find_longest_rise(pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The longest subsequence of pairs, sorted by the first, whose second rises too (patience sorting)."""
    tops: list[int] = []
    piles: list[int] = []
    previous: list[int] = []
    for index, (_, second) in enumerate(pairs):
        pile = bisect_left(tops, second)
        tops[pile : pile + 1], piles[pile : pile + 1] = [second], [index]
        previous.append(piles[pile - 1] if pile else -1)
    rise, index = [], piles[-1] if piles else -1
    while index >= 0:
        rise.append(pairs[index])
        index = previous[index]
    return rise[::-1]


def measure_distance(left: str, right: str) -> tuple[int, int]:
    """Edits between two normalised texts, in characters and in words (Levenshtein)."""
    from rapidfuzz.distance import Levenshtein

    characters = words = 0
    for one, other in cut_texts(left, right):
        ours, theirs = one.split(), other.split()
        if is_alignable(one, other):
            characters += Levenshtein.distance(one, other)
            words += Levenshtein.distance(ours, theirs)
        else:
            characters += max(len(one), len(other))
            words += max(len(ours), len(theirs))
    return characters, words


def score_text(reference: str, text: str) -> ScoreSums:
    """Numerator and denominator of each score of one page."""
    sums: ScoreSums = {}
    for level, normal in zip(LEVELS, (normalize_unicode, normalize, strip_diacritics, fold_letters), strict=True):
        name = "" if level == "encoded" else f"_{level}"
        left, right = normal(reference), normal(text)
        characters, words = measure_distance(left, right)
        sums[f"cer{name}"], sums[f"wer{name}"] = (characters, len(left)), (words, len(left.split()))
    left, right = normalize(reference), normalize(text)
    replaced, edits = compare_runs(left, right)
    sums["insertion_rate"] = edits.insertions, len(left)
    sums["deletion_rate"] = edits.deletions, len(left)
    sums["substitution_rate"] = edits.substitutions, len(left)
    sums["silent_correction_rate"] = count_silent_corrections(left, right)
    sums["diacritic_error_rate"] = count_diacritic_errors(left, right)
    sums |= compare_word_bags(left.split(), right.split())
    sums["added_run_rate"] = sum(map(len, replaced)), len(left)
    sums["added_run_page_share"] = bool(replaced), 1
    sums["chrf"] = chrf(left, right), 1
    return sums


def compare_runs(left: str, right: str) -> tuple[list[str], Edits]:
    """Runs of words that were put in, and the edits of two normalised texts by their direction.

    Where LONG_RUN or more characters of words were replaced by words that do not resemble them, all of the one is lost
    and all of the other added: in a plain alignment an invented paragraph in place of a printed one is neither.
    """
    from rapidfuzz.distance import Levenshtein

    runs, edits = [], Edits()
    for one, other in cut_texts(left, right):
        if not is_alignable(one, other):
            runs.append(other)
            edits += Edits(0, len(other), len(one), 0)
            continue
        edits += _count_edits(one, other)
        ours, theirs = one.split(" "), other.split(" ")
        for equal, group in groupby(Levenshtein.opcodes(ours, theirs), key=lambda change: change.tag == "equal"):
            blocks = list(group)
            lost = " ".join(ours[blocks[0].src_start : blocks[-1].src_end])
            added = " ".join(theirs[blocks[0].dest_start : blocks[-1].dest_end])
            if (
                equal
                or max(len(lost), len(added)) < LONG_RUN
                or Levenshtein.normalized_similarity(lost, added) >= ALIKE
            ):
                continue
            apart = _count_edits(lost, added)
            kept = min(apart.substitutions, edits.substitutions)  # counted as changed so far, and now as both
            edits += Edits(-kept, kept, kept, 0)
            runs += [added] if len(added) >= LONG_RUN else []
    return runs, edits


def list_edits(left: str, right: str) -> Iterator[tuple[str, int, str, str]]:
    """The character edits between two normalised texts: tag, place in `left`, and the letters there and here.

    Of pieces too long to be aligned there are none.
    """
    from rapidfuzz.distance import Levenshtein

    start = 0
    for one, other in cut_texts(left, right):
        if is_alignable(one, other):
            for change in Levenshtein.editops(one, other):
                letter = "" if change.tag == "insert" else one[change.src_pos]
                written = "" if change.tag == "delete" else other[change.dest_pos]
                yield change.tag, start + change.src_pos, letter, written
        start += len(one)


def count_confusions(reference: str, text: str) -> Counter[tuple[str, str]]:
    """What was read for what at level 1; '' stands for nothing: a letter lost, or added."""
    edits = list_edits(normalize(reference), normalize(text))
    return Counter((letter, written) for _, _, letter, written in edits)


def count_silent_corrections(left: str, right: str) -> tuple[int, int]:
    """Letters of ى/ي, ة/ه, أ/إ/آ/ا and the like for which another of their kind was written, and their number."""
    changed = sum(
        any(letter in family and written in family for family in _FAMILIES)
        for tag, _, letter, written in list_edits(left, right)
        if tag == "replace"
    )
    return changed, sum(letter in _FAMILY_LETTERS for letter in left)


def count_diacritic_errors(left: str, right: str) -> tuple[int, int]:
    """Of the letters that both have and either bears marks: how many bear others. Blind to letters lost or changed."""
    from rapidfuzz.distance import Levenshtein

    ours, theirs = split_diacritics(left), split_diacritics(right)
    if all(not above for _, above in (*ours, *theirs)) or not is_alignable(ours, theirs):
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
    """Words found and added whatever their order: tells a wrong reading order from a wrong reading.

    `words_true` is the share of the written words that stand on the page, of each page as one. Silence about a page
    with words has 0, as has a word about a page without any, so that neither wins by saying nothing.
    """
    both = (Counter(left) & Counter(right)).total()
    return {
        "words_found": (both, len(left)),
        "words_added": (len(right) - both, len(left)),
        "words_true": (both / len(right) if right else float(not left), 1),
    }


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
    left, right = normalize(reference), normalize(text)
    tenths = [place * DECILES // len(left) for place in range(len(left))]
    missed, added = Counter[int](), Counter[int]()
    for tag, place, _, _ in list_edits(left, right) if left else ():
        (added if tag == "insert" else missed)[tenths[min(place, len(left) - 1)]] += 1
    sizes = Counter(tenths)
    return [(missed[tenth], added[tenth], sizes[tenth]) for tenth in range(DECILES)]

"""What a model writes that does not stand on the page, one score a complaint.

Foreign letters, facts made up or lost, endless loops, an end that is cut off, words on a blank page, talk about the
task. All need the reference only to know what is on the page, so that none of them depends on an alignment.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from functools import cache

from warraq.metrics.arabic import normalize, unify_signs
from warraq.metrics.catalogue import ScoreSums
from warraq.metrics.loops import find_loop
from warraq.metrics.values import join_telephones, split_number
from warraq.records import Planted

BLANK = 10  # letters and digits that a blank page may have before they count as made up (olmOCR-bench, BaselineTest)
_TIMES = 5  # in a row, at least: a text that goes in circles
_GRAM, _EXCESS, _SHORT = 10, 0.2, 100  # characters, share, characters: a text that repeats itself
_SCRIPTS = (
    "Arab", "Latn", "Hani", "Hira", "Kana", "Hang", "Cyrl", "Grek", "Hebr", "Deva", "Beng", "Thai", "Syrc", "Armn",
    "Geor", "Ethi", "Taml", "Telu", "Gujr", "Guru", "Mlym", "Knda", "Thaa", "Mong", "Tibt", "Khmr", "Mymr", "Laoo",
)  # fmt: skip
_FACT = re.compile(
    r"(?P<mail>(?<![\w.+-])[\w.+-]++@[\w-]++(?:\.[\w-]++)++)|(?P<web>(?:https?://|www\.)[^\s<>\"]++)|"
    r"(?P<number>(?:(?<![\w)-])-(?=\d))?+\d++(?:[.,،/:٫٬-]\d++)*+)"
)
_LONGEST_FACT = 100  # characters of a fact that may be nearly right; a longer one differs in more than one
_TALK = re.compile(
    r"```|\b(?:here is|here's|below is|sure[,!]|certainly[,!]|the (?:image|document|page) (?:shows|contains|appears)|"
    r"i (?:cannot|can't|am unable)|i'm sorry|as an ai|let me know)\b|"
    r"(?:الصورة|الوثيقة|الصفحة|المستند) (?:تحتوي|يحتوي|تظهر|يظهر|تعرض)|إليك (?:النص|محتوى)|فيما يلي (?:النص|محتوى)|"
    r"لا (?:أستطيع|يمكنني)|بصفتي نموذج",
    re.IGNORECASE,
)


def score_faithfulness(reference: str, text: str) -> ScoreSums:
    """Numerator and denominator of each score of one page's running text."""
    left, right = normalize(reference), normalize(text)
    ours, theirs = count_facts(left), count_facts(right)
    both = (ours & theirs).total()
    blank = not any(character.isalnum() for character in left)
    written = sum(character.isalnum() for character in right)
    return {
        "fact_precision": (both, theirs.total()),
        "fact_recall": (both, ours.total()),
        "fact_near_miss_share": (count_near_misses(ours, theirs), ours.total()),
        "lost_end_share": (has_lost_end(left.split(), right.split()), not blank),
        "blank_page_invention_share": (written > BLANK, 1) if blank else (0, 0),
    }


@cache
def find_scripts(character: str) -> frozenset[str]:
    """The scripts that a character is used in (Unicode script extensions); empty for what belongs to all."""
    import regex

    if regex.match(r"[\p{scx=Zyyy}\p{scx=Zinh}]", character):
        return frozenset()
    return frozenset(name for name in _SCRIPTS if regex.match(rf"\p{{scx={name}}}", character)) or frozenset({"Zzzz"})


def count_foreign_letters(left: str, right: str) -> Counter[str]:
    """Characters of scripts that the reference does not use at all; Latin is at home everywhere."""
    scripts = frozenset({"Latn"}).union(*map(find_scripts, set(left)))
    foreign = {sign for sign in set(right) if find_scripts(sign) and not find_scripts(sign) & scripts}
    return Counter(character for character in right if character in foreign)


def count_facts(text: str) -> Counter[str]:
    """Numbers, dates, addresses of mail and web: what must never be nearly right.

    One fact is one text, in whichever digits, decimal signs and dashes: numbers stand without the signs of thousands,
    telephone numbers without spaces, a web address without the stop of its sentence.
    """
    plain = join_telephones(unify_signs(text))
    return Counter(map(_spell_fact, _FACT.finditer(plain)))


def _spell_fact(match: re.Match[str]) -> str:
    if match["web"]:
        return match[0].rstrip(".,،;:؛!?؟'»)" if "(" not in match[0] else ".,،;:؛!?؟'»")
    if match["number"]:
        sign = "-" if match[0].startswith("-") else ""
        number = match[0].removeprefix("-").replace("،", ",")
        digits = split_number(number)
        return sign + (".".join(filter(None, digits)) if digits else number)
    return match[0]


def count_near_misses(ours: Counter[str], theirs: Counter[str]) -> int:
    """Invented facts that are one character from a lost one, each lost one counted once.

    They meet in what is left of either without one character, so that not every two are compared.
    """
    lost, invented = ours - theirs, theirs - ours
    meetings: dict[int, list[str]] = defaultdict(list)
    for fact in lost:
        for meeting in _list_meetings(fact, "longer", "shorter"):
            meetings[meeting].append(fact)
    count = 0
    for fact, left in invented.items():
        for meeting in _list_meetings(fact, "shorter", "longer"):
            candidates = meetings.get(meeting, [])
            while left and candidates:
                taken = min(left, lost[candidates[-1]])
                lost[candidates[-1]] -= taken
                left, count = left - taken, count + taken
                if not lost[candidates[-1]]:
                    candidates.pop()
    return count


def _list_meetings(fact: str, as_longer: str, as_shorter: str) -> Iterator[int]:
    """Hashes in which a fact meets those one character apart, of its own length, shorter and longer."""
    if len(fact) > _LONGEST_FACT:
        return
    yield hash((as_shorter, fact))
    for place in range(len(fact)):
        rest = fact[:place] + fact[place + 1 :]
        yield hash((place, rest))
        yield hash((as_longer, rest))


def is_repetitive(text: str) -> bool:
    """Whether a text says the same words over and over in a row."""
    return find_loop(text, _TIMES) is not None


def has_added_loop(left: str, right: str) -> bool:
    """Whether a text says the same over and over, or repeats itself far more than the reference does."""
    return (is_repetitive(right) and not is_repetitive(left)) or _measure_repetition(right) > _measure_repetition(
        left
    ) + _EXCESS


def _measure_repetition(text: str) -> float:
    """The share of runs of _GRAM characters that were there before."""
    grams = [text[start : start + _GRAM] for start in range(len(text) - _GRAM + 1)]
    return 1 - len(set(grams)) / len(grams) if len(text) >= _SHORT else 0.0


def has_lost_end(left: list[str], right: list[str]) -> bool:
    """Whether of the last tenth of the words less than a fifth is found, though of those before it at least half is."""
    size = max(1, len(left) // 10)
    counts = Counter(right)

    def measure_recall(words: list[str]) -> float:
        return (Counter(words) & counts).total() / len(words) if words else 1.0

    return len(left) >= 20 and measure_recall(left[-size:]) < 0.2 and measure_recall(left[:-size]) >= 0.5


def has_talk(reference: str, raw: str) -> bool:
    """Whether a raw answer speaks about the task or wraps itself up, in words that are not on the page."""
    printed = reference.lower()
    return any(talk not in printed for talk in {match[0].lower() for match in _TALK.finditer(raw)})


def score_planted_errors(planted: Sequence[Planted], text: str) -> ScoreSums:
    """Of the errors planted on a page, the shares copied as printed and fixed; the rest became something else."""
    written = normalize(text)

    def has_words(words: str) -> bool:
        return re.search(rf"(?<!\w){re.escape(normalize(words))}(?!\w)", written) is not None

    copied = [has_words(one.printed) for one in planted]
    fixed = [not copy and has_words(one.mended) for one, copy in zip(planted, copied, strict=True)]
    return {"planted_copied_share": (sum(copied), len(planted)), "planted_fixed_share": (sum(fixed), len(planted))}

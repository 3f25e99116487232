"""When two printed values say the same: amounts as decimals, dates as day, month and year, texts without diacritics.

Nothing is guessed: what does not read as its kind is compared as printed, with digits in ASCII. A currency's sign is
its name (€, يورو) and an abbreviation its words (ر.س), but an abbreviation of the other script (SR) is another text.
"""

import math
import re
import unicodedata
from decimal import Decimal
from functools import lru_cache
from typing import Literal

from warraq.metrics.arabic import normalize, strip_diacritics, unify_signs
from warraq.metrics.dates import find_weekdays, parse_dates

Kind = Literal["exact", "text", "amount", "date"]
"""exact: identifiers and choices, letter for letter but for the digits' script. text: free text."""

LONGEST = 200  # characters of an amount; what is longer is a text
_SMALL_ALEF = "\u0670"
_SEPARATORS = str.maketrans("٫٬", ".,")
_AROUND_SLASH = re.compile(r"(?<=\w) ?/ ?(?=\w)|(?<=\w) - (?=\w)")
_PHONE = re.compile(r"(?<![\w+])(?:\+[1-9](?:[ ()-]{0,2}\d){6,14}|0\d{1,4}(?: \d{2,4}){2,4}|0\d{1,3} \d{6,8})(?!\w)")
_GROUPS = re.compile(
    r"\d{3}(?: \d{3}){3,}|\d{4}(?: \d{4}){2,} \d{1,4}|[A-Z]{2}\d{2}(?: [A-Z0-9]{4}){2,7}(?: [A-Z0-9]{1,4})?"
)  # numbers of taxes, cards and accounts (IBAN)
_TURNED_PHONE = re.compile(r"(\d[\d ()-]{6,23})\+")

_NUMERAL = re.compile(
    r"(?P<whole>\d{1,9}(?: ?(?=[¼-¾⅐-⅞])| (?=\d{1,2}/\d)))?"
    r"(?:(?P<sign>[¼-¾⅐-⅞])|(?<![\d.,/])(?P<upper>\d{1,2})/(?P<lower>\d{1,3})(?![\d/]|[.,]\d))"
    r"|\d+(?:[.,٫٬'’ ]\d+)*|(?<![\w.,])[.,٫]\d+(?![.,]?\d)"
)
_NUMBERS = tuple(
    re.compile(pattern)
    for pattern in (
        r"(\d*)(?:[.٫](\d+))?",  # 1.250 is 1.25: dinars have three decimals
        r"([1-9]\d{0,2}(?:[,٬]\d{3})+|[1-9]\d?(?:,\d{2})+,\d{3})(?:[.٫](\d+))?",  # thousands; lakhs and crores
        r"([1-9]\d{0,2}(?: \d{3})+|[1-9]\d{0,2}(?:['’]\d{3})+|[1-9]\d{0,2}(?:٬\d{3})+)(?:[.,٫](\d+))?",
        r"([1-9]\d{0,2}(?:\.\d{3})+),(\d+)",
        r"([1-9]\d{0,2}(?:\.\d{3}){2,})()",
        r"(0?|[1-9]\d*),(\d+)",
    )
)
_CURRENCY = r"(?:[A-Z]{2,3}|[%‰€$£¥])?"
_BRACKETS = re.compile(rf"({_CURRENCY}) ?\(([^()]*)\) ?({_CURRENCY})")  # an accountant's minus
_HERE = "\0"  # stands for the number
_MINUS = re.compile(rf"^-(?= ?[^\d-]*{_HERE})|(?<![\w-])- ?(?={_HERE})|(?<={_HERE})-(?![\w-])|(?<=[\w %‰$€])-$")
_PLUS = re.compile(rf"(?<![\w+])\+ ?(?={_HERE})|^\+(?=[^\d+]*{_HERE})")
_UNITS = {
    name: unit
    for unit, names in {
        "%": "بالمئة بالمائة فيالمئة فيالمائة percent",
        "‰": "بالألف فيالألف",
        "€": "يورو euro euros Euro EUR",
        "$": "دولار dollar dollars",
        "US$": "USD",
        "₪": "شيكل شيقل ILS NIS",
        "ريال سعودي": "رس \u20c1",
        "ريال قطري": "رق",
        "ريال عماني": "رع",
        "ريال يمني": "ري",
        "درهم إماراتي": "دإ",
        "درهم مغربي": "دم",
        "دينار كويتي": "دك",
        "دينار بحريني": "دب",
        "دينار أردني": "دأ",
        "دينار عراقي": "دع",
        "دينار ليبي": "دل",
        "دينار تونسي": "دت",
        "دينار جزائري": "دج",
        "جنيه مصري": "جم",
        "ليرة لبنانية": "لل",
        "ليرة سورية": "لس",
    }.items()
    for name in names.split()
}  # without dots and spaces: ر.س and ر. س.


def is_equal(kind: Kind, left: str, right: str) -> bool:
    """Whether two texts say the same value."""
    if canonicalize(kind, left) == canonicalize(kind, right):
        return kind != "date" or len(find_weekdays(left) | find_weekdays(right)) < 2
    return kind == "text" and _SMALL_ALEF in left + right and _have_same_words(left, right)


@lru_cache(maxsize=512)  # each item of a list is compared with each
def canonicalize(kind: Kind, text: str) -> object:
    """A value by which equal ones are equal, but for a text's small alefs and a date's weekday; hashable."""
    found: object = None
    if kind == "amount":
        found = parse_amount(text) or split_amount(text)
    elif kind == "date":
        found = parse_dates(text)
    elif kind == "text":
        return canonicalize_text(text)
    return found or canonicalize_identifier(text)


def _have_same_words(left: str, right: str) -> bool:
    """A small alef above is either left out or written as a letter, word by word."""
    ours, theirs = map(_list_spellings, (left, right))
    return len(ours) == len(theirs) and all(map(set.intersection, ours, theirs))


def _list_spellings(text: str) -> list[set[str]]:
    spelled = normalize(text).replace(_SMALL_ALEF, "ا")
    return list(map(set, zip(canonicalize_text(text).split(), canonicalize_text(spelled).split(), strict=False)))


def canonicalize_identifier(text: str) -> str:
    """Letter for letter; digits, dashes and slashes in ASCII, a telephone or account number without its spaces."""
    plain = _AROUND_SLASH.sub(lambda sign: sign[0].strip(), unify_signs(text).translate(_SEPARATORS))
    if turned := _TURNED_PHONE.fullmatch(plain):  # as a line from right to left shows it
        plain = "+" + turned[1]
    return plain.replace(" ", "") if _GROUPS.fullmatch(plain) else join_telephones(plain)


def canonicalize_text(text: str) -> str:
    """As an identifier, without diacritics."""
    return strip_diacritics(canonicalize_identifier(text)).replace("ٱ", "ا")


def join_telephones(text: str) -> str:
    """A text with its telephone numbers in one piece each."""
    return _PHONE.sub(lambda number: re.sub("[^+0-9]", "", number[0]), text)


def split_number(text: str) -> tuple[str, str] | None:
    """The digits before and after the decimal sign; None where a text is no number, or its grouping says nothing sure.

    Thousands are groups of three behind one sign, before a decimal sign that is another: 1,250 is a thousand, 1.250 is
    not, 1.234.567 and 1.250,00 are. Nothing that begins with 0 is grouped.
    """
    found = next(filter(None, (pattern.fullmatch(text) for pattern in _NUMBERS)), None)
    return (re.sub(r"\D", "", found[1]), found[2] or "") if found else None


def parse_amount(text: str) -> tuple[Decimal, str] | None:
    """The number and what stands around it (`SAR`); None if there is not exactly one number.

    Brackets around a number, and a dash on either side, are a minus.
    """
    if len(text) > LONGEST:
        return None
    plain = unify_signs(text).replace("،", ",")
    negative = False
    if bracketed := _BRACKETS.fullmatch(plain):
        plain, negative = " ".join(filter(None, bracketed.group(1, 2, 3))), True
    parts = _split_amount(plain)
    marked = "".join(_HERE if isinstance(part, Decimal) else part for part in parts)
    around, dashes = _MINUS.subn("", marked)
    if marked.count(_HERE) != 1 or any(map(str.isdecimal, marked)) or dashes + negative > 1:
        return None
    number = next(part for part in parts if isinstance(part, Decimal))
    around = " ".join(_PLUS.sub("", around).replace(_HERE, " ").split())
    return -number if dashes or negative else number, _name_unit(around)


def split_amount(text: str) -> tuple[Decimal | str, ...]:
    """The numbers of a text and what stands between them, as in a range; empty for a long text."""
    parts = _split_amount(unify_signs(text).replace("،", ",")) if len(text) <= LONGEST else []
    printed = (part if isinstance(part, Decimal) else " ".join(part.split()) for part in parts)
    return tuple(part for part in printed if part != "")


def _split_amount(text: str) -> list[Decimal | str]:
    parts: list[Decimal | str] = []
    end = 0
    for match in _NUMERAL.finditer(text):
        parts += [text[end : match.start()], *_read_numeral(match)]
        end = match.end()
    return [*parts, text[end:]]


def _read_numeral(match: re.Match[str]) -> list[Decimal | str]:
    upper, lower = match["upper"], match["lower"]
    if match["sign"]:
        upper, lower = unicodedata.normalize("NFKC", match["sign"]).split("⁄")
    if upper is not None:
        if 0 < int(upper) < int(lower) and math.gcd(int(upper), int(lower)) == 1:
            return [Decimal(match["whole"] or 0) + Decimal(upper) / Decimal(lower)]
        return [match[0]]
    pieces = [match[0]] if split_number(match[0]) else match[0].split(" ")
    numbers = [(piece, split_number(piece)) for piece in pieces]
    return [Decimal(".".join((found[0] or "0", found[1]))) if found else piece for piece, found in numbers]


def _name_unit(around: str) -> str:
    bare = around.rstrip(" .")
    return _UNITS.get(re.sub("[. ]", "", strip_diacritics(bare)), bare)


def anls(left: str, right: str) -> float:
    """ANLS of two free texts: 1 - edits / the longer one's length, 0 below a half (Biten et al. 2019, ICCV)."""
    from rapidfuzz.distance import Levenshtein

    one, other = (str(canonicalize("text", text)) for text in (left, right))
    return float(Levenshtein.normalized_similarity(one, other, score_cutoff=0.5))

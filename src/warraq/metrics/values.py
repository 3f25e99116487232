"""When two printed values say the same: amounts as decimals, dates as day, month and year, texts without diacritics.

Nothing is guessed: what does not read as its kind is compared as printed, with digits in ASCII. Calendars are never
converted, because the page prints one of them.
"""

import re
from decimal import Decimal
from typing import Literal

from warraq.metrics.arabic import fold_letters, normalize, strip_diacritics, to_ascii_digits

Kind = Literal["exact", "text", "amount", "date"]
"""exact: identifiers and choices, letter for letter but for the digits' script. text: free text."""

_HIJRI_BEFORE = 1600  # a year below it is of the Hijri calendar, marked or not
_GREGORIAN_MONTHS = (
    ("يناير", "كانون الثاني", "january", "jan"),
    ("فبراير", "شباط", "february", "feb"),
    ("مارس", "اذار", "march", "mar"),
    ("ابريل", "نيسان", "april", "apr"),
    ("مايو", "ايار", "may"),
    ("يونيو", "حزيران", "june", "jun"),
    ("يوليو", "تموز", "july", "jul"),
    ("اغسطس", "اب", "august", "aug"),
    ("سبتمبر", "ايلول", "september", "sept", "sep"),
    ("اكتوبر", "تشرين الاول", "october", "oct"),
    ("نوفمبر", "تشرين الثاني", "november", "nov"),
    ("ديسمبر", "كانون الاول", "december", "dec"),
)
_HIJRI_MONTHS = (
    ("محرم",), ("صفر",), ("ربيع الاول",), ("ربيع الاخر", "ربيع الثاني"), ("جمادي الاولي", "جمادي الاول"),
    ("جمادي الاخره", "جمادي الثانيه"), ("رجب",), ("شعبان",), ("رمضان",), ("شوال",), ("ذو القعده", "ذي القعده"),
    ("ذو الحجه", "ذي الحجه"),
)  # fmt: skip
_NUMBER = re.compile(r"[+-]?\d(?:[\d ]*\d)?(?:[.,٫٬'][\d ]*\d)*")


def is_equal(kind: Kind, left: str, right: str) -> bool:
    """Whether two texts say the same value."""
    return canonicalize(kind, left) == canonicalize(kind, right)


def canonicalize(kind: Kind, text: str) -> object:
    """A value by which equal ones are equal; hashable."""
    if kind == "text":
        return strip_diacritics(text)
    if kind == "amount":
        return parse_amount(text) or to_ascii_digits(normalize(text))
    if kind == "date":
        return parse_date(text) or to_ascii_digits(normalize(text))
    return to_ascii_digits(normalize(text))


def parse_amount(text: str) -> tuple[Decimal, str] | None:
    """The number and what stands around it (`SAR`); None if there is not exactly one number.

    Of `.` and `,` the last one is the decimal sign if it stands once and not before exactly three digits after a comma:
    1,250 is a thousand, 1.250 is not (dinars have three decimals).
    """
    plain = to_ascii_digits(normalize(text))
    numbers = _NUMBER.findall(plain)
    if len(numbers) != 1:
        return None
    number = numbers[0].replace(" ", "").replace("'", "").replace("٬", "").replace("٫", "_")
    if "_" in number:
        number = number.replace(",", "").replace(".", "").replace("_", ".")
    elif "," in number and "." in number:
        last = max(number.rfind(","), number.rfind("."))
        groups = re.split("[,.]", number[:last])
        if not all(len(group) in (2, 3) for group in groups[1:]):
            return None
        number = "".join(groups) + "." + number[last + 1 :]
    elif number.count(",") == 1 and not re.search(r",\d{3}$", number):
        number = number.replace(",", ".")
    elif number.count(".") > 1:
        number = number.replace(".", "")
    else:
        number = number.replace(",", "")
    if number.count(".") > 1:
        return None
    around = " ".join(plain.replace(numbers[0], " ", 1).split())
    return Decimal(number).normalize(), around


def parse_date(text: str) -> tuple[str, int, int, int] | None:
    """(calendar, year, month, day), day before month where both are numbers; None if it does not read as a date."""
    plain = fold_letters(text).lower()
    hijri = bool(re.search(r"\d\s*(?:ه|هـ|ah|h)\b", plain))
    plain = re.sub(r"(?<=\d)\s*(?:ه|م|ah|h|ad|ce)\.?(?!\w)", "", plain).strip()
    numeric = re.fullmatch(r"(\d{1,4})\s*[-/.]\s*(\d{1,2})\s*[-/.]\s*(\d{1,4})", plain)
    if numeric:
        first, month, last = (int(part) for part in numeric.groups())
        year, day = (first, last) if len(numeric[1]) > 2 else (last, first)
    else:
        worded = re.fullmatch(r"(\d{1,2})(?:st|nd|rd|th)?[\s.\-]+(\D+?)[\s,\-]+(\d{4})", plain)
        turned = re.fullmatch(r"(\D+?)\s+(\d{1,2})(?:st|nd|rd|th)?,?\s+(\d{4})", plain)
        if worded:
            day, name, year = int(worded[1]), worded[2], int(worded[3])
        elif turned:
            day, name, year = int(turned[2]), turned[1], int(turned[3])
        else:
            return None
        months = {word: number for number, words in enumerate(_GREGORIAN_MONTHS, 1) for word in words}
        hijri_months = {word: number for number, words in enumerate(_HIJRI_MONTHS, 1) for word in words}
        name = name.removeprefix("من ").removeprefix("شهر ").strip(" .")
        hijri = hijri or name in hijri_months
        if name not in (hijri_months if hijri else months):
            return None
        month = (hijri_months if hijri else months)[name]
    if not (1 <= month <= 12 and 1 <= day <= 31 and year > 99):
        return None
    return "hijri" if hijri or year < _HIJRI_BEFORE else "gregorian", year, month, day


def anls(left: str, right: str) -> float:
    """ANLS of two free texts: 1 - edits / the longer one's length, 0 below a half (Biten et al. 2019, ICCV)."""
    from rapidfuzz.distance import Levenshtein

    similarity = float(Levenshtein.normalized_similarity(strip_diacritics(left), strip_diacritics(right)))
    return similarity if similarity >= 0.5 else 0.0

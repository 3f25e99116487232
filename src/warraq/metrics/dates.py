"""A printed date -> calendar, year, month and day. Calendars are never converted, because the page prints one of them.

The names of months are kept here: what libraries know (CLDR's `ar`) lacks spellings that Arabic offices print.
"""

import re
import unicodedata
from functools import lru_cache

from warraq.metrics.arabic import fold_letters, unify_signs

Date = tuple[str, int, int, int]
"""Calendar (`hijri`, `gregorian`), year, month and day; 0 for a day or a month that is not printed."""

LONGEST = 120  # characters of a date; what is longer is a text
_HIJRI_BEFORE = 1600  # a year below it is of the Hijri calendar, marked or not
_PIVOT = 70  # of two-digit years: 69 is 2069, 70 is 1970
_GREGORIAN_MONTHS = (
    "يناير|جانفي|كانون(ال)?ثاني|january|jan|janvier|janv",
    "فبراير|فيفري|شباط|february|feb|fevrier|fevr",
    "مارس|اذار|march|mar|mars",
    "ابريل|افريل|نيسان|april|apr|avril|avr",
    "مايو|ماي|ايار|مايس|may|mai",
    "يوني[وه]|جوان|حزيران|june|jun|juin",
    "يولي[وه]|يوليوز|جويليه|تموز|july|jul|juillet|juil",
    "اغسطس|اغشت|غشت|اوت|اب|august|aug|aout",
    "سبتمبر|شتنبر|شتمبر|ايلول|september|sept|sep|septembre",
    "اكتوبر|تشرين(ال)?اول|october|oct|octobre",
    "نوفمبر|نونبر|تشرين(ال)?ثاني|november|nov|novembre",
    "ديسمبر|دجنبر|دجمبر|كانون(ال)?اول|december|dec|decembre",
)
_HIJRI_MONTHS = (
    "(ال)?محرم(الحرام)?|(al)?muharram",
    "صفر(الخير)?|safar",
    "ربيع(ال)?اول|rabi(i|(al|ul)?awwal)",
    "ربيع(ال)?(اخر|ثاني?)|rabi(ii|(al|ul)?(th|t)ani|aththani|(al|ul)?akhir)",
    "جماد[يا]?(ال)?اول[يا]?|jumada(i|(al|ul)?(ula|awwal))",
    "جماد[يا]?(ال)?(اخره?|ثانيه?)|jumada(ii|(al|ul)?(akhirah?|thani(yah)?)|aththani)",
    "رجب(الفرد)?|rajab",
    "شعبان(المعظم)?|sha?aban",
    "رمضان(المبارك)?|ramad[h]?an",
    "شوال(المكرم)?|shawwal",
    "ذ[ويا]?(ال)?قعده(الحرام)?|(dh|z)[ui]a?l?q[aiu]+da?h",
    "ذ[ويا]?(ال)?حجه(الحرام)?|(dh|z)[ui]a?l?hij+ah?",
)
_WEEKDAYS = (
    "(?:ال)?احد|sunday|sun|dimanche", "(?:ال)?اثنين|monday|mon|lundi", "(?:ال)?ثلاثاء?|tuesday|tue|mardi",
    "(?:ال)?اربعاء?|wednesday|wed|mercredi", "(?:ال)?خميس|thursday|thu|jeudi", "(?:ال)?جمعه|friday|fri|vendredi",
    "(?:ال)?سبت|saturday|sat|samedi",
)  # fmt: skip
_WEEKDAY = re.compile(r"\b(?:" + "|".join(f"({names})" for names in _WEEKDAYS) + r")\b")
_FILLER = re.compile(
    r"\b(?:يوم|ب?تاريخ|التاريخ|في|من|شهر|ل?سنه|ل?عام|ال?موافق|on|the|of|day|dated?|le|du|de)\b[:.]?"
)  # words beside a date that say nothing more
_MARKS = {
    "hijri": re.compile(r"(?<=\d)[ (]*(?:ه|هجري[اه]?|للهجره|ah|a\.h|h)\b[.)]*"),
    "gregorian": re.compile(r"(?<=\d)[ (]*(?:م|ميلادي[اه]?|للميلاد|ad|a\.d|ce)\b[.)]*"),
}
_ENGLISH_ORDINAL = re.compile(r"(?<=\d)(?:st|nd|rd|th|er)\b")
_UNITS = ("حادي", "ثاني", "ثالث", "رابع", "خامس", "سادس", "سابع", "ثامن", "تاسع")
_ORDINALS = (
    {"ال" + word: number for number, word in enumerate([*_UNITS, "عاشر"], 1)}
    | {f"ال{word} عشر": number for number, word in enumerate(_UNITS, 11)}
    | {f"ال{word} وال{tens}{end}": first + number
       for first, tens in ((20, "عشر"), (30, "ثلاث")) for end in ("ون", "ين")
       for number, word in enumerate(_UNITS, 1)}
    | {f"ال{tens}{end}": number for number, tens in ((20, "عشر"), (30, "ثلاث")) for end in ("ون", "ين")}
    | {"الاول": 1, "غره": 1}
)  # fmt: skip
_WORDED_DAY = re.compile(r"^(?:" + "|".join(sorted(_ORDINALS, key=len, reverse=True)) + r")\b")


_SHAPES = (
    r"(?P<first>\d{1,4})[-/. ]+(?P<month>\d{1,2})[-/. ]+(?P<last>\d{1,4})",
    r"(?P<month>\d{1,2})[-/.](?P<year>\d{4})",
    r"(?P<year>\d{4})[-/.](?P<month>\d{1,2})",
    r"(?P<first>\d{1,4})(?P<name>\D+)(?P<last>\d{1,4})",
    r"(?P<name>\D+)(?P<first>\d{1,2})[-/., ]+(?P<last>\d{2}|\d{4})",
    r"(?P<name>\D+)(?P<year>\d{4})",
    r"(?P<year>\d{4})",
)
_BESIDE = re.compile(r"\bال?موافق\b|=|corresponding to| - |\(")  # between the two calendars' dates of a day


def parse_date(text: str) -> Date | None:
    """The date of a text; None if it does not read as one.

    Day before month where both are numbers and both may be the month. A weekday says nothing more. A year of two digits
    is one from 1970 to 2069, or of the fifteenth Hijri century if it is marked as Hijri.
    """
    if len(text) > LONGEST:
        return None
    plain = _fold(text)
    marks = {name for name, mark in _MARKS.items() if mark.search(plain)}
    for mark in (*_MARKS.values(), _WEEKDAY, _FILLER, _ENGLISH_ORDINAL):
        plain = mark.sub(" ", plain)
    plain = _WORDED_DAY.sub(lambda day: f"{_ORDINALS[day[0]]} ", " ".join(plain.split()).strip(" .,:-()"))
    shape = next(filter(None, (re.fullmatch(shape, plain) for shape in _SHAPES)), None)
    return _read_parts(shape.groupdict(), marks) if shape else None


def parse_dates(text: str) -> tuple[Date, ...] | None:
    """The dates of a text that gives one day in two calendars, or two days; None unless all of it reads as dates."""
    whole = parse_date(text)
    if whole or len(text) > 2 * LONGEST:
        return (whole,) if whole else None
    dates = [parse_date(part) for part in _BESIDE.split(_fold(text)) if any(map(str.isdigit, part))]
    found = [date for date in dates if date]
    return tuple(found) if len(found) == len(dates) > 1 else None


@lru_cache(maxsize=512)
def find_weekdays(text: str) -> frozenset[int]:
    """The days of the week that a text names, from 1 for Sunday."""
    return frozenset(match.lastindex or 0 for match in _WEEKDAY.finditer(_fold(text[:LONGEST])))


def _fold(text: str) -> str:
    letters = unicodedata.normalize("NFD", fold_letters(unify_signs(text)).lower())
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


def _read_parts(parts: dict[str, str | None], marks: set[str]) -> Date | None:
    first, last = parts.get("first"), parts.get("last")
    written, day = parts.get("year") or last or "", first
    if first is not None and len(first) > 2:
        written, day = first, last
    number, days = (int(part) if part else None for part in (parts.get("month"), day))
    if name := parts.get("name"):
        calendar, number = _find_month(name)
        marks = marks | {calendar}
    if number and days and number > 12 >= days and written == last:
        number, days = days, number
    year = _complete_year(written, marks)
    if year is None or len(marks) > 1 or number not in {None, *range(1, 13)} or days not in {None, *range(1, 32)}:
        return None
    calendar = marks.pop() if marks else "hijri" if year < _HIJRI_BEFORE else "gregorian"
    return calendar, year, number or 0, days or 0


def _complete_year(written: str, calendars: set[str]) -> int | None:
    year = int(written)
    if len(written) == 2:
        return year + (1400 if "hijri" in calendars else 2000 if year < _PIVOT else 1900)
    return year if len(written) == 4 or (len(written) == 3 and calendars) else None


def _find_month(text: str) -> tuple[str, int]:
    """Calendar and number of the month, which may stand there by two of its names; number 0 where it is none."""
    names = [re.sub("[^a-zء-ي]", "", part) for part in re.split("[/(),]| - ", text)]
    found = {_look_up(name) for name in names if name}
    return found.pop() if len(found) == 1 else ("none", 0)


def _look_up(name: str) -> tuple[str, int]:
    for calendar, months in (("gregorian", _GREGORIAN_MONTHS), ("hijri", _HIJRI_MONTHS)):
        for number, names in enumerate(months, 1):
            if re.fullmatch(names, name):
                return calendar, number
    return "none", 0

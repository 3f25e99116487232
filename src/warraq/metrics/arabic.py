"""The four levels at which texts are compared, each of which forgives more than the one before.

strict  Unicode spelling alone: NFC, any white space is one space.
encoded  nothing that changes what a reader reads: presentation forms, bidi and format marks, tatweel. The headline.
bare  no diacritics.
folded  no hamza on alef, ى as ي, ة as ه, digits and punctuation in ASCII: what other benchmarks publish, and what
hides a model that mends spelling. For comparison with them only.
"""

import re
import unicodedata

LEVELS = ("strict", "encoded", "bare", "folded")
_INVISIBLE = re.compile("[\u200b-\u200f\u061c\u2060\ufeff\u00ad\u0640\u202a-\u202e\u2066-\u2069]+")
_LOOSE_MARK = re.compile(" (?=[\u064b-\u065f\u0670])")
_MARKS = re.compile(
    "[\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e8\u06ea-\u06ed\u08d3-\u08e1\u08e3-\u08ff]+"
)
_WORDS = {
    "\ufdfa": "صلى الله عليه وسلم",
    "\ufdfb": "جل جلاله",
    "\ufdfd": "بسم الله الرحمن الرحيم",  # the only one that NFKC does not spell out
}
_RAISED = re.compile("([\u00b2\u00b3\u00b9\u00bc-\u00be\u2070\u2074-\u2079\u2080-\u2089\u2150-\u215f\u2189])")
_DIGITS = {base + digit: str(digit) for base in (0x0660, 0x06F0) for digit in range(10)}
_LETTERS = str.maketrans("أإآٱىةیکہ،؛؟٪٫٬", "اااايهيكه,;?%.,")


def normalize_unicode(text: str) -> str:
    """Level 0: NFC and single spaces."""
    return unicodedata.normalize("NFC", " ".join(text.split()))


def normalize(text: str) -> str:
    """Level 1: NFKC, no bidi or format marks, no tatweel, one space for any white space.

    Raised, lowered and fraction digits are kept from NFKC, which would make 52 of 5². NFKC writes the isolated tanwin
    U+FE70 as a space and a mark; the space goes.
    """
    for sign, words in _WORDS.items():
        text = text.replace(sign, words)
    parts = _RAISED.split(text)
    parts[::2] = [unicodedata.normalize("NFKC", part) for part in parts[::2]]
    text = " ".join(_INVISIBLE.sub("", "".join(parts)).split())
    return unicodedata.normalize("NFC", _LOOSE_MARK.sub("", text))


def strip_diacritics(text: str) -> str:
    """Level 2: level 1 without diacritics and Quranic marks."""
    return normalize_unicode(_MARKS.sub("", normalize(text)))


def fold_letters(text: str) -> str:
    """Level 3: level 2 with one form for letters that are often confused, ASCII digits and punctuation."""
    return normalize_unicode(to_ascii_digits(strip_diacritics(text)).translate(_LETTERS))


def to_ascii_digits(text: str) -> str:
    """Arabic-Indic and Persian digits as ASCII; nothing else changes."""
    return text.translate(_DIGITS)


def split_diacritics(text: str) -> list[tuple[str, str]]:
    """A level-1 text as pairs of a letter and its diacritics; marks before any letter have the letter ''."""
    pairs: list[tuple[str, str]] = []
    for character in text:
        if _MARKS.fullmatch(character):
            letter, above = pairs.pop() if pairs else ("", "")
            pairs.append((letter, above + character))
        else:
            pairs.append((character, ""))
    return pairs

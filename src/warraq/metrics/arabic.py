"""The four levels at which texts are compared, each of which forgives more than the one before.

strict  Unicode spelling alone: NFC, any white space is one space.
encoded  nothing that changes what a reader reads: presentation forms, bidi and format marks, tatweel. The headline.
A non-joiner between letters that would join can be seen and stays; what an override shows in reverse is reversed.
bare  no diacritics.
folded  no hamza on alef, ى as ي, ة as ه, digits and punctuation in ASCII: what other benchmarks publish, and what
hides a model that mends spelling. For comparison with them only.
"""

import re
import unicodedata
from typing import Literal

LEVELS = ("strict", "encoded", "bare", "folded")
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u0640\u061c\u200b\u200d-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufe00-\ufe0f\ufeff"
    "\U000e0000-\U000e0fff]+"
)
_MANY_MARKS = r"(\p{M}{31,})"  # more than 30 in a row, which no script needs (Unicode Standard Annex 15, section 13)
_RTL = "\u0590-\u065f\u066e-\u06ef\u06fa-\u08ff\ufb1d-\ufdff\ufe70-\ufefe"  # letters and marks without digits
_OVERRIDDEN = re.compile("\u202e([^\u202c\u2029\n]*)")
_REVERSED = re.compile(rf"[^\W{_RTL}](?:[^{_RTL}]*[^\W{_RTL}])?")
_DUAL_JOINING = (
    "\u0626\u0628\u062a-\u062e\u0633-\u063f\u0641-\u0647\u0649\u064a"
    "\u0678-\u0687\u069a-\u06bf\u06c1\u06cc\u06ce\u06d0\u06d1"
)
_NON_JOINER = re.compile(
    f"([{_DUAL_JOINING}][\u064b-\u065f\u0670]*)\u200c+(?=[\u0622-\u063f\u0641-\u064a\u0671-\u06d3])|\u200c+"
)
_LOOSE_MARK = re.compile(" (?=[\u064b-\u065f\u0670])")
_MARK = "\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e8\u06ea-\u06ed\u08d3-\u08e1\u08e3-\u08ff"
_MARKS = re.compile(f"[{_MARK}]+")
_LETTER = re.compile(f"([^{_MARK}]?)([{_MARK}]*)", re.DOTALL)
_WORDS = {
    "\ufdfa": "صلى الله عليه وسلم",
    "\ufdfb": "جل جلاله",
    "\ufdfd": "بسم الله الرحمن الرحيم",  # the only one that NFKC does not spell out
}
_SET_APART = re.compile(
    "([\u00b2\u00b3\u00b9\u00bc-\u00be\u2070-\u209c\u2150-\u215f\u2189\u2460-\u2473\u24b6-\u24ea\u3251-\u325f\u32b1-\u32bf]+)"
)
_DIGITS = {base + digit: str(digit) for base in (0x0660, 0x06F0) for digit in range(10)}
_LETTERS = str.maketrans("أإآٱىةیکہ،؛؟٪٫٬", "اااايهيكه,;?%.,")
_FINAL_YA = re.compile(f"ی(?![{_MARK}]*[\u0621-\u064a\u066e-\u06d3])")
_SAME_SIGN = str.maketrans("کھہیە‐‑‒–—―−⁃⁄∕؍٪؉؊", "كههيه--------///%‰‱")


def normalize_unicode(text: str) -> str:
    """Level 0: NFC and single spaces."""
    return _apply_form("NFC", " ".join(text.split()))


def normalize(text: str) -> str:
    """Level 1: NFKC, no bidi or format marks, no tatweel, one space for any white space.

    Raised, lowered, circled and fraction characters are kept from NFKC, which would make 52 of 5² and 1 of ①. NFKC
    writes the isolated tanwin U+FE70 as a space and a mark; the space goes.
    """
    text = _OVERRIDDEN.sub(lambda stretch: _REVERSED.sub(lambda run: run[0][::-1], stretch[1]), text)
    for sign, words in _WORDS.items():
        text = text.replace(sign, words)
    parts = _SET_APART.split(_INVISIBLE.sub("", text))
    parts[::2] = [_apply_form("NFKC", part) for part in parts[::2]]
    text = _NON_JOINER.sub(_keep_joint, _INVISIBLE.sub("", "".join(parts)))
    return _apply_form("NFC", _LOOSE_MARK.sub("", " ".join(text.split())))


def _keep_joint(match: re.Match[str]) -> str:
    return match[1] + "\u200c" if match[1] else ""


def _apply_form(form: Literal["NFC", "NFKC"], text: str) -> str:
    """Normalise all but endless runs of marks, which unicodedata sorts in quadratic time."""
    if text.isascii():
        return text
    import regex

    parts = regex.split(_MANY_MARKS, text)
    parts[::2] = [unicodedata.normalize(form, part) for part in parts[::2]]
    return "".join(parts)


def strip_diacritics(text: str) -> str:
    """Level 2: level 1 without diacritics and Quranic marks."""
    return normalize_unicode(_MARKS.sub("", normalize(text)))


def fold_letters(text: str) -> str:
    """Level 3: level 2 with one form for letters that are often confused, ASCII digits and punctuation."""
    return normalize_unicode(to_ascii_digits(strip_diacritics(text)).translate(_LETTERS))


def to_ascii_digits(text: str) -> str:
    """Arabic-Indic and Persian digits as ASCII; nothing else changes."""
    return text.translate(_DIGITS)


def unify_signs(text: str) -> str:
    """Level 1 with one character for those that stand for the same: digits, dashes, slashes, kaf, ha and ya.

    A final ya without dots is an alef maqsura, by whichever keyboard it was typed.
    """
    return _FINAL_YA.sub("ى", to_ascii_digits(normalize(text))).translate(_SAME_SIGN)


def split_diacritics(text: str) -> list[tuple[str, str]]:
    """A level-1 text as pairs of a letter and its diacritics; marks before any letter have the letter ''."""
    return [(pair[1], pair[2]) for pair in _LETTER.finditer(text) if pair[0]]

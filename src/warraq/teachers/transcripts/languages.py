"""Texts of a page -> the language of each, by its script, and of a script by the letters or words of the whole page."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import get_args

from warraq.metrics.tables import strip_tags
from warraq.tasks import Language

_SCRIPTS = {
    "arabic": re.compile("[\u0620-\u063f\u0641-\u064a\u066e-\u06d3\u06d5\ufb50-\ufdff\ufe70-\ufefc]"),
    "latin": re.compile("[A-Za-z\u00aa-\u024f]"),
    "hebrew": re.compile("[\u05d0-\u05ea]"),
}
_LETTERS: dict[Language, str] = {"ur": "ٹڈڑےںھہۂ", "ku": "ڕڵۆێە", "fa": "پچژگکی"}
_WORDS: dict[Language, frozenset[str]] = {
    "en": frozenset(["the", "of", "and", "to", "in", "is", "for", "by", "with", "from", "this"]),
    "fr": frozenset(["le", "la", "les", "des", "et", "du", "une", "est", "pour", "dans", "au", "sur"]),
    "tr": frozenset(["ve", "bir", "bu", "için", "ile", "olarak", "olan", "de", "da"]),
}
_SHARE = 0.03  # of the page's Arabic letters, from which on they are more than a foreign name
_LEAST = 2  # common words of a language on the page, and twice as many as of any other


def tell_languages(texts: Sequence[str], told: str | None = None) -> list[Language | None]:
    """The language of most words of each text; None where it has no letters, or where nothing tells it.

    Args:
        texts: of the blocks of a page; tables are HTML.
        told: the page's language as the transcript says it, by its code.
    """
    plain = [strip_tags(text) for text in texts]
    whole = "\n".join(plain)
    main: Language | None = next((language for language in get_args(Language) if language == told), None)
    scripts: dict[str, Language | None] = {
        "arabic": main if main in {"ar", "fa", "ur", "ku"} else _tell_arabic(whole),
        "latin": main if main in _WORDS else _tell_latin(whole),
        "hebrew": "he",
        "none": "other",
    }
    return [None if (script := _find_script(text)) is None else scripts[script] for text in plain]


def _find_script(text: str) -> str | None:
    """The script of most words that have letters."""
    words = [word for word in text.split() if any(map(str.isalpha, word))]
    found = Counter(
        next((name for name, letters in _SCRIPTS.items() if letters.search(word)), "none") for word in words
    )
    return found.most_common(1)[0][0] if found else None


def _tell_arabic(text: str) -> Language:
    letters = Counter(_SCRIPTS["arabic"].findall(text))
    for language, own in _LETTERS.items():
        if sum(letters[letter] for letter in own) > _SHARE * letters.total():
            return language
    return "ar"


def _tell_latin(text: str) -> Language | None:
    words = re.findall(r"\w+", text.lower())
    counts = {language: sum(word in common for word in words) for language, common in _WORDS.items()}
    (first, most), (_, second) = sorted(counts.items(), key=lambda item: -item[1])[:2]
    return first if most >= _LEAST and most >= 2 * second else None

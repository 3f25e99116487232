"""A text, or an answer -> the mark of secrecy that it carries, whatever its dress.

A mark stands for itself: a line, or a part of it between brackets or dashes, that holds nothing but marks and their
companions, with any spaces between its letters; a phrase of several words in a short line; any mark in a stamp or in
the field for it. In running text the word may speak of anything: a secret ballot, the private sector, a clause on
confidentiality. Lines are read backwards too, since a text layer may hold Arabic in visual order.
"""

import json
import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, Literal

from warraq.files import hash_files
from warraq.teachers.safety import mark_words

Place = Literal["text", "stamp", "marking"]

LONGEST = 80  # letters of a line that may be a mark
SHORT = 8  # words of a line in which a phrase is a mark
HEAD = 8  # lines of a page in which a weak mark may stand among others
_LETTERS = re.compile(r"[^\W\d_]+")
_PARTS = re.compile(r"[()\[\]{}<>|«»\"“”/\\•·:;]|\s[-–—_*=]+|[-–—_*=]+\s|[–—]|\t|\s{3,}|[.؛]\s")
_ARABIC = re.compile("[\u0621-\u06d3]+")
_SIGNS = re.compile(  # diacritics, tatweel, and what nobody sees
    "[\u0300-\u036f\u0610-\u061a\u0640\u064b-\u065f\u0670\u06d6-\u06ed"
    "\u00ad\u061c\u200b-\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]+"
)
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|n)")
_TAG = re.compile(r"<[^<>]{0,200}>")
_UPRIGHT = re.compile(r"(?m)(?<=^\w)\s*\n\s*(?=\w$)")  # a letter a line, as in a margin
_SIGNED = frozenset({"confidential", "confidentiel", "confidencial"})  # ends what a company signs its pages with


@cache
def hash_reader() -> str:
    """What decides which texts are marked: another hash, and what was read has to be read again."""
    return hash_files(map(Path, (__file__, mark_words.__file__)))


def find_mark(text: str, place: Place = "text") -> str | None:
    """The first mark of secrecy in a text; None where there is none."""
    if not _may_hold(_squeeze(text)):
        return None
    is_table = "<td" in text.lower()
    lines = _UPRIGHT.sub(" ", _TAG.sub("\n", text)).splitlines()
    for index, line in enumerate(lines):
        alone = not is_table and (index < HEAD or (_is_empty(lines, index - 1) and _is_empty(lines, index + 1)))
        if _is_marked(line, place, alone):
            return " ".join(line.split())
        parts = _PARTS.split(line) if _PARTS.search(line) else []
        if len(line.split()) <= 3 and index + 1 < len(lines) and len(lines[index + 1].split()) <= 3:
            parts.append(f"{line} {lines[index + 1]}")  # broken in two
        if marked := next((part for part in parts if _is_marked(part, place)), None):
            return " ".join(marked.split())
    return None


def find_mark_in(value: Any) -> str | None:
    """The first mark in the texts of an answer, or in JSON that one of them holds, as in a model's response."""
    return next(filter(None, (find_mark(text, place) for text, place in _list_texts(value))), None)


def _list_texts(value: Any, place: Place = "text") -> Iterator[tuple[str, Place]]:
    if isinstance(value, dict):
        inside: Place = "stamp" if value.get("kind") in ("stamp", "seal", "watermark") else "text"
        for key, item in value.items():
            yield from _list_texts(item, "marking" if key == "sensitivity_marking" else inside)
    elif isinstance(value, list):
        for item in value:
            yield from _list_texts(item, place)
    elif isinstance(value, str):
        if value.lstrip()[:1] in {"{", "["}:
            try:
                yield from _list_texts(json.loads(value))
            except (ValueError, RecursionError):
                yield _ESCAPE.sub(_unescape, value), place  # cut off in the middle
        else:
            yield value, place


def _unescape(escape: re.Match[str]) -> str:
    return chr(int(escape[1], 16)) if escape[1] else "\n"


def _is_empty(lines: list[str], index: int) -> bool:
    return not 0 <= index < len(lines) or not lines[index].strip()


def _is_marked(line: str, place: Place, alone: bool = False) -> bool:
    if len(line) > 4 * LONGEST and place == "text":
        return False
    words = _split_words(line)
    squeezed = "".join(words)
    if (len(squeezed) > LONGEST and place == "text") or not _may_hold(squeezed):
        return False
    marks = mark_words.MARKS + (mark_words.WEAK if alone else ())
    if _consists_of(squeezed, marks) or _consists_of(squeezed[::-1], marks):
        return True
    if place != "text" and _holds(words, marks if place == "stamp" else _ALL, 1):
        return True
    if len(words) > SHORT:
        return False
    if any(_consists_of(rest, _ALL) for rest in _follow_label(squeezed)):
        return True
    signed = words[-1] in _SIGNED and 1 < len(words) <= 5 and words[-2] not in _squeeze_all(mark_words.NEGATIONS)
    return _holds(words, marks, 2) or (signed and all(word[0].isupper() for word in _LETTERS.findall(line)))


_ALL = mark_words.MARKS + mark_words.WEAK + mark_words.LEVELS


def _split_words(text: str) -> list[str]:
    """The words of a text in the one form of their letters, without diacritics, tatweel and invisible signs."""
    text = _SIGNS.sub("", unicodedata.normalize("NFKD", text).casefold())
    for form, letter in zip("ٱىیئکةہھ", "ايييكههه", strict=True):
        text = text.replace(form, letter)
    return _LETTERS.findall(text)


def _squeeze(text: str) -> str:
    return "".join(_split_words(text))


@cache
def _squeeze_all(phrases: tuple[str, ...]) -> frozenset[str]:
    return frozenset(map(_squeeze, phrases))


@cache
def _compile(phrases: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(sorted(_squeeze_all(phrases), key=len, reverse=True)))


def _may_hold(squeezed: str) -> bool:
    """Cheap, for the many texts that hold none."""
    backwards = "".join(_ARABIC.findall(squeezed))[::-1]
    return bool(_compile(_ALL).search(squeezed) or _compile(_ALL).search(backwards))


def _consists_of(squeezed: str, marks: tuple[str, ...]) -> bool:
    """Whether letters are one of the marks or more, with nothing but companions beside them."""
    reached = {(0, False)}  # how many letters are read, and whether a mark was among them
    todo = [(0, False)]
    starts = _by_letter(marks)
    while todo:
        begin, marked = todo.pop()
        for phrase, is_mark in starts.get(squeezed[begin : begin + 1], ()):
            state = (begin + len(phrase), marked or is_mark)
            if state not in reached and squeezed.startswith(phrase, begin):
                reached.add(state)
                todo.append(state)
    return (len(squeezed), True) in reached


@cache
def _by_letter(marks: tuple[str, ...]) -> dict[str, list[tuple[str, bool]]]:
    starts: dict[str, list[tuple[str, bool]]] = {}
    for phrases, is_mark in ((marks, True), (mark_words.COMPANIONS, False)):
        for phrase in _squeeze_all(phrases):
            starts.setdefault(phrase[0], []).append((phrase, is_mark))
    return starts


def _follow_label(squeezed: str) -> Iterable[str]:
    return (squeezed[len(label) :] for label in _squeeze_all(mark_words.LABELS) if squeezed.startswith(label))


def _holds(words: list[str], marks: tuple[str, ...], least: int) -> bool:
    """Whether whole words are a mark of at least so many words, which no negation precedes."""
    for phrase in _split_phrases(marks):
        size = len(phrase)
        for index in range(len(words) - size + 1) if size >= least else ():
            if tuple(words[index : index + size]) == phrase:
                before = words[index - 1 : index] if index else []
                if not _squeeze_all(mark_words.NEGATIONS) & set(before):
                    return True
    return False


@cache
def _split_phrases(marks: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(_split_words(phrase)) for phrase in marks)

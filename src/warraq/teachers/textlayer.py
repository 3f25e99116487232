"""The document's own text, where it is proved to say what the page shows.

An Arabic text layer often does not: letters in visual order, lam-alef and other ligatures with lam swapped ("اإلدارة"
for "الإدارة"), characters mapped to foreign code points, Arabic-Indic numbers written backwards, words and numbers run
together. A label made of it would teach the student to err, so nothing is mended here: what is not proved is declined.
"""

import hashlib
import re
import unicodedata
from pathlib import Path

from warraq.errors import InputError
from warraq.files import JsonObject
from warraq.records import Page, Reference
from warraq.tasks import Task
from warraq.teachers import Answer, Refusal

MIN_LETTERS = 20  # fewer are a stamp or a page number, not a page's text

_PRESENTED = re.compile("[\ufb00-\ufdef\ufdf0-\ufdf9\ufe70-\ufefc]")  # not U+FDFA to U+FDFD: one sign on the page, too
_MARKS = re.compile("[\u064b-\u065f\u0670\u0640]")
_BIDI = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
_MEANINGLESS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ufffd]")
_PRIVATE = re.compile("[\ue000-\uf8ff\U000f0000-\U0010ffff]")  # glyphs that only their font knows
_WORD = re.compile("[\u0621-\u063a\u0641-\u064a\u066e-\u06d3]+")
_SWAPPED = re.compile("[وفبك]?ا(?:[اأإآ]ل|[جحخم]ل..)")  # "األول" for "الأول", "املال" for "المال"
_ARTICLE = re.compile("[وفبك]?ال..")
_ARABIC = "[\u0621-\u063a\u0641-\u064a\u066e-\u06d3]"
_RUN_TOGETHER = re.compile(  # a word and a number or foreign word, but not "1440هـ" or "B2ب"
    f"{_ARABIC}{{2,}}[A-Za-z0-9\u0110-\u017f]|[0-9]{_ARABIC}{{3,}}|[A-Za-z\u00c0-\u017f]{_ARABIC}{{2,}}"
)


def fold_letters(text: str) -> str:
    """`text` with Arabic presentation forms and Latin ligatures as letters, and without invisible direction marks."""
    text = _PRESENTED.sub(lambda match: unicodedata.normalize("NFKC", match[0]).strip(), text)
    return _BIDI.sub("", re.sub("\r\n?|\f", "\n", text))


def find_fault(text: str) -> str | None:
    """Why a text of `fold_letters` is not proved to be what the page shows; None where it is."""
    letters = [letter for letter in text if letter.isalpha()]
    if len(letters) < MIN_LETTERS:
        return f"{len(letters)} letters are too few"
    if _MEANINGLESS.search(text):
        return "characters without a meaning"
    foreign = sum(not _is_common(letter) for letter in letters) + len(_PRIVATE.findall(text))
    if foreign > 0.01 * len(letters):
        return f"{foreign} characters that are neither Arabic nor Latin"
    words = _WORD.findall(_MARKS.sub("", text))
    if together := _RUN_TOGETHER.findall(_MARKS.sub("", text)):
        return f"{len(together)} words run together with numbers or foreign letters, {together[0]} first"
    return _find_arabic_fault(text, words) if words else None


def _is_common(letter: str) -> bool:
    """Arabic, or Latin as Western languages write it: broken fonts map to the rarer Latin blocks."""
    return letter < "\u0180" or "\u0600" <= letter <= "\u06ff" or "\ufdfa" <= letter <= "\ufdfd" or letter in "ʿʾʼ"


def _find_arabic_fault(text: str, words: list[str]) -> str | None:
    swapped = sum(bool(_SWAPPED.match(word)) for word in words)
    if swapped > 0.01 * len(words):
        return f"lam is swapped with the next letter in {swapped} of {len(words)} words"
    if len(words) >= 50 and not any(re.search("ل[اأإآ]", word) for word in words):
        return f"no lam-alef in {len(words)} words"
    # Taa marbuta and alef maqsura only end a word; the article only begins one.
    forward = sum(word[-1] in "ةى" for word in words) + sum(bool(_ARTICLE.match(word)) for word in words)
    backward = sum(word[0] in "ةى" for word in words) + sum(bool(_ARTICLE.match(word[::-1])) for word in words)
    if forward <= 3 * backward:
        return f"reading order is not proved: {forward} words for, {backward} against"
    if any(number != number[::-1] for number in re.findall("[٠-٩۰-۹]+", text)):
        return "Arabic-Indic numbers, which a layer may hold backwards"
    return None


def explain_unproved(page: Page) -> str | None:
    """Why a page's text layer, whatever it says, is not proved to be what the page shows; None where it may be."""
    if page.repaired or page.damage is not None:
        return "the file was damaged, so the picture may lack what the text has"
    return page.text_fault


def read_text_layer(pages: Path, page: Page) -> str:
    """The page's own text where it may be what the page shows, else nothing.

    Raises:
        InputError: its file is not there, or not UTF-8.
    """
    return "" if explain_unproved(page) else read_whole_layer(pages, page)


def read_whole_layer(pages: Path, page: Page) -> str:
    """The page's own text, proved or not. Raises InputError as `read_text_layer`."""
    if page.text is None:
        return ""
    try:
        return (pages / page.text).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{pages / page.text} cannot be read ({error}); run render again.") from None


class TextLayerTeacher:
    """The page's own text as the answer to the task `content`."""

    name = "textlayer"
    reference: Reference = "textlayer"

    def __init__(self, task: Task, pages: Path) -> None:
        self.task = task
        self.pages = pages

    def identity(self, page: Page) -> JsonObject:
        """The hash of the layer."""
        return {"text_sha256": hashlib.sha256(read_whole_layer(self.pages, page).encode()).hexdigest()}

    def answer(self, page: Page, key: str) -> Answer | Refusal:
        """A paragraph for each part between empty lines."""
        if self.task.name != "content":
            return Refusal("not_this_task", "a text layer has no fields")
        text = fold_letters(read_whole_layer(self.pages, page))
        if not text.strip():
            return Refusal("no_text_layer", "the page has no text of its own")
        reason = explain_unproved(page) or find_fault(text)
        if reason is not None:
            return Refusal("text_layer_unusable", reason)
        paragraphs = [
            "\n".join(line.strip() for line in part.strip().split("\n")) for part in re.split(r"\n\s*\n", text)
        ]
        blocks = [{"kind": "paragraph", "text": part, "level": None, "language": None} for part in paragraphs if part]
        return Answer(self.task.validate({"blocks": blocks}))

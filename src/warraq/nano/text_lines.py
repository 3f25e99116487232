"""A random generator -> printed lines of text with the place of each character, for training_pages.py.

The text is what forms say, with the vocabulary `train` and with letters in no language's order, so that it must be read
and cannot be guessed. It is set by the engine and in the faces of the documents of `warraq synth`.
"""

import re
import unicodedata
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from warraq.synth.phrases import load_phrases
from warraq.synth.values import ARABIC_INDIC
from warraq.synth.words import Language, load_words

if TYPE_CHECKING:
    import numpy as np
    from numpy.random import Generator

    Pixels = np.ndarray[Any, np.dtype[np.uint8]]
    Places = np.ndarray[Any, np.dtype[np.float32]]

PX_PER_PT = 2  # before a page is reduced to the student's image
LINES_PER_SHEET = 24
SLOT_PT = 36  # height of a line
LETTERS = {"ar": "ابتثجحخدذرزسشصضطظعغفقكلمنهويءأإآؤئىة", "en": "abcdefghijklmnopqrstuvwxyz"}
OFTEN = {
    "ar": "ااااللللممممننننييييوووورررتتتبببدددسسعععحققفككهه",
    "en": "eeeeaaaaiiiooouttttnnnsssrrrllddcmphbgfwvyk",
}
NUMBERS = (
    "{}{}/{}{}/{}{}{}{}", "{}{}{}{}/{}{}/{}{}", "{}{}{}.{}{}", "{}{}.{}{}", "{}{}{}{}{}{}", "{}{}{}{}", "{}{}",
    "{}{}/{}{}{}", "{}", "{}{}%", "{}%",
)  # fmt: skip
KINDS = ("field", "field", "field", "prose", "prose", "cell", "cell", "title", "mark")
CHARACTERS = " " + LETTERS["ar"] + "٠١٢٣٤٥٦٧٨٩٫" + LETTERS["en"] + LETTERS["en"].upper() + "0123456789.,:/%٪☐☒"

_LEFT_TO_RIGHT = re.compile(
    r"[A-Za-z](?:[A-Za-z0-9 .,/]*[A-Za-z0-9])?|[0-9]+(?:[.,:/][0-9]+)*%?"
    r"|[\u0660-\u0669]+(?:[.,:/\u066b][\u0660-\u0669]+)*"
)


@dataclass(frozen=True)
class TextLine:
    """A line as it is printed."""

    text: str
    language: Language
    kind: str  # one of KINDS
    ink: "Pixels"  # (height, width) at PX_PER_PT; 255 is full ink
    x: "Places"  # (len(text),) the middle of each character in px of `ink`
    y: float  # the middle of the small letters in px of `ink`
    field: str = ""  # the label's key in phrases.json; "" for none
    value: int = 0  # where in `text` that begins which stands behind the label


def order_visually(text: str, right_to_left: bool) -> list[int]:
    """The indices of `text` as they stand from left to right.

    This is the part of the bidirectional algorithm (UAX 9) that a line of one script with numbers or Latin words needs.
    """
    if not right_to_left:
        return list(range(len(text)))
    order: list[int] = []
    end = 0
    for run in _LEFT_TO_RIGHT.finditer(text):
        order += [*range(end, run.start()), *reversed(range(*run.span()))]
        end = run.end()
    return [*order, *range(end, len(text))][::-1]


@cache
def list_common_words(language: Language) -> tuple[str, ...]:
    """Every word of the vocabulary `train` and of the phrases, spelled with CHARACTERS."""
    words, phrases = load_words("train")[language], load_phrases(language)
    texts = [
        *phrases.sentences, *phrases.closings, *phrases.instructions, *phrases.stamps, *phrases.roles, *phrases.bodies,
        *phrases.marginal_notes, *phrases.boxes, *phrases.payments, *phrases.statuses, *phrases.notes,
        *phrases.invoice_titles, *phrases.receipt_titles, *phrases.departments, *phrases.months, *phrases.hijri_months,
    ]  # fmt: skip
    forms = {word for text in texts for word in re.sub(r"\{\w+\}|[.,]", " ", text).split()}
    return tuple(word for word in (*words.all_words, *sorted(forms)) if set(word) <= set(CHARACTERS))


@cache
def list_held_out_words() -> frozenset[str]:
    """The words of the documents of `warraq synth`, which no page shows."""
    return frozenset(word for words in load_words("demo").values() for word in words.all_words)


def draw_word(rng: "Generator", language: Language) -> str:
    """A common word, or letters in an order that no language has."""
    chance = rng.random()
    if chance < 0.35:
        words = list_common_words(language)
        return words[int(rng.integers(len(words)))]
    pool = OFTEN[language] if chance < 0.75 else LETTERS[language]
    letters = "".join(pool[index] for index in rng.integers(0, len(pool), int(rng.integers(2, 9))))
    style = rng.random()
    if language == "ar":
        letters = ("ال" if style < 0.3 else "") + letters + ("ة" if style > 0.85 else "")
    else:
        letters = letters.upper() if style < 0.12 else letters.capitalize() if style < 0.6 else letters
    return draw_word(rng, language) if letters in list_held_out_words() else letters


def draw_number(rng: "Generator", language: Language) -> str:
    """A date, an amount, a code or digits, in Latin or Arabic-Indic digits."""
    shape = int(rng.integers(len(NUMBERS)))
    text = NUMBERS[shape].format(*rng.integers(0, 10, 10))
    if language == "ar" and rng.random() < 0.65:
        return text.translate(ARABIC_INDIC)
    if shape == 5 and rng.random() < 0.5:
        return "".join(chr(65 + letter) for letter in rng.integers(0, 26, 2)) + text
    return text


@cache
def map_labels(language: Language) -> dict[str, str]:
    """Wording -> key of each label; a wording of two keys belongs to the first."""
    keys: dict[str, str] = {}
    for key, wordings in load_phrases(language).labels.items():
        for wording in wordings:
            keys.setdefault(wording, key)
    return keys


def draw_line(rng: "Generator", language: Language) -> tuple[str, str, str]:
    """Kind, text and field of a line."""
    phrases = load_phrases(language)
    kind = str(rng.choice(KINDS))
    if kind == "cell":
        return kind, draw_number(rng, language) if rng.random() < 0.55 else draw_word(rng, language), ""
    if kind == "mark":
        words = " ".join(draw_word(rng, language) for _ in range(rng.integers(1, 3)))
        return kind, str(rng.choice([*phrases.stamps, *phrases.roles])) if rng.random() < 0.3 else words, ""
    if kind != "field":
        words = " ".join(draw_word(rng, language) for _ in range(rng.integers(1, 3 if kind == "title" else 5)))
        if kind == "prose" and rng.random() < 0.1:
            words = f"{rng.choice(['☐', '☒'])} {words}"
        return kind, words + (str(rng.choice([".", ".", ","])) if kind == "prose" and rng.random() < 0.3 else ""), ""
    wordings = map_labels(language)
    label = str(rng.choice(list(wordings))) if rng.random() < 0.75 else draw_word(rng, language)
    if rng.random() < 0.5:
        value = draw_number(rng, language) + (f" {rng.choice(phrases.currencies)}" if rng.random() < 0.25 else "")
    else:
        value = " ".join(draw_word(rng, language) for _ in range(rng.integers(1, 4)))
    return kind, f"{label}: {value}", wordings.get(label, "")


def draw_text_lines(rng: "Generator", width_pt: float) -> list[TextLine]:
    """A page of lines, none wider than `width_pt`; a line whose glyphs are not where they are expected is left out."""
    import numpy as np
    import pymupdf

    wanted: list[tuple[Language, str, str, str, float]] = []
    html = []
    for _ in range(LINES_PER_SHEET):
        language: Language = "ar" if rng.random() < 0.5 else "en"
        kind, text, field = draw_line(rng, language)
        size = float(rng.integers(17, 20) if language == "en" else rng.integers(19, 22))
        size *= 1.25 if kind == "title" else 0.85 if kind == "mark" else 0.92 if rng.random() < 0.3 else 1
        face = "serif" if rng.random() < 0.5 else "sans-serif"
        weight = "bold" if kind == "title" or rng.random() < 0.15 else "normal"
        bold_label = kind == "field" and language == "en" and rng.random() < 0.35
        shown = re.sub("^(.*?:)", r"<b>\1</b>", text) if bold_label else text
        wanted.append((language, kind, text, field, size))
        style = f"font-family:{face};font-size:{size}px;font-weight:{weight}"
        html.append(f'<p dir="{"rtl" if language == "ar" else "ltr"}" style="{style}">{shown}</p>')
    with pymupdf.open() as document:
        page = document.new_page(width=900, height=SLOT_PT * (len(html) + 1))
        css = f"body, p {{margin: 0}} p {{line-height: {SLOT_PT}px}}"
        page.insert_htmlbox(page.rect, "".join(html), css=css, scale_low=1)
        pixmap = page.get_pixmap(matrix=pymupdf.Matrix(PX_PER_PT, PX_PER_PT), colorspace=pymupdf.csGRAY)
        flags = pymupdf.TEXT_PRESERVE_WHITESPACE | pymupdf.TEXT_PRESERVE_LIGATURES
        blocks = page.get_text("rawdict", flags=flags)["blocks"]
    ink = 255 - np.frombuffer(pixmap.samples, np.uint8).reshape(pixmap.height, pixmap.stride)[:, : pixmap.width]
    glyphs: list[list[tuple[float, float, float, str]]] = [[] for _ in range(len(html) + 1)]
    for char in (
        char for block in blocks for part in block["lines"] for span in part["spans"] for char in span["chars"]
    ):
        baseline = char["origin"][1]
        glyphs[int(baseline // SLOT_PT)].append((char["bbox"][0], char["bbox"][2], baseline, char["c"]))
    lines = []
    for index, (language, kind, text, field, size) in enumerate(wanted):
        line = sorted(glyphs[index], key=lambda glyph: glyph[0] + glyph[1])
        order = order_visually(text, language == "ar")
        if not _match([text[place] for place in order], [glyph[3] for glyph in line]):
            continue
        left, right = max(int(line[0][0] * PX_PER_PT) - 2, 0), int(line[-1][1] * PX_PER_PT) + 3
        if right - left > width_pt * PX_PER_PT:
            continue
        x = np.empty(len(text), np.float32)
        x[order] = [(glyph[0] + glyph[1]) / 2 * PX_PER_PT - left for glyph in line]
        top, bottom = SLOT_PT * PX_PER_PT * index, SLOT_PT * PX_PER_PT * (index + 1)
        y = (line[0][2] - 0.3 * size) * PX_PER_PT - top  # middle of the small letters
        value = text.index(": ") + 2 if field else 0
        lines.append(TextLine(text, language, kind, ink[top:bottom, left:right].copy(), x, y, field, value))
    return lines


def _match(wanted: list[str], glyphs: list[str]) -> bool:
    """Whether the glyphs are these characters; a glyph for which the face has no code point agrees with any."""
    return len(wanted) == len(glyphs) and all(
        glyph == "\ufffd" or unicodedata.normalize("NFKC", glyph) == character
        for character, glyph in zip(wanted, glyphs, strict=True)
    )

"""seed -> an endless stream of small cards: image, text in reading order, and where on the image each character stands.

A card is put together from strips. A strip is one line of text, set by the same engine and fonts as the documents of
`warraq synth`, which also says where each glyph stands. Setting a page takes 20 ms, putting a card together 2 ms, so a
bank of strips is set once and renewed as the stream goes on. Card `n` of a seed is the same card on every machine,
whatever was drawn before it.
"""

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from warraq.synth.phrases import PHRASES
from warraq.synth.words import TRAIN, Language

if TYPE_CHECKING:
    import numpy as np
    from numpy.random import Generator

    Pixels = np.ndarray[Any, np.dtype[np.uint8]]
    Places = np.ndarray[Any, np.dtype[np.float32]]

PAGE_PT = (300, 340)  # width, height, as the documents of `warraq synth`
PX_PER_PT = 2  # of strips, before a card is reduced to the student's image
STRIPS_PER_PAGE = 24
PAGES_PER_BANK = 60
CARDS_PER_BANK = 2048

LETTERS = {"ar": "ابتثجحخدذرزسشصضطظعغفقكلمنهويءأإآؤئىة", "en": "abcdefghijklmnopqrstuvwxyz"}
OFTEN = {"ar": "ااااللللممممننننييييوووورررتتتبببدددسسعععحققفككهه", "en": "eeeeaaaaiiiooouttttnnnsssrrrllddcmphbgfwvyk"}

_LEFT_TO_RIGHT = re.compile(
    r"[A-Za-z](?:[A-Za-z0-9 .,\-/&']*[A-Za-z0-9])?|[0-9]+(?:[.,:/][0-9]+)*|[\u0660-\u0669]+(?:[.,:/\u066b\u066c][\u0660-\u0669]+)*"
)
_MIRRORED = str.maketrans("()", ")(")


@dataclass(frozen=True)
class Strip:
    """A set line. `ink` is (height, width) at PX_PER_PT, 255 is full ink; `x` and `y` are the characters' middles in px."""

    text: str
    language: Language
    kind: str
    ink: "Pixels"
    x: "Places"
    y: float


@dataclass(frozen=True)
class Card:
    """`image` is grey (side, side); `places` is (len(text), 2): x and y of each character as shares of the image, NaN
    for a character that is not on the image (line breaks, column marks)."""

    text: str
    image: "Pixels"
    places: "Places"


def visual(text: str, right_to_left: bool) -> list[int]:
    """The indices of `text` from left to right as a reader sees them: the part of the bidirectional algorithm (UAX 9)
    that lines of one direction with numbers and Latin words need."""
    if not right_to_left:
        return list(range(len(text)))
    order: list[int] = []
    end = 0
    for run in _LEFT_TO_RIGHT.finditer(text):
        order.extend(range(end, run.start()))
        order.extend(reversed(range(run.start(), run.end())))
        end = run.end()
    order.extend(range(end, len(text)))
    return order[::-1]


def word(draw: "Generator", language: Language) -> str:
    """A common or invented word, or letters in an order that no language has, so that it must be read, not guessed."""
    chance = draw.random()
    if chance < 0.35:
        return str(draw.choice(_known(language)))
    made = "".join(draw.choice(list(OFTEN[language] if chance < 0.75 else LETTERS[language]), int(draw.integers(2, 9))))
    if language == "ar":
        return ("ال" if draw.random() < 0.3 else "") + made + ("ة" if draw.random() < 0.15 else "")
    style = draw.random()
    return made.upper() if style < 0.12 else made.capitalize() if style < 0.6 else made


def number(draw: "Generator", language: Language) -> str:
    """A date, an amount, a code or digits, in Latin or Arabic-Indic digits."""
    digits = [str(digit) for digit in draw.integers(0, 10, 12)]
    shapes = ("{}{}/{}{}/{}{}{}{}", "{}{}{}{}/{}{}/{}{}", "{}{}{}.{}{}", "{}{}.{}{}", "{}{}{}{}{}", "{}{}", "{}{}/{}{}{}", "{}")
    shape = int(draw.integers(0, len(shapes)))
    text = shapes[shape].format(*digits)
    if language == "ar" and draw.random() < 0.65:
        return text.translate({48 + value: 0x660 + value for value in range(10)} | {ord("."): 0x66B})
    if shape == 4 and draw.random() < 0.5:
        return "".join(draw.choice(list("ABCDEFGHJKLMNPQRSTUVWXYZ"), 2)) + text
    return text


def line(draw: "Generator", language: Language) -> tuple[str, str]:
    """Kind and text of a strip."""
    phrases = PHRASES[language]
    kind = str(draw.choice(["field", "field", "field", "prose", "prose", "cell", "cell", "title"]))
    if kind == "title":
        titles = phrases.invoice_titles + phrases.receipt_titles
        words = " ".join(word(draw, language) for _ in range(draw.integers(1, 3)))
        return kind, str(draw.choice(titles)) if draw.random() < 0.3 else words
    if kind == "cell":
        return kind, number(draw, language) if draw.random() < 0.55 else word(draw, language)
    if kind == "prose":
        return kind, " ".join(word(draw, language) for _ in range(draw.integers(1, 5))) + ("." if draw.random() < 0.3 else "")
    labels = [wording for wordings in phrases.labels.values() for wording in wordings]
    label = str(draw.choice(labels)) if draw.random() < 0.7 else word(draw, language)
    if draw.random() < 0.5:
        value = number(draw, language)
        if draw.random() < 0.25:
            value += " " + str(draw.choice(phrases.currencies))
    else:
        value = " ".join(word(draw, language) for _ in range(draw.integers(1, 4)))
    return kind, f"{label}: {value}"


@lru_cache(maxsize=2)
def _known(language: Language) -> tuple[str, ...]:
    words, phrases = TRAIN[language], PHRASES[language]
    common = " ".join([*phrases.sentences, *phrases.closings, *phrases.instructions, *phrases.stamps, *phrases.roles])
    common = re.sub(r"\{\w+\}|[.,]", " ", common)
    return (
        *words.given, *words.family, *words.company, *words.trade, *words.place, *words.item,
        *sorted(set(common.split())), *phrases.months, *phrases.currencies,
    )  # fmt: skip


def strips(draw: "Generator", width_pt: float) -> list[Strip]:
    """One page of strips, none wider than `width_pt`; a line whose glyphs are not where they are expected is left out."""
    import numpy as np
    import pymupdf

    slot_pt = 36
    wanted: list[tuple[Language, str, str, float]] = []
    html = []
    for _ in range(STRIPS_PER_PAGE):
        language: Language = "ar" if draw.random() < 0.5 else "en"
        kind, text = line(draw, language)
        size = float(draw.integers(17, 20) if language == "en" else draw.integers(19, 22))
        size *= 1.25 if kind == "title" else 0.92 if draw.random() < 0.3 else 1
        font = "serif" if draw.random() < 0.5 else "sans-serif"
        weight = "bold" if kind == "title" or draw.random() < 0.15 else "normal"
        shown = text
        if kind == "field" and language == "en" and draw.random() < 0.35:
            label, value = text.split(": ", 1)
            shown = f"<b>{label}:</b> {value}"
        wanted.append((language, kind, text, size))
        direction = "rtl" if language == "ar" else "ltr"
        html.append(f'<p dir="{direction}" style="font-family:{font};font-size:{size}px;font-weight:{weight}">{shown}</p>')
    with pymupdf.open() as document:
        page = document.new_page(width=900, height=slot_pt * len(html) + 20)
        css = f"body, p {{margin: 0}} p {{line-height: {slot_pt}px}}"
        page.insert_htmlbox(pymupdf.Rect(2, 0, 898, slot_pt * len(html) + 20), "".join(html), css=css, scale_low=1)
        pixmap = page.get_pixmap(matrix=pymupdf.Matrix(PX_PER_PT, PX_PER_PT), colorspace=pymupdf.csGRAY)
        flags = pymupdf.TEXT_PRESERVE_WHITESPACE | pymupdf.TEXT_PRESERVE_LIGATURES
        blocks = page.get_text("rawdict", flags=flags)["blocks"]
    ink = 255 - np.frombuffer(pixmap.samples, np.uint8).reshape(pixmap.height, pixmap.stride)[:, : pixmap.width]
    glyphs: list[list[tuple[float, float, float, str]]] = [[] for _ in html]
    for block in blocks:
        for fragment in block["lines"]:
            for span in fragment["spans"]:
                for char in span["chars"]:
                    x0, _, x1, _ = char["bbox"]
                    index = min(int(char["origin"][1] // slot_pt), len(html) - 1)
                    glyphs[index].append((x0, x1, char["origin"][1], char["c"]))
    made = []
    for index, (language, kind, text, size) in enumerate(wanted):
        seen = sorted(glyphs[index], key=lambda glyph: glyph[0] + glyph[1])
        order = visual(text, language == "ar")
        if not seen or seen[-1][1] - seen[0][0] > width_pt or not _agree(text, order, [glyph[3] for glyph in seen], language):
            continue
        left, right = max(int(seen[0][0] * PX_PER_PT) - 2, 0), int(seen[-1][1] * PX_PER_PT) + 3
        x = np.empty(len(text), np.float32)
        x[order] = [(glyph[0] + glyph[1]) / 2 * PX_PER_PT - left for glyph in seen]
        top = slot_pt * PX_PER_PT * index
        y = (seen[0][2] - 0.3 * size) * PX_PER_PT - top
        made.append(Strip(text, language, kind, ink[top : top + slot_pt * PX_PER_PT, left:right].copy(), x, y))
    return made


def _agree(text: str, order: list[int], seen: list[str], language: str) -> bool:
    if len(order) != len(seen):
        return False
    for index, glyph in zip(order, seen, strict=True):
        want = text[index].translate(_MIRRORED) if language == "ar" else text[index]
        if glyph != "\ufffd" and unicodedata.normalize("NFKC", glyph) not in (want, text[index]):
            return False
    return True


@lru_cache(maxsize=2)
def bank(seed: int, number: int) -> dict[tuple[str, str], list[Strip]]:
    """The strips of cards `number * CARDS_PER_BANK` and following, by language and kind."""
    import numpy as np

    draw = np.random.default_rng([seed, 1, number])
    sorted_strips: dict[tuple[str, str], list[Strip]] = {}
    for _ in range(PAGES_PER_BANK):
        for strip in strips(draw, PAGE_PT[0] - 24):
            sorted_strips.setdefault((strip.language, strip.kind), []).append(strip)
    return sorted_strips


def card(seed: int, index: int, side_px: int, lines: tuple[int, int] = (2, 11)) -> Card:
    """Card `index` of the stream `seed`, with a number of lines between the two of `lines`."""
    import numpy as np
    from PIL import Image

    draw = np.random.default_rng([seed, 0, index])
    store = bank(seed, index // CARDS_PER_BANK)
    language = "ar" if draw.random() < 0.5 else "en"
    width, height = PAGE_PT[0] * PX_PER_PT, PAGE_PT[1] * PX_PER_PT
    canvas = np.zeros((height, width), np.uint8)
    texts: list[str] = []
    places: list[Places] = []

    def put(strip: Strip, x: int, y: int) -> None:
        """Paste with the line's middle at `y`, cut off at the canvas."""
        top = y - round(strip.y)
        above, left = max(0, -top), max(0, x)
        piece = strip.ink[above : max(height - top, 0), : width - left]
        target = canvas[top + above : top + above + piece.shape[0], left : left + piece.shape[1]]
        np.maximum(target, piece, out=target)
        places.append(np.stack([strip.x + left, np.full_like(strip.x, y)], 1))

    def mark(text: str) -> None:
        texts.append(text)
        places.append(np.full((len(text), 2), np.nan, np.float32))

    pitch = int(draw.integers(46, 62))
    margin = int(draw.integers(18, 40))
    count = int(draw.integers(lines[0], lines[1] + 1))
    y = int(draw.integers(36, 60))
    if count * pitch + y < height - 60:
        y += int(draw.integers(0, height - 40 - y - count * pitch)) if draw.random() < 0.3 else 0
    row = 0
    if draw.random() < 0.4:
        canvas[10:12, 10:-10] = canvas[-12:-10, 10:-10] = 255
        canvas[10:-10, 10:12] = canvas[10:-10, -12:-10] = 255
    while row < count and y < height - 24:
        kind = str(draw.choice(["field", "prose", "table"], p=[0.55, 0.25, 0.2]))
        if row == 0 and draw.random() < 0.6:
            kind = "title"
        if kind == "table" and count - row >= 2:
            columns = int(draw.integers(2, 5))
            rows = int(draw.integers(2, min(5, count - row + 1)))
            edges = np.linspace(margin - 6, width - margin + 6, columns + 1).astype(int)
            top = y - pitch // 2
            drawn = 0
            for _ in range(rows):
                if y > height - 24:
                    break
                cells = []
                for column in range(columns):
                    room = int(edges[column + 1] - edges[column]) - 12
                    options = store[language, "cell"]
                    for _ in range(12):
                        strip = options[int(draw.integers(len(options)))]
                        if strip.ink.shape[1] <= room:
                            cells.append((strip, column))
                            break
                if language == "ar":
                    cells.reverse()
                for position, (strip, column) in enumerate(cells):
                    if position:
                        mark(" | ")
                    right = int(edges[column + 1]) - 6 - strip.ink.shape[1]
                    put(strip, right if language == "ar" else int(edges[column]) + 6, y)
                    texts.append(strip.text)
                if cells:
                    mark("\n")
                y += pitch
                drawn += 1
                row += 1
            if draw.random() < 0.8:
                bottom = min(top + drawn * pitch, height - 2)
                for level in range(drawn + 1):
                    at = min(top + level * pitch, height - 2)
                    canvas[at : at + 2, edges[0] : edges[-1]] = 255
                for edge in edges:
                    canvas[top:bottom, edge : edge + 2] = 255
            continue
        if kind == "table":
            kind = "field"
        spoken = language if draw.random() < 0.93 else ("en" if language == "ar" else "ar")
        options = store[spoken, kind]
        strip = options[int(draw.integers(len(options)))]
        free = width - strip.ink.shape[1]
        side = margin if language == "en" else free - margin
        if kind == "title":
            side = free // 2
        elif draw.random() < 0.1:
            side = int(draw.integers(0, max(free, 1)))
        put(strip, int(np.clip(side, 0, max(free, 0))), y)
        texts.append(strip.text)
        mark("\n")
        y += pitch + (14 if kind == "title" else 0)
        row += 1
    text = "".join(texts)[:-1]
    where = np.concatenate(places)[: len(text)] / np.array([width, height], np.float32)
    return Card(text, _printed(draw, Image.fromarray(canvas), where, side_px), where.astype(np.float32))


def _printed(draw: "Generator", canvas: Any, where: "Places", side_px: int) -> "Pixels":
    """Reduce to the student's image as its processor does, then skew, shift, fade and add noise; moves `where` along."""
    import numpy as np
    from PIL import Image

    image = canvas.resize((side_px, side_px), Image.Resampling.BILINEAR)
    if draw.random() < 0.5:
        slope = float(draw.normal(0, 0.012))
        shift = draw.uniform(-3, 3, 2)
        image = image.transform(
            image.size, Image.Transform.AFFINE, (1, slope, shift[0], -slope, 1, shift[1]), Image.Resampling.BILINEAR
        )
        # the transform reads output (u, v) from input (u + slope v + a, v - slope u + b)
        x, y = where[:, 0] * side_px - shift[0], where[:, 1] * side_px - shift[1]
        where[:, 0], where[:, 1] = (x - slope * y) / side_px, (y + slope * x) / side_px
    ink = np.asarray(image, np.float32) * draw.uniform(0.45, 1.0)
    if draw.random() < 0.6:
        grain = np.frombuffer(draw.bytes(side_px * side_px), np.uint8).reshape(side_px, side_px)
        ink += (grain.astype(np.float32) - 127.5) * float(draw.uniform(0, 0.2))
    paper = draw.uniform(225, 255)
    return np.clip(paper - ink, 0, 255).astype(np.uint8)

"""seed -> an endless stream of small cards: image, text in reading order, and where on the image each character stands.

A card is a small page like those of `warraq synth`: headings, `label: value` lines, tables, sentences, in Arabic or
English, pale, askew, noisy. Cards come in blocks, each put together from strips of its own, so any block can be made
without the ones before it.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from warraq.synth.strips import PX_PER_PT, Strip, strips
from warraq.synth.words import Language

if TYPE_CHECKING:
    from numpy.random import Generator
    from PIL.Image import Image

    from warraq.synth.strips import Pixels, Places

PAGE_PT = (295, 330)  # width, height: between the extremes of the documents of `warraq synth`
CARDS_PER_BLOCK = 256
PAGES_PER_BLOCK = 24  # of strips; a strip is on about five cards of its block
Store = dict[tuple[Language, str], list[Strip]]


@dataclass(frozen=True)
class Card:
    """`image` is grey (side, side); `places` is (len(text), 2): x and y of each character as shares of the image, NaN
    for what is not printed: line breaks and the bars between cells."""

    language: Language
    text: str
    image: "Pixels"
    places: "Places"


def block(seed: int, number: int, side_px: int) -> list[Card]:
    """Block `number` of the stream `seed`."""
    import numpy as np

    draw = np.random.default_rng([seed, number])
    store: Store = {}
    for _ in range(PAGES_PER_BLOCK):
        for strip in strips(draw, PAGE_PT[0] - 22):
            store.setdefault((strip.language, strip.kind), []).append(strip)
    return [_card(draw, store, side_px) for _ in range(CARDS_PER_BLOCK)]


class _Canvas:
    """A card in the making, at PX_PER_PT; what is printed is noted in the same breath."""

    def __init__(self) -> None:
        import numpy as np

        self.width, self.height = PAGE_PT[0] * PX_PER_PT, PAGE_PT[1] * PX_PER_PT
        self.ink: Pixels = np.zeros((self.height, self.width), np.uint8)
        self.text = ""
        self.places: list[Places] = []

    def put(self, strip: Strip, left: int, y: int) -> None:
        """Print a strip with its letters' middle at `y`; it must lie within the canvas."""
        import numpy as np

        top = y - round(strip.y)
        above = max(0, -top)
        piece = strip.ink[above : self.height - top]
        target = self.ink[top + above : top + above + piece.shape[0], left : left + piece.shape[1]]
        np.maximum(target, piece, out=target)
        self.text += strip.text
        self.places.append(np.stack([strip.x + left, np.full_like(strip.x, y)], 1))

    def unprinted(self, text: str) -> None:
        import numpy as np

        self.text += text
        self.places.append(np.full((len(text), 2), np.nan, np.float32))

    def frame(self, left: int, top: int, right: int, bottom: int) -> None:
        self.ink[top : top + 2, left:right] = self.ink[bottom - 2 : bottom, left:right] = 255
        self.ink[top:bottom, left : left + 2] = self.ink[top:bottom, right - 2 : right] = 255


def _card(draw: "Generator", store: Store, side_px: int) -> Card:
    import numpy as np
    from PIL import Image

    language: Language = "ar" if draw.random() < 0.5 else "en"
    canvas = _Canvas()
    if draw.random() < 0.5:
        canvas.frame(10, 10, canvas.width - 10, canvas.height - 10)
    pitch, margin = int(draw.integers(48, 62)), int(draw.integers(22, 36))
    rows = int(draw.integers(1, 5) if draw.random() < 0.25 else draw.integers(5, 11))
    y = int(draw.integers(42, 60))
    while rows > 0 and y < canvas.height - 36:
        kind = str(draw.choice(["field", "prose", "table"], p=[0.6, 0.22, 0.18]))
        if not canvas.text and draw.random() < 0.6:
            kind = "title"
        if canvas.text:
            canvas.unprinted("\n")
        if kind == "table":
            used = _table(
                draw, store, canvas, language, margin, y, pitch, min(rows, (canvas.height - 36 - y) // pitch + 1)
            )
            rows, y = rows - used, y + used * pitch + 4
            continue
        other: Language = "en" if language == "ar" else "ar"
        options = store[language if draw.random() < 0.95 else other, kind]
        strip = options[int(draw.integers(len(options)))]
        free = canvas.width - strip.ink.shape[1]
        left = margin if language == "en" else free - margin
        if (kind == "title" and draw.random() < 0.6) or draw.random() < 0.04:
            left = free // 2
        elif draw.random() < 0.06:
            left = int(draw.integers(free + 1))
        canvas.put(strip, min(max(left, 0), free), y)
        rows, y = rows - 1, y + pitch + (14 if kind == "title" else 0)
    size = np.array([canvas.width, canvas.height], np.float32)
    places: Places = np.concatenate([part / size for part in canvas.places])
    ink = Image.fromarray(canvas.ink)
    if y < canvas.height - 160 and draw.random() < 0.5:
        _marks(draw, ink, y)
    image, places = _printed(draw, ink, places, side_px)
    return Card(language, canvas.text, image, places)


def _table(
    draw: "Generator", store: Store, canvas: _Canvas, language: Language, margin: int, y: int, pitch: int, most: int
) -> int:
    """Print a table whose first row is at `y`, of at most `most` rows; return how many. Arabic starts at the right."""
    import numpy as np

    columns = int(draw.integers(2, 5))
    rows = min(int(draw.integers(1, 4)), most)
    edges = np.linspace(margin - 8, canvas.width - margin + 8, columns + 1).astype(int)
    ruled = draw.random() < 0.6
    for row in range(rows):
        if row:
            canvas.unprinted("\n")
        for place in range(columns):
            column = columns - 1 - place if language == "ar" else place
            room = int(edges[column + 1] - edges[column]) - 14
            fitting = [strip for strip in store[language, "cell"] if strip.ink.shape[1] <= room]
            strip = fitting[int(draw.integers(len(fitting)))]
            if place:
                canvas.unprinted(" | ")
            left = int(edges[column + 1]) - 7 - strip.ink.shape[1] if language == "ar" else int(edges[column]) + 7
            canvas.put(strip, left, y + row * pitch)
            if ruled:
                top = y + row * pitch - pitch // 2
                canvas.frame(int(edges[column]), top, int(edges[column + 1]) + 2, min(top + pitch + 2, canvas.height))
    return rows


def _marks(draw: "Generator", ink: "Image", y: int) -> None:
    """A ring or a pen line below `y`, which are not text."""
    import numpy as np
    from PIL import ImageDraw

    pen = ImageDraw.Draw(ink)
    middle, centre = int(draw.integers(110, ink.width - 110)), int(draw.integers(y + 75, ink.height - 60))
    if draw.random() < 0.5:
        pen.ellipse((middle - 72, centre - 72, middle + 72, centre + 72), outline=int(draw.integers(120, 255)), width=3)
        return
    turn = np.linspace(0, draw.uniform(18, 36), 80)
    x = middle - 80 + turn * 4 + 16 * np.cos(turn)
    pen.line([*zip(x.tolist(), (centre + 20 * np.sin(turn)).tolist(), strict=True)], fill=200, width=3)


def _printed(draw: "Generator", ink: "Image", places: "Places", side_px: int) -> "tuple[Pixels, Places]":
    """Reduce to the student's image as its processor does, then skew, shift, fade and add noise; places move along."""
    import numpy as np
    from PIL import Image

    small = ink.resize((side_px, side_px), Image.Resampling.BILINEAR)
    if draw.random() < 0.5:
        slope = float(np.clip(draw.normal(0, 0.012), -0.026, 0.026))
        right, down = draw.uniform(-3, 3, 2) + np.array([slope, -slope]) * side_px / 2
        # around the middle; reads output (u, v) from input (u + slope v - right, v - slope u - down)
        small = small.transform(
            small.size, Image.Transform.AFFINE, (1, slope, -right, -slope, 1, -down), Image.Resampling.BILINEAR
        )
        x, y = (places * side_px + np.array([right, down], np.float32)).T
        places = np.stack([x - slope * y, y + slope * x], 1).astype(np.float32) / np.float32(side_px)
    page = np.asarray(small, np.float32) * draw.uniform(0.45, 1.0)
    if draw.random() < 0.6:
        page = page + draw.standard_normal(page.shape, np.float32) * draw.uniform(1, 10)
    return np.clip(draw.uniform(225, 255) - page, 0, 255).astype(np.uint8), places

"""A seed -> an endless stream of pages: image, text in reading order, where on it each character stands.

Most are small pages like those of `warraq synth`: headings, `label: value` lines, tables, sentences, in Arabic or
English, a stamp and a signature at the foot, pale, askew, noisy. Some are of the proportions
of till receipts and letters, to be shown in bands: their type is the same, so they are measured in units of which a
card has 252. Pages come in blocks, each put together from lines of its own, so any block can be made without the ones
before it.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from warraq.nano.canvas import Canvas
from warraq.nano.text_lines import PX_PER_PT, TextLine, draw_text_lines
from warraq.synth.words import Language

if TYPE_CHECKING:
    from numpy.random import Generator
    from PIL.Image import Image

    from warraq.nano.text_lines import Pixels, Places

WIDTH_PT = 252  # of the documents of `warraq synth`
SIZES_PT = {  # width, least and largest height, as large as they are where type has 17 to 21 pt
    "card": (WIDTH_PT, 252, 340),
    "receipt": (420, 1000, 1100),  # 80 x 200 mm with 9 to 11 pt
    "letter": (600, 830, 870),  # A5 with 12 to 14 pt
}
HEIGHT_PX = {0: 320, 2: 568, 3: 768}  # of the image of a page by its bands, of which each then is a student's square
FOOT_PX = 164  # where stamp and signature stand side by side
WORD_SPACE_PX = 12
BLOCK_PAGES = 256
TALL = 4  # a page in bands weighs as much as so many cards
SHEETS_PER_BLOCK = 24  # of lines; a line is on about five pages of its block
STATES = ("skew", "noise", "pale", "grey_paper")  # of a page's wear
Store = dict[tuple[Language, str], list[TextLine]]


@dataclass(frozen=True)
class TrainingPage:
    """A page to learn to read from, and all that is true of it."""

    kind: str  # one of SIZES_PT
    bands: int  # in which it is to be shown beside the whole, or 0
    language: Language
    text: str  # in reading order
    image: "Pixels"  # (height, side) grey
    places: "Places"  # (len(text), 2): x, y of each character, shares of the image; NaN for line breaks and cell bars
    fields: tuple[tuple[str, int, int], ...]  # key, start, end in `text`: values, title, stamp, signature; any twice
    state: dict[str, bool]  # of STATES: what of the page's wear is clear to see, one way or the other


def make_block(seed: int, number: int, side_px: int, bands: int = 0) -> list[TrainingPage]:
    """Block `number` of the stream `seed`: cards or, where there are to be bands, fewer tall pages."""
    import numpy as np

    rng = np.random.default_rng([seed, number])
    store: Store = {}
    for _ in range(SHEETS_PER_BLOCK):
        for line in draw_text_lines(rng, WIDTH_PT - 22):
            store.setdefault((line.language, line.kind), []).append(line)
    count = max(1, BLOCK_PAGES // TALL) if bands else BLOCK_PAGES
    return [_make_page(rng, store, side_px, bands) for _ in range(count)]


def _make_page(rng: "Generator", store: Store, side_px: int, bands: int) -> TrainingPage:
    import numpy as np
    from PIL import Image

    language: Language = "ar" if rng.random() < 0.5 else "en"
    kind = "card" if not bands else "receipt" if rng.random() < 0.5 else "letter"
    width, lowest, highest = SIZES_PT[kind]
    canvas = Canvas(width * PX_PER_PT, int(rng.integers(lowest, highest)) * PX_PER_PT)
    if rng.random() < 0.5:
        canvas.draw_frame(10, 10, canvas.width - 10, canvas.height - 10)
    pitch, margin = int(rng.integers(48, 62)), int(rng.integers(22, 36))
    rows = int(rng.integers(1, 5) if rng.random() < 0.25 else rng.integers(4, 10))
    if bands:
        rows = int(rng.integers(6, 32 if kind == "receipt" else 24))
    footed = rng.random() < 0.5
    y, end = int(rng.integers(42, 60)), canvas.height - (FOOT_PX + 36 if footed else 36)
    while rows > 0 and y < end:
        part = str(rng.choice(["field", "prose", "table"], p=[0.6, 0.22, 0.18]))
        if not canvas.text and rng.random() < 0.6:
            part = "title"
        if canvas.text:
            canvas.add_unprinted("\n")
        if part == "table":
            used = _add_table(rng, store, canvas, language, margin, y, pitch, min(rows, (end - y) // pitch + 1))
            rows, y = rows - used, y + used * pitch + 4
            continue
        _add_row(rng, store, canvas, language, part, margin, y)
        rows, y = rows - 1, y + pitch + (14 if part == "title" else 0)
        if bands and rng.random() < 0.1:
            y += pitch
    if footed:
        _add_foot(rng, store, canvas, language, y - pitch // 2 + 8)
    size = np.array([canvas.width, canvas.height], np.float32)
    places: Places = np.concatenate([part / size for part in canvas.places])
    shape = (side_px, side_px * HEIGHT_PX[bands] // HEIGHT_PX[0])
    image, places, state = _wear(rng, Image.fromarray(canvas.ink), places, shape)
    return TrainingPage(kind, bands, language, canvas.text, image, places, tuple(canvas.fields), state)


def _add_row(
    rng: "Generator", store: Store, canvas: Canvas, language: Language, part: str, margin: int, y: int
) -> None:
    """Print a line, or of prose as many beside each other as the page is wide. Arabic starts at the right."""
    other: Language = "en" if language == "ar" else "ar"
    options = store[language if rng.random() < 0.95 else other, part]
    line = options[int(rng.integers(len(options)))]
    free = canvas.width - line.ink.shape[1]
    left = margin if language == "en" else free - margin
    if (part == "title" and rng.random() < 0.6) or rng.random() < 0.04:
        left = free // 2
    elif rng.random() < 0.06:
        left = int(rng.integers(free + 1))
    left = min(max(left, 0), free)
    canvas.add_line(line, left, y, "title" if part == "title" else "")
    options = store[language, "prose"]
    while part == "prose" and line.language == language:
        following = options[int(rng.integers(len(options)))]
        width = following.ink.shape[1] + WORD_SPACE_PX
        left = left - width if language == "ar" else left + line.ink.shape[1] + WORD_SPACE_PX
        if left < margin or left + following.ink.shape[1] > canvas.width - margin:
            return
        canvas.add_unprinted(" ")
        canvas.add_line(following, left, y)
        line = following


def _add_foot(rng: "Generator", store: Store, canvas: Canvas, language: Language, y: int) -> None:
    """A signature and a stamp side by side below `y`, or one of them; what is first in reading order is noted first."""
    import numpy as np

    signature_first, which = rng.random() < 0.5, int(rng.integers(4))
    parts = [part for part, there in (("signature", which != 0), ("stamp", which != 1)) if there]
    for part in parts if signature_first else parts[::-1]:
        leftmost = (part == "signature") == (signature_first == (language == "en"))
        x = round(canvas.width * (0.27 if leftmost else 0.73))
        options = [line for line in store[language, "mark"] if line.ink.shape[1] < canvas.width * 0.46]
        chosen = [options[int(rng.integers(len(options)))] for _ in range(1 + (rng.random() < 0.4))]
        plate = Canvas(max(line.ink.shape[1] for line in chosen) + 28, 40 * len(chosen) + 36)
        angle = 0.0
        if part == "stamp":
            angle = float(rng.choice([-1, 1]) * rng.uniform(3, 14))
            if rng.random() < 0.5:
                plate.draw_frame(0, 0, plate.width, plate.height)
        for number, line in enumerate(chosen):
            if number:
                plate.add_unprinted(" ")
            plate.add_line(
                line, (plate.width - line.ink.shape[1]) // 2, plate.height // 2 + 40 * number - 20 * (len(chosen) - 1)
            )
        if part == "stamp":
            plate.ink = (plate.ink * rng.uniform(0.6, 1.0)).astype(np.uint8)
        if canvas.text:
            canvas.add_unprinted("\n")
        below = 20 if part == "signature" else 0
        centre = (min(max(x, plate.width // 2), canvas.width - plate.width // 2), y + FOOT_PX // 2 + below)
        canvas.paste(plate, centre, angle, part)
        if part == "stamp" and rng.random() < 0.4:
            _draw_ring(rng, canvas, centre)
        if part == "signature" and rng.random() < 0.8:
            _draw_signature(rng, canvas, (x, centre[1] - plate.height // 2 - 14))


def _add_table(
    rng: "Generator", store: Store, canvas: Canvas, language: Language, margin: int, y: int, pitch: int, most: int
) -> int:
    """Print a table whose first row is at `y`, of at most `most` rows; return how many. Arabic starts at the right."""
    import numpy as np

    columns = int(rng.integers(2, 5))
    rows = min(int(rng.integers(1, 4)), most)
    edges = np.linspace(margin - 8, canvas.width - margin + 8, columns + 1).astype(int)
    ruled = rng.random() < 0.6
    for row in range(rows):
        if row:
            canvas.add_unprinted("\n")
        for place in range(columns):
            column = columns - 1 - place if language == "ar" else place
            room = int(edges[column + 1] - edges[column]) - 14
            fitting = [line for line in store[language, "cell"] if line.ink.shape[1] <= room]
            line = fitting[int(rng.integers(len(fitting)))]
            if place:
                canvas.add_unprinted(" | ")
            left = int(edges[column + 1]) - 7 - line.ink.shape[1] if language == "ar" else int(edges[column]) + 7
            canvas.add_line(line, left, y + row * pitch)
            if ruled:
                top = y + row * pitch - pitch // 2
                canvas.draw_frame(
                    int(edges[column]), top, int(edges[column + 1]) + 2, min(top + pitch + 2, canvas.height)
                )
    return rows


def _draw_ring(rng: "Generator", canvas: Canvas, centre: tuple[int, int]) -> None:
    (x, y), radius = centre, 76
    with canvas.open_pen() as pen:
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), outline=int(rng.integers(120, 255)), width=3)


def _draw_signature(rng: "Generator", canvas: Canvas, centre: tuple[int, int]) -> None:
    """A line that loops, as a hand signs."""
    import numpy as np

    turn = np.linspace(0, rng.uniform(18, 36), 80)
    x = centre[0] - 80 + turn * 4 + 16 * np.cos(turn)
    points = [*zip(x.tolist(), (centre[1] + rng.uniform(12, 24) * np.sin(turn)).tolist(), strict=True)]
    with canvas.open_pen() as pen:
        pen.line(points, fill=int(rng.integers(150, 255)), width=3)


def _wear(
    rng: "Generator", ink: "Image", places: "Places", shape: tuple[int, int]
) -> "tuple[Pixels, Places, dict[str, bool]]":
    """Reduce to (width, height) px as a student's processor does, then skew, shift, fade and add noise.

    The places move along.
    """
    import numpy as np
    from PIL import Image

    small = ink.resize(shape, Image.Resampling.BILINEAR)
    size = np.array(shape, np.float32)
    slope = noise = 0.0
    if rng.random() < 0.5:
        slope = float(np.clip(rng.normal(0, 0.012), -0.026, 0.026))
        right, down = rng.uniform(-3, 3, 2) + np.array([slope, -slope]) * size[::-1] / 2
        # around the middle; reads output (u, v) from input (u + slope v - right, v - slope u - down)
        small = small.transform(
            small.size, Image.Transform.AFFINE, (1, slope, -right, -slope, 1, -down), Image.Resampling.BILINEAR
        )
        x, y = (places * size + np.array([right, down], np.float32)).T
        places = np.stack([x - slope * y, y + slope * x], 1).astype(np.float32) / size
    contrast = rng.uniform(0.45, 1.0)
    page = np.asarray(small, np.float32) * contrast
    if rng.random() < 0.6:
        grain = rng.standard_normal(page.shape, np.float32)
        noise = rng.uniform(1, 10)
        page = page + grain * noise
    paper = rng.uniform(225, 255)
    clear = {"skew": (abs(slope), 0.005, 0.012), "noise": (noise, 2.5, 4.5), "pale": (1 - contrast, 0.15, 0.38),
             "grey_paper": (255 - paper, 3, 8)}  # fmt: skip
    state = {key: amount >= much for key, (amount, little, much) in clear.items() if not little < amount < much}
    return np.clip(paper - page, 0, 255).astype(np.uint8), places, state

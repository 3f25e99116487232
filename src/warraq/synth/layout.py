"""What is drawn on a page, and where: the seam between making up documents and drawing them."""

import math
from dataclasses import dataclass
from random import Random

from warraq.files import JsonObject
from warraq.synth.scan import Scan

Point = tuple[float, float]  # x, y in pt from the top left
Box = tuple[float, float, float, float]  # x0, y0, x1, y1 in pt
STAMP_TYPE_PT = 16.0
COLOURS = ("#b01020", "#1030a0", "#106030", "#602080")


@dataclass(frozen=True)
class TextBox:
    """HTML that is set into a box."""

    box: Box
    html: str


@dataclass(frozen=True)
class Stamp:
    """A round or square stamp; `lines` are HTML."""

    centre: Point
    width_pt: float
    height_pt: float
    round: bool
    angle_deg: float
    colour: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class PageLayout:
    """A page and its true answers by task; `scan` is None for a born-digital page."""

    width_pt: float
    height_pt: float
    css: str
    frame: bool
    texts: tuple[TextBox, ...]
    stamp: Stamp | None
    strokes: tuple[Point, ...]  # of a pen, one line
    scan: Scan | None
    answers: dict[str, JsonObject]


def set_direction(html: str, rtl: bool) -> str:
    """HTML that runs from right to left where `rtl`."""
    return f'<div dir="rtl">{html}</div>' if rtl else html


def place_stamp(rng: Random, box: Box, lines: tuple[str, ...], rtl: bool) -> Stamp:
    """A ring where the words are short enough for it, else a frame; in the middle of `box`, turned a little."""
    x0, y0, x1, y1 = box
    longest_pt = max(map(len, lines)) * STAMP_TYPE_PT * (0.55 if rtl else 0.72)
    ring = longest_pt < 56
    width, height = (76.0, 76.0) if ring else (longest_pt + 14, STAMP_TYPE_PT * 1.25 * len(lines) + 20)
    angle = rng.choice((-1, 1)) * rng.uniform(3, 14)
    html = tuple(set_direction(f"<p>{line}</p>", rtl) for line in lines)
    return Stamp(((x0 + x1) / 2, (y0 + y1) / 2), width, height, ring, angle, rng.choice(COLOURS), html)


def draw_strokes(rng: Random, box: Box) -> tuple[Point, ...]:
    """A pen line that loops from one end of `box` to the other."""
    x0, y0, x1, y1 = box
    loops, sway, phase = rng.uniform(3, 6), rng.uniform(0.05, 0.12), rng.uniform(0, math.tau)
    points = []
    for step in range(81):
        t = step / 80
        swing = math.cos(math.tau * loops * t + phase) * (0.35 + 0.65 * math.cos(math.pi * t + phase) ** 2)
        x = t * (1 - 2 * sway) + sway + sway * math.sin(math.tau * loops * t * 1.02 + phase)
        points.append((x0 + x * (x1 - x0), (y0 + y1) / 2 + swing * (y1 - y0) / 2))
    return tuple(points)

"""The words of a page's text layer, held against the ink that they put on the page.

A layer may hold what nobody can see: text that is white, invisible, covered, clipped, beside the page, of another's
reading of a scan, or in a font that is missing. Most words are proved by their contrast alone; the rest by drawing the
page's text, and nothing else, and looking for its shapes on the page.
"""

import re
from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

Box = tuple[int, int, int, int]  # left, top, right, bottom, px
SAYS_SOMETHING = re.compile(r"[^\W_]")
CONTRAST = 24  # grey levels; fainter is the paper
LIKENESS = 0.3  # least correlation of a word's shape with the page: what shows through a cover or a photograph has less
LEFT = 0.9  # least share of a word's ink that nothing covers
MOST = 0.6  # of a word's box
FEW = 4  # words of which each is drawn alone
PAIRS = 1_000_000  # of boxes that are level; where there are more, all words are drawn


def measure_inkless(
    samples: "np.ndarray",
    texts: Sequence[str],
    boxes: "np.ndarray",
    covered: "np.ndarray",
    draw_text: Callable[[Box], tuple["np.ndarray", "np.ndarray"]],
) -> float:
    """The share of the words with a letter or digit that put no ink on the page.

    Args:
        samples: the page, (height, width, channels).
        texts: the words of its text layer.
        boxes: left, top, right and bottom of each, px; (words, 4).
        covered: whether a picture was drawn over each, or may have been.
        draw_text: draws the text within a box alone, black on white, (height, width): all of it, and what nothing clips
            or covers.
    """
    import numpy as np

    if not len(boxes):
        return 0.0
    doubtful = covered | _are_overlapped(boxes) | ~_have_contrast(samples, boxes)
    suspects = [index for index in np.flatnonzero(doubtful).tolist() if SAYS_SOMETHING.search(texts[index])]
    if not suspects:
        return 0.0
    places = {index: _surround(boxes[index], samples.shape) for index in suspects}
    groups = [suspects] if len(suspects) > FEW else [[index] for index in suspects]
    inkless = 0
    for group in groups:
        around = np.array([places[index] for index in group])
        left, top = around[:, :2].min(axis=0).tolist()
        right, bottom = around[:, 2:].max(axis=0).tolist()
        if left >= right or top >= bottom:  # beside the page
            inkless += len(group)
            continue
        whole, uncovered = draw_text((left, top, right, bottom))
        for index in group:
            x0, y0, x1, y1 = places[index]
            rows, columns = slice(y0 - top, y1 - top), slice(x0 - left, x1 - left)
            inkless += not _has_ink(samples[y0:y1, x0:x1], whole[rows, columns], uncovered[rows, columns])
    return round(inkless / sum(bool(SAYS_SOMETHING.search(text)) for text in texts), 4) if inkless else 0.0


def _have_contrast(samples: "np.ndarray", boxes: "np.ndarray") -> "np.ndarray":
    """Whether there is light and dark in the middle of each box, where every letter has ink and few neighbours do."""
    import numpy as np

    left, top, right, bottom = boxes.T
    x = (left + (right - left) * _spread(0.2, 0.8, 16)).astype(np.int32)  # (points across, words)
    y = (top + (bottom - top) * _spread(0.3, 0.75, 6)).astype(np.int32)
    inside = (y[0] >= 0) & (y[-1] < samples.shape[0]) & (x[0] >= 0) & (x[-1] < samples.shape[1])
    contrast = np.zeros(len(boxes), bool)
    for every in (3, 1):  # a few points tell of most words
        some = np.flatnonzero(inside & ~contrast)
        places = y[::every, None, some], x[None, ::every, some]
        greys = samples[(*places, min(1, samples.shape[2] - 1))]
        contrast[some] = np.ptp(greys, axis=(0, 1)) >= CONTRAST
    return contrast


@cache
def _spread(first: float, last: float, count: int) -> "np.ndarray":
    """Shares of a length at equal distances, (count, 1)."""
    import numpy as np

    return np.linspace(first, last, count, dtype=np.float32)[:, None]


def _are_overlapped(boxes: "np.ndarray") -> "np.ndarray":
    """Whether a later box holds the middle and most of each, as a cover with a text of its own does."""
    import numpy as np

    left, top, right, bottom = boxes.T
    x, y = (left + right) / 2, (top + bottom) / 2
    by_height = np.argsort(y)
    heights = y[by_height]
    starts = np.searchsorted(heights, top)
    counts = (np.searchsorted(heights, bottom) - starts).clip(0)  # of the middles that are level with each box
    if counts.sum() > PAIRS:
        return np.ones(len(boxes), bool)
    over = np.repeat(np.arange(len(boxes)), counts)
    under = by_height[np.arange(len(over)) + np.repeat(starts - counts.cumsum() + counts, counts)]
    hit = (left[over] <= x[under]) & (x[under] <= right[over]) & (over > under)
    over, under = over[hit], under[hit]
    overlapped = np.zeros(len(boxes), bool)
    if len(over):
        upper, lower = boxes[over], boxes[under]
        shared = (np.minimum(lower, upper)[:, 2:] - np.maximum(lower, upper)[:, :2]).clip(0).prod(axis=1)
        covers = (lower != upper).any(axis=1) & (shared > MOST * (lower[:, 2:] - lower[:, :2]).prod(axis=1))
        overlapped[under[covers]] = True
    return overlapped


def _surround(box: "np.ndarray", shape: tuple[int, ...]) -> Box:
    """The pixels of a box and those beside it, of a page."""
    x0, y0, x1, y1 = (int(side) for side in box)
    return max(0, x0 - 1), max(0, y0 - 1), min(shape[1], x1 + 2), min(shape[0], y1 + 2)


def _has_ink(samples: "np.ndarray", whole: "np.ndarray", left: "np.ndarray") -> bool:
    """Whether all of the text is left, and the page looks as it does, lighter or darker."""
    import numpy as np

    if not whole.size:
        return False
    shape = 255 - left.astype(np.float32)
    if shape.sum() < LEFT * (255 - whole.astype(np.float32)).sum() or not shape.any():
        return False
    shape -= shape.mean()
    for channel in range(samples.shape[2]):
        page = samples[:, :, channel].astype(np.float32)
        strength = float(np.sqrt((shape**2).sum() * ((page - page.mean()) ** 2).sum()))
        if np.ptp(page) >= CONTRAST and abs(float((page * shape).sum())) > LIKENESS * strength:
            return True
    return False

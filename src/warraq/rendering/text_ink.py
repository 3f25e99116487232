"""The words of a page's text layer, held against the ink that they put on the page.

A layer may hold what nobody can see: text that is white, invisible, covered, clipped, beside the page, of another's
reading of a scan, or in a font that is missing. Most words are proved by their contrast alone; the rest by drawing the
page's text, and nothing else, and looking for its shapes on the page.
"""

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

SAYS_SOMETHING = re.compile(r"[^\W_]")
CONTRAST = 24  # grey levels; fainter is the paper
LIKENESS = 0.3  # least correlation of a word's shape with the page: what shows through a cover or a photograph has less
LEFT = 0.9  # least share of a word's ink that nothing covers
GRID = (6, 16)  # points of a word that are looked at first


def measure_inkless(
    samples: "np.ndarray",
    texts: Sequence[str],
    boxes: "np.ndarray",
    covered: "np.ndarray",
    draw_text: Callable[[], tuple["np.ndarray", "np.ndarray"]],
) -> float:
    """The share of the words with a letter or digit that put no ink on the page.

    Args:
        samples: the page, (height, width, channels).
        texts: the words of its text layer.
        boxes: left, top, right and bottom of each, px; (words, 4).
        covered: whether a picture was drawn over each, or may have been.
        draw_text: draws the text alone, black on white, (height, width): all of it, and what nothing clips or covers.
    """
    import numpy as np

    if not len(boxes):
        return 0.0
    doubtful = covered | _are_overlapped(boxes, samples.shape) | ~_have_contrast(samples, boxes)
    suspects = [index for index in np.flatnonzero(doubtful).tolist() if SAYS_SOMETHING.search(texts[index])]
    if not suspects:
        return 0.0
    drawn = draw_text()
    inkless = sum(not _has_ink(samples, *drawn, boxes[index]) for index in suspects)
    return round(inkless / sum(bool(SAYS_SOMETHING.search(text)) for text in texts), 4)


def _have_contrast(samples: "np.ndarray", boxes: "np.ndarray") -> "np.ndarray":
    """Whether there is light and dark in the middle of each box, where every letter has ink and few neighbours do."""
    import numpy as np

    height, width = samples.shape[:2]
    starts, sizes = boxes[:, :2], boxes[:, 2:] - boxes[:, :2]
    rows = starts[:, 1:] + sizes[:, 1:] * np.linspace(0.3, 0.75, GRID[0], dtype=np.float32)
    columns = starts[:, :1] + sizes[:, :1] * np.linspace(0.2, 0.8, GRID[1], dtype=np.float32)
    y, x = rows.astype(np.int32), columns.astype(np.int32)
    inside = (y[:, 0] >= 0) & (y[:, -1] < height) & (x[:, 0] >= 0) & (x[:, -1] < width)
    points = samples[y.clip(0, height - 1)[:, :, None], x.clip(0, width - 1)[:, None, :], min(1, samples.shape[2] - 1)]
    points = points.reshape(len(boxes), -1)
    contrast: np.ndarray = inside & (points.max(axis=1).astype(np.int16) - points.min(axis=1) >= CONTRAST)
    return contrast


def _are_overlapped(boxes: "np.ndarray", shape: tuple[int, ...]) -> "np.ndarray":
    """Whether the middle of each box lies in a later one, as under a cover with a text of its own."""
    import numpy as np

    step = 4
    owner = np.full((shape[0] // step + 2, shape[1] // step + 2), -1, np.int32)
    cells = (boxes / step).clip(0).astype(np.int32)
    for index, (left, top, right, bottom) in enumerate(cells.tolist()):
        owner[top : bottom + 1, left : right + 1] = index
    middle = ((cells[:, :2] + cells[:, 2:]) // 2).clip(0, np.array(owner.shape[::-1]) - 1)
    overlapped: np.ndarray = owner[middle[:, 1], middle[:, 0]] != np.arange(len(boxes))
    return overlapped


def _has_ink(samples: "np.ndarray", whole: "np.ndarray", left: "np.ndarray", box: "np.ndarray") -> bool:
    """Whether all of the text within the box is left, and the page looks there as it does, lighter or darker."""
    import numpy as np

    height, width = whole.shape
    x0, y0 = (max(0, int(side) - 1) for side in box[:2])
    x1, y1 = min(width, int(box[2]) + 2), min(height, int(box[3]) + 2)
    if x0 >= x1 or y0 >= y1:
        return False
    shape = 255 - left[y0:y1, x0:x1].astype(np.float32)
    if shape.sum() < LEFT * (255 - whole[y0:y1, x0:x1].astype(np.float32)).sum() or not shape.any():
        return False
    shape -= shape.mean()
    for channel in range(samples.shape[2]):
        page = samples[y0:y1, x0:x1, channel].astype(np.float32)
        strength = float(np.sqrt((shape**2).sum() * ((page - page.mean()) ** 2).sum()))
        if np.ptp(page) >= CONTRAST and abs(float((page * shape).sum())) > LIKENESS * strength:
            return True
    return False

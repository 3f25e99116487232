"""A page's samples -> samples that are easier to read. All of it is off by default: measured, it rarely helps.

Samples are 8-bit of shape (height, width, channels), 1 channel grey or 3 RGB; images are of Pillow, "L" or "RGB".
"""

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

PAPER = 32  # grey levels below the paper's that count as paper still
MARGIN = 0.02  # kept around what a crop keeps, share of the longer side
STEEPEST_DEG = 5.0  # a page that leans more is a picture, or lies on its side
LEAST_DEG = 0.1  # a smaller lean moves no line by a pixel of its height


def adjust_contrast(
    samples: "np.ndarray", contrast: Literal["none", "autocontrast"], cutoff_percent: float
) -> "np.ndarray":
    """The luminance stretched to the full range; colours keep their tone."""
    if contrast == "none":
        return samples
    from PIL import ImageOps

    return _as_samples(ImageOps.autocontrast(_as_image(samples), cutoff_percent, preserve_tone=True))


def estimate_skew_deg(samples: "np.ndarray") -> float:
    """How far the lines of writing fall to the right, degrees; 0.0 where no lean stands out.

    The angle at which the rows differ most from their neighbours in ink: the sum of squared differences of the
    projection profile (Postl, ICPR 1986), first by degrees, then by fifths and twentieths.
    """
    import numpy as np

    grey = samples.min(axis=2)
    step = max(1, max(grey.shape) // 1000)
    grey = grey[::step, ::step]
    rows, columns = np.nonzero(grey < (int(grey.min()) + int(np.median(grey))) // 2)
    if len(rows) < 100:
        return 0.0

    def sharpness(angle_deg: float) -> float:
        fallen = rows - columns * np.tan(np.radians(angle_deg))
        profile = np.bincount((fallen - fallen.min()).astype(int))
        return float((np.diff(profile).astype(np.float64) ** 2).sum())

    coarse = [sharpness(angle_deg) for angle_deg in np.arange(-STEEPEST_DEG, STEEPEST_DEG + 1)]
    best = 0.0
    for reach, step_deg in ((STEEPEST_DEG, 1.0), (0.8, 0.2), (0.15, 0.05)):
        count = round(reach / step_deg)
        best = max((best + i * step_deg for i in range(-count, count + 1)), key=sharpness)
    stands_out = sharpness(best) > max(2 * float(np.median(coarse)), 1.1 * sharpness(0.0))
    if not stands_out or not LEAST_DEG <= abs(best) < STEEPEST_DEG:
        return 0.0
    return round(best, 2)


def straighten(samples: "np.ndarray", angle_deg: float) -> tuple["np.ndarray", float]:
    """Turned back by `angle_deg` on paper just large enough, and by what it was scaled to be no longer than before."""
    import math

    from PIL import Image

    image = _as_image(samples)
    cosine, sine = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
    width = image.width * cosine + image.height * abs(sine)
    height = image.height * cosine + image.width * abs(sine)
    scale = max(image.size) / max(width, height)
    size = (round(width * scale), round(height * scale))
    # From a pixel of the result to one of the original, both from their centres.
    a, b = cosine / scale, -sine / scale
    x, y = size[0] / 2, size[1] / 2
    matrix = (a, b, image.width / 2 - a * x - b * y, -b, a, image.height / 2 + b * x - a * y)
    paper = tuple(int(value) for value in _paper_tone(samples))
    fill = paper[0] if len(paper) == 1 else paper
    turned = image.transform(size, Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC, fillcolor=fill)
    return _as_samples(turned), scale


def _paper_tone(samples: "np.ndarray") -> "np.ndarray":
    """The commonest tone: the median of each channel."""
    import numpy as np

    tone: np.ndarray = np.median(samples[::4, ::4].reshape(-1, samples.shape[2]), axis=0)
    return tone


def measure_margins(samples: "np.ndarray") -> tuple[int, int, int, int]:
    """Left, top, right and bottom margin that hold paper only, px, less what is kept; zeros on a blank page."""
    import numpy as np

    is_ink = np.any(np.abs(samples.astype(np.int16) - _paper_tone(samples).astype(np.int16)) > PAPER, axis=2)
    rows, columns = np.flatnonzero(is_ink.any(axis=1)), np.flatnonzero(is_ink.any(axis=0))
    if not len(rows):
        return 0, 0, 0, 0
    height, width = is_ink.shape
    keep = round(MARGIN * max(height, width))
    sides = (columns[0], rows[0], width - 1 - columns[-1], height - 1 - rows[-1])
    left, top, right, bottom = (max(0, int(side) - keep) for side in sides)
    return left, top, right, bottom


def _as_image(samples: "np.ndarray") -> "Image":
    from PIL import Image

    return Image.fromarray(samples[:, :, 0] if samples.shape[2] == 1 else samples)


def _as_samples(image: "Image") -> "np.ndarray":
    import numpy as np

    return np.asarray(image).reshape(image.height, image.width, -1)

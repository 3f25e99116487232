"""A page's image as the trainer opens it, refused where it would be spoiled, and what a model sees of its lines."""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from warraq.errors import InputError
from warraq.students.families import Family, Settings, VisionSize
from warraq.views import Views, list_boxes

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

FLAWS = {  # PIL's name of what the trainer's decoder would spoil
    "1": "has 1 bit a pixel, which the trainer would shrink without grey",
    "P": "has a palette, which the trainer would shrink without mixing colours",
    "CMYK": "is CMYK",
    "RGBA": "has transparency, which the trainer would make black",
    "LA": "has transparency, which the trainer would make black",
}


def open_page(path: Path, sample: str) -> "Image":
    """Open a page's image, of 8 bits, grey or in colour, which the trainer takes as it stands; `sample` shows it.

    Raises:
        InputError: it is anything else, which the trainer would spoil, or no image.
    """
    from PIL import Image

    if not path.is_file():
        raise InputError(f"sample {sample} shows {path}, which is missing; run `warraq render` again.")
    try:
        image = Image.open(path)
        image.load()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(f"sample {sample} shows {path}, which is no image ({error}); run `warraq render`.") from None
    flaw = FLAWS.get(image.mode) or (None if image.mode in ("L", "RGB") else f"is {image.mode}, not of 8 bits")
    if "transparency" in image.info:
        flaw = FLAWS["RGBA"]
    if image.getexif().get(0x0112, 1) != 1:
        flaw = "is turned by its EXIF tags, which the trainer does not read"
    if flaw:
        raise InputError(f"sample {sample} shows {path}, which {flaw}; run `warraq render` again.")
    return image


STRIPS = 8  # in which lines are looked for: in so narrow a one a skewed line is level, and a frame spoils but two


def measure_line_height(image: "Image") -> float | None:
    """The height in px of a line of text: of all runs of rows with ink that in which half of their height lies.

    Runs are looked for strip by strip, without what is ruled from top to bottom or from side to side. They count by
    their height, so that dots and accents beside a line weigh little. Ink is what is nearer to the darkest than to the
    paper, which may be grey. An estimate, some 0.8 of the type's size. None where no line is found.
    """
    import numpy as np

    grey = np.asarray(image.convert("L"))
    darkest, paper = np.percentile(grey, (0.5, 50))
    if paper - darkest < 32:
        return None
    found = [_find_runs(strip) for strip in np.array_split(grey < (darkest + paper) / 2, STRIPS, axis=1)]
    runs = np.sort(np.concatenate(found))
    total = np.cumsum(runs)
    return float(runs[np.searchsorted(total, total[-1] / 2)]) if len(runs) else None


class PageSize(NamedTuple):
    """A page's image in px, and the height of its lines of text, where one is found."""

    width: int
    height: int
    line: float | None


def measure_page_size(image: "Image") -> PageSize:
    """The size of a page's image and of its lines."""
    return PageSize(image.width, image.height, measure_line_height(image))


def show_page(
    page: PageSize, views: Views, family: Family, settings: Settings
) -> tuple[list[VisionSize], float | None]:
    """What a model sees of each view of a page, and of a line in the view that shows it largest, px; a letter that is
    squeezed counts by its narrower side."""
    boxes = [(right - left, bottom - top) for left, top, right, bottom in list_boxes(*page[:2], views)]
    sizes = [family.vision_size(width, height, settings) for width, height in boxes]
    scale = max(
        min(size.width_px / width, size.height_px / height) for size, (width, height) in zip(sizes, boxes, strict=True)
    )
    return sizes, page.line and round(page.line * scale, 1)


def _find_runs(ink: "np.ndarray") -> "np.ndarray":
    """Heights of the runs of rows that hold text."""
    import numpy as np

    width = ink.shape[1]
    counts = ink[:, ink.mean(axis=0) < 0.3].sum(axis=1)
    has_text = (counts >= max(2, width // 50)) & (counts < 0.8 * width)
    edges = np.flatnonzero(np.diff(np.concatenate(([False], has_text, [False])).astype(np.int8)))
    runs = edges[1::2] - edges[::2]
    return runs[(runs >= 4) & (runs <= len(ink) / 4)]  # without specks, and what noise or a picture joins

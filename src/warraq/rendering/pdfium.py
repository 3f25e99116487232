"""PDF -> pages, by PDFium: the second opinion on a page that kills MuPDF, or that MuPDF finds blank.

Second, because it draws the fonts that a file lacks with the host's, so that two machines may differ, and because it
refuses most damaged files.
"""

import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from warraq.rendering.raster import (
    LONG,
    NARROW_PX,
    Colour,
    Raster,
    RenderError,
    scale_long_page,
    split_between_lines,
)

if TYPE_CHECKING:
    import numpy as np


class PdfiumReader:
    """A PageReader by PDFium. Raises RenderError: damaged, no_pages."""

    def __init__(self, path: Path, password: str | None) -> None:
        import pypdfium2

        self._stream = path.open("rb")
        try:
            self._document = pypdfium2.PdfDocument(f"/proc/self/fd/{self._stream.fileno()}", password=password)
            self._document.init_forms()  # else their fields stay empty
        except pypdfium2.PdfiumError as error:
            raise RenderError("damaged", "The file cannot be opened; copy it again from its source.") from error
        files = (self._document.get_attachment(number) for number in range(self._document.count_attachments()))
        self.attached = tuple(file.get_name() for file in files)
        self.count = len(self._document)
        if self.count == 0:
            raise RenderError("no_pages", "The file has no pages; export it again from its source.")

    def draw_box(
        self, number: int, long_side_px: int, colour: Colour, box: tuple[int, int, int, int]
    ) -> "np.ndarray | None":
        """What `draw_page` would have within a box; None where it would refuse."""
        try:
            page = self._document[number - 1]
            scale = min(long_side_px / max(page.get_size()), _native_scale(page))
            width, height = (math.ceil(side * scale) for side in page.get_size())
            left, top, right, bottom = box
            margins = left, height - bottom, width - right, top
            # Half a pixel less, since each is rounded up.
            crop = tuple(max(0.0, side - 0.5) / scale for side in margins)
            return _take_samples(page.render(scale=scale, grayscale=colour == "grey", rev_byteorder=True, crop=crop))
        except MemoryError:
            raise
        except Exception:  # as in draw_page
            return None

    def draw_page(self, number: int, long_side_px: int, colour: Colour) -> Raster | RenderError:
        """As PageReader.draw_page."""
        try:
            page = self._document[number - 1]
            native = _native_scale(page)
            width, height = page.get_size()
            scale = min(long_side_px / max(width, height), native)
            is_long = height > LONG * width and width * scale < NARROW_PX
            if is_long:
                scale = scale_long_page(width, height, long_side_px, native)
            bitmap = page.render(scale=scale, grayscale=colour == "grey", rev_byteorder=True)
            layer = page.get_textpage().get_text_range().replace("\r\n", "\n")
            text = layer if any(map(str.isalnum, layer)) and not is_long else None
        except MemoryError:
            raise
        except RenderError as error:
            return error
        except Exception:  # beside its own kind ValueError, ZeroDivisionError and more; the bytes are anybody's
            return RenderError("page_failed", "The page cannot be rendered; print it to a new PDF and use that.")
        raster = Raster(
            _take_samples(bitmap),
            text=text,
            text_fault=text and "its words were not held against the page",
            px_per_pt=round(scale, 6),
            rotation_deg=page.get_rotation(),
            origin="born_digital" if math.isinf(native) else "scan",
        )
        if not is_long:
            return raster
        first, *rest = (replace(raster, samples=raster.samples[a:b]) for a, b in split_between_lines(raster.samples))
        return first.followed_by(rest)


def _take_samples(bitmap: Any) -> "np.ndarray":
    samples: np.ndarray = bitmap.to_numpy().reshape(bitmap.height, bitmap.width, -1).copy()  # its memory ends with it
    return samples


def _native_scale(page: Any) -> float:
    """Pixels a point of the finest image, in its own pixels; infinity where the page holds more than images."""
    from pypdfium2 import raw

    objects = [item for item in page.get_objects(max_depth=2) if item.type != raw.FPDF_PAGEOBJ_FORM]
    if any(item.type != raw.FPDF_PAGEOBJ_IMAGE for item in objects):
        return math.inf
    boxes = [(image.get_px_size()[0], *image.get_bounds()) for image in objects]
    return max((width / (right - left) for width, left, _, right, _ in boxes if right > left), default=math.inf)

"""MuPDF's devices: a page drawn, its text drawn alone, and what a page draws."""

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from warraq.rendering.raster import Colour, make_canvas
from warraq.rendering.text_device import open_text_device

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Painted:
    """What a page draws: pictures, anything else that can be seen, text that cannot."""

    pictures: bool
    others: bool
    hidden_text: bool


@cache
def _watcher_class(mupdf: Any) -> Any:
    class Watcher(mupdf.FzDevice2):  # type: ignore[misc]
        """Hears what a page draws, each kind once."""

        seen = ("fill_path", "stroke_path", "fill_text", "stroke_text", "fill_shade")

        def __init__(self) -> None:
            super().__init__()
            self.pictures = self.others = self.hidden_text = False
            for name in (*self.seen, "fill_image", "fill_image_mask", "ignore_text"):
                getattr(self, f"use_virtual_{name}")()

        def _stop_hearing(self, *names: str) -> None:
            for name in names:
                setattr(self.m_internal, name, None)

        def fill_image(self, *_: object) -> None:
            self.pictures = True
            self._stop_hearing("fill_image", "fill_image_mask")

        def fill_path(self, *_: object) -> None:
            self.others = True
            self._stop_hearing(*self.seen)

        def ignore_text(self, *_: object) -> None:
            self.hidden_text = True
            self._stop_hearing("ignore_text")

        fill_image_mask = fill_image
        stroke_path = fill_text = stroke_text = fill_shade = fill_path

    return Watcher


def watch_page(pymupdf: Any, page: Any) -> Painted:
    """What the page draws."""
    device = _watcher_class(pymupdf.mupdf)()
    _run(pymupdf.mupdf, page, device)
    return Painted(device.pictures, device.others, device.hidden_text)


def _run(mupdf: Any, page: Any, *devices: Any) -> None:
    """Run a page through the first device, and close it and those behind it."""
    mupdf.fz_run_page(page.this, devices[0], mupdf.FzMatrix(), mupdf.FzCookie())
    for device in devices:
        mupdf.fz_close_device(device)


def draw_page(pymupdf: Any, page: Any, scale: float, colour: Colour) -> "np.ndarray":
    """As PyMuPDF's get_pixmap, on a canvas."""
    samples, device = _open_canvas(pymupdf, page, scale, colour)
    _run(pymupdf.mupdf, page, device)
    return samples


def draw_text(pymupdf: Any, page: Any, scale: float) -> tuple["np.ndarray", "np.ndarray"]:
    """The text that a page paints, black on white: all of it, and what nothing clips or covers; (height, width)."""
    (whole, all_text), (left, uncovered) = (_open_canvas(pymupdf, page, scale, "grey") for _ in range(2))
    _run(pymupdf.mupdf, page, open_text_device(pymupdf, all_text, uncovered), all_text, uncovered)
    return whole[:, :, 0], left[:, :, 0]


def _open_canvas(pymupdf: Any, page: Any, scale: float, colour: Colour) -> tuple["np.ndarray", Any]:
    """White samples, and the device that draws on them."""
    mupdf = pymupdf.mupdf
    space = pymupdf.csGRAY if colour == "grey" else pymupdf.csRGB
    matrix = mupdf.FzMatrix(scale, 0, 0, scale, 0, 0)
    box = mupdf.fz_round_rect(mupdf.fz_transform_rect(mupdf.fz_bound_page(page.this), matrix))
    samples = make_canvas(box.y1 - box.y0, box.x1 - box.x0, space.n)
    rows = samples.base
    assert rows is not None  # a canvas is a view
    first = mupdf.python_buffer_data(rows.data.cast("B")[1:])
    pixmap = mupdf.fz_new_pixmap_with_data(
        space.this, samples.shape[1], samples.shape[0], mupdf.FzSeparations(), 0, rows.strides[0], first
    )
    pixmap.m_internal.x, pixmap.m_internal.y = box.x0, box.y0
    device = mupdf.fz_new_draw_device(matrix, pixmap)
    device.target = pixmap  # borrowed by the device, which must not outlive it
    return samples, device

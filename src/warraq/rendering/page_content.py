"""A page by MuPDF: drawn, read, its text drawn alone, and what it draws."""

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


class PageContent:
    """What a page draws, as it stands upright."""

    def __init__(self, pymupdf: Any, page: Any) -> None:
        """Interpret the page."""
        self._pymupdf, self._mupdf = pymupdf, pymupdf.mupdf
        self._page = page
        self._list = self._mupdf.fz_new_display_list_from_page(page.this)
        self._bounds = self._mupdf.fz_bound_page(page.this)

    def _run(self, box: Any, *devices: Any) -> None:
        """Run the list through the first device, but for what lies outside of `box`, points, and close all of them."""
        mupdf = self._mupdf
        mupdf.fz_run_display_list(self._list, devices[0], mupdf.FzMatrix(), box, mupdf.FzCookie())
        for device in devices:
            mupdf.fz_close_device(device)

    def _run_page(self, device: Any) -> None:
        self._mupdf.fz_run_page(self._page.this, device, self._mupdf.FzMatrix(), self._mupdf.FzCookie())
        self._mupdf.fz_close_device(device)

    def watch(self) -> Painted:
        """What it draws."""
        device = _watcher_class(self._mupdf)()
        self._run(self._mupdf.FzRect(self._mupdf.FzRect.Fixed_INFINITE), device)
        return Painted(device.pictures, device.others, device.hidden_text)

    def read(self, rows_pt: tuple[float, float] | None = None) -> Any:
        """Its text, or what of it stands between two heights, and where pictures are, as PyMuPDF's TextPage."""
        mupdf, pymupdf = self._mupdf, self._pymupdf
        box = mupdf.FzRect(-1e5, rows_pt[0], 1e5, rows_pt[1]) if rows_pt else self._bounds
        text = mupdf.FzStextPage(box)
        options = mupdf.FzStextOptions(pymupdf.TEXTFLAGS_TEXT | pymupdf.TEXT_PRESERVE_IMAGES)
        device = mupdf.fz_new_stext_device(text, options)
        self._run_page(device)  # a list leaves out spaces, as nothing is seen of them
        return pymupdf.TextPage(text)

    def draw(self, scale: float, colour: Colour) -> "np.ndarray":
        """As PyMuPDF's get_pixmap, on a canvas."""
        matrix = self._mupdf.FzMatrix(scale, 0, 0, scale, 0, 0)
        box = self._mupdf.fz_round_rect(self._mupdf.fz_transform_rect(self._bounds, matrix))
        samples, device = self._open_canvas(scale, box, colour)
        self._run_page(device)  # a list passes over errors, and draws some edges a little otherwise
        return samples

    def draw_text(self, scale: float, box: tuple[int, int, int, int]) -> tuple["np.ndarray", "np.ndarray"]:
        """The text that is painted within a box, px, black on white: all, and what nothing clips or covers."""
        place = self._mupdf.FzIrect(*box)
        (whole, all_text), (left, uncovered) = (self._open_canvas(scale, place, "grey") for _ in range(2))
        sink = open_text_device(self._pymupdf, all_text, uncovered)
        self._run(self._mupdf.FzRect(*(side / scale for side in box)), sink, all_text, uncovered)
        return whole[:, :, 0], left[:, :, 0]

    def _open_canvas(self, scale: float, box: Any, colour: Colour) -> tuple["np.ndarray", Any]:
        """White samples, and the device that draws on them."""
        mupdf = self._mupdf
        space = self._pymupdf.csGRAY if colour == "grey" else self._pymupdf.csRGB
        samples = make_canvas(box.y1 - box.y0, box.x1 - box.x0, space.n)
        rows = samples.base
        assert rows is not None  # a canvas is a view
        first = mupdf.python_buffer_data(rows.data.cast("B")[1:])
        pixmap = mupdf.fz_new_pixmap_with_data(
            space.this, samples.shape[1], samples.shape[0], mupdf.FzSeparations(), 0, rows.strides[0], first
        )
        pixmap.m_internal.x, pixmap.m_internal.y = box.x0, box.y0
        device = mupdf.fz_new_draw_device(mupdf.FzMatrix(scale, 0, 0, scale, 0, 0), pixmap)
        device.target = pixmap  # borrowed by the device, which must not outlive it
        return samples, device

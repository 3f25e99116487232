"""A page by MuPDF: drawn, read, its text drawn alone, and what it draws."""

import ctypes
from collections.abc import Callable
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

from warraq.rendering.raster import Colour, make_canvas
from warraq.rendering.text_device import open_text_device

if TYPE_CHECKING:
    import numpy as np

OTHERS = ("fill_path", "stroke_path", "fill_text", "stroke_text", "fill_shade")
FUNCTIONS_AT = 16  # where in fz_device its functions begin, bytes
IGNORE_TEXT = 10  # of them, counted from 0
THUMB_PX = 16  # longer side of a page that is drawn for what is learnt meanwhile


@cache
def _watcher_class(mupdf: Any) -> Any:
    class Watcher(mupdf.FzDevice2):  # type: ignore[misc]
        """Hears what a page draws, until it is more than pictures."""

        def __init__(self) -> None:
            super().__init__()
            self.pictures, self.cookie = False, mupdf.FzCookie()
            for name in ("fill_image", "fill_image_mask", *OTHERS):
                getattr(self, f"use_virtual_{name}")()

        def fill_image(self, *_: object) -> None:
            self.pictures = True

        def fill_path(self, *_: object) -> None:
            self.cookie.m_internal.abort = 1

        fill_image_mask = fill_image
        stroke_path = fill_text = stroke_text = fill_shade = fill_path

    return Watcher


def _hear_ignored_text(device: Any, said: Callable[[], None]) -> Any:
    """Let a device that draws say that it was given text to ignore. Returns what must outlive it.

    To hear of it by a device of its own takes a pass over the page: a twentieth of the time that a page takes.
    """
    callback = ctypes.CFUNCTYPE(None)(said)
    functions = (ctypes.c_void_p * (IGNORE_TEXT + 1)).from_address(int(device.m_internal.this) + FUNCTIONS_AT)
    functions[IGNORE_TEXT] = ctypes.cast(callback, ctypes.c_void_p)
    return callback


class PageContent:
    """What a page draws, as it stands upright."""

    def __init__(self, pymupdf: Any, page: Any) -> None:
        self._pymupdf, self._mupdf = pymupdf, pymupdf.mupdf
        self._page = page
        self._bounds = self._mupdf.fz_bound_page(page.this)
        self.width, self.height = self._bounds.x1 - self._bounds.x0, self._bounds.y1 - self._bounds.y0  # points
        self._hides_text: bool | None = None

    def _run_page(self, device: Any, cookie: Any = None) -> None:
        mupdf = self._mupdf
        mupdf.fz_run_page(self._page.this, device, mupdf.FzMatrix(), cookie or mupdf.FzCookie())
        mupdf.fz_close_device(device)

    def is_scan(self) -> bool:
        """Whether it draws pictures and nothing else that can be seen."""
        device = _watcher_class(self._mupdf)()
        self._run_page(device, device.cookie)
        return device.pictures and not device.cookie.m_internal.abort

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
        ignored: list[None] = []
        callback = _hear_ignored_text(device, lambda: ignored.append(None))
        self._run_page(device)  # a list passes over errors, and draws some edges a little otherwise
        del callback
        self._hides_text = bool(ignored)
        return samples

    def hides_text(self) -> bool:
        """Whether it has text that cannot be seen, as is known once it is drawn."""
        if self._hides_text is None:
            self.draw(THUMB_PX / max(self.width, self.height), "grey")
        return bool(self._hides_text)

    @cached_property
    def _list(self) -> Any:
        return self._mupdf.fz_new_display_list_from_page(self._page.this)

    def draw_text(self, scale: float, box: tuple[int, int, int, int]) -> tuple["np.ndarray", "np.ndarray"]:
        """The text that is painted within a box, px, black on white: all, and what nothing clips or covers."""
        place = self._mupdf.FzIrect(*box)
        (whole, all_text), (left, uncovered) = (self._open_canvas(scale, place, "grey") for _ in range(2))
        sink = open_text_device(self._pymupdf, all_text, uncovered)
        around = self._mupdf.FzRect(*(side / scale for side in box))
        self._mupdf.fz_run_display_list(self._list, sink, self._mupdf.FzMatrix(), around, self._mupdf.FzCookie())
        for device in (sink, all_text, uncovered):
            self._mupdf.fz_close_device(device)
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

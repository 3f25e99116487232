"""PDF -> pages, by MuPDF: fast, draws non-embedded fonts with its own, reads none of the host's, mends damaged files.

MuPDF opens half a file without complaint and draws its missing pages blank; `_missing` tells these from blank paper.
"""

import os
import re
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from warraq.rendering.raster import Colour, Raster, RenderError, explain_lost_page, make_canvas

if TYPE_CHECKING:
    import numpy as np

SHORT_OF_MEMORY = re.compile(r"alloc \(|memory|system limits")  # as MuPDF, libjpeg and OpenJPEG say it
LOSSY = re.compile(r"^.*(?:library error|treating as end of file|may not be correct|truncated image).*$", re.MULTILINE)


def import_mupdf() -> ModuleType:
    """PyMuPDF without its layout model and converter: unused here, and they cost seconds and 70 MB to import."""
    if "pymupdf" not in sys.modules:
        barred = ("pymupdf.layout", "pymupdf4llm")
        sys.modules.update(dict.fromkeys(barred))  # type: ignore[arg-type]  # None makes their import fail, as documented
        try:
            import pymupdf
        finally:
            for name in barred:
                del sys.modules[name]
    import pymupdf

    return pymupdf


class MupdfReader:
    """A PageReader by MuPDF. Raises RenderError: encrypted, wrong_password, damaged, no_pages, not_a_document."""

    def __init__(self, path: Path, password: str | None) -> None:
        self._library = import_mupdf()
        self._library.TOOLS.mupdf_display_errors(False)
        self._library.TOOLS.mupdf_display_warnings(False)
        self._stream = path.open("rb")
        try:
            # By descriptor: a file's name may hold bytes that are not text, and its ending is no evidence.
            self._document = self._library.open(f"/proc/self/fd/{self._stream.fileno()}", filetype="pdf")
            _unlock(self._document, password)
            self.count = self._document.page_count
        except RenderError:
            raise
        except Exception as error:  # MuPDF has no common base for its errors, and the bytes are anybody's
            _raise_if_memory(error)
            if "encryption" in str(error.__context__):  # what MuPDF said
                message = "The file is locked by a certificate or an unknown method; save it without protection."
                raise RenderError("encrypted", message) from error
            raise RenderError(
                "damaged", "The file cannot be opened, nor mended; copy it again from its source."
            ) from error
        if not self._document.is_pdf:
            raise RenderError("not_a_document", "The file is not a PDF, PNG, JPEG or TIFF; convert it to one of them.")
        if self.count == 0 and self._document.is_repaired and not _has_end(path):
            raise RenderError("damaged", "The file is cut off before its list of pages; copy it again from its source.")
        if self.count == 0:
            raise RenderError("no_pages", "The file has no pages; export it again from its source.")

    def draw_page(self, number: int, long_side_px: int, colour: Colour) -> Raster | RenderError:
        """As PageReader.draw_page."""
        tools = self._library.TOOLS
        repaired = self._document.is_repaired
        try:
            page = self._document[number - 1]
            if _read_rotation(page) % 90:  # against the standard; MuPDF would turn it by the nearest right angle
                page.set_rotation(0)
            layer = _as_utf8(page.get_text("text"))
            text = layer if any(map(str.isalnum, layer)) else None
            images = page.get_images()
            scan = _shows_only_pictures(page)
            scale = long_side_px / max(page.rect.width, page.rect.height)
            scale = min(scale, _native_scale(page)) if scan else scale
            tools.reset_mupdf_warnings()
            samples = _draw(page, scale, colour)
            complaints = tools.mupdf_warnings()
            if SHORT_OF_MEMORY.search(complaints):  # codecs go on without the picture
                raise MemoryError(complaints)
            raster = Raster(
                samples,
                text=text,
                px_per_pt=round(scale, 6),
                repaired=repaired,
                rotation_deg=page.rotation,
                origin="scan" if scan else "born_digital",
                codecs=tuple(sorted({image[8] for image in images})),
                damage=_as_utf8(loss[0]) if (loss := LOSSY.search(complaints)) else None,
            )
            missing = (repaired or raster.is_blank) and _is_missing(self._document, page)
            if repaired and (missing or (raster.is_blank and complaints) or _is_cut_off(tools, page)):
                return explain_lost_page()
            return replace(raster, missing=True) if missing else raster
        except Exception as error:  # as in __init__
            _raise_if_memory(error)
            return RenderError(
                "page_failed",
                f"The page cannot be rendered ({_shorten_error(error)}); print it to a new PDF and use that.",
            )


def _draw(page: Any, scale: float, colour: Colour) -> "np.ndarray":
    """As PyMuPDF's get_pixmap, on a canvas."""
    mupdf = import_mupdf().mupdf
    space = import_mupdf().csGRAY if colour == "grey" else import_mupdf().csRGB
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
    mupdf.fz_run_page(page.this, device, mupdf.FzMatrix(), mupdf.FzCookie())
    mupdf.fz_close_device(device)
    return samples


def _unlock(document: Any, password: str | None) -> None:
    if not document.needs_pass:  # also with a password for the owner only
        return
    if password is None:
        message = "The file needs a password to open; name the variable that holds it in documents.csv."
        raise RenderError("encrypted", message)
    if not document.authenticate(password):
        raise RenderError("wrong_password", "The password is not this file's; correct the variable that holds it.")


@cache
def _watcher_class() -> Any:
    """A device that hears what a page draws: whether pictures, and whether anything else, where it stops listening."""
    mupdf = import_mupdf().mupdf

    class Watcher(mupdf.FzDevice2):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.pictures, self.cookie = False, mupdf.FzCookie()
            for name in ("path", "text", "shade", "image", "image_mask"):
                getattr(self, f"use_virtual_fill_{name}")()
            self.use_virtual_stroke_path()
            self.use_virtual_stroke_text()

        def fill_image(self, *_: object) -> None:
            self.pictures = True

        def fill_path(self, *_: object) -> None:
            self.cookie.m_internal.abort = 1

        fill_image_mask = fill_image
        stroke_path = fill_text = stroke_text = fill_shade = fill_path

    return Watcher


def _shows_only_pictures(page: Any) -> bool:
    """Whether the page draws pictures and nothing else; text that is not drawn is an OCR layer."""
    mupdf, device = import_mupdf().mupdf, _watcher_class()()
    mupdf.fz_run_page(page.this, device, mupdf.FzMatrix(), device.cookie)
    mupdf.fz_close_device(device)
    return device.pictures and not device.cookie.m_internal.abort


def _read_rotation(page: Any) -> int:
    """As it stands in the file; PyMuPDF's rotation is 0 where it is no right angle."""
    mupdf = import_mupdf().mupdf
    page_object = mupdf.pdf_page_from_fz_page(page.this).obj()
    return int(mupdf.pdf_to_int(mupdf.pdf_dict_get_inheritable(page_object, mupdf.PDF_ENUM_NAME_Rotate)))


def _native_scale(page: Any) -> float:
    """Pixels a point of the finest image, in its own pixels."""
    return max(
        (
            image["width"] / side
            for image in page.get_image_info()
            if (side := (image["transform"][0] ** 2 + image["transform"][1] ** 2) ** 0.5) > 0
        ),
        default=float("inf"),
    )


def _is_missing(document: Any, page: Any) -> bool:
    """Whether the file lacks this page's object or one of its content streams."""
    try:
        if not 0 < page.xref < document.xref_length() or not document.xref_get_keys(page.xref):
            return True
        return not all(document.xref_is_stream(part) for part in page.get_contents())
    except import_mupdf().mupdf.FzErrorLimit:  # nested too deep to be read
        return True


def _is_cut_off(tools: Any, page: Any) -> bool:
    """Whether one of the page's content streams lacks its end."""
    tools.reset_mupdf_warnings()
    page.read_contents()
    # A wrong length alone is harmless: mending finds the stream's real end.
    return any(
        not warning.startswith(("PDF stream Length incorrect", "..."))
        for warning in tools.mupdf_warnings().splitlines()
    )


def _has_end(path: Path) -> bool:
    with path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - 1024), os.SEEK_SET)
        return b"%%EOF" in stream.read()


def _raise_if_memory(error: Exception) -> None:
    if isinstance(error, MemoryError) or SHORT_OF_MEMORY.search(str(error)):
        raise MemoryError(str(error)) from error


def _as_utf8(text: str) -> str:
    """MuPDF hands bytes that are not text through as lone surrogates."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _shorten_error(error: Exception) -> str:
    return _as_utf8(" ".join(str(error).split()).rstrip(".")[:200]) or type(error).__name__

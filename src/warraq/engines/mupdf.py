"""PDF -> pages, by MuPDF: fast, draws non-embedded fonts with its own, reads none of the host's, mends damaged files.

MuPDF opens half a file without complaint and draws its missing pages blank; `_missing` tells these from blank paper.
"""

import os
import re
import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from warraq.engines import Colour, Raster, Refused

SHORT_OF_MEMORY = re.compile(r"alloc \(|memory|system limits")  # as MuPDF, libjpeg and OpenJPEG say it
LOSSY = re.compile(r"^.*(?:library error|treating as end of file|may not be correct).*$", re.MULTILINE)


def library() -> ModuleType:
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


class Reader:
    """Raises Refused: encrypted, wrong_password, damaged, no_pages, not_a_document."""

    def __init__(self, path: Path, password: str | None) -> None:
        self._library = library()
        self._library.TOOLS.mupdf_display_errors(False)
        self._library.TOOLS.mupdf_display_warnings(False)
        self._stream = path.open("rb")
        try:
            # By descriptor: a file's name may hold bytes that are not text, and its ending is no evidence.
            self._document = self._library.open(f"/proc/self/fd/{self._stream.fileno()}", filetype="pdf")
            _unlock(self._document, password)
            self.count = self._document.page_count
        except Refused:
            raise
        except Exception as error:  # MuPDF has no common base for its errors, and the bytes are anybody's
            _raise_if_memory(error)
            raise Refused("damaged", "The file cannot be opened, nor mended; copy it again from its source.") from error
        if not self._document.is_pdf:
            raise Refused("not_a_document", "The file is not a PDF, PNG, JPEG or TIFF; convert it to one of them.")
        if self.count == 0 and self._document.is_repaired and not _has_end(path):
            raise Refused("damaged", "The file is cut off before its list of pages; copy it again from its source.")
        if self.count == 0:
            raise Refused("no_pages", "The file has no pages; export it again from its source.")

    def page(self, number: int, long_side_px: int, colour: Colour) -> Raster | Refused:
        import numpy as np

        tools = self._library.TOOLS
        repaired = self._document.is_repaired
        try:
            page = self._document[number - 1]
            layer = _utf8(page.get_text("text"))
            text = layer if any(map(str.isalnum, layer)) else None
            images = page.get_images()
            scan = _only_pictures(page)
            scale = long_side_px / max(page.rect.width, page.rect.height)
            scale = min(scale, _native(page)) if scan else scale
            tools.reset_mupdf_warnings()
            pixmap = page.get_pixmap(
                matrix=self._library.Matrix(scale, scale),
                colorspace=self._library.csGRAY if colour == "grey" else self._library.csRGB,
                alpha=False,
            )
            complaints = tools.mupdf_warnings()
            if SHORT_OF_MEMORY.search(complaints):  # codecs go on without the picture
                raise MemoryError(complaints)
            raster = Raster(
                np.asarray(_Samples(pixmap)),
                text=text,
                px_per_pt=round(scale, 6),
                repaired=repaired,
                rotation_deg=page.rotation,
                origin="scan" if scan else "born_digital",
                codecs=tuple(sorted({image[8] for image in images})),
                damage=_utf8(lost[0]) if (lost := LOSSY.search(complaints)) else None,
            )
            if repaired and ((complaints and raster.blank()) or _missing(tools, self._document, page)):
                message = "The page's content is missing from the file; copy it again from its source."
                return Refused("page_lost", message)
            return raster
        except Exception as error:  # as in __init__
            _raise_if_memory(error)
            return Refused(
                "page_failed", f"The page cannot be rendered ({_sentence(error)}); print it to a new PDF and use that."
            )


class _Samples:
    """A pixmap's memory as an array, which keeps the pixmap."""

    def __init__(self, pixmap: Any) -> None:
        self._pixmap = pixmap
        shape = (pixmap.height, pixmap.width, pixmap.n)
        self.__array_interface__ = {"shape": shape, "typestr": "|u1", "data": (pixmap.samples_ptr, True), "version": 3}


def _unlock(document: Any, password: str | None) -> None:
    if not document.needs_pass:  # also with a password for the owner only
        return
    if password is None:
        message = "The file needs a password to open; name the variable that holds it in documents.csv."
        raise Refused("encrypted", message)
    if not document.authenticate(password):
        raise Refused("wrong_password", "The password is not this file's; correct the variable that holds it.")


@cache
def _watcher() -> Any:
    """A device that hears what a page draws: whether pictures, and whether anything else, where it stops listening."""
    mupdf = library().mupdf

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


def _only_pictures(page: Any) -> bool:
    """Whether the page draws pictures and nothing else; text that is not drawn is an OCR layer."""
    mupdf, device = library().mupdf, _watcher()()
    mupdf.fz_run_page(page.this, device, mupdf.FzMatrix(), device.cookie)
    mupdf.fz_close_device(device)
    return device.pictures and not device.cookie.m_internal.abort


def _native(page: Any) -> float:
    """Pixels a point of the finest image, in its own pixels."""
    return max(
        (
            image["width"] / side
            for image in page.get_image_info()
            if (side := (image["transform"][0] ** 2 + image["transform"][1] ** 2) ** 0.5) > 0
        ),
        default=float("inf"),
    )


def _missing(tools: Any, document: Any, page: Any) -> bool:
    """Whether a mended file lacks this page's object, one of its content streams, or the end of one."""
    if page.xref >= document.xref_length() or document.xref_object(page.xref) == "null":
        return True
    if not all(document.xref_is_stream(part) for part in page.get_contents()):
        return True
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


def _utf8(text: str) -> str:
    """MuPDF hands bytes that are not text through as lone surrogates."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _sentence(error: Exception) -> str:
    return _utf8(" ".join(str(error).split()).rstrip(".")[:200]) or type(error).__name__

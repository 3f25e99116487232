"""PDF -> pages, by MuPDF: fast, draws non-embedded fonts with its own, reads none of the host's, mends damaged files.

MuPDF opens half a file without complaint and draws its missing pages blank; `_missing` tells these from blank paper.
"""

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from warraq.engines import Raster, Refused, too_many

SHORT_OF_MEMORY = re.compile(r"alloc \(|memory|system limits")  # as MuPDF, libjpeg and OpenJPEG say it
ONLY_IMAGES = {"fill-image", "fill-imgmask", "ignore-text"}  # what a scan draws; ignored text is an OCR layer


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


def pages(
    path: Path, long_side_px: int, colour: Literal["rgb", "grey"], max_pages: int
) -> Iterator[tuple[int, Raster | Refused]]:
    """Raises Refused: encrypted, damaged, no_pages, too_many_pages, not_a_document."""
    pymupdf = library()
    pymupdf.TOOLS.mupdf_display_errors(False)
    pymupdf.TOOLS.mupdf_display_warnings(False)
    with path.open("rb") as stream:
        document, count = _open(pymupdf, stream.fileno())
        if not document.is_pdf:
            raise Refused("not_a_document", "The file is not a PDF, PNG, JPEG or TIFF; convert it to one of them.")
        if document.needs_pass:
            raise Refused("encrypted", "The file needs a password to open; save a copy without one.")
        if count == 0 and document.is_repaired and not _has_end(path):
            raise Refused("damaged", "The file is cut off before its list of pages; copy it again from its source.")
        if count == 0:
            raise Refused("no_pages", "The file has no pages; export it again from its source.")
        if count > max_pages:
            raise too_many(count, max_pages)
        for number in range(1, count + 1):
            yield number, _page(pymupdf, document, number, long_side_px, colour)


def _open(pymupdf: Any, descriptor: int) -> tuple[Any, int]:
    try:
        # By descriptor: a file's name may hold bytes that are not text, and its ending is no evidence.
        document = pymupdf.open(f"/proc/self/fd/{descriptor}", filetype="pdf")
        return document, 0 if document.needs_pass else document.page_count
    except Exception as error:  # MuPDF has no common base for its errors, and the bytes are anybody's
        _raise_if_memory(error)
        raise Refused("damaged", "The file cannot be opened, nor mended; copy it again from its source.") from error


def _page(
    pymupdf: Any, document: Any, number: int, long_side_px: int, colour: Literal["rgb", "grey"]
) -> Raster | Refused:
    try:
        page = document[number - 1]
        scale = _scale(page, long_side_px)
        pymupdf.TOOLS.reset_mupdf_warnings()
        pixmap = page.get_pixmap(
            matrix=pymupdf.Matrix(scale, scale),
            colorspace=pymupdf.csGRAY if colour == "grey" else pymupdf.csRGB,
            alpha=False,
        )
        complaints = pymupdf.TOOLS.mupdf_warnings()
        if SHORT_OF_MEMORY.search(complaints):  # codecs go on without the picture
            raise MemoryError(complaints)
        samples = pixmap.samples
        blank = samples == samples[: pixmap.n] * (len(samples) // pixmap.n)
        if document.is_repaired and ((blank and complaints) or _missing(pymupdf, document, page)):
            return Refused("page_lost", "The page's content is missing from the file; copy it again from its source.")
        text = page.get_text("text").encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        return Raster(
            width_px=pixmap.width,
            height_px=pixmap.height,
            channels=pixmap.n,
            samples=samples,
            text=text if any(map(str.isalnum, text)) else None,
            px_per_pt=round(scale, 6),
            repaired=document.is_repaired,
        )
    except Exception as error:  # as in _open
        _raise_if_memory(error)
        return Refused(
            "page_failed", f"The page cannot be rendered ({_sentence(error)}); print it to a new PDF and use that."
        )


def _scale(page: Any, long_side_px: int) -> float:
    """Pixels a point that bring the long side to `long_side_px`, or the finest image of a scan to its own pixels."""
    scale = long_side_px / max(page.rect.width, page.rect.height)
    if page.get_images() and {entry[0] for entry in page.get_bboxlog()} <= ONLY_IMAGES:
        native = [
            image["width"] / side
            for image in page.get_image_info()
            if (side := (image["transform"][0] ** 2 + image["transform"][1] ** 2) ** 0.5) > 0
        ]
        scale = min([scale, max(native)]) if native else scale
    return scale


def _missing(pymupdf: Any, document: Any, page: Any) -> bool:
    """Whether a mended file lacks this page's object, one of its content streams, or the end of one."""
    if page.xref >= document.xref_length() or document.xref_object(page.xref) == "null":
        return True
    if not all(document.xref_is_stream(part) for part in page.get_contents()):
        return True
    pymupdf.TOOLS.reset_mupdf_warnings()
    page.read_contents()
    # A wrong length alone is harmless: mending finds the stream's real end.
    return any(
        not warning.startswith(("PDF stream Length incorrect", "..."))
        for warning in pymupdf.TOOLS.mupdf_warnings().splitlines()
    )


def _has_end(path: Path) -> bool:
    with path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - 1024), os.SEEK_SET)
        return b"%%EOF" in stream.read()


def _raise_if_memory(error: Exception) -> None:
    if isinstance(error, MemoryError) or SHORT_OF_MEMORY.search(str(error)):
        raise MemoryError(str(error)) from error


def _sentence(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")[:200] or type(error).__name__

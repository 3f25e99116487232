"""PDF -> pages, by MuPDF: fast, draws non-embedded fonts with its own, reads none of the host's, mends damaged files.

MuPDF opens half a file without complaint and draws its missing pages blank; `_missing` tells these from blank paper.
"""

import hashlib
import math
import os
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

from warraq.rendering.annotations import mend_annotations, place_annotations
from warraq.rendering.codecs import find_deflate_damage, find_jpeg_damage
from warraq.rendering.page_content import PageContent
from warraq.rendering.page_object import (
    SHORT_OF_MEMORY,
    as_utf8,
    find_files,
    is_dynamic_form,
    mend_page,
    raise_if_memory,
)
from warraq.rendering.raster import (
    LEAST_PX,
    LONG,
    NARROW_PX,
    Colour,
    Raster,
    RenderError,
    explain_lost_page,
    explain_small_text,
    is_too_long,
    scale_long_page,
    split_between_lines,
)
from warraq.rendering.text_layer import TextLayer

MOST_PICTURES = 16  # of a page that are held against their own check
LARGE_PT = 1250  # longer side of a sheet beyond A3; of smaller ones long_side_px alone decides what can be read
READABLE_PX = 14.0  # the same on a long page that is not split
HARMLESS = re.compile(  # complaints that cost nothing of the picture; any other is damage
    r"\.\.\. repeated|dropping unclosed|.* is no image dict|"
    # The file's list of objects, which was mended, as `repaired` says, and the lengths of streams, which were found.
    r"trying to repair|repairing PDF|broken xref|format error: (?:.*xref|.*page tree|non-page object)|"
    r"page tree load failed|non-page object|cycle in parent chain|fixed bad Parent|Trailer Size|"
    r"PDF stream Length incorrect|line feed missing after stream|expected 'endobj' or 'stream'|object missing 'endobj'|"
    # Colours by another profile, a font's word about its height, a path that begins nowhere, as all viewers take it.
    r".*ICC |lcms|bogus font|unknown font format, guessing|workaround for|freetype could not|"
    r"(?:close|line|curve|quad)(?:path|to) with no current point|gstate underflow|"
    r"Repairing missing parent|jbig2dec (?:info|debug)|openjpeg info|"
    # Annotations without an appearance, which are held against the other engine's.
    r".*cannot create appearance stream|cannot draw text since font"
)


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
        self._checked: dict[bytes, str | None] = {}  # the same by the SHA-256 of its data
        self._pictures: dict[int, str | None] = {0: None}  # what is wrong with each, by its object; 0 is none
        try:
            # By descriptor: a file's name may hold bytes that are not text, and its ending is no evidence.
            self._document = self._library.open(f"/proc/self/fd/{self._stream.fileno()}", filetype="pdf")
            unlock(self._document, password)
            self.count = self._document.page_count
        except RenderError:
            raise
        except Exception as error:  # MuPDF has no common base for its errors, and the bytes are anybody's
            raise_if_memory(error)
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
        if is_dynamic_form(self._library, self._document):
            message = "The form is made by its own viewer as it opens; print it to a new PDF there."
            raise RenderError("dynamic_form", message)

    @cached_property
    def attached(self) -> tuple[str, ...]:
        """As PageReader.attached."""
        return tuple(name for name, _ in find_files(self._library, self._document))

    def draw_page(self, number: int, long_side_px: int, colour: Colour) -> Raster | RenderError:
        """As PageReader.draw_page."""
        library = self._library
        library.TOOLS.reset_mupdf_warnings()
        repaired = self._document.is_repaired
        try:
            annotations = self._mend_page(number)
            page = self._document[number - 1]
            images = page.get_images()
            content = PageContent(library, page)
            layer = TextLayer(library.mupdf, content)
            is_scan = not layer.is_painted and content.is_scan()
            native = _native_scale(page) if is_scan else math.inf
            width, height = content.width, content.height
            scale = min(long_side_px / max(width, height), native)
            is_unusual = height > LONG * width or max(width, height) > LARGE_PT
            letters = (
                layer.measure_letters(width * height) if is_unusual and not (is_scan or content.hides_text()) else None
            )
            is_long = is_unusual and _is_long(width, height, letters, scale, long_side_px)
            if is_long:
                scale = scale_long_page(width, height, long_side_px, native)
            elif letters and letters * scale < LEAST_PX and max(width, height) > LARGE_PT:
                return explain_small_text(letters * scale)
            samples = content.draw(scale, colour)
            layer_text = as_utf8(layer.text)
            text = layer_text if any(map(str.isalnum, layer_text)) else None
            damage = self._find_damage() or self._find_picture_damage(images)
            raster = Raster(
                samples,
                text=text,
                text_fault=layer.find_fault(samples, scale, is_scan) if text else None,
                px_per_pt=round(scale, 6),
                repaired=repaired,
                rotation_deg=page.rotation,
                origin="scan" if is_scan else "born_digital",
                codecs=tuple(sorted({image[8] for image in images})),
                damage=damage,
                annotated=place_annotations(library.mupdf, page, annotations, scale),
            )
            missing = (repaired or raster.is_blank) and _is_missing(self._document, page)
            if repaired and (missing or (raster.is_blank and damage) or _is_cut_off(library.TOOLS, page)):
                return explain_lost_page()
            if is_long:
                return self._split(content, raster)
            return replace(raster, missing=True) if missing else raster
        except RenderError as error:
            return error
        except Exception as error:  # as in __init__
            raise_if_memory(error)
            return RenderError(
                "page_failed",
                f"The page cannot be rendered ({_shorten_error(error)}); print it to a new PDF and use that.",
            )

    def _split(self, content: PageContent, raster: Raster) -> Raster:
        """A page too long for one image in parts, cut between its lines."""
        scale = raster.px_per_pt or 1.0
        parts = []
        for top, bottom in split_between_lines(raster.samples):
            rows_pt = (top / scale, bottom / scale)
            text = as_utf8(TextLayer(self._library.mupdf, content, rows_pt).text) if raster.text else ""
            text_or_none = text if any(map(str.isalnum, text)) else None
            parts.append(replace(raster, samples=raster.samples[top:bottom], text=text_or_none))
        return parts[0].followed_by(parts[1:])

    def _mend_page(self, number: int) -> list[Any]:
        """Change a page in memory before it is loaded. Returns its annotations that are shown."""
        mupdf = self._library.mupdf
        page_object = mupdf.pdf_lookup_page_obj(self._library._as_pdf_document(self._document), number - 1)
        mend_page(mupdf, page_object)
        return mend_annotations(mupdf, page_object)

    def _find_picture_damage(self, images: list[Any]) -> str | None:
        """What is wrong with one of a page's pictures that MuPDF draws without a word."""
        new = [xref for image in images for xref in image[:2] if xref not in self._pictures]
        for xref in new[:MOST_PICTURES]:
            codec = self._document.xref_get_key(xref, "Filter")[1].strip("[ ]")
            check = {"/DCTDecode": find_jpeg_damage, "/FlateDecode": find_deflate_damage}.get(codec)
            self._pictures[xref] = self._check_once(check, self._document.xref_stream_raw(xref)) if check else None
        return next((damage for image in images for xref in image[:2] if (damage := self._pictures.get(xref))), None)

    def _check_once(self, check: Callable[[bytes], str | None], data: bytes) -> str | None:
        """What is wrong with a picture's data, which many files hold anew for each of their pages."""
        digest = hashlib.sha256(data).digest()
        if digest not in self._checked:
            self._checked[digest] = check(data)
        return self._checked[digest]

    def _find_damage(self) -> str | None:
        """The first complaint of MuPDF about the page that is not harmless."""
        complaints = as_utf8(self._library.TOOLS.mupdf_warnings())
        if SHORT_OF_MEMORY.search(complaints):  # codecs go on without the picture
            raise MemoryError(complaints)
        damage = next((line for line in complaints.splitlines() if line and not HARMLESS.match(line)), None)
        if damage:
            self._library.TOOLS.store_shrink(100)  # what it keeps, another page would take without a word
        return damage


def _is_long(width: float, height: float, letters_pt: float | None, scale: float, long_side_px: int) -> bool:
    """Whether the page cannot be read as a whole since it is so long."""
    if letters_pt is None:
        return is_too_long(width, height, long_side_px) and width * scale < NARROW_PX
    return bool(height > LONG * width and letters_pt * scale < READABLE_PX)


def unlock(document: Any, password: str | None) -> None:
    """Open a document's lock. Raises RenderError: encrypted, wrong_password."""
    if not document.needs_pass:  # also with a password for the owner only
        return
    if password is None:
        message = "The file needs a password to open; name the variable that holds it in documents.csv."
        raise RenderError("encrypted", message)
    if not document.authenticate(password):
        raise RenderError("wrong_password", "The password is not this file's; correct the variable that holds it.")


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


def _shorten_error(error: Exception) -> str:
    return as_utf8(" ".join(str(error).split()).rstrip(".")[:200]) or type(error).__name__

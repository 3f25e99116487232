"""Pages -> a PDF file's bytes, or one page's pixels. Nothing is shrunk to fit: what does not fit is an error."""

import io
import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from warraq.synth.layout import STAMP_TYPE_PT, PageLayout, Stamp
from warraq.synth.scan import degrade

if TYPE_CHECKING:
    import numpy as np
    import pymupdf

SCREEN_DPI = 110  # of the pixels of a page that was never scanned


def draw_pdf(pages: Iterable[PageLayout]) -> bytes:
    """A PDF file; equal pages give equal bytes. A scanned page is one image, without a text layer."""
    import pymupdf
    from PIL import Image

    with pymupdf.open() as document:
        for page in pages:
            if page.scan is None:
                _draw_page(page, document)
                continue
            jpeg = io.BytesIO()
            Image.fromarray(draw_pixels(page)).save(jpeg, "JPEG", quality=page.scan.quality)
            sheet = document.new_page(width=page.width_pt, height=page.height_pt)
            sheet.insert_image(sheet.rect, stream=jpeg.getvalue())
        document.subset_fonts()
        data: bytes = document.tobytes(garbage=3, deflate=True, no_new_id=True)
        return data


def draw_pixels(page: PageLayout) -> "np.ndarray":
    """(height, width) uint8 grey for a scanned page, (height, width, 3) uint8 for any other."""
    import pymupdf

    with pymupdf.open() as document:
        sheet = _draw_page(page, document)
        if page.scan is None:
            return _to_array(sheet.get_pixmap(dpi=SCREEN_DPI))
        return degrade(_to_array(sheet.get_pixmap(dpi=page.scan.dpi, colorspace=pymupdf.csGRAY))[:, :, 0], page.scan)


def _to_array(pixmap: "pymupdf.Pixmap") -> "np.ndarray":
    import numpy as np

    return np.frombuffer(pixmap.samples, np.uint8).reshape(pixmap.height, pixmap.width, pixmap.n)


def _draw_page(page: PageLayout, document: "pymupdf.Document") -> "pymupdf.Page":
    sheet = document.new_page(width=page.width_pt, height=page.height_pt)
    if page.frame:
        sheet.draw_rect((5, 5, page.width_pt - 5, page.height_pt - 5), width=0.8)
    for text in page.texts:
        _insert_html(sheet, text.box, text.html, page.css)
    if page.strokes:
        sheet.draw_polyline(list(page.strokes), color=(0.05, 0.1, 0.45), width=1.4, lineCap=1, lineJoin=1)
    if page.stamp is not None:
        _draw_stamp(sheet, page.stamp)
    return sheet


def _insert_html(sheet: "pymupdf.Page", box: tuple[float, float, float, float], html: str, css: str) -> None:
    spare, scale = sheet.insert_htmlbox(box, html, css=css, scale_low=1)
    if spare < 0 or scale < 1:
        raise ValueError(f"the text does not fit {box} (scale {scale:.2f}): {html}")


def _draw_stamp(sheet: "pymupdf.Page", stamp: Stamp) -> None:
    """Drawn upright on a page of its own, which is then placed turned: HTML boxes turn by right angles only."""
    import pymupdf

    width, height = stamp.width_pt, stamp.height_pt
    colour = pymupdf.sRGB_to_pdf(int(stamp.colour[1:], 16))
    with pymupdf.open() as document:
        plate = document.new_page(width=width, height=height)
        for inset, line in ((1.5, 2.0), (5, 0.7)):
            if stamp.round:
                plate.draw_circle((width / 2, height / 2), width / 2 - inset, color=colour, width=line)
            else:
                plate.draw_rect((inset, inset, width - inset, height - inset), color=colour, width=line)
        half_text = STAMP_TYPE_PT * 1.25 * len(stamp.lines) / 2 + 0.5
        face = f"font-family:sans-serif;font-size:{STAMP_TYPE_PT}px;line-height:1.25;color:{stamp.colour}"
        box = (3, height / 2 - half_text, width - 3, height / 2 + half_text)
        _insert_html(plate, box, "".join(stamp.lines), f"* {{{face}}} p{{margin:0;text-align:center}}")
        turn = math.radians(abs(stamp.angle_deg))
        half_width = (width * math.cos(turn) + height * math.sin(turn)) / 2
        half_height = (width * math.sin(turn) + height * math.cos(turn)) / 2
        x, y = stamp.centre
        target = pymupdf.Rect(x - half_width, y - half_height, x + half_width, y + half_height)
        sheet.show_pdf_page(target, document, 0, rotate=stamp.angle_deg)

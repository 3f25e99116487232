"""A bare JBIG2 file -> TIFF, which Pillow reads; MuPDF decodes its pages."""

import struct
from io import BytesIO

from warraq.rendering.mupdf import import_mupdf

MAGIC = b"\x97JB2\r\n\x1a\n"
UNKNOWN_COUNT = 2  # flag: the header does not say how many pages there are
END_OF_FILE, END_OF_PAGE = b"\x33\0\0" + bytes(4), b"\x31\0%c" + bytes(4)  # ends of segments: kind, page, no data
MOST_PAGES = 100_000  # that a header is believed


def convert_to_tiff(data: bytes) -> tuple[BytesIO, list[int | None]]:
    """The whole pages, and for each page of the file which of them it is; None for the others.

    MuPDF does not tell what a file lacks that is cut off; what is missing is missing at the end.

    Raises:
        ValueError and what MuPDF raises where there is no page.
    """
    from PIL import Image

    pymupdf = import_mupdf()
    document = pymupdf.open(stream=data, filetype="jbig2")
    images: list[Image.Image] = []
    count: int = document.page_count
    if not data.endswith(END_OF_FILE) and END_OF_PAGE % (count % 256) not in data:
        count -= 1
    for number in range(count):
        pixmap = document[number].get_pixmap(dpi=96, colorspace=pymupdf.csGRAY)  # MuPDF's pixels are of 1/96 inch
        images.append(Image.frombytes("L", (pixmap.width, pixmap.height), pixmap.samples).convert("1"))
    said = 0 if data[8] & UNKNOWN_COUNT else struct.unpack(">I", data[9:13])[0]
    frames = [*range(count), *[None] * (max(document.page_count, min(said, MOST_PAGES)) - count)]
    stream = BytesIO()
    if not images:
        raise ValueError("no page is whole")
    first, *rest = images
    first.save(stream, "TIFF", save_all=True, append_images=rest)
    return stream, frames

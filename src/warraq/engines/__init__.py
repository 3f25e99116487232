"""A file -> its pages as rasters: `pages(path, …)` of mupdf and of images yields (page number, Raster or Refused).

A file whose pages cannot be reached at all raises Refused; a page that cannot be read is yielded as Refused, so that
its neighbours are kept. Engines run in an isolated process: what they parse may hang, crash or exhaust the memory.
"""

import struct
import zlib
from dataclasses import dataclass
from typing import Literal

Kind = Literal["pdf", "image"]


class Refused(Exception):
    """Why there is no page: a reason code and one sentence with the remedy."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(reason, message)
        self.reason = reason
        self.message = message


def too_many(count: int, allowed: int) -> Refused:
    message = f"The file has {count} pages and {allowed} are allowed; split it or raise max_pages."
    return Refused("too_many_pages", message)


@dataclass(frozen=True)
class Raster:
    """A page as 8-bit samples (height, width, channels), 1 channel grey or 3 RGB."""

    width_px: int
    height_px: int
    channels: Literal[1, 3]
    samples: bytes
    text: str | None = None  # the page's own text layer
    px_per_pt: float | None = None  # None where the file has no points
    repaired: bool = False

    def png(self) -> bytes:
        """Filter 0 and zlib level 1: a page is compressed once and read often, and the encoder was the bottleneck."""
        stride = self.width_px * self.channels
        rows = bytearray(self.height_px * (stride + 1))
        for y in range(self.height_px):
            start = y * (stride + 1) + 1  # the byte before it is the row's filter, 0
            rows[start : start + stride] = self.samples[y * stride : (y + 1) * stride]
        header = struct.pack(">IIBBBBB", self.width_px, self.height_px, 8, 0 if self.channels == 1 else 2, 0, 0, 0)
        return b"\x89PNG\r\n\x1a\n" + b"".join(
            struct.pack(">I", len(data)) + tag + data + struct.pack(">I", zlib.crc32(tag + data))
            for tag, data in ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 1)), (b"IEND", b""))
        )


def kind(head: bytes) -> Kind | None:
    """What a file's first 1,024 bytes say it is; names say nothing."""
    if head.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        return "image"
    return "pdf" if b"%PDF-" in head else None


def warm() -> None:
    """Import the engines' libraries once, for the processes that are forked from this one."""
    from PIL import Image

    from warraq.engines import mupdf

    mupdf.library()
    Image.init()

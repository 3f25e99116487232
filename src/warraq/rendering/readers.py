"""A file -> its pages as rasters, by one of the engines: mupdf and pdfium for PDF, pillow for images.

A file whose pages cannot be reached raises Refused; a page that cannot be read is returned as Refused, so
that its neighbours are kept. Readers run in an isolated process: what they parse may hang, crash or exhaust the memory.
"""

import importlib
from pathlib import Path
from typing import Protocol

from warraq.records import Engine
from warraq.rendering.raster import Colour, Raster, Refused


class Reader(Protocol):
    """An open document of `count` pages."""

    count: int

    def page(self, number: int, long_side_px: int, colour: Colour) -> "Raster | Refused":
        """The page `number`, from 1; its longer side is `long_side_px`, or less where that would enlarge a scan."""


def reader(engine: Engine, path: Path, password: str | None) -> Reader:
    """Open a file. Raises Refused."""
    from warraq.rendering import mupdf, pdfium, pillow

    if engine == "mupdf":
        return mupdf.Reader(path, password)
    return pdfium.Reader(path, password) if engine == "pdfium" else pillow.Reader(path)


def warm() -> None:
    """Import the engines' libraries once, for the processes that are forked from this one."""
    from PIL import Image

    from warraq.rendering import mupdf

    mupdf.library()
    Image.init()
    for name in ("numpy", "PIL.ImageOps", "pypdfium2", "isal.isal_zlib"):
        importlib.import_module(name)

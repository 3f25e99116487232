"""A file -> its pages as rasters, by one of the engines: mupdf and pdfium for PDF, pillow for images.

A file whose pages cannot be reached raises RenderError; a page that cannot be read is returned as one, so that its
neighbours are kept. Readers run in an isolated process: what they parse may hang, crash or exhaust the memory.
"""

import importlib
from pathlib import Path
from typing import Protocol

from warraq.records import Engine
from warraq.rendering.raster import Colour, Raster, RenderError

LIBRARIES = ("numpy", "PIL.ImageOps", "pypdfium2", "pi_heif", "simplejpeg", "isal.isal_zlib")


class PageReader(Protocol):
    """An open document of `count` pages."""

    count: int

    @property
    def attached(self) -> tuple[str, ...]:
        """Names of the files in it, which are on no page."""
        ...

    def draw_page(self, number: int, long_side_px: int, colour: Colour) -> Raster | RenderError:
        """The page `number`, from 1; its longer side is `long_side_px`, or less where that would enlarge a scan."""
        ...


def open_reader(engine: Engine, path: Path, password: str | None) -> PageReader:
    """Open a file with an engine. Raises RenderError."""
    from warraq.rendering import mupdf, pdfium, pillow

    if engine == "mupdf":
        return mupdf.MupdfReader(path, password)
    return pdfium.PdfiumReader(path, password) if engine == "pdfium" else pillow.PillowReader(path)


def import_engines() -> None:
    """Import the engines' libraries once, for the processes that are forked from this one."""
    from PIL import Image

    from warraq.rendering import mupdf

    mupdf.import_mupdf()
    Image.init()
    for name in LIBRARIES:
        importlib.import_module(name)


def list_engine_modules() -> list[str]:
    """What `import_engines` imports, for a server of forks that is told names and passes over what cannot be imported;
    Pillow's own take 0.2 s."""
    from PIL import _plugins

    return ["warraq.rendering.mupdf", *LIBRARIES, *(f"PIL.{name}" for name in _plugins)]

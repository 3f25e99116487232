"""A page as samples, or why there is none."""

import math
import struct
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from warraq.records import Origin

if TYPE_CHECKING:
    import numpy as np

LONG = 2.5  # times as high as wide: a receipt, a fax on a roll, a web page
NARROW_PX = 600  # width at which the whole of such a page can still be read
PART = 1.414  # height of a part of it, of its width: a sheet of paper
OVERLAP = 0.06  # of a part with the next
LEAST_PX = 7.0  # of most words, from the longest letters to the lowest: letters of 5 px
MOST_PARTS = 200  # of a page: a roll of 20 m, 80 mm wide
Colour = Literal["rgb", "grey"]


class RenderError(Exception):
    """Why there is no page: a reason code and one sentence with the remedy."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(reason, message)
        self.reason = reason
        self.message = message


def explain_lost_page() -> RenderError:
    """Why there is no page where the file lacks its content."""
    return RenderError("page_lost", "The page's content is missing from the file; copy it again from its source.")


def explain_small_text(height_px: float) -> RenderError:
    """Why there is no page where nobody could read it."""
    return RenderError(
        "illegible",
        f"Its words would be {height_px:.0f} px high; raise long_side_px, or print the page in parts to a new PDF.",
    )


@dataclass(frozen=True, eq=False)
class Raster:
    """A page as 8-bit samples of shape (height, width, channels), 1 channel grey or 3 RGB."""

    samples: "np.ndarray"
    text: str | None = None  # the page's own text layer
    text_fault: str | None = None  # why the text is not what the page shows
    px_per_pt: float | None = None  # None where the file has no points
    repaired: bool = False
    rotation_deg: int = 0  # clockwise, by the file's own word; applied
    origin: Origin = "image"
    codecs: tuple[str, ...] = ()  # of the images on a PDF page
    damage: str | None = None  # what could not be read, where the rest was drawn
    annotated: tuple[tuple[int, int, int, int], ...] = ()  # where annotations are: left, top, right, bottom, px
    rest: tuple["Raster", ...] = ()  # the parts that follow this one, of a page too long for one image
    missing: bool = False  # blank, since this engine found no content

    def followed_by(self, rest: Iterable["Raster"]) -> "Raster":
        """The same with further parts of its page."""
        return replace(self, rest=tuple(rest))

    def measure_ink(self) -> float:
        """Share of the samples darker than half, in every fourth row: whole rows, as picking columns takes longer."""
        import numpy as np

        rows = self.samples[::4]
        return round((rows.size - np.count_nonzero(rows & 128)) / rows.size, 6)

    @cached_property
    def is_blank(self) -> bool:
        """Whether all pixels are equal, of its parts too."""
        first = self.samples[0, 0]
        coarse = (self.samples[::step, ::step, 0] == first[0] for step in (64, 8))  # tells most pages at once
        is_even = all(bool(part.all()) for part in coarse) and bool((self.samples == first).all())
        return is_even and all(part.is_blank for part in self.rest)

    def encode_png(self) -> bytes:
        """Filter 0 and level 0, ISA-L's fastest: the encoder was the bottleneck.

        Its other levels read memory that they have not written: a page in some hundreds had other bytes the next time.
        """
        from isal import isal_zlib  # a seventh of zlib's time

        height, width, channels = self.samples.shape
        rows = _png_rows(self.samples)
        if rows is None:
            laid_out = make_canvas(height, width, channels)
            laid_out[:] = self.samples
            rows = laid_out.base
        header = struct.pack(">IIBBBBB", width, height, 8, 0 if channels == 1 else 2, 0, 0, 0)
        parts = [b"\x89PNG\r\n\x1a\n"]
        for tag, data in ((b"IHDR", header), (b"IDAT", isal_zlib.compress(rows, 0)), (b"IEND", b"")):
            check = isal_zlib.crc32(data, isal_zlib.crc32(tag))
            parts += [struct.pack(">I", len(data)), tag, data, struct.pack(">I", check)]
        return b"".join(parts)


def is_too_long(width: float, height: float, long_side_px: int) -> bool:
    """Whether a picture is so much higher than wide that it cannot be read as a whole."""
    return height > LONG * width and height > long_side_px and width * long_side_px < NARROW_PX * height


def scale_long_page(width: float, height: float, long_side_px: int, native: float) -> float:
    """Pixels a point of a page of so many points that is drawn in parts; `native` are those of its finest image.

    Raises:
        RenderError: there would be too many parts.
    """
    scale = min(long_side_px / (PART * width), native)
    split_rows(math.ceil(width * scale), round(height * scale))
    return scale


def split_rows(width: int, height: int) -> list[tuple[int, int]]:
    """The rows (from, to) of each part of a picture that is too long, from top to bottom.

    Raises:
        RenderError: there are too many.
    """
    part = int(PART * width)
    count = max(2, math.ceil((height - OVERLAP * part) / (part - OVERLAP * part)))
    if count > MOST_PARTS:
        raise RenderError("illegible", f"It is {height // width} times as high as wide; save it in parts.")
    starts = [round(index * (height - part) / (count - 1)) for index in range(count)]
    return [(start, start + part) for start in starts]


def split_between_lines(samples: "np.ndarray") -> list[tuple[int, int]]:
    """As `split_rows`, cut where little is drawn: what two parts share begins and ends between lines, if there are."""
    height, width = samples.shape[:2]
    starts, ends = zip(*split_rows(width, height), strict=True)
    shared = [_find_gaps(samples, start, end) for start, end in zip(starts[1:], ends[:-1], strict=True)]
    return list(zip([0, *(first for first, _ in shared)], [*(last for _, last in shared), height], strict=True))


def _find_gaps(samples: "np.ndarray", start: int, end: int) -> tuple[int, int]:
    """The first and last of the rows between two that have the fewest edges on them and their neighbours."""
    import numpy as np

    rows = samples[start:end, :, 0].astype(np.int16)
    edges = np.abs(np.diff(rows, axis=1)).sum(axis=1, dtype=np.int64)
    around = np.convolve(np.pad(edges, 1, mode="edge"), np.ones(3, np.int64), mode="valid")
    return start + int(around.argmin()), end - 1 - int(around[::-1].argmin())


def make_canvas(height: int, width: int, channels: int) -> "np.ndarray":
    """White samples that lie as PNG wants them, each row behind the byte 0: copying them there takes half as long as
    compressing them."""
    import numpy as np

    rows = np.full((height, 1 + width * channels), 255, np.uint8)
    rows[:, 0] = 0
    return rows[:, 1:].reshape(height, width, channels)


def _png_rows(samples: "np.ndarray") -> "np.ndarray | None":
    """What PNG compresses, where `samples` are the whole of a canvas."""
    rows = samples.base
    height, width, channels = samples.shape
    if rows is None or rows.shape != (height, 1 + width * channels) or rows[:, 0].any():
        return None
    return rows if rows[:, 1:].__array_interface__["data"] == samples.__array_interface__["data"] else None

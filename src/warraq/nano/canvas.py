"""The canvas on which a training page is put together from lines of text."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from warraq.nano.text_lines import TextLine

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

    from warraq.nano.text_lines import Pixels, Places


class Canvas:
    """A page in black on white at PX_PER_PT; what is printed is noted at once as text, places and fields."""

    def __init__(self, width: int, height: int) -> None:
        import numpy as np

        self.width, self.height = width, height
        self.ink: Pixels = np.zeros((self.height, self.width), np.uint8)
        self.text = ""
        self.places: list[Places] = []
        self.fields: list[tuple[str, int, int]] = []

    def add_line(self, line: TextLine, left: int, y: int, field: str = "") -> None:
        """Print a line with its letters' middle at `y`; it must lie within the canvas, left to right."""
        import numpy as np

        top = y - round(line.y)
        above = max(0, -top)
        piece = line.ink[above : self.height - top]
        target = self.ink[top + above : top + above + piece.shape[0], left : left + piece.shape[1]]
        np.maximum(target, piece, out=target)
        start = len(self.text)
        self.text += line.text
        self.places.append(np.stack([line.x + left, np.full_like(line.x, y)], 1))
        if line.field or field:
            self.fields.append((line.field or field, start + line.value, len(self.text)))

    def add_unprinted(self, text: str) -> None:
        """Note text that stands nowhere on the page."""
        import numpy as np

        self.text += text
        self.places.append(np.full((len(text), 2), np.nan, np.float32))

    def draw_frame(self, left: int, top: int, right: int, bottom: int) -> None:
        """Draw a frame of lines of 2 px; all in px."""
        self.ink[top : top + 2, left:right] = self.ink[bottom - 2 : bottom, left:right] = 255
        self.ink[top:bottom, left : left + 2] = self.ink[top:bottom, right - 2 : right] = 255

    @contextmanager
    def open_pen(self) -> "Iterator[ImageDraw]":
        """Yield what draws on the ink."""
        import numpy as np
        from PIL import Image, ImageDraw

        image = Image.fromarray(self.ink)
        yield ImageDraw.Draw(image)
        self.ink = np.array(image)

    def paste(self, plate: "Canvas", centre: tuple[int, int], angle_deg: float, field: str) -> None:
        """Print all of `plate` around `centre`, turned to the left by `angle_deg`."""
        import numpy as np
        from PIL import Image

        turned = np.asarray(Image.fromarray(plate.ink).rotate(angle_deg, Image.Resampling.BILINEAR, expand=True))
        left, top = centre[0] - turned.shape[1] // 2, centre[1] - turned.shape[0] // 2
        rows = slice(max(top, 0), min(top + turned.shape[0], self.height))
        columns = slice(max(left, 0), min(left + turned.shape[1], self.width))
        target = self.ink[rows, columns]
        piece = turned[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
        np.maximum(target, piece, out=target)
        x, y = (np.concatenate(plate.places) - np.array([plate.width / 2, plate.height / 2], np.float32)).T
        cos, sin = np.cos(np.radians(angle_deg)), np.sin(np.radians(angle_deg))
        self.fields.append((field, len(self.text), len(self.text) + len(plate.text)))
        self.text += plate.text
        self.places.append(
            np.stack([centre[0] + x * cos + y * sin, centre[1] - x * sin + y * cos], 1).astype(np.float32)
        )

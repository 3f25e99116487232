"""PNG, JPEG, TIFF -> pages, by Pillow: 8-bit grey or RGB that looks like the original, upright, never enlarged.

Each frame of a TIFF is a page; of other files only the first picture is (the rest are previews and animations).
"""

from pathlib import Path
from typing import TYPE_CHECKING

from warraq.rendering.raster import Colour, Raster, RenderError

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_PIXELS = 250_000_000  # a frame; an A0 sheet at 300 dpi has 140 million
MAX_TEXT = 2**28  # bytes of what a PNG holds beside its pixels
TURNS = {3: 180, 6: 90, 8: 270}  # EXIF orientation to degrees clockwise; the mirrored ones are not turns


class PillowReader:
    """A PageReader by Pillow. Raises RenderError: damaged."""

    def __init__(self, path: Path) -> None:
        from PIL import Image, PngImagePlugin

        Image.MAX_IMAGE_PIXELS = None  # checked here, a frame at a time, before anything is decoded
        PngImagePlugin.MAX_TEXT_CHUNK = MAX_TEXT  # of a profile too; a picture is not lost for its caption
        PngImagePlugin.MAX_TEXT_MEMORY = MAX_TEXT
        stream = path.open("rb")  # by name, Pillow 11.3 maps turned TIFFs into memory and scrambles them
        try:
            self._image = Image.open(stream, formats=["PNG", "JPEG", "TIFF"])
            self.count: int = getattr(self._image, "n_frames", 1) if self._image.format == "TIFF" else 1
        except MemoryError:
            raise
        except Exception as error:  # Pillow has no common base for its errors, and the bytes are anybody's
            raise RenderError("damaged", "The image cannot be opened; copy it again from its source.") from error

    def draw_page(self, number: int, long_side_px: int, colour: Colour) -> Raster | RenderError:
        """As PageReader.draw_page."""
        import numpy as np
        from PIL import ImageOps

        try:
            self._image.seek(number - 1)
            width, height = self._image.size
            if width * height > MAX_PIXELS:
                return RenderError(
                    "too_large", f"The image has {width} x {height} px and {MAX_PIXELS} are allowed; save it smaller."
                )
            orientation = self._image.getexif().get(0x0112, 1)
            # Each step may copy hundreds of megabytes, also one that changes nothing.
            image = self._image if orientation == 1 else ImageOps.exif_transpose(self._image)
            upright = _fit(_flatten(image), long_side_px)
            samples = np.asarray(upright.convert("L" if colour == "grey" else "RGB"))
            return Raster(samples.reshape(upright.height, upright.width, -1), rotation_deg=TURNS.get(orientation, 0))
        except MemoryError:
            raise
        except Exception as error:  # as in __init__
            return RenderError("damaged", f"The image cannot be decoded ({error}); copy it again from its source.")


def _flatten(image: "Image") -> "Image":
    """8-bit grey or RGB, transparency on white; Pillow alone would clip deep samples instead of scaling them."""
    from PIL import Image

    if image.mode.startswith(("I", "F")):
        samples = image.convert("F")
        high = samples.getextrema()[1]
        assert isinstance(high, float)
        white = max(1.0 if image.mode == "F" else 65535.0, high)
        return samples.point(lambda value: value * (255.0 / white)).convert("L")
    if image.has_transparency_data:
        paper = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(paper, image.convert("RGBA")).convert("RGB")
    mode = "L" if image.mode in ("1", "L") else "RGB"
    return image if image.mode == mode else image.convert(mode)


def _fit(image: "Image", long_side_px: int) -> "Image":
    from PIL import Image

    long = max(image.size)
    if long <= long_side_px:
        return image
    width, height = (max(1, round(side * long_side_px / long)) for side in image.size)
    return image.resize((width, height), Image.Resampling.LANCZOS)

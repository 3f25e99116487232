"""PNG, JPEG, TIFF -> pages, by Pillow: 8-bit grey or RGB that looks like the original, upright, never enlarged.

Each frame of a TIFF is a page; of other files only the first picture is (the rest are previews and animations).
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from warraq.engines import Raster, Refused, too_many

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_PIXELS = 250_000_000  # a frame; an A0 sheet at 300 dpi has 140 million


def pages(
    path: Path, long_side_px: int, colour: Literal["rgb", "grey"], max_pages: int
) -> Iterator[tuple[int, Raster | Refused]]:
    """Raises Refused: damaged, too_many_pages."""
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = None  # checked here, a frame at a time, before anything is decoded
    with path.open("rb") as stream:  # by name, Pillow 11.3 maps turned TIFFs into memory and scrambles them
        try:
            image = Image.open(stream, formats=["PNG", "JPEG", "TIFF"])
            count = getattr(image, "n_frames", 1) if image.format == "TIFF" else 1
        except MemoryError:
            raise
        except Exception as error:  # Pillow has no common base for its errors, and the bytes are anybody's
            raise Refused("damaged", "The image cannot be opened; copy it again from its source.") from error
        if count > max_pages:
            raise too_many(count, max_pages)
        for number in range(1, count + 1):
            yield number, _page(image, number, long_side_px, colour)


def _page(image: "Image", number: int, long_side_px: int, colour: Literal["rgb", "grey"]) -> Raster | Refused:
    from PIL import ImageOps

    try:
        image.seek(number - 1)
        width, height = image.size
        if width * height > MAX_PIXELS:
            return Refused(
                "too_large", f"The image has {width} x {height} px and {MAX_PIXELS} are allowed; save it smaller."
            )
        upright = _fitted(_flat(ImageOps.exif_transpose(image)), long_side_px)
        return _raster(upright.convert("L" if colour == "grey" else "RGB"))
    except MemoryError:
        raise
    except Exception as error:  # as in pages
        return Refused("damaged", f"The image cannot be decoded ({error}); copy it again from its source.")


def _flat(image: "Image") -> "Image":
    """8-bit grey or RGB, transparency on white; Pillow alone would clip deep samples instead of scaling them."""
    from PIL import Image

    if image.mode.startswith(("I", "F")):
        white = 1.0 if image.mode == "F" else 65535.0
        return image.convert("F").point(lambda value: value * (255.0 / white)).convert("L")
    if image.has_transparency_data:
        paper = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(paper, image.convert("RGBA")).convert("RGB")
    return image.convert("L" if image.mode in ("1", "L") else "RGB")


def _fitted(image: "Image", long_side_px: int) -> "Image":
    from PIL import Image

    long = max(image.size)
    if long <= long_side_px:
        return image
    width, height = (max(1, round(side * long_side_px / long)) for side in image.size)
    return image.resize((width, height), Image.Resampling.LANCZOS)


def _raster(image: "Image") -> Raster:
    return Raster(image.width, image.height, 1 if image.mode == "L" else 3, image.tobytes())


def stretched(raster: Raster) -> Raster:
    """Contrast stretched to the full range by the luminance histogram, so that colours keep their tone."""
    from PIL import Image, ImageOps

    mode = "L" if raster.channels == 1 else "RGB"
    image = Image.frombytes(mode, (raster.width_px, raster.height_px), raster.samples)
    return replace(raster, samples=ImageOps.autocontrast(image, preserve_tone=True).tobytes())

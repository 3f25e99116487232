"""Image files -> pages, by Pillow: 8-bit grey or RGB that looks like the original, upright, never enlarged.

Each page of a TIFF is one, without its thumbnails and masks; of other files only the first picture is (the rest are
previews and animations).
"""

from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from warraq.rendering import jbig2
from warraq.rendering.codecs import JPEG_END, check_jpeg, find_jpeg_damage
from warraq.rendering.raster import (
    LEAST_PX,
    Colour,
    Raster,
    RenderError,
    explain_lost_page,
    explain_small_text,
    is_too_long,
    split_rows,
)
from warraq.rendering.tiff import (
    explain_unsupported,
    find_damage,
    find_pages,
    is_old_jpeg,
    is_planar,
    read_old_jpeg,
    read_planes,
)

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

FORMATS = ("PNG", "JPEG", "TIFF", "WEBP", "BMP", "GIF", "JPEG2000", "AVIF", "PPM", "HEIF")
MAX_PIXELS = 250_000_000  # a frame; an A0 sheet at 300 dpi has 140 million
MAX_PIXELS_1_BIT = 350_000_000  # read scaled down; an A1 sheet at 600 dpi has 279 million
MAX_TEXT = 2**28  # bytes of what a PNG holds beside its pixels
TURNS = {3: 180, 6: 90, 8: 270}  # EXIF orientation to degrees clockwise; the mirrored ones are not turns
SIDEWAYS = (5, 6, 7, 8)
SQUARE = 0.02  # what pixels may lack of being square


class PillowReader:
    """A PageReader by Pillow. Raises RenderError: damaged, unsupported."""

    def __init__(self, path: Path) -> None:
        import pi_heif
        from PIL import Image, PngImagePlugin

        pi_heif.register_heif_opener()
        Image.MAX_IMAGE_PIXELS = None  # checked here, a frame at a time, before anything is decoded
        PngImagePlugin.MAX_TEXT_CHUNK = MAX_TEXT  # of a profile too; a picture is not lost for its caption
        PngImagePlugin.MAX_TEXT_MEMORY = MAX_TEXT
        stream: BinaryIO = path.open("rb")  # by name, Pillow 11.3 maps turned TIFFs into memory and scrambles them
        frames: list[int | None] = [0]
        try:
            if stream.read(len(jbig2.MAGIC)) == jbig2.MAGIC:
                stream, frames = jbig2.convert_to_tiff(path.read_bytes())
            stream.seek(0)
            self._image = Image.open(stream, formats=FORMATS)
        except MemoryError:
            raise
        except Exception as error:  # Pillow has no common base for its errors, and the bytes are anybody's
            raise explain_unsupported(stream) or RenderError(
                "damaged", "The image cannot be opened; copy it again from its source."
            ) from error
        is_tiff = self._image.format == "TIFF" and not isinstance(stream, BytesIO)
        self._frames = find_pages(self._image) if is_tiff else frames
        self.attached: tuple[str, ...] = ()
        self.count = len(self._frames)

    def draw_page(self, number: int, long_side_px: int, colour: Colour) -> Raster | RenderError:
        """As PageReader.draw_page."""
        try:
            frame = self._frames[number - 1]
            if frame is None:
                return explain_lost_page()
            self._image.seek(frame)
            width, height = self._image.size
            most = MAX_PIXELS_1_BIT if self._image.mode == "1" else MAX_PIXELS
            if width * height > most:
                return RenderError(
                    "too_large", f"The image has {width} x {height} px and {most} are allowed; save it smaller."
                )
            return self._draw(long_side_px, colour)
        except MemoryError:
            raise
        except RenderError as error:
            return error
        except Exception as error:  # as in __init__
            return explain_unsupported(self._image) or RenderError(
                "damaged", f"The image cannot be decoded ({error}); copy it again from its source."
            )

    def _draw(self, long_side_px: int, colour: Colour) -> Raster:
        from PIL import ImageOps

        orientation = self._image.getexif().get(0x0112, 1)
        image, damage = _load(self._image)
        is_turned = image.getexif().get(0x0112, 1) == 1  # a TIFF was as it was loaded
        ratio = _read_aspect(image) ** (-1 if orientation in SIDEWAYS else 1)
        if image.width * image.height > MAX_PIXELS:
            image = _reduce_1_bit(image, long_side_px)
        # Each step may copy hundreds of megabytes, also one that changes nothing.
        upright = _flatten(image if is_turned else ImageOps.exif_transpose(image))
        size = (
            (upright.width, round(upright.height * ratio))
            if ratio > 1
            else (round(upright.width / ratio), upright.height)
        )
        pieces = split_rows(*size) if is_too_long(*size, long_side_px) else [(0, size[1])]
        height_px = min(size) * long_side_px / max(size)
        if len(pieces) == 1 and height_px < LEAST_PX <= min(size):
            raise explain_small_text(height_px)
        stretch = upright.height / size[1]
        rasters = [
            Raster(_sample(upright, (size[0], end - start), (start * stretch, end * stretch), long_side_px, colour),
                   rotation_deg=TURNS.get(orientation, 0), damage=damage)
            for start, end in pieces
        ]  # fmt: skip
        return rasters[0].followed_by(rasters[1:])


def _load(image: "Image") -> tuple["Image", str | None]:
    """The decoded image, and what is missing of it: a JPEG without its end is kept."""
    from PIL import Image

    if image.format == "TIFF":
        if is_planar(image):
            return read_planes(image), None
        if is_old_jpeg(image):
            return read_old_jpeg(image)
        damage = find_damage(image)
        image.load()
        return image, damage
    if image.format not in ("JPEG", "MPO"):
        image.load()
        return image, None
    stream: Any = image.fp or image._fp  # type: ignore[attr-defined]
    stream.seek(0)
    data = stream.read()
    try:
        image.load()
        return image, find_jpeg_damage(data)
    except OSError as error:
        if "truncated" not in str(error):
            raise
    damage = "the end of the JPEG is missing" if check_jpeg(data) else None
    return Image.open(BytesIO(data + JPEG_END), formats=["JPEG"]), damage


def _read_aspect(image: "Image") -> float:
    """How much taller than wide a pixel is; 1.0 where the file does not say, or nothing that can be."""
    info = image.info
    density = info.get("dpi") or info.get("resolution") or info.get("aspect")
    if not density and info.get("jfif_unit") == 0:
        density = info.get("jfif_density")
    if not density or min(density) <= 0:
        return 1.0
    ratio = float(density[0]) / float(density[1])
    return ratio if 0.25 <= ratio <= 4 and abs(ratio - 1) > SQUARE else 1.0


def _reduce_1_bit(image: "Image", long_side_px: int) -> "Image":
    """Grey, some times smaller, band by band: as a whole it would take its memory three times."""
    from PIL import Image

    factor = max(1, max(image.size) // (2 * long_side_px))
    band = 64 * factor
    reduced = Image.new("L", (-(-image.width // factor), -(-image.height // factor)))
    for top in range(0, image.height, band):
        part = image.crop((0, top, image.width, min(image.height, top + band))).convert("L")
        reduced.paste(part.reduce(factor), (0, top // factor))
    return reduced


def _flatten(image: "Image") -> "Image":
    """8-bit grey or RGB, transparency on white; Pillow alone would clip deep samples instead of scaling them."""
    import numpy as np
    from PIL import Image, ImageOps

    if image.mode.startswith(("I", "F")):
        tags = getattr(image, "tag_v2", {})
        bits, is_signed = tags.get(258, (16,))[0], tags.get(339, (1,))[0] == 2
        is_wide = image.mode == "I" and bits == 32 and not is_signed  # to Pillow their upper half is negative
        samples = (
            Image.fromarray(np.asarray(image).view(np.uint32).astype(np.float32)) if is_wide else image.convert("F")
        )
        high = samples.getextrema()[1]
        assert isinstance(high, float)
        bits = min(bits - is_signed, 12 if high < 2**12 else 16)  # paper is not so dark: 12 bits in 16
        white = max(1.0 if image.mode == "F" else 2.0**bits - 1, high)
        grey = samples.point(lambda value: value * (255.0 / white)).convert("L")
        return ImageOps.invert(grey) if image.mode.startswith("I;16") and tags.get(262) == 0 else grey
    if image.has_transparency_data:
        paper = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(paper, image.convert("RGBA")).convert("RGB")
    mode = "L" if image.mode in ("1", "L") else "RGB"
    return image if image.mode == mode else image.convert(mode)


def _sample(
    image: "Image", size: tuple[int, int], rows: tuple[float, float], long_side_px: int, colour: Colour
) -> "np.ndarray":
    """The rows of an image that look like `size`, not longer than `long_side_px`."""
    import numpy as np
    from PIL import Image

    shrink = min(1.0, long_side_px / max(size))
    width, height = (max(1, round(side * shrink)) for side in size)
    whole = rows == (0, image.height)
    if (width, height) != image.size or not whole:
        image = image.resize((width, height), Image.Resampling.LANCZOS, box=(0, rows[0], image.width, rows[1]))
    return np.asarray(image.convert("L" if colour == "grey" else "RGB")).reshape(height, width, -1)

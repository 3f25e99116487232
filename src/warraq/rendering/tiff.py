"""What Pillow does not know of a TIFF: which frames are pages, deep samples plane by plane, what it cannot read."""

import zlib
from typing import TYPE_CHECKING, Any

from warraq.rendering.raster import RenderError

if TYPE_CHECKING:
    from PIL.Image import Image

KIND, OLD_KIND, BITS, COMPRESSION, PLANAR, PAGE_NUMBER, PREDICTOR = 254, 255, 258, 259, 284, 297, 317
THUMBNAIL, MASK = 1, 4  # of KIND
NONE, DEFLATE = 1, (8, 32946)
READ = {1, 2, 3, 4, 5, 6, 7, 8, 32771, 32773, 32946, 34925, 50000, 50001}  # compressions


def find_pages(image: "Image") -> list[int | None]:
    """The frames that are pages; None for those at the end that the file says it has, or one where it is cut off."""
    pages: list[int | None] = []
    frame = said = 0
    while True:
        try:
            image.seek(frame)
        except EOFError:
            break
        except Exception:  # Pillow has no common base for its errors, and the bytes are anybody's
            pages += [None] * max(1, said - len(pages))
            break
        tags = image.tag_v2  # type: ignore[attr-defined]
        said = tags.get(PAGE_NUMBER, (0, 0))[-1]
        if not tags.get(KIND, 0) & (THUMBNAIL | MASK) and tags.get(OLD_KIND) != 2:
            pages.append(frame)
        frame += 1
    return pages or [0]


def explain_unsupported(image: Any) -> RenderError | None:
    """Why a TIFF, open or as a stream, cannot be read though it may be whole; None where that is not so."""
    from PIL import TiffImagePlugin

    try:
        if not hasattr(image, "tag_v2"):
            image.seek(0)
            if image.read(2) not in (b"II", b"MM"):
                return None
            image.seek(0)
            TiffImagePlugin.TiffImageFile(image)
            return None
        known = image.tag_v2.get(COMPRESSION, NONE) in READ
    except SyntaxError as error:  # of an unknown mode, or of a compression that is in no table
        known = "mode" not in str(error) and not isinstance(error.__cause__, KeyError)
    except Exception:  # as in find_pages
        return None
    if known:
        return None
    return RenderError("unsupported", "The image is stored in a way that is not read here; save it as PNG or PDF.")


def is_planar(image: Any) -> bool:
    """Whether its colours lie behind each other, with 16 bits each: Pillow would take them for 8."""
    tags = image.tag_v2
    return bool(tags.get(PLANAR, 1) == 2 and max(tags.get(BITS, (1,))) == 16)


def read_planes(image: Any) -> "Image":
    """An RGB image of its three planes of 16 bits, scaled to 8.

    Raises:
        RenderError: it is compressed in another way than by deflate.
    """
    import numpy as np
    from PIL import Image

    tags = image.tag_v2
    compression = tags.get(COMPRESSION, NONE)
    width, height = image.size
    if (compression != NONE and compression not in DEFLATE) or 273 not in tags or len(tags[BITS]) < 3:
        raise RenderError("unsupported", "The image is stored in a way that is not read here; save it as PNG or PDF.")
    strips = []
    for offset, length in zip(tags[273], tags[279], strict=True):
        image.fp.seek(offset)
        data = image.fp.read(length)
        strips.append(data if compression == NONE else zlib.decompress(data))
    order = "<" if tags.prefix == b"II" else ">"
    samples = np.frombuffer(b"".join(strips), f"{order}u2").reshape(len(tags[BITS]), height, width)
    if tags.get(PREDICTOR) == 2:
        samples = np.cumsum(samples, axis=2, dtype=np.uint16)
    return Image.fromarray((samples[:3] >> 8).astype(np.uint8).transpose(1, 2, 0).copy())

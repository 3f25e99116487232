"""What Pillow does not know of a TIFF: which frames are pages, deep samples plane by plane, what it cannot read."""

import zlib
from io import BytesIO
from mmap import ACCESS_READ, mmap
from typing import TYPE_CHECKING, Any

from warraq.rendering.codecs import JPEG_END, check_jpeg, find_jpeg_damage
from warraq.rendering.raster import RenderError

if TYPE_CHECKING:
    from PIL.Image import Image

KIND, OLD_KIND, BITS, COMPRESSION, COLOURS, PLANAR, PAGE_NUMBER, PREDICTOR = 254, 255, 258, 259, 262, 284, 297, 317
THUMBNAIL, MASK = 1, 4  # of KIND
RGB = 2  # of COLOURS
NONE, FAX, OLD_JPEG, JPEG, DEFLATE = 1, (2, 3, 4), 6, 7, (8, 32946)
STRIPS, TILES, JPEG_TABLES = (273, 279), (324, 325), 347  # where they are, how long they are
MOST_PIXELS = 100_000_000  # of a fax that is checked; MuPDF takes a byte for each
BIG_TIFF_TURNED = b"MM\0+"  # of 64 bits and big-endian: Pillow takes it for damaged
READ = {1, 2, 3, 4, 5, 7, 8, 32771, 32773, 32946, 34925, 50000}  # compressions


def find_pages(image: "Image") -> list[int | None]:
    """The frames that are pages; None for those at the end that the file says it has, or one where it is cut off."""
    pages: list[int] = []
    others: list[int] = []  # thumbnails and masks
    frame = said = lost = 0
    while True:
        try:
            image.seek(frame)
        except EOFError:
            break
        except Exception:  # Pillow has no common base for its errors, and the bytes are anybody's
            lost = max(1, said - len(pages))
            break
        tags = image.tag_v2  # type: ignore[attr-defined]
        said = tags.get(PAGE_NUMBER, (0, 0))[-1]
        (others if tags.get(KIND, 0) & (THUMBNAIL | MASK) or tags.get(OLD_KIND) == 2 else pages).append(frame)
        frame += 1
    return [*(pages or others or [0]), *[None] * lost]


def explain_unsupported(image: Any) -> RenderError | None:
    """Why a TIFF, open or as a stream, cannot be read though it may be whole; None where that is not so."""
    from PIL import TiffImagePlugin

    try:
        if not hasattr(image, "tag_v2"):
            image.seek(0)
            head = image.read(4)
            if head == BIG_TIFF_TURNED:
                return _explain_storage()
            if head[:2] not in (b"II", b"MM"):
                return None
            image.seek(0)
            TiffImagePlugin.TiffImageFile(image)
            return None
        known = image.tag_v2.get(COMPRESSION, NONE) in READ
    except SyntaxError as error:  # of an unknown mode, or of a compression that is in no table
        known = "mode" not in str(error) and not isinstance(error.__cause__, KeyError)
    except Exception:  # as in find_pages
        return None
    return None if known else _explain_storage()


def _explain_storage() -> RenderError:
    return RenderError("unsupported", "The image is stored in a way that is not read here; save it as PNG or PDF.")


def find_damage(image: Any) -> str | None:
    """What is wrong with a frame that Pillow would draw without a word: a fax or a JPEG whose bits are others."""
    tags = image.tag_v2
    compression = tags.get(COMPRESSION, NONE)
    if compression in FAX and image.width * image.height <= MOST_PIXELS:
        with mmap(image.fp.fileno(), 0, access=ACCESS_READ) as tiff:
            return _find_fax_damage(tiff, image.tell())
    if compression != JPEG:
        return None
    places, lengths = (tags.get(tag, ()) for tag in (TILES if TILES[0] in tags else STRIPS))
    tables = tags.get(JPEG_TABLES, b"")[:-2]
    for place, length in zip(places, lengths, strict=False):
        image.fp.seek(place)
        data = image.fp.read(length)
        if damage := find_jpeg_damage(tables + data[2:] if tables else data):
            return damage
    return None


def is_old_jpeg(image: Any) -> bool:
    """Whether it is compressed by JPEG as TIFF 6.0 has it, of which Pillow reads nothing."""
    return bool(image.tag_v2.get(COMPRESSION) == OLD_JPEG)


def read_old_jpeg(image: Any) -> tuple["Image", str | None]:
    """The JPEG in it, and what is wrong with that.

    Raises:
        RenderError: it has no JPEG of its size.
    """
    from PIL import Image

    tags = image.tag_v2
    image.fp.seek(tags.get(513, 0))
    data = image.fp.read(tags.get(514, -1))
    if not data.startswith(b"\xff\xd8"):
        raise _explain_storage()
    picture = Image.open(BytesIO(data + JPEG_END), formats=["JPEG"])
    if picture.size != image.size:
        raise _explain_storage()
    picture.load()
    return _take_place(picture, image), check_jpeg(data) or None


def _take_place(picture: "Image", frame: Any) -> "Image":
    """A picture with the proportions and the turn of a frame that Pillow has not read."""
    picture.info = frame.info
    picture.getexif()[0x0112] = frame.getexif().get(0x0112, 1)
    return picture


def _find_fax_damage(tiff: mmap, frame: int) -> str | None:
    """What MuPDF says of the fax in a frame of a TIFF; None where it does not read the file."""
    from warraq.rendering.mupdf import import_mupdf

    pymupdf: Any = import_mupdf()
    pymupdf.TOOLS.reset_mupdf_warnings()
    try:
        pymupdf.mupdf.fz_load_tiff_subimage(pymupdf.mupdf.python_buffer_data(tiff), len(tiff), frame)
    except Exception:  # MuPDF has no common base for its errors
        return None
    return pymupdf.TOOLS.mupdf_warnings().partition("\n")[0] or None


def is_planar(image: Any) -> bool:
    """Whether its colours lie behind each other, with 16 bits each: Pillow would take them for 8."""
    tags = image.tag_v2
    return bool(tags.get(PLANAR, 1) == 2 and len(tags.get(BITS, (1,))) > 1 and max(tags[BITS]) == 16)


def read_planes(image: Any) -> "Image":
    """An RGB image of its three planes of 16 bits, scaled to 8.

    Raises:
        RenderError: its colours are not RGB, or it is compressed in another way than by deflate.
    """
    import numpy as np
    from PIL import Image

    tags = image.tag_v2
    compression = tags.get(COMPRESSION, NONE)
    width, height = image.size
    if (compression != NONE and compression not in DEFLATE) or STRIPS[0] not in tags or tags.get(COLOURS) != RGB:
        raise _explain_storage()
    strips = []
    for offset, length in zip(*(tags[tag] for tag in STRIPS), strict=True):
        image.fp.seek(offset)
        data = image.fp.read(length)
        strips.append(data if compression == NONE else zlib.decompress(data))
    order = "<" if tags.prefix == b"II" else ">"
    samples = np.frombuffer(b"".join(strips), f"{order}u2").reshape(len(tags[BITS]), height, width)
    if tags.get(PREDICTOR) == 2:
        samples = np.cumsum(samples, axis=2, dtype=np.uint16)
    return _take_place(Image.fromarray((samples[:3] >> 8).astype(np.uint8).transpose(1, 2, 0).copy()), image)

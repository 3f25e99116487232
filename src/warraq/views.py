"""How a page is shown to a student: as a whole, and where that is too small, as overlapping bands beside it.

A band is as wide as the page. Where bands are cut depends on the page's height alone: neighbours share an eighth of it,
so that a line of text no higher than that is whole in one of them, whatever else is on the page. (Seams looked for
between the lines would fail on skewed, ruled and stamped pages.) The whole page shows what is higher.
"""

import hashlib
import io
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

from pydantic import StringConstraints

if TYPE_CHECKING:
    from PIL.Image import Image

SHARED = 8  # neighbouring bands share one part in so many of the page's height; decides what a model sees
MOST_BANDS = 8

Views = Annotated[str, StringConstraints(pattern=rf"^page( \+ [2-{MOST_BANDS}] bands)?$")]
"""`page`, or `page + N bands`."""

PAGE: Views = "page"


def name_views(bands: int) -> Views:
    """The views of a page with so many bands: none, or 2 to `MOST_BANDS`."""
    return f"{PAGE} + {bands} bands" if bands else PAGE


def count_bands(views: Views) -> int:
    """How many bands there are beside the page."""
    return 0 if views == PAGE else int(views.split()[2])


def count_views(views: Views) -> int:
    """How many images a page is shown as."""
    return 1 + count_bands(views)


def find_bands(height: int, bands: int) -> list[tuple[int, int]]:
    """(top, bottom) in px of each band, from top to bottom of a page of this height; all are equally high.

    With `shared` px in common the bands have to be ceil((height - shared) / bands) px higher than that, and no step
    from one to the next is longer than this ceiling: so any `shared` px of the page lie whole in one band.
    """
    shared = -(-height // SHARED)
    length = shared - (shared - height) // bands if bands else height
    tops = (place * (height - length) // (bands - 1) for place in range(bands))
    return [(top, top + length) for top in tops]


def list_boxes(width: int, height: int, views: Views) -> list[tuple[int, int, int, int]]:
    """(left, top, right, bottom) in px of what each view shows of a page of this size: the page, then its bands."""
    bands = find_bands(height, count_bands(views))
    return [(0, 0, width, height), *((0, top, width, bottom) for top, bottom in bands)]


def cut_views(image: "Image", views: Views) -> "Iterator[Image]":
    """The views of a page's image: the image itself, then its bands from top to bottom, uncut in mode and px."""
    yield image
    yield from cut_bands(image, views)


def cut_bands(image: "Image", views: Views) -> "Iterator[Image]":
    """The views of a page's image but for the first."""
    _, *boxes = list_boxes(*image.size, views)
    return (image.crop(box) for box in boxes)


def encode_png(image: "Image") -> bytes:
    """A view as a file, packed quickly."""
    stream = io.BytesIO()
    image.save(stream, "PNG", compress_level=1)
    return stream.getvalue()


def hash_recipe(pages: str, views: Views) -> str:
    """Hash of what decides the pixels of the views of pages, of which `pages` is the hash; that itself of pages alone.

    Models are trained on such pixels: it differs wherever other bands would be cut.
    """
    if views == PAGE:
        return pages
    return hashlib.sha256(f"{pages} {views}, 1/{SHARED} shared".encode()).hexdigest()[: len(pages)]

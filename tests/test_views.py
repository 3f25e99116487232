"""How a page is cut into what a student sees of it."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydantic import TypeAdapter, ValidationError

from warraq.views import MOST_BANDS, PAGE, SHARED, Views, count_bands, count_views, cut_views, find_bands, name_views

BANDS = st.integers(2, MOST_BANDS)


PLACES = st.lists(st.tuples(st.integers(0, 999), st.integers(0, 999)), max_size=16)


@settings(max_examples=500)
@given(st.integers(16, 3000), PLACES, BANDS)
def test_a_line_is_whole_in_at_least_one_band(height: int, places: list[tuple[int, int]], bands: int) -> None:
    """Lines no higher than an eighth of the page, with gaps down to none, wherever they stand."""
    page, lines, row = np.full((height, 4), 255, dtype=np.uint8), [], 0
    for number, (gap, size) in enumerate(places):
        top = row + gap * height // 8000
        row = min(height, top + 1 + size * (height // SHARED - 1) // 999)
        page[top:row] = number
        lines.append(row - top)
    _, *cut = cut_views(Image.fromarray(page), name_views(bands))
    shown = [np.asarray(band)[:, 0] for band in cut]
    for number, size in enumerate(lines):
        assert size <= 0 or max((band == number).sum() for band in shown) == size


@given(st.integers(1, 20_000), BANDS)
def test_bands_are_equally_high_in_order_and_cover_the_page(height: int, bands: int) -> None:
    places = find_bands(height, bands)
    assert len(places) == bands and places == sorted(places)
    assert places[0][0] == 0 and places[-1][1] == height
    assert len({bottom - top for top, bottom in places}) == 1
    assert all(after[0] <= before[1] for before, after in itertools.pairwise(places))


def test_a_page_alone_is_the_image_itself() -> None:
    image = Image.new("L", (3, 5))
    assert [*cut_views(image, PAGE)] == [image]


@pytest.mark.parametrize(("views", "bands"), [("page", 0), ("page + 2 bands", 2), ("page + 8 bands", 8)])
def test_views_say_how_many_bands_there_are(views: str, bands: int) -> None:
    assert TypeAdapter(Views).validate_python(views) == name_views(bands) == views
    assert (count_bands(views), count_views(views)) == (bands, bands + 1)


@pytest.mark.parametrize("views", ["", "bands", "page + 1 bands", "page + 9 bands", "page + 2 bands ", "Page", 2])
def test_other_views_are_refused(views: object) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Views).validate_python(views, strict=True)

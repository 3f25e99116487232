"""enhance: contrast, skew and margins of samples."""

from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image, ImageDraw

from support.rendering import Raw, encode_image, open_page, render
from warraq.rendering import enhance
from warraq.rendering.raster import Raster, make_canvas

PIXELS = st.tuples(st.integers(1, 40), st.integers(1, 40), st.sampled_from([1, 3])).flatmap(
    lambda shape: arrays(np.uint8, shape)
)


def writing(angle_deg: float = 0.0) -> np.ndarray:
    """Lines of words, turned clockwise."""
    image = Image.new("L", (600, 800), 250)
    draw = ImageDraw.Draw(image)
    for y in range(60, 740, 30):
        for x in range(60, 520, 70):
            draw.rectangle((x, y, x + 30 + (x * y) % 30, y + 9), 20)
    return np.asarray(image.rotate(-angle_deg, Image.Resampling.BICUBIC, fillcolor=250))[:, :, None]


@pytest.mark.parametrize("angle_deg", [-3.0, -0.5, 0.3, 1.7, 4.0])
def test_skew_is_found_and_turned_back(angle_deg: float) -> None:
    samples = writing(angle_deg)
    assert enhance.estimate_skew_deg(samples) == pytest.approx(angle_deg, abs=0.15)
    level, _ = enhance.straighten(samples, enhance.estimate_skew_deg(samples))
    assert enhance.estimate_skew_deg(level) == 0.0
    assert max(level.shape) == max(samples.shape)


@pytest.mark.parametrize(
    "samples",
    [writing(), np.full((300, 200, 3), 255, np.uint8), np.asarray(Image.effect_noise((300, 300), 90))[:, :, None]],
)
def test_a_level_page_blank_paper_and_a_picture_stay(samples: np.ndarray) -> None:
    assert enhance.estimate_skew_deg(samples) == 0.0


def test_nothing_drawn_is_cut_when_a_page_is_turned() -> None:
    samples = np.full((300, 200, 3), 255, np.uint8)
    samples[:12, :12] = samples[-12:, -12:] = (255, 0, 0)
    turned, scale = enhance.straighten(samples, 4.0)
    red = (turned[:, :, 0] > 200) & (turned[:, :, 1] < 120)
    assert red.sum() == pytest.approx(2 * 12 * 12 * scale**2, rel=0.2)
    assert (turned[0, -1] == 255).all()


@given(PIXELS)
def test_margins_hold_paper_only(samples: np.ndarray) -> None:
    left, top, right, bottom = enhance.measure_margins(samples)
    height, width = samples.shape[:2]
    inside = np.zeros((height, width), bool)
    inside[top : height - bottom, left : width - right] = True
    paper = np.median(samples[::4, ::4].reshape(-1, samples.shape[2]), axis=0).astype(int)
    assert inside.any()
    assert (np.abs(samples[~inside].astype(int) - paper) <= enhance.PAPER).all()


@given(PIXELS, st.sampled_from(["none", "autocontrast"]))
def test_contrast_keeps_the_shape(samples: np.ndarray, contrast: Literal["none", "autocontrast"]) -> None:
    result = enhance.adjust_contrast(samples, contrast, 0.0)
    assert result.shape == samples.shape and result.dtype == np.uint8
    if contrast == "none":
        assert result is samples


@pytest.mark.parametrize(("cutoff_percent", "low"), [(0.0, 100), (2.0, 0)])
def test_autocontrast_ignores_a_share_of_the_darkest(cutoff_percent: float, low: int) -> None:
    samples = np.tile(np.linspace(110, 160, 200).astype(np.uint8), (200, 1))[:, :, None].copy()
    samples[0, 0] = 0  # a speck
    samples[0, 1] = 255
    darkest = enhance.adjust_contrast(samples, "autocontrast", cutoff_percent)[1:].min()
    assert int(darkest) == pytest.approx(low, abs=12)


def test_a_page_is_made_level_cropped_and_stretched_as_params_say(raw: Raw, tmp_path: Path) -> None:
    scan = Image.fromarray(writing(2.0)[:, :, 0]).point(lambda value: 100 + value // 4)
    folder = raw(**{"scan.png": encode_image(scan)})
    (page,), _ = render(folder, tmp_path / "out", long_side_px=800, deskew=True, crop=True, contrast="autocontrast")
    assert page.skew_deg == pytest.approx(2.0, abs=0.15)
    assert min(page.crop_px) > 5
    assert (page.width_px, page.height_px) == open_page(page, tmp_path / "out").size
    assert np.asarray(open_page(page, tmp_path / "out"))[:, :, 0].min() == 0
    (plain,), _ = render(folder, tmp_path / "out", long_side_px=800)
    assert (plain.skew_deg, plain.crop_px, (plain.width_px, plain.height_px)) == (0.0, (0, 0, 0, 0), scan.size)
    assert open_page(plain, tmp_path / "out").convert("L").tobytes() == scan.tobytes()


@given(PIXELS, st.booleans(), st.integers(0, 1), st.integers(0, 1))
def test_png_holds_the_samples(samples: np.ndarray, on_canvas: bool, left: int, right: int) -> None:
    from io import BytesIO

    if on_canvas:
        samples, plain = make_canvas(*samples.shape), samples
        samples[:] = plain
    samples = samples[:, left : max(left + 1, samples.shape[1] - right)]
    assume(samples.size)
    image = Image.open(BytesIO(Raster(samples).encode_png()))
    assert (np.asarray(image).reshape(samples.shape) == samples).all()


@given(PIXELS)
def test_blank_and_ink_agree_with_the_samples(samples: np.ndarray) -> None:
    raster = Raster(samples)
    assert raster.is_blank == (len(np.unique(samples.reshape(-1, samples.shape[2]), axis=0)) == 1)
    assert 0 <= raster.measure_ink() <= (samples.min(axis=2) < 128).sum()

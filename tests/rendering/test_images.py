"""PNG, JPEG and TIFF files through render: each looks like its original, upright, and is never enlarged."""

from pathlib import Path

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from support.rendering import Raw, encode_image, mean_difference, open_page, read_red, reasons_by_file, render

GRADIENT = Image.linear_gradient("L").resize((120, 60))


@pytest.mark.parametrize(
    ("original", "form", "options"),
    [
        (GRADIENT.convert("1"), "TIFF", {"compression": "group4"}),
        (GRADIENT.convert("RGB").quantize(16), "PNG", {}),
        (GRADIENT.convert("CMYK"), "JPEG", {"quality": 95}),
        (GRADIENT.convert("CMYK"), "TIFF", {}),
        (Image.merge("LA", (GRADIENT, Image.new("L", GRADIENT.size, 255))), "PNG", {}),
        (GRADIENT, "TIFF", {"compression": "jpeg"}),
    ],
)
def test_every_kind_of_image_looks_like_the_original(
    raw: Raw, tmp_path: Path, original: Image.Image, form: str, options: dict[str, object]
) -> None:
    pages, rejected = render(raw(**{"image": encode_image(original, form, **options)}), tmp_path / "out", colour="rgb")
    assert rejected == []
    assert pages[0].px_per_pt is None
    change = mean_difference(open_page(pages[0], tmp_path / "out"), original.convert("RGB"))
    assert change < 3


def test_16_bit_samples_are_scaled_and_not_clipped(raw: Raw, tmp_path: Path) -> None:
    deep = Image.frombytes("I;16", (120, 60), b"".join((v * 257).to_bytes(2, "little") for v in GRADIENT.tobytes()))
    pages, _ = render(raw(**{"a.png": encode_image(deep), "b.tif": encode_image(deep, "TIFF")}), tmp_path / "out")
    for page in pages:
        assert mean_difference(open_page(page, tmp_path / "out"), GRADIENT.convert("RGB")) < 1


@pytest.mark.parametrize(("mode", "white"), [("F", 1.0), ("F", 65535.0), ("I", 2**31 - 1)])
def test_deeper_samples_than_16_bit_keep_their_range(raw: Raw, tmp_path: Path, mode: str, white: float) -> None:
    deep = GRADIENT.convert("F").point(lambda value: value * (white / 255)).convert(mode)
    (page,), _ = render(raw(**{"deep.tif": encode_image(deep, "TIFF")}), tmp_path / "out")
    assert mean_difference(open_page(page, tmp_path / "out"), GRADIENT.convert("RGB")) < 2


def test_a_long_caption_or_profile_costs_no_page(raw: Raw, tmp_path: Path) -> None:
    caption = PngInfo()
    caption.add_text("Description", "x" * 2_000_000, zip=True)
    files = {
        "caption.png": encode_image(GRADIENT, pnginfo=caption),
        "profile.png": encode_image(GRADIENT, icc_profile=bytes(2**21)),
    }
    pages, rejected = render(raw(**files), tmp_path / "out")
    assert (len(pages), rejected) == (2, [])


def test_transparency_becomes_white_paper(raw: Raw, tmp_path: Path) -> None:
    clear = Image.new("RGBA", (80, 80), (0, 0, 0, 0))
    clear.paste((200, 0, 0, 255), (20, 20, 40, 40))
    pages, _ = render(raw(**{"stamp.png": encode_image(clear)}), tmp_path / "out", colour="rgb")
    image = open_page(pages[0], tmp_path / "out")
    assert (image.getpixel((0, 0)), image.getpixel((30, 30))) == ((255, 255, 255), (200, 0, 0))


@pytest.mark.parametrize("form", ["JPEG", "TIFF", "PNG"])
def test_a_photograph_stands_upright(raw: Raw, tmp_path: Path, form: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turn right
    lying = Image.new("L", (120, 60), 255)
    lying.paste(0, (0, 0, 40, 60))  # left becomes top
    pages, _ = render(raw(**{"photo": encode_image(lying, form, exif=exif)}), tmp_path / "out")
    image = open_page(pages[0], tmp_path / "out")
    assert image.size == (60, 120)
    assert read_red(image, (30, 10)) < 20 and read_red(image, (30, 110)) > 235


def test_each_frame_of_a_tiff_is_a_page(raw: Raw, tmp_path: Path) -> None:
    frames = [Image.new("L", (50 + 10 * number, 40), 50 * number) for number in (1, 2, 3)]
    data = encode_image(frames[0], "TIFF", save_all=True, append_images=frames[1:])
    pages, _ = render(raw(**{"fax.tif": data}), tmp_path / "out")
    assert [(page.page, page.width_px) for page in pages] == [(1, 60), (2, 70), (3, 80)]
    assert [read_red(open_page(page, tmp_path / "out"), (5, 5)) for page in pages] == [50, 100, 150]


def test_large_images_shrink_and_small_ones_stay(raw: Raw, tmp_path: Path) -> None:
    folder = raw(
        **{"large.png": encode_image(Image.new("L", (900, 300), 9)), "small.png": encode_image(Image.new("L", (30, 9)))}
    )
    pages, _ = render(folder, tmp_path / "out")
    assert {page.files[0]: (page.width_px, page.height_px) for page in pages} == {
        "large.png": (400, 133),
        "small.png": (30, 9),
    }


def test_an_image_of_too_many_pixels_is_not_decoded(raw: Raw, tmp_path: Path) -> None:
    bomb = encode_image(Image.new("1", (20_000, 20_000)))
    _, rejected = render(raw(**{"bomb.png": bomb, "fine.png": encode_image(GRADIENT)}), tmp_path / "out")
    assert reasons_by_file(rejected) == {"bomb.png": "too_large"}

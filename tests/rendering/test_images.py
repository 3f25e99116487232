"""PNG, JPEG and TIFF files through render: each looks like its original, upright, and is never enlarged."""

import struct
import zlib
from base64 import b85decode
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps
from PIL.PngImagePlugin import PngInfo

from support.rendering import Raw, encode_image, mean_difference, open_page, read_red, reasons_by_file, render

HEIC = (  # 32 x 16 px, from black to white
    "0000SW^{RQXk}?*00000ZE0pPXk}?*ZE0a<0004eZDn*}000000000XXk=`10000000000aA{+700000000000000000000B57=IV*mgE07O6l"
    "0RRC200001pa1~?00000002k;001LtX>Mi!000000RR916=`l}WdZ;I000310BCk&F#rGn01j|zbZr0t000010002|X>f9I0002oX>en20001W"
    "Xm(>m0RwOV0058x000009`FGC{rLC*01pFT0096PKmiN^|NjGU00093kN^M!000939=ZZRVE_RDDMA4O18@KU0|1Z!00RI30{|YNAb|yz>aLpR"
    ";31&EfB*mtfB*mk0EA)y0RRR>0l{;@i2wiq6Ju{|a&BX6cmM$a4FCp!0000KX>)L8000000000$0000$0000eV{Bn?0000W000010000G00001"
    "|NsBs00002|NsBc000020000GaA|mH000000|*ER0000OX>e^}0000000001009Mo0s{qv0000`ZDe6|0000)C;_hqG8#d~fXJd-UPg_oxw|?F"
    "kNm=6_Z{GWv`c&I23f{_PS2?fG29p8KD}9i=I^rv{q$F}LzF}(v?0zosm%+("
)
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


def encode_tiff(samples: np.ndarray, bits: int, photometric: int, planar: int = 1, compression: int = 1) -> bytes:
    """A TIFF of (height, width, channels) written by hand: 12 bits packed, 16 or 32 bits."""
    height, width, channels = samples.shape
    if bits == 12:
        first, second = (samples.reshape(height, -1)[:, start::2].astype(np.uint16) for start in (0, 1))
        packed = [first >> 4, (first & 15) << 4 | second >> 8, second & 255]
        planes = [np.stack(packed, axis=-1).astype(np.uint8).tobytes()]
    else:
        parts = [samples] if planar == 1 else np.split(samples, channels, axis=2)
        planes = [part.astype(f"<u{bits // 8}").tobytes() for part in parts]
    planes = [zlib.compress(plane) for plane in planes] if compression == 8 else planes
    data, blob, entries = b"".join(planes), b"", b""
    places = [8 + sum(map(len, planes[:index])) for index in range(len(planes))]
    sizes = list(map(len, planes))
    for tag, kind, values in (
        (256, "I", [width]), (257, "I", [height]), (258, "H", [bits] * channels), (259, "H", [compression]),
        (262, "H", [photometric]), (273, "I", places), (277, "H", [channels]), (278, "I", [height]),
        (279, "I", sizes), (284, "H", [planar]),
    ):  # fmt: skip
        raw = struct.pack(f"<{len(values)}{kind}", *values)
        entries += struct.pack("<HHI", tag, 4 if kind == "I" else 3, len(values))
        entries += raw.ljust(4, b"\0") if len(raw) <= 4 else struct.pack("<I", 8 + len(data) + len(blob))
        blob += raw if len(raw) > 4 else b""
    return b"II*\0" + struct.pack("<I", 8 + len(data) + len(blob)) + data + blob + b"\x0a\0" + entries + bytes(4)


RAMP = np.linspace(0, 1, 120)[None, :, None] * np.ones((60, 1, 1))
COLOURS = np.concatenate([RAMP, RAMP[:, ::-1], RAMP * 0 + 0.5], axis=2)


@pytest.mark.parametrize(
    ("samples", "bits", "layout"),
    [
        (RAMP, 12, {"photometric": 1}),
        (1 - RAMP, 16, {"photometric": 0}),
        (COLOURS, 16, {"photometric": 2}),
        (COLOURS, 16, {"photometric": 2, "planar": 2}),
        (COLOURS, 16, {"photometric": 2, "planar": 2, "compression": 8}),
        (RAMP * (4095 / 65535), 16, {"photometric": 1}),  # 12 bits in 16
        (RAMP, 32, {"photometric": 1}),
    ],
)
def test_deep_tiffs_look_like_the_original(
    raw: Raw, tmp_path: Path, samples: np.ndarray, bits: int, layout: dict[str, int]
) -> None:
    data = encode_tiff(np.round(samples * (2**bits - 1)).astype(np.uint32), bits, **layout)
    (page,), rejected = render(raw(**{"deep.tif": data}), tmp_path / "out", colour="rgb")
    shown = (1 - samples if layout["photometric"] == 0 else samples) / samples.max()
    original = Image.fromarray(np.round(np.broadcast_to(shown, (60, 120, 3)) * 255).astype(np.uint8))
    assert rejected == []
    assert mean_difference(open_page(page, tmp_path / "out"), original) < 1


@pytest.mark.parametrize(
    "data",
    [
        encode_tiff(np.zeros((60, 120, 1)), 16, 1, compression=9),
        encode_tiff(np.zeros((60, 120, 1)), 16, 1, compression=34712),
        encode_tiff(np.zeros((60, 120, 4)), 16, 5, planar=2),  # four planes of CMYK
        b"MM\0+\0\x08\0\0" + bytes(40),
    ],
)
def test_a_tiff_that_nobody_reads_has_its_remedy(raw: Raw, tmp_path: Path, data: bytes) -> None:
    _, rejected = render(raw("scan.pdf", **{"odd.tif": data}), tmp_path / "out")
    assert reasons_by_file(rejected) == {"odd.tif": "unsupported"}
    assert "save it as PNG" in rejected[0].message


@pytest.mark.parametrize(("form", "options"), [("TIFF", {"dpi": (204, 98)}), ("PNG", {"dpi": (204, 98)})])
def test_a_fax_is_as_high_as_its_paper(raw: Raw, tmp_path: Path, form: str, options: dict[str, object]) -> None:
    data = encode_image(Image.new("L", (204, 98), 9), form, **options)
    (page,), _ = render(raw(**{"fax": data}), tmp_path / "out")
    assert (page.width_px, page.height_px) == (204, 204)


def test_a_jpeg_in_a_tiff_of_old_is_read(raw: Raw, tmp_path: Path) -> None:
    jpeg = encode_image(Image.effect_noise((160, 160), 60), "JPEG")
    tags = {
        256: 160,
        257: 160,
        258: 8,
        259: 6,
        262: 1,
        273: 8,
        277: 1,
        278: 160,
        279: len(jpeg),
        513: 8,
        514: len(jpeg),
    }
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    end = struct.pack("<H", len(tags)) + entries + bytes(4)
    head = b"II*\0" + struct.pack("<I", 8 + len(jpeg))
    files = {"whole.tif": head + jpeg + end, "hole.tif": head + jpeg[:3000] + bytes(400) + jpeg[3400:] + end}
    pages, rejected = render(raw(**files), tmp_path / "out")
    assert {page.files[0]: bool(page.damage) for page in pages} == {"whole.tif": False, "hole.tif": True}
    (whole,) = (page for page in pages if page.files == ("whole.tif",))
    original = Image.open(BytesIO(jpeg)).convert("RGB")
    assert rejected == [] and mean_difference(open_page(whole, tmp_path / "out"), original) < 1


def test_a_fax_that_lies_on_its_side_is_turned_before_it_is_stretched(raw: Raw, tmp_path: Path) -> None:
    data = encode_image(Image.new("L", (204, 49), 9), "TIFF", dpi=(204, 98), tiffinfo={274: 6})
    (page,), _ = render(raw(**{"fax": data}), tmp_path / "out")
    assert (page.width_px, page.height_px, page.rotation_deg) == (102, 204, 90)


def test_frames_that_all_say_to_be_thumbnails_are_pages(raw: Raw, tmp_path: Path) -> None:
    frames = [Image.new("L", (width, 40), 9) for width in (50, 60)]
    frames[1].encoderinfo = {"tiffinfo": {254: 1}}
    data = encode_image(frames[0], "TIFF", save_all=True, append_images=frames[1:], tiffinfo={254: 1})
    pages, rejected = render(raw(**{"odd.tif": data}), tmp_path / "out")
    assert ([page.width_px for page in pages], rejected) == ([50, 60], [])


@pytest.mark.parametrize("size", [(2, 5000), (5000, 20)])
def test_a_picture_like_a_thread_is_a_reason(raw: Raw, tmp_path: Path, size: tuple[int, int]) -> None:
    _, rejected = render(raw("scan.pdf", **{"thread.png": encode_image(Image.new("L", size))}), tmp_path / "out")
    assert reasons_by_file(rejected) == {"thread.png": "illegible"}


def test_thumbnails_and_masks_are_no_pages(raw: Raw, tmp_path: Path) -> None:
    frames = []
    for number, kind in enumerate([2, 1, 2, 4]):
        frames.append(Image.new("L", (50 + 10 * number, 40), 9))
        frames[-1].encoderinfo = {"tiffinfo": {254: kind}}
    data = encode_image(frames[0], "TIFF", save_all=True, append_images=frames[1:], tiffinfo={254: 2})
    pages, rejected = render(raw(**{"camera.tif": data}), tmp_path / "out")
    assert ([page.width_px for page in pages], rejected) == ([50, 70], [])


def test_a_cut_tiff_keeps_its_whole_frames(raw: Raw, tmp_path: Path) -> None:
    frames = [Image.effect_noise((100, 100), 60) for _ in range(5)]
    data = encode_image(frames[0], "TIFF", save_all=True, append_images=frames[1:])
    pages, rejected = render(raw(**{"cut.tif": data[: len(data) * 7 // 10]}), tmp_path / "out")
    assert [page.page for page in pages] == [1, 2, 3]
    assert [row.page for row in rejected] == [4, 5]


def test_a_bad_frame_costs_one_page(raw: Raw, tmp_path: Path) -> None:
    frames = [Image.effect_noise((100, 100), 60) for _ in range(3)]
    data = bytearray(encode_image(frames[0], "TIFF", save_all=True, append_images=frames[1:], compression="tiff_lzw"))
    middle = len(data) // 2
    data[middle - 2000 : middle + 2000] = bytes(4000)
    pages, rejected = render(raw(**{"bad.tif": bytes(data)}), tmp_path / "out")
    assert [page.page for page in pages] == [1, 3]
    assert [(row.page, row.reason) for row in rejected] == [(2, "damaged")]


def test_a_picture_whose_bits_are_others_is_damaged(raw: Raw, tmp_path: Path) -> None:
    noise = Image.effect_noise((200, 200), 60)
    jpeg, tiff = encode_image(noise, "JPEG"), encode_image(noise, "TIFF", compression="jpeg")
    fax = encode_image(noise.convert("1"), "TIFF", compression="group4")
    half = len(jpeg) // 2
    files = {
        "hole.jpg": jpeg[:half] + jpeg[half + 500 :],
        "ended.jpg": jpeg[:half] + b"\xff\xd9",
        "hole.tif": tiff.replace(tiff[half : half + 500], bytes(500)),
        "fax.tif": fax.replace(fax[500:600], bytes(100)),
        "whole.jpg": jpeg + b"anything",
        "whole.tif": tiff,
        "whole_fax.tif": fax,
    }
    pages, rejected = render(raw(**files), tmp_path / "out")
    assert rejected == []
    assert {page.files[0] for page in pages if page.damage} == {"hole.jpg", "ended.jpg", "hole.tif", "fax.tif"}


def test_a_jpeg_without_its_end_is_kept(raw: Raw, tmp_path: Path) -> None:
    data = encode_image(Image.effect_noise((200, 200), 60), "JPEG")
    pages, rejected = render(raw(**{"whole.jpg": data[:-2], "half.jpg": data[: len(data) // 2]}), tmp_path / "out")
    damage = {page.files[0]: page.damage for page in pages}
    assert rejected == []
    assert damage == {"whole.jpg": None, "half.jpg": "the end of the JPEG is missing"}


@pytest.mark.parametrize("form", ["WEBP", "BMP", "GIF", "JPEG2000", "AVIF", "PPM"])
def test_other_formats_are_read(raw: Raw, tmp_path: Path, form: str) -> None:
    (page,), rejected = render(raw(**{"picture": encode_image(GRADIENT, form)}), tmp_path / "out")
    assert (rejected, page.engine) == ([], "pillow")
    assert mean_difference(open_page(page, tmp_path / "out"), GRADIENT.convert("RGB")) < 3


def test_heic_is_read(raw: Raw, tmp_path: Path) -> None:
    (page,), _ = render(raw(**{"photo.heic": b85decode(HEIC)}), tmp_path / "out")
    expected = Image.linear_gradient("L").resize((32, 16)).convert("RGB")
    assert mean_difference(open_page(page, tmp_path / "out"), expected) < 5


@pytest.mark.parametrize(
    ("data", "remedy"),
    [(b"PK\3\4" + bytes(99), "unpack it"), (b"\xd0\xcf\x11\xe0" + bytes(99), "save it as PDF"), (b"BMW", "convert it")],
)
def test_what_is_no_document_is_told_what_to_do(raw: Raw, tmp_path: Path, data: bytes, remedy: str) -> None:
    _, rejected = render(raw("scan.pdf", **{"other": data}), tmp_path / "out")
    assert reasons_by_file(rejected) == {"other": "not_a_document"}
    assert remedy in rejected[0].message


def test_a_long_picture_is_split_into_sheets_that_overlap(raw: Raw, tmp_path: Path) -> None:
    chat = Image.linear_gradient("L").resize((200, 3000))
    pages, _ = render(raw(**{"chat.png": encode_image(chat)}), tmp_path / "out")
    assert [page.part for page in pages] == list(range(1, len(pages) + 1)) and len(pages) > 10
    assert {(page.page, page.width_px, page.height_px) for page in pages} == {(1, 200, 282)}
    assert len({page.page_id for page in pages}) == len(pages)
    assert sum(page.height_px for page in pages) > 3000 * 1.05


def test_a_plan_of_many_pixels_in_black_and_white_is_read_scaled_down(raw: Raw, tmp_path: Path) -> None:
    plan = Image.new("1", (14_043, 19_866), 1)
    plan.paste(0, (0, 0, 7000, 9000))
    data = encode_image(plan, "TIFF", compression="group4")
    (page,), rejected = render(raw(**{"plan.tif": data}), tmp_path / "out", max_memory_mib=700)
    assert (rejected, page.height_px) == ([], 400)
    assert read_red(open_page(page, tmp_path / "out"), (50, 50)) == 0


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


def write_jbig2(*images: Image.Image, dpm: tuple[int, int] = (7874, 7874)) -> bytes:
    """A file in sequential order, its regions coded by MMR, which is TIFF's group 4 the other way round."""
    data = b"\x97JB2\r\n\x1a\n\x01" + struct.pack(">I", len(images))
    segments = []
    for page, image in enumerate(images, start=1):
        tiff = encode_image(ImageOps.invert(image), "TIFF", compression="group4")
        tags = Image.open(BytesIO(tiff)).tag_v2  # type: ignore[attr-defined]
        coded = b"".join(tiff[start : start + size] for start, size in zip(tags[273], tags[279], strict=True))
        segments += [
            (48, page, struct.pack(">4IBH", *image.size, *dpm, 0, 0)),
            (38, page, struct.pack(">4IBB", *image.size, 0, 0, 0, 1) + coded),
            (49, page, b""),
        ]
    for number, (kind, page, body) in enumerate([*segments, (51, 0, b"")]):
        data += struct.pack(">IBBBI", number, kind, 0, page, len(body)) + body
    return data


def test_the_pages_of_a_jbig2_file_look_like_the_original(raw: Raw, tmp_path: Path) -> None:
    originals = [GRADIENT.convert("1"), GRADIENT.rotate(90, expand=True).convert("1")]
    pages, rejected = render(raw(**{"fax.jb2": write_jbig2(*originals)}), tmp_path / "out")
    assert rejected == [] and [page.engine for page in pages] == ["pillow", "pillow"]
    for page, original in zip(pages, originals, strict=True):
        assert mean_difference(open_page(page, tmp_path / "out"), original.convert("RGB")) < 1


def test_a_cut_jbig2_file_has_a_row_for_each_page_that_it_lacks(raw: Raw, tmp_path: Path) -> None:
    data = write_jbig2(*[GRADIENT.convert("1")] * 4)
    files = {
        "cut.jb2": data[: len(data) * 4 // 10],
        "head.jbig2": data[:13],
        "one.jb2": data[:9] + bytes(4) + data[13:],
    }
    pages, rejected = render(raw(**files), tmp_path / "out")
    assert [page.page for page in pages if page.files == ("cut.jb2",)] == [1]
    reasons: dict[tuple[str, int | None], str] = {("cut.jb2", page): "page_lost" for page in (2, 3, 4)}
    reasons["head.jbig2", None] = "damaged"
    assert {(row.file, row.page): row.reason for row in rejected} == reasons


def test_a_cut_tiff_that_numbers_its_pages_has_a_row_for_each_that_it_lacks(raw: Raw, tmp_path: Path) -> None:
    first, *rest = [GRADIENT.convert("1")] * 5
    options = {"save_all": True, "append_images": rest, "tiffinfo": {297: (0, 5)}}
    data = encode_image(first, "TIFF", **options)
    pages, rejected = render(raw(**{"cut.tif": data[: len(data) * 7 // 10]}), tmp_path / "out")
    assert [page.page for page in pages] == [1, 2, 3]
    assert [(row.page, row.reason) for row in rejected] == [(4, "damaged"), (5, "page_lost")]

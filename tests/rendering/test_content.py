"""What a PDF shows: stamps, signatures and fields as every viewer has them, long pages, and what is on no page."""

from itertools import pairwise
from pathlib import Path

import pymupdf
import pytest

from support.rendering import Raw, build_pdf, open_page, pdf_stream, read_red, reasons_by_file, render
from warraq.records import Page
from warraq.rendering.pdfium import PdfiumReader
from warraq.rendering.raster import Raster

APPEARANCE = pdf_stream(b"0 g 10 10 180 60 re f", "/Type/XObject/Subtype/Form/BBox[0 0 200 80]")
RECT = "/Rect[100 100 300 180]"
CENTRE = (200, 160)  # px; a point is a pixel
SIGNED = "/V<</Type/Sig/Filter/Adobe.PPKLite/SubFilter/adbe.pkcs7.detached/ByteRange[0 1 2 3]/Contents(xxxxxxxx)>>"


def draw(raw: Raw, tmp_path: Path, annotation: str, appearance: bytes = APPEARANCE) -> tuple[Page, bool]:
    """The page, and whether the annotation is on it."""
    data = build_pdf(
        b"BT /F1 14 Tf 20 270 Td (Letter) Tj ET", appearance, f"<</Type/Annot{RECT}{annotation}>>".encode(),
        b"<</Type/OCG/Name(Hidden)>>", page="/Annots[7 0 R]",
        catalog="/AcroForm<</Fields[7 0 R]/SigFlags 3>>/OCProperties<</OCGs[8 0 R]/D<</OFF[8 0 R]>>>>",
    )  # fmt: skip
    (page,), rejected = render(raw(**{"page.pdf": data}), tmp_path / "out", colour="rgb")
    assert rejected == []
    return page, read_red(open_page(page, tmp_path / "out"), CENTRE) < 128


@pytest.mark.parametrize(
    "annotation",
    [
        "/Subtype/Stamp/F 1/AP<</N 6 0 R>>",
        "/Subtype/Stamp/Name/Approved/F 5/AP<</N 6 0 R>>",
        "/Subtype/Stamp/F 4/AP<</N<</On 6 0 R>>>>/AS/On",
        "/Subtype/Stamp/F 4/AP<</N<</Off 6 0 R>>>>",
        "/Subtype/Link/F 4/AP<</N 6 0 R>>",
        f"/Subtype/Widget/FT/Sig/T(Sig1)/F 1/AP<</N 6 0 R>>{SIGNED}",
        f"/Subtype/Widget/FT/Sig/T(Sig1)/F 132/AP<</N 6 0 R>>{SIGNED}",
        "/Subtype/Widget/FT/Sig/T(Sig1)/F 4/AP<</N 6 0 R>>",
    ],
)
def test_a_stamp_and_a_signature_with_a_picture_are_on_the_page(raw: Raw, tmp_path: Path, annotation: str) -> None:
    page, shown = draw(raw, tmp_path, annotation)
    assert shown and page.damage is None


@pytest.mark.parametrize(
    "annotation",
    [
        "/Subtype/Stamp/F 2/AP<</N 6 0 R>>",
        "/Subtype/Stamp/F 4/AP<</N<</On 6 0 R>>>>",
        "/Subtype/Stamp/F 4",
        "/Subtype/Stamp/F 4/AP<</N 6 0 R>>/OC 8 0 R",
        "/Subtype/Stamp/Name/Draft/F 4",
        "/Subtype/Widget/FT/Sig/T(Sig1)/F 4",
        f"/Subtype/Widget/FT/Sig/T(Sig1)/F 4{SIGNED}",
    ],
)
def test_nothing_is_made_up_where_there_is_no_picture(raw: Raw, tmp_path: Path, annotation: str) -> None:
    page, _ = draw(raw, tmp_path, annotation)
    image = open_page(page, tmp_path / "out").crop((100, 120, 300, 200))
    assert image.getextrema() == ((255, 255),) * 3
    assert page.damage is None


def test_what_two_engines_draw_differently_is_damage(raw: Raw, tmp_path: Path) -> None:
    page, _ = draw(raw, tmp_path, "/Subtype/FreeText/Contents(Paid in full)/DA(/Helv 24 Tf 0 g)/F 4")
    assert page.damage and "another reader" in page.damage


@pytest.mark.parametrize("kind", ["Text", "FileAttachment"])
def test_a_picture_that_is_the_viewers_own_is_no_damage(raw: Raw, tmp_path: Path, kind: str) -> None:
    page, _ = draw(raw, tmp_path, f"/Subtype/{kind}/Contents(Note)/F 4")
    assert page.damage is None


def test_a_crop_box_beside_the_page_crops_nothing(raw: Raw, tmp_path: Path) -> None:
    data = build_pdf(b"0 g 0 0 400 300 re f", page="/CropBox[1000 1000 2000 2000]")
    (page,), _ = render(raw(**{"page.pdf": data}), tmp_path / "out")
    assert (page.width_px, page.height_px, page.ink) == (400, 300, 1.0)


SIGNATURE, FIELD = "<</Subtype/Widget/FT/Sig/T(a)>>", "<</Subtype/Widget/FT/Tx/T(a)>>"


@pytest.mark.parametrize(
    ("note", "made_anew", "is_dynamic"),
    [("", "", True), (SIGNATURE, "", True), (SIGNATURE, "/NeedsRendering true", True), (FIELD, "", False)],
)
def test_a_dynamic_form_is_no_page(raw: Raw, tmp_path: Path, note: str, made_anew: str, is_dynamic: bool) -> None:
    fields = f"[{note}]"
    form = build_pdf(
        b"BT /F1 14 Tf 20 270 Td (Please wait) Tj ET", pdf_stream(b"<xdp/>"), page=f"/Annots{fields}",
        catalog=f"/AcroForm<</XFA 6 0 R/Fields{fields}>>{made_anew}",
    )  # fmt: skip
    _, rejected = render(raw("scan.pdf", **{"form.pdf": form}), tmp_path / "out")
    assert reasons_by_file(rejected) == ({"form.pdf": "dynamic_form"} if is_dynamic else {})


@pytest.mark.parametrize("fontsize", [8, 10])  # of the latter the words' boxes overlap
def test_a_long_page_is_split_between_its_lines(raw: Raw, tmp_path: Path, fontsize: int) -> None:
    document = pymupdf.open()
    page = document.new_page(width=200, height=3000)
    for line in range(240):
        page.insert_text((10, 20 + 12 * line), f"item {line} of the receipt", fontsize=fontsize)
    pages, rejected = render(raw(**{"receipt.pdf": document.tobytes()}), tmp_path / "out")
    assert rejected == [] and len(pages) > 10 and {page.width_px for page in pages} == {283}
    texts = [(tmp_path / "out" / (page.text or "")).read_text(encoding="utf-8").splitlines() for page in pages]
    assert {line for text in texts for line in text} == {f"item {line} of the receipt" for line in range(240)}
    numbers = [[int(line.split()[1]) for line in text] for text in texts]
    assert all(below[0] <= above[-1] + 1 for above, below in pairwise(numbers))


def test_the_second_engine_splits_a_long_page_too(tmp_path: Path) -> None:
    document = pymupdf.open()
    document.new_page(width=200, height=3000).insert_text((10, 20), "receipt")
    path = tmp_path / "receipt.pdf"
    path.write_bytes(document.tobytes())
    page = PdfiumReader(path, None).draw_page(1, 400, "grey")
    assert isinstance(page, Raster) and len(page.rest) > 10 and page.samples.shape[1] == 283


def test_a_page_whose_text_nobody_could_read_is_a_reason(raw: Raw, tmp_path: Path) -> None:
    document = pymupdf.open()
    page = document.new_page(width=3370, height=2384)
    for line in range(100):
        page.insert_text((100, 100 + 20 * line), f"room {line}, 12.4 m2", fontsize=7)
    _, rejected = render(raw("scan.pdf", **{"plan.pdf": document.tobytes()}), tmp_path / "out", long_side_px=1600)
    assert reasons_by_file(rejected) == {"plan.pdf": "illegible"}

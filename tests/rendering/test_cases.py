"""Small files of others that were once lost or changed without a word, where the folder of them is here."""

from pathlib import Path

import pytest

from support import ROOT
from support.rendering import open_page, read_red, render
from warraq.records import Page, Rejected

CASES = ROOT.parent / "shared/cases/render"
DAMAGED = {
    "content_flate_cut60.pdf", "content_flate_flip.pdf", "issue13316_reduced.pdf", "issue21436.pdf", "jpx_cut_half.pdf",
    "letter_nonembedded_arabic_font.pdf", "scan_ocr_layer_jpeg_cut_half.pdf",
}  # fmt: skip
REJECTED = {
    "README.md": {"not_a_document"}, "a0_plan_7pt.pdf": {"illegible"}, "five_g4_cut70.tif": {"page_lost"},
    "xfa_dynamic.pdf": {"dynamic_form"},
}  # fmt: skip
UNPROVED = {
    "issue13316_reduced.pdf", "jpx_cut_half.pdf", "letter_nonembedded_arabic_font.pdf",
    "redaction_box_over_text.pdf", "scan_ocr_layer_jpeg_cut_half.pdf",
}  # fmt: skip
ATTACHED = {
    "pdfbox__testPDFPackage.pdf/PDF1.pdf", "pdfbox__testPDFPackage.pdf/PDF2.pdf", "portfolio_two_invoices.pdf/inv1.pdf",
    "portfolio_two_invoices.pdf/inv2.pdf",
}  # fmt: skip
COUNTS = {"five_g4_cut70.tif": 3, "two_pages_with_thumbs.tif": 2, "long_page_595x14400.pdf": 19}
SHARES = {  # of dark samples: what was missing, or made up, is another
    "cropbox_disjoint.pdf": 0.016, "grey12_packed.tif": 0.25, "grey16_miniswhite.tif": 0.18, "sig_form_V_F1.pdf": 0.024,
    "stamp_F1.pdf": 0.024, "stamp_state_no_AS.pdf": 0.016, "unsigned_signature_field.pdf": 0.017,
}  # fmt: skip


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Page], list[Rejected]]:
    if not CASES.exists():
        pytest.skip("the folder is not here")
    out = tmp_path_factory.mktemp("cases")
    return out, *render(CASES, out, long_side_px=1600, colour="rgb")


def test_each_has_its_outcome(outcome: tuple[Path, list[Page], list[Rejected]]) -> None:
    _, pages, rejected = outcome
    assert {page.files[0] for page in pages if page.damage} == DAMAGED
    assert {page.files[0] for page in pages if page.text_fault} == UNPROVED
    assert {row.file: {row.reason} for row in rejected} == REJECTED
    assert {page.files[0] for page in pages if page.containers} == ATTACHED
    names = [page.files[0] for page in pages if not page.containers]
    without = {"README.md", "a0_plan_7pt.pdf", "xfa_dynamic.pdf"}
    expected = {path.name: COUNTS.get(path.name, 1) for path in CASES.iterdir() if path.name not in without}
    assert {name: names.count(name) for name in names} == expected


def test_what_is_on_the_paper_is_on_the_page(outcome: tuple[Path, list[Page], list[Rejected]]) -> None:
    out, pages, _ = outcome
    by_name = {page.files[0]: page for page in pages}
    assert {name: by_name[name].ink for name in SHARES} == pytest.approx(SHARES, abs=0.005)
    fax = by_name["fax_standard_204x98.tif"]
    assert fax.height_px / fax.width_px == pytest.approx(1078 / 98 / (1728 / 204), rel=0.01)
    assert read_red(open_page(by_name["jpeg_no_eoi.jpg"], out), (5, 5)) > 200
    assert all(min(page.width_px, page.height_px) >= 300 for page in pages)

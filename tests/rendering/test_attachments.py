"""Files that a PDF carries are documents of their own, under its name; what is not taken out is counted."""

import zlib
from pathlib import Path
from typing import Any

import pymupdf
import pytest
from PIL import Image

from support.rendering import Raw, build_pdf, encode_image, pdf_stream, reasons_by_file, render
from warraq.rendering import attachments
from warraq.rendering.attachments import clean_name


def write(text: str) -> pymupdf.Document:
    document = pymupdf.open()
    document.new_page(width=300, height=300).insert_text((20, 50), text)
    return document


def carry(*files: tuple[str, bytes], text: str = "Cover", **options: Any) -> bytes:
    document = write(text)
    for number, (name, data) in enumerate(files):
        document.embfile_add(f"key {number}", data, filename=name, ufilename=name)
    written: bytes = document.tobytes(**options)
    return written


INVOICE = write("Invoice 1").tobytes()


def test_each_pdf_and_image_in_a_portfolio_is_a_document(
    raw: Raw, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    picture = encode_image(Image.new("L", (90, 60), 90))
    inner = carry(("bill.pdf", INVOICE), text="Inner cover")
    files = {"case.pdf": carry(("a.pdf", inner), ("b.png", picture), ("notes.xml", b"<a/>")), "free.pdf": INVOICE}
    pages, rejected = render(raw(**files), tmp_path / "out")
    ids = {page.files[0]: page.document for page in pages}
    assert {page.files: page.containers for page in pages} == {
        ("case.pdf",): (),
        ("case.pdf/a.pdf",): (ids["case.pdf"],),
        ("case.pdf/b.png",): (ids["case.pdf"],),
        ("case.pdf/a.pdf/bill.pdf", "free.pdf"): tuple(sorted((ids["case.pdf"], ids["case.pdf/a.pdf"]))),
    }
    assert reasons_by_file(rejected) == {"case.pdf/notes.xml": "not_a_document"}
    assert "4 pages (4 rendered, 0 reused)" in caplog.text
    assert render(tmp_path / "raw", tmp_path / "out") == (pages, rejected)
    assert "4 pages (0 rendered, 4 reused)" in caplog.text
    assert not list((tmp_path / "out").glob("*.part"))


def test_a_file_in_a_note_on_a_page_is_a_document(raw: Raw, tmp_path: Path) -> None:
    document = write("Cover")
    document[0].add_file_annot((20, 100), INVOICE, "enclosed.pdf")
    pages, rejected = render(raw(**{"letter.pdf": document.tobytes()}), tmp_path / "out")
    assert ({page.files[0] for page in pages}, rejected) == ({"letter.pdf", "letter.pdf/enclosed.pdf"}, [])


@pytest.mark.parametrize(
    ("catalog", "page", "names"),
    [
        ("/AF[6 0 R]", "", ["a.png"]),
        ("", "/AF[6 0 R]", ["a.png"]),
        ("/Names<</EmbeddedFiles<</Names[(k)6 0 R(k)7 0 R]>>>>", "", ["a.png", "k"]),
        ("/Names<</EmbeddedFiles<</Kids[<</Names[(k)6 0 R]>>]>>>>", "/Annots[<</Subtype/Link/FS 6 0 R>>]", ["a.png"]),
    ],
)
def test_a_file_is_found_wherever_it_is_listed(
    raw: Raw, tmp_path: Path, catalog: str, page: str, names: list[str]
) -> None:
    first, second = b"<</F(a.png)/EF<</UF 8 0 R>>>>", b"<</Type/F/EF<</F 9 0 R>>>>"
    pictures = (pdf_stream(encode_image(Image.new("L", (width, 60)))) for width in (80, 90))
    data = build_pdf(b"0 0 9 9 re f", first, second, *pictures, catalog=catalog, page=page)
    pages, rejected = render(raw(**{"case.pdf": data}), tmp_path / "out")
    assert sorted(page.files[0] for page in pages) == ["case.pdf", *(f"case.pdf/{name}" for name in names)]
    assert rejected == []


@pytest.mark.parametrize("body", [b"null", pdf_stream(zlib.compress(INVOICE)[:-9], "/Filter/FlateDecode")])
def test_a_damaged_attached_file_has_a_row(raw: Raw, tmp_path: Path, body: bytes) -> None:
    data = build_pdf(b"0 0 9 9 re f", b"<</F(a.pdf)/EF<</F 7 0 R>>>>", body, catalog="/AF[6 0 R]")
    _, rejected = render(raw(**{"case.pdf": data}), tmp_path / "out")
    assert ("case.pdf/a.pdf", None, "damaged") in {(row.file, row.page, row.reason) for row in rejected}


def test_what_is_locked_needs_its_password_and_what_carries_it_its_own(
    raw: Raw, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock: dict[str, Any] = {"encryption": 5, "user_pw": "inner", "owner_pw": "o"}
    case = carry(("a.pdf", carry(text="Locked", **lock)), **{**lock, "user_pw": "outer"})
    table = b"file,sensitivity,password_env\ncase.pdf,,OUTER\ncase.pdf/a.pdf,,INNER\n"
    folder = raw("scan.pdf", **{"case.pdf": case, "documents.csv": table})
    monkeypatch.setenv("OUTER", "outer")
    assert reasons_by_file(render(folder, tmp_path / "out")[1]) == {"case.pdf/a.pdf": "encrypted"}
    monkeypatch.setenv("INNER", "inner")
    pages, rejected = render(folder, tmp_path / "out")
    assert ({page.files[0] for page in pages}, rejected) == ({"scan.pdf", "case.pdf", "case.pdf/a.pdf"}, [])


def test_names_of_attached_files_are_no_paths_and_none_hides_another(raw: Raw, tmp_path: Path) -> None:
    names = ("../../escape.pdf", "C:\\mail\\escape.pdf", "a\u202efdp.exe\n", "..", "مرفق.pdf")
    files = [(name, write(f"Page {number}").tobytes()) for number, name in enumerate(names)]
    pages, rejected = render(raw(**{"case.pdf": carry(*files)}), tmp_path / "out")
    shown = {"escape.pdf", "escape (2).pdf", "a\\u202efdp.exe", "attachment", "مرفق.pdf"}
    assert {page.files[0] for page in pages} == {"case.pdf", *(f"case.pdf/{name}" for name in shown)}
    assert rejected == [] and {path.name for path in tmp_path.iterdir()} == {"raw", "out"}


def test_a_long_name_keeps_its_end() -> None:
    assert clean_name("x" * 500 + ".pdf").endswith("x.pdf") and len(clean_name("x" * 500)) == attachments.LONGEST_NAME


def test_more_files_than_a_document_may_carry_are_counted(
    raw: Raw, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attachments, "MOST_FILES", 2)
    files = [(f"{number}.pdf", write(f"Page {number}").tobytes()) for number in range(5)]
    pages, rejected = render(raw(**{"case.pdf": carry(*files)}), tmp_path / "out")
    assert {page.files[0] for page in pages} == {"case.pdf", "case.pdf/0.pdf", "case.pdf/1.pdf"}
    assert [(row.file, row.reason) for row in rejected] == [("case.pdf", "container")] and "3 are" in rejected[
        0
    ].message


def test_files_deep_in_each_other_end_somewhere(raw: Raw, tmp_path: Path) -> None:
    data = INVOICE
    for depth in range(6):
        data = carry(("x.pdf", data), text=f"Depth {depth}")
    pages, rejected = render(raw(**{"case.pdf": data}), tmp_path / "out")
    assert max(page.files[0].count("/") for page in pages) == attachments.DEEPEST
    assert reasons_by_file(rejected) == {"case.pdf/x.pdf/x.pdf/x.pdf": "container"}


@pytest.mark.parametrize("limits", [{"max_output_mib": 1}, {"max_memory_mib": 64}])
def test_a_bomb_among_the_files_costs_itself(raw: Raw, tmp_path: Path, limits: dict[str, int]) -> None:
    bomb = b"%PDF-1.7" + bytes(80 * 2**20)
    case = carry(("bomb.pdf", bomb), ("a.pdf", INVOICE), deflate=True)
    assert len(case) < 2**20
    pages, rejected = render(raw(**{"case.pdf": case}), tmp_path / "out", **limits)
    assert "case.pdf" in {page.files[0] for page in pages}
    assert {row.file for row in rejected} <= {"case.pdf", "case.pdf/bomb.pdf"} and rejected


def test_a_damaged_list_of_files_costs_no_page(raw: Raw, tmp_path: Path) -> None:
    names = "/Names<</EmbeddedFiles<</Names[(a) 6 0 R (b) 9 0 R 7]/Kids[1 0 R]>>>>"
    data = build_pdf(b"0 0 9 9 re f", b"<</Type/Filespec/F(a.pdf)/EF<</F 8 0 R>>>>", catalog=names)
    pages, _ = render(raw(**{"page.pdf": data}), tmp_path / "out")
    assert [page.page for page in pages] == [1]

"""Hostile and damaged files: the page that kills its reader is left out, everything around it is kept."""

import resource
import zlib
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pymupdf
import pytest
from PIL import Image

from support.rendering import PARAMETERS, Raw, build_pdf, draw_pdf, encode_image, open_page, pdf_stream, render
from warraq import workers
from warraq.records import Rejected
from warraq.rendering import mupdf, pdfium
from warraq.rendering.folder import find_documents
from warraq.rendering.pages import render_attempt
from warraq.rendering.raster import RenderError
from warraq.rendering.retry_policy import (
    BATCH,
    MAX_ATTEMPTS,
    Attempt,
    PageStart,
    PartialResult,
    RenderedPage,
    list_further_batches,
    plan_next_attempt,
)
from warraq.workers import Failure

TIMEOUT = Failure("timeout", "")


def laughs(document: pymupdf.Document, depth: int, width: int) -> None:
    """Add a page that draws a form that draws a form `width` times, and so on, `depth` deep."""
    page = document.new_page(width=9, height=9)
    forms = [document.get_new_xref() for _ in range(depth + 1)]
    for form, inner in zip(forms, [*forms[1:], 0], strict=True):
        resources = f"/Resources<</XObject<</X {inner} 0 R>>>>" if inner else ""
        document.update_object(form, f"<</Type/XObject/Subtype/Form/BBox[0 0 9 9]{resources}>>")
        document.update_stream(form, b"/X Do " * width if inner else b"0 0 1 1 re f", new=True)
    document.xref_set_key(page.xref, "Resources", f"<</XObject<</X {forms[0]} 0 R>>>>")
    document.xref_set_key(page.xref, "Contents", f"{forms[0]} 0 R")


def with_laughs(*numbers: int, count: int) -> bytes:
    document = pymupdf.open()
    for number in range(1, count + 1):
        if number in numbers:
            laughs(document, 9, 12)
        else:
            document.new_page(width=300, height=400).insert_text((50, 50), f"Page {number}")
    data: bytes = document.tobytes()
    return data


def test_a_page_that_hangs_is_left_out_and_its_neighbours_are_kept(
    raw: Raw, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = raw("scan.pdf", **{"laughs.pdf": with_laughs(2, count=4)})
    pages, rejected = render(folder, tmp_path / "out", max_seconds=1)
    assert sorted(page.page for page in pages if page.files == ("laughs.pdf",)) == [1, 3, 4]
    assert [(row.page, row.reason) for row in rejected] == [(2, "timeout")]

    def nothing_to_read(_: object, queue: deque[Attempt], *__: object) -> Iterator[None]:
        assert not queue, "it is tried again"
        return iter(())

    monkeypatch.setattr(workers, "run_isolated", nothing_to_read)
    assert render(folder, tmp_path / "out", max_seconds=1) == (pages, rejected)


def test_a_picture_that_memory_cannot_hold_is_not_a_blank_page(raw: Raw, tmp_path: Path) -> None:
    document = pymupdf.open()
    document.new_page().insert_text((50, 50), "Before")
    page = document.new_page()
    page.insert_image(page.rect, stream=encode_image(Image.new("L", (9000, 9000), 90), "JPEG", progressive=True))
    pages, rejected = render(raw(**{"large.pdf": document.tobytes()}), tmp_path / "out", max_memory_mib=64)
    assert [page.page for page in pages] == [1]
    assert [(row.page, row.reason) for row in rejected] == [(2, "memory")]


def test_a_long_document_has_its_time_page_by_page(raw: Raw, tmp_path: Path) -> None:
    before = sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])
    document = pymupdf.open()
    noise = encode_image(Image.effect_noise((1500, 1500), 60))
    for _ in range(40):
        page = document.new_page(width=300, height=300)
        page.insert_image(page.rect, stream=noise)
        page.insert_text((9, 9), "x")
    pages, rejected = render(
        raw(**{"long.pdf": document.tobytes()}), tmp_path / "out", max_seconds=1, long_side_px=1500, colour="rgb"
    )
    assert (len(pages), rejected) == (40, [])
    assert sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2]) - before > 1


def test_a_page_that_is_drawn_in_part_says_what_is_missing(raw: Raw, tmp_path: Path) -> None:
    document = pymupdf.open()
    page = document.new_page()
    page.insert_text((50, 50), "Before")
    page.insert_image((50, 100, 500, 500), stream=encode_image(Image.effect_noise((300, 300), 60), "JPEG"))
    data = document.tobytes()
    start = data.index(b"\xff\xda")  # the scan of the JPEG
    pages, rejected = render(
        raw(**{"whole.pdf": data, "part.pdf": data[:start] + bytes(20_000) + data[start + 20_000 :]}), tmp_path / "out"
    )
    damage = {page.files[0]: page.damage for page in pages}
    assert (damage["whole.pdf"], rejected) == (None, [])
    assert damage["part.pdf"] and "error" in damage["part.pdf"]


def test_a_picture_without_its_data_is_damage(raw: Raw, tmp_path: Path) -> None:
    document = pymupdf.open()
    paper = document.new_page(width=300, height=300)
    xref = paper.insert_image(paper.rect, stream=encode_image(Image.new("L", (600, 600), 200)))
    document.update_stream(xref, bytes(600))
    (page,), _ = render(raw(**{"cut.pdf": document.tobytes()}), tmp_path / "out")
    assert page.damage and "truncated" in page.damage


@pytest.mark.parametrize("codec", ["DCTDecode", "FlateDecode"])
def test_a_picture_that_fails_its_own_check_is_damage(raw: Raw, tmp_path: Path, codec: str) -> None:
    picture = Image.effect_noise((200, 200), 60)
    jpeg, flate = encode_image(picture, "JPEG"), zlib.compress(picture.tobytes() + b"more than is drawn")
    whole = jpeg if codec == "DCTDecode" else flate
    damaged = jpeg[:2000] + jpeg[2500:] if codec == "DCTDecode" else flate[:-1] + bytes([flate[-1] ^ 1])
    entries = f"/Subtype/Image/Width 200/Height 200/ColorSpace/DeviceGray/BitsPerComponent 8/Filter/{codec}"
    files = {
        name: build_pdf(
            b"300 0 0 300 0 0 cm /I Do", pdf_stream(data, entries), page="/Resources<</XObject<</I 6 0 R>>>>"
        )
        for name, data in (("whole.pdf", whole), ("damaged.pdf", damaged))
    }
    pages, _ = render(raw(**files), tmp_path / "out")
    assert {page.files[0]: bool(page.damage) for page in pages} == {"whole.pdf": False, "damaged.pdf": True}


def test_a_turn_by_no_right_angle_is_no_turn(raw: Raw, tmp_path: Path) -> None:
    folder = raw(**{"plain.pdf": draw_pdf(), "turned.pdf": draw_pdf("/Rotate 45")})
    pages, _ = render(folder, tmp_path / "out")
    plain, turned = (open_page(page, tmp_path / "out") for page in pages)
    assert [page.rotation_deg for page in pages] == [0, 0]
    assert (plain.size, plain.tobytes()) == (turned.size, turned.tobytes())


def broken(count: int) -> bytes:
    """Pages that share a deflated content stream with a wrong byte: MuPDF drops it, PDFium draws what comes before."""
    document = pymupdf.open()
    content = document.get_new_xref()
    document.update_object(content, "<<>>")
    lines = b"".join(b"0 0 0 rg 20 %d 260 5 re f\n" % y for y in range(20, 280, 2))
    document.update_stream(content, lines, new=True, compress=True)
    for _ in range(count):
        document.new_page(width=300, height=300).set_contents(content)
    data = bytearray(document.tobytes())
    data[data.index(b"stream\n", data.index(b"FlateDecode")) + 7 + 90] ^= 0xFF
    return bytes(data)


def test_what_mupdf_finds_blank_pdfium_may_see(raw: Raw, tmp_path: Path) -> None:
    (page,), rejected = render(raw(**{"broken.pdf": broken(1)}), tmp_path / "out")
    assert (page.engine, (page.ink or 0) > 0.01, rejected) == ("pdfium", True, [])
    assert page.damage and "zlib error" in page.damage


def test_a_page_object_that_mupdf_cannot_read_pdfium_may_draw(raw: Raw, tmp_path: Path) -> None:
    deep = draw_pdf("/X " + "[" * 100_000 + "]" * 100_000)
    (page,), rejected = render(raw(**{"deep.pdf": deep}), tmp_path / "out")
    assert (page.engine, (page.ink or 0) > 0.01, rejected) == ("pdfium", True, [])


def list_opened(monkeypatch: pytest.MonkeyPatch, reader: Any) -> list[Path]:
    """The files that an engine opens from now on."""
    opened: list[Path] = []
    begin = reader.__init__

    def counted(self: object, path: Path, password: str | None) -> None:
        opened.append(path)
        begin(self, path, password)

    monkeypatch.setattr(reader, "__init__", counted)
    return opened


def test_pdfium_opens_a_document_once(raw: Raw, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (source,), _ = find_documents(raw(**{"broken.pdf": broken(3)}))
    opened = list_opened(monkeypatch, pdfium.PdfiumReader)
    messages = list(render_attempt(tmp_path / "out", PARAMETERS, PARAMETERS, Attempt(source, None)))
    assert [message.row.engine for message in messages if isinstance(message, RenderedPage)] == ["pdfium"] * 3
    assert opened == [source.path]


def test_a_process_opens_a_long_document_once(raw: Raw, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its next pages need nothing that is loaded anew, unless another document comes between."""
    document, count = pymupdf.open(), 2 * BATCH
    for number in range(count):
        document.new_page(width=100, height=100).insert_text((9, 50), f"{number}")
    sources, _ = find_documents(raw("letter.pdf", **{"long.pdf": document.tobytes()}))
    long, letter = sorted(sources, key=lambda source: source.names, reverse=True)
    opened = list_opened(monkeypatch, mupdf.MupdfReader)
    first = Attempt(long, None)
    for attempt in (first, *list_further_batches(first, count), Attempt(letter, None), first):
        assert all(render_attempt(tmp_path / "out", PARAMETERS, PARAMETERS, attempt))
    assert opened == [long.path, letter.path, long.path]


def test_a_document_fills_only_so_much_of_the_disk(raw: Raw, tmp_path: Path) -> None:
    document = pymupdf.open()
    for _ in range(4):
        page = document.new_page(width=300, height=300)
        page.insert_image(page.rect, stream=encode_image(Image.effect_noise((650, 650), 60)))
    folder = raw("scan.pdf", **{"noise.pdf": document.tobytes()})
    pages, rejected = render(folder, tmp_path / "out", long_side_px=700, max_output_mib=1)
    assert [page.page for page in pages if page.files == ("noise.pdf",)] == [1, 2]
    assert [(row.page, row.reason) for row in rejected] == [(3, "output"), (4, "output")]
    kept = next((tmp_path / "out" / page.document) for page in pages if page.files == ("noise.pdf",))
    assert sum(path.stat().st_size for path in kept.glob("*.png")) <= 2**20


@pytest.mark.parametrize(("render_mode", "origin"), [(3, "scan"), (0, "born_digital")])
def test_a_picture_with_a_layer_of_text_is_a_scan_where_the_text_is_not_drawn(
    raw: Raw, documents: dict[str, bytes], tmp_path: Path, render_mode: int, origin: str
) -> None:
    document = pymupdf.open(stream=documents["scan.pdf"])
    document[0].insert_text((30, 30), "Invoice no. 1001", render_mode=render_mode)
    (page,), _ = render(raw(**{"layered.pdf": document.tobytes()}), tmp_path / "out")
    assert (page.origin, page.text is None) == (origin, False)


def test_pdfium_draws_what_kills_mupdf(raw: Raw, tmp_path: Path) -> None:
    """The attempt after a death, on a document that both can draw."""
    (source,), _ = find_documents(raw("letter.pdf"))
    again, lost = plan_next_attempt(Attempt(source, None), PageStart(2, "mupdf"), TIMEOUT)
    assert again and (again.first, again.list_engines(2), again.list_engines(3), lost) == (
        2, ["pdfium"], ["mupdf", "pdfium"], None,
    )  # fmt: skip
    (tmp_path / "out" / f"{source.document}.part").mkdir(parents=True)
    messages = list(render_attempt(tmp_path / "out", PARAMETERS, PARAMETERS, again))
    drawn = [message.row for message in messages if isinstance(message, RenderedPage)]
    assert [(page.page, page.engine) for page in drawn] == [(2, "pdfium"), (3, "mupdf")]
    assert (drawn[0].width_px, drawn[0].height_px) == (drawn[1].width_px, drawn[1].height_px)
    assert drawn[0].ink == pytest.approx(drawn[1].ink, rel=0.5)


def test_a_blank_page_is_no_second_opinion(raw: Raw, tmp_path: Path) -> None:
    document = pymupdf.open()
    document.new_page()
    (source,), _ = find_documents(raw(**{"blank.pdf": document.tobytes()}))
    attempt = Attempt(source, None, deaths=((PageStart(1, "mupdf"), TIMEOUT),))
    messages = list(render_attempt(tmp_path / "out", PARAMETERS, PARAMETERS, attempt))
    assert [message.reason for message in messages if isinstance(message, Rejected)] == ["timeout"]
    pages, rejected = render(tmp_path / "raw", tmp_path / "out")
    assert ([page.ink for page in pages], rejected) == ([0.0], [])  # both engines see the same white paper


@pytest.mark.parametrize("reason", ["timeout", "memory", "crashed"])
@pytest.mark.parametrize("name", ["letter.pdf", "picture.png"])
def test_attempts_end_and_every_page_is_drawn_or_left_out(
    raw: Raw, reason: Literal["timeout", "memory", "crashed"], name: str
) -> None:
    """Whatever dies, always: each page is accounted for within the number of attempts."""
    (source,), _ = find_documents(raw(name))
    for count in (0, 1, 3, 9, BATCH + 9):
        result = PartialResult(source.document)
        queue = [Attempt(source, None)]
        while queue:
            attempt = queue.pop()
            page = attempt.first if count else 0
            start = result.add([count, PageStart(page, attempt.list_engines(page)[0])])
            again, lost = plan_next_attempt(attempt, start, Failure(reason, ""))
            if lost:
                result.leave_out(attempt, start, again, RenderError(lost.reason, ""))
            if again and again.first <= again.find_last(count or 1):
                assert again.number == attempt.number + 1 <= MAX_ATTEMPTS
                queue.append(again)
            elif attempt.last == BATCH:
                queue += list_further_batches(attempt, count)
        assert set(result.rejected) == (set(range(1, count + 1)) or {0})


def test_what_mupdf_refuses_pdfium_may_open(raw: Raw, tmp_path: Path) -> None:
    """A list of pages without their count."""
    data = draw_pdf().replace(b"/Count 1/Kids[3 0 R]", b"/Count 0/Kids[3 0 R]")
    (page,), rejected = render(raw(**{"page.pdf": data}), tmp_path / "out")
    assert (page.engine, (page.ink or 0) > 0.01, rejected) == ("pdfium", True, [])
    assert page.damage and "no pages" in page.damage


def test_a_blank_page_is_no_answer_to_a_refusal(raw: Raw, tmp_path: Path) -> None:
    data = build_pdf(b"").replace(b"/Count 1/Kids[3 0 R]", b"/Count 0/Kids[3 0 R]")
    _, rejected = render(raw("scan.pdf", **{"page.pdf": data}), tmp_path / "out")
    assert [(row.file, row.reason) for row in rejected] == [("page.pdf", "no_pages")]

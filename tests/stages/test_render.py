"""render: what comes out of good, bad and hostile files, through `warraq render` where a user would see it."""

import csv
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pymupdf
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from warraq.cli import main
from warraq.records import InputError, Page, Rejected, read_rows
from warraq.stages.render import Render, run

CORPUS = Path(__file__).parents[3] / "shared/corpus"
PARAMETERS = Render(long_side_px=400, colour="grey", contrast="none", max_pages=50, max_seconds=20, max_memory_mib=1024)


@pytest.fixture
def raw(tmp_path: Path, documents: dict[str, bytes]) -> Callable[..., Path]:
    """A folder of the named documents and any others given as bytes."""

    def make(*names: str, **others: bytes) -> Path:
        folder = tmp_path / "raw"
        folder.mkdir(exist_ok=True)
        for name in names:
            (folder / name).write_bytes(documents[name])
        for name, data in others.items():
            (folder / name).write_bytes(data)
        return folder

    return make


def render(raw: Path, out: Path, **changes: object) -> tuple[list[Page], list[Rejected]]:
    run(raw, out, PARAMETERS.model_copy(update=changes))
    return read_rows(out / "pages.jsonl", Page), read_rows(out / "rejected.jsonl", Rejected)


def command(raw: Path, out: Path) -> Result:
    params = Path(__file__).parents[2] / "params.yaml"
    return CliRunner().invoke(main, ["--params", str(params), "render", "--raw", str(raw), "--out", str(out)])


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def reasons(rejected: list[Rejected]) -> dict[str, str]:
    return {row.file: row.reason for row in rejected}


def picture(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    stream = BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def shown(page: Page, out: Path) -> Image.Image:
    return Image.open(out / page.image).convert("RGB")


def test_good_files_come_through_and_each_bad_file_has_its_own_reason(raw, tmp_path: Path) -> None:
    folder = raw("letter.pdf", "scan.pdf", "picture.png", "truncated.pdf", "encrypted.pdf", "empty.pdf", "text.pdf")
    result = command(folder, tmp_path / "out")
    assert result.exit_code == 0
    rejected = read_rows(tmp_path / "out/rejected.jsonl", Rejected)
    assert reasons(rejected) == {
        "empty.pdf": "empty",
        "encrypted.pdf": "encrypted",
        "text.pdf": "not_a_document",
        "truncated.pdf": "page_lost",
    }
    assert all(row.message.endswith(".") for row in rejected)
    assert "4 documents, 6 pages (6 rendered, 0 reused)" in result.stderr
    assert "5 rejected (empty 1, encrypted 1, not_a_document 1, page_lost 2)" in result.stderr


def test_a_page_is_rendered_at_the_target_size_with_its_text(raw, tmp_path: Path) -> None:
    pages, _ = render(raw("letter.pdf"), tmp_path / "out")
    first = pages[0]
    assert [page.page_id for page in pages] == [f"{first.document}-p000{number}" for number in (1, 2, 3)]
    assert first.height_px == 400
    assert first.width_px == round(400 * 300 / 420)
    assert first.px_per_pt == pytest.approx(400 / 420)
    image = Image.open(tmp_path / "out" / first.image)
    assert (image.size, image.mode) == ((first.width_px, first.height_px), "L")
    assert image.getextrema()[0] < 64 < 250 < image.getextrema()[1]
    assert first.text and "Invoice no. 1001" in (tmp_path / "out" / first.text).read_text(encoding="utf-8")


def test_a_scan_is_not_enlarged_and_has_no_text(raw, tmp_path: Path) -> None:
    pages, _ = render(raw("scan.pdf"), tmp_path / "out", long_side_px=2000)
    assert pages[0].text is None
    assert pages[0].height_px == pytest.approx(583, abs=2)


def test_half_a_file_keeps_its_whole_pages_and_rejects_the_lost(raw, tmp_path: Path) -> None:
    pages, rejected = render(raw("truncated.pdf"), tmp_path / "out")
    assert [(page.page, page.repaired) for page in pages] == [(1, True)]
    assert [(row.page, row.reason) for row in rejected] == [(2, "page_lost"), (3, "page_lost")]


def test_a_file_with_an_owner_password_only_opens(raw, tmp_path: Path) -> None:
    pages, rejected = render(raw("owner.pdf"), tmp_path / "out")
    assert (len(pages), rejected) == (3, [])


def test_equal_files_are_one_document_with_all_names(raw, documents, tmp_path: Path) -> None:
    folder = raw("scan.pdf")
    (folder / "deep/er").mkdir(parents=True)
    (folder / "deep/er/نسخة ثانية.pdf").write_bytes(documents["scan.pdf"])
    pages, _ = render(folder, tmp_path / "out")
    assert [page.files for page in pages] == [("deep/er/نسخة ثانية.pdf", "scan.pdf")]


def test_what_a_file_is_called_does_not_matter(raw, documents, tmp_path: Path) -> None:
    folder = raw(**{"page.html": documents["scan.pdf"], "scan.pdf": documents["picture.png"], "documents.csv": b"a,b"})
    (folder / ".hidden.pdf").write_bytes(documents["letter.pdf"])
    (folder / os.fsdecode(b"caf\xe9.pdf")).write_bytes(documents["owner.pdf"])
    pages, rejected = render(folder, tmp_path / "out")
    assert {page.files for page in pages} == {("page.html",), ("scan.pdf",), ("caf\\xe9.pdf",)}
    assert rejected == []


def test_links_lead_only_inside_the_folder(raw, documents, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/letter.pdf").write_bytes(documents["letter.pdf"])
    folder = raw("scan.pdf")
    (folder / "secret.pdf").symlink_to(tmp_path / "outside/letter.pdf")
    (folder / "folder").symlink_to(tmp_path / "outside")
    (folder / "again.pdf").symlink_to("scan.pdf")
    (folder / "nowhere.pdf").symlink_to("missing.pdf")
    os.mkfifo(folder / "pipe.pdf")
    pages, rejected = render(folder, tmp_path / "out")
    assert [page.files for page in pages] == [("again.pdf", "scan.pdf")]
    assert reasons(rejected) == {
        "folder": "link_outside",
        "nowhere.pdf": "unreadable",
        "pipe.pdf": "unreadable",
        "secret.pdf": "link_outside",
    }


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"%PDF-1.7\nnot a PDF after all\n%%EOF\n", "damaged"),
        (picture(Image.effect_noise((90, 90), 60))[:900], "damaged"),
        (b"<html>%PDF-1.7</html>", "damaged"),
    ],
)
def test_unreadable_bytes_are_a_reason(raw, tmp_path: Path, data: bytes, reason: str) -> None:
    _, rejected = render(raw("scan.pdf", **{"bad.pdf": data}), tmp_path / "out")
    assert reasons(rejected) == {"bad.pdf": reason}


def test_too_many_pages_are_rejected_until_the_limit_is_raised(raw, tmp_path: Path) -> None:
    folder = raw("scan.pdf", "letter.pdf")
    _, rejected = render(folder, tmp_path / "out", max_pages=2)
    assert reasons(rejected) == {"letter.pdf": "too_many_pages"}
    pages, rejected = render(folder, tmp_path / "out", max_pages=3)
    assert (len(pages), rejected) == (4, [])
    _, rejected = render(folder, tmp_path / "out", max_pages=2)
    assert reasons(rejected) == {"letter.pdf": "too_many_pages"}


def test_an_image_of_too_many_pixels_is_not_decoded(raw, tmp_path: Path) -> None:
    bomb = picture(Image.new("1", (20_000, 20_000)))
    _, rejected = render(raw("scan.pdf", **{"bomb.png": bomb}), tmp_path / "out")
    assert reasons(rejected) == {"bomb.png": "too_large"}


def laughs(depth: int, width: int) -> bytes:
    """A page that draws a form that draws a form `width` times, and so on, `depth` deep."""
    document = pymupdf.open()
    page = document.new_page(width=9, height=9)
    forms = [document.get_new_xref() for _ in range(depth + 1)]
    for form, inner in zip(forms, [*forms[1:], 0], strict=True):
        resources = f"/Resources<</XObject<</X {inner} 0 R>>>>" if inner else ""
        document.update_object(form, f"<</Type/XObject/Subtype/Form/BBox[0 0 9 9]{resources}>>")
        document.update_stream(form, b"/X Do " * width if inner else b"0 0 1 1 re f", new=True)
    document.xref_set_key(page.xref, "Resources", f"<</XObject<</X {forms[0]} 0 R>>>>")
    document.xref_set_key(page.xref, "Contents", f"{forms[0]} 0 R")
    return document.tobytes()


def test_a_hostile_pdf_is_stopped_and_not_tried_again(raw, tmp_path: Path) -> None:
    folder = raw("scan.pdf", **{"laughs.pdf": laughs(9, 12)})
    _, rejected = render(folder, tmp_path / "out", max_seconds=2)
    assert reasons(rejected) == {"laughs.pdf": "timeout"}
    start = time.monotonic()
    assert render(folder, tmp_path / "out", max_seconds=2)[1] == rejected
    assert time.monotonic() - start < 1


def test_a_picture_that_memory_cannot_hold_is_not_a_blank_page(raw, tmp_path: Path) -> None:
    document = pymupdf.open()
    page = document.new_page()
    page.insert_image(page.rect, stream=picture(Image.new("L", (9000, 9000), 90), "JPEG", progressive=True))
    folder = raw("scan.pdf", **{"large.pdf": document.tobytes()})
    _, rejected = render(folder, tmp_path / "out", max_memory_mib=64)
    assert reasons(rejected) == {"large.pdf": "memory"}


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
def test_every_kind_of_image_looks_like_the_original(raw, tmp_path: Path, original, form: str, options: dict) -> None:
    pages, rejected = render(raw(**{"image": picture(original, form, **options)}), tmp_path / "out", colour="rgb")
    assert rejected == []
    assert pages[0].px_per_pt is None
    difference = _difference(shown(pages[0], tmp_path / "out"), original.convert("RGB"))
    assert difference < 3


def test_16_bit_samples_are_scaled_and_not_clipped(raw, tmp_path: Path) -> None:
    deep = Image.frombytes("I;16", (120, 60), b"".join((v * 257).to_bytes(2, "little") for v in GRADIENT.tobytes()))
    pages, _ = render(raw(**{"a.png": picture(deep), "b.tif": picture(deep, "TIFF")}), tmp_path / "out")
    for page in pages:
        assert _difference(shown(page, tmp_path / "out"), GRADIENT.convert("RGB")) < 1


def test_transparency_becomes_white_paper(raw, tmp_path: Path) -> None:
    clear = Image.new("RGBA", (80, 80), (0, 0, 0, 0))
    clear.paste((200, 0, 0, 255), (20, 20, 40, 40))
    pages, _ = render(raw(**{"stamp.png": picture(clear)}), tmp_path / "out", colour="rgb")
    image = shown(pages[0], tmp_path / "out")
    assert (image.getpixel((0, 0)), image.getpixel((30, 30))) == ((255, 255, 255), (200, 0, 0))


@pytest.mark.parametrize("form", ["JPEG", "TIFF", "PNG"])
def test_a_photograph_stands_upright(raw, tmp_path: Path, form: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turn right
    lying = Image.new("L", (120, 60), 255)
    lying.paste(0, (0, 0, 40, 60))  # left becomes top
    pages, _ = render(raw(**{"photo": picture(lying, form, exif=exif)}), tmp_path / "out")
    image = shown(pages[0], tmp_path / "out")
    assert image.size == (60, 120)
    assert image.getpixel((30, 10))[0] < 20 and image.getpixel((30, 110))[0] > 235


def test_each_frame_of_a_tiff_is_a_page(raw, tmp_path: Path) -> None:
    frames = [Image.new("L", (50 + 10 * number, 40), 50 * number) for number in (1, 2, 3)]
    data = picture(frames[0], "TIFF", save_all=True, append_images=frames[1:])
    pages, _ = render(raw(**{"fax.tif": data}), tmp_path / "out")
    assert [(page.page, page.width_px) for page in pages] == [(1, 60), (2, 70), (3, 80)]
    assert [shown(page, tmp_path / "out").getpixel((5, 5))[0] for page in pages] == [50, 100, 150]


def test_large_images_shrink_and_small_ones_stay(raw, tmp_path: Path) -> None:
    folder = raw(**{"large.png": picture(Image.new("L", (900, 300), 9)), "small.png": picture(Image.new("L", (30, 9)))})
    pages, _ = render(folder, tmp_path / "out")
    assert {page.files[0]: (page.width_px, page.height_px) for page in pages} == {
        "large.png": (400, 133),
        "small.png": (30, 9),
    }


def test_autocontrast_stretches_a_faint_page(raw, tmp_path: Path) -> None:
    faint = Image.eval(GRADIENT, lambda value: 100 + value // 4)
    pages, _ = render(raw(**{"faint.png": picture(faint)}), tmp_path / "out", contrast="autocontrast")
    low, high = shown(pages[0], tmp_path / "out").getextrema()[0]
    assert low == 0 and high >= 254


def test_one_and_two_workers_give_equal_bytes(raw, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = raw("letter.pdf", "scan.pdf", "picture.png", "truncated.pdf", "encrypted.pdf")
    for count in ("1", "2"):
        monkeypatch.setenv("WARRAQ_WORKERS", count)
        render(folder, tmp_path / count)
    assert content(tmp_path / "1") == content(tmp_path / "2")


def test_only_changed_documents_are_rendered_again(raw, documents, tmp_path: Path, caplog) -> None:
    out = tmp_path / "out"
    folder = raw("letter.pdf", "scan.pdf", "truncated.pdf")
    caplog.set_level("INFO")
    render(folder, out)
    first = content(out)
    (folder / "letter.pdf").touch()
    (folder / "scan.pdf").rename(folder / "renamed.pdf")
    pages, _ = render(folder, out)
    assert "5 pages (0 rendered, 5 reused)" in caplog.text
    assert ("renamed.pdf",) in {page.files for page in pages}
    (folder / "renamed.pdf").rename(folder / "scan.pdf")
    image = out / pages[0].image
    image.write_bytes(image.read_bytes()[:-1])  # a time stamp would not show it
    render(folder, out)
    assert content(out) == first
    (folder / "letter.pdf").unlink()
    pages, _ = render(folder, out)
    assert "2 pages (0 rendered, 2 reused)" in caplog.text
    assert {path.name for path in out.iterdir() if path.is_dir()} == {page.document for page in pages}
    render(folder, out, long_side_px=300)
    assert "2 pages (2 rendered, 0 reused)" in caplog.text


def test_a_killed_run_keeps_its_finished_documents(raw, documents, tmp_path: Path, caplog) -> None:
    folder = raw("letter.pdf", "picture.png", "owner.pdf")
    out = tmp_path / "out"
    code = (
        "import os, signal, sys; from pathlib import Path; from warraq.stages import render;\n"
        "save = render.save\n"
        "def killed(*given): save(*given); os.kill(os.getpid(), signal.SIGKILL)\n"
        "render.save = killed\n"
        "render.run(Path(sys.argv[1]), Path(sys.argv[2]), render.Render(**eval(sys.argv[3])))"
    )
    environment = {**os.environ, "WARRAQ_WORKERS": "2"}
    arguments = [sys.executable, "-c", code, str(folder), str(out), repr(PARAMETERS.model_dump())]
    assert subprocess.run(arguments, env=environment).returncode == -signal.SIGKILL
    done = [path for path in out.iterdir() if path.is_dir() and path.suffix != ".part"]
    assert len(done) == 1
    caplog.set_level("INFO")
    pages, _ = render(folder, out)
    assert len(pages) == 7
    assert "7 rendered" not in caplog.text
    render(folder, tmp_path / "fresh")
    assert content(out) == content(tmp_path / "fresh")


def test_nothing_to_render_is_one_sentence(raw, tmp_path: Path) -> None:
    result = command(tmp_path / "missing", tmp_path / "out")
    assert (result.exit_code, "missing is not a folder; create it" in result.stderr) == (2, True)
    result = command(raw("empty.pdf"), tmp_path / "out")
    assert (result.exit_code, "raw has no page to render, 1 rejected (empty 1)" in result.stderr) == (2, True)
    assert reasons(read_rows(tmp_path / "out/rejected.jsonl", Rejected)) == {"empty.pdf": "empty"}
    with pytest.raises(InputError, match="would be read as input"):
        run(tmp_path, tmp_path / "out", PARAMETERS)


@pytest.mark.skipif(not CORPUS.exists(), reason="the corpus is not here")
def test_the_corpus_comes_out_as_its_manifest_says(tmp_path: Path) -> None:
    slow = {
        "pdf2image__test_241.pdf",
        "syn__flate_bomb_300MB_double.pdf",
        "syn__pixel_bomb_1bit_40000x40000.pdf",
        "syn__xobject_laughs_9x8.pdf",
    }
    with (CORPUS / "MANIFEST.tsv").open(encoding="utf-8", newline="") as stream:
        expected = {row["file"]: row["expected"] for row in csv.DictReader(stream, delimiter="\t")}
    folder = tmp_path / "raw"
    folder.mkdir()
    for name in expected.keys() - slow:
        shutil.copyfile(CORPUS / name, folder / name)
    pages, rejected = render(folder, tmp_path / "out", max_seconds=60, max_memory_mib=2048)
    good = {name: page.repaired for page in pages for name in page.files}
    bad = reasons(rejected)
    allowed = {
        "zero pages": {"no_pages"},
        "encrypted": {"encrypted"},
        "damaged": {"damaged", "empty", "not_a_document", "page_failed"},
        "bomb/damaged": {"damaged"},
    }
    wrong = {}
    for name in expected.keys() - slow:
        want = expected[name]
        if want.startswith("ok"):
            fits = name in good and good[name] == (want == "ok after repair")
        else:
            fits = name not in good and bad.get(name) in allowed[want.split(":")[0]]
        if not fits:
            wrong[name] = (want, good.get(name), bad.get(name))
    assert wrong == {}


def _difference(image: Image.Image, other: Image.Image) -> float:
    """Mean absolute difference of the samples."""
    assert image.size == other.size
    pairs = list(zip(image.tobytes(), other.tobytes(), strict=True))
    return sum(abs(a - b) for a, b in pairs) / len(pairs)

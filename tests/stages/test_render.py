"""render: what comes out of good, bad and hostile files, through `warraq render` where a user would see it."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pymupdf
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from support import PARAMS, ROOT
from support.rendering import (
    PARAMETERS,
    Raw,
    build_pdf,
    draw_pdf,
    encode_image,
    open_page,
    read_files,
    read_red,
    reasons_by_file,
    render,
)
from warraq.cli.main import main
from warraq.errors import InputError
from warraq.records import Page, Rejected, read_rows
from warraq.rendering import document_loop
from warraq.rendering import pages as rendering_pages
from warraq.stages.render import run

CORPUS = ROOT.parent / "shared/corpus"


def command(raw: Path, out: Path) -> Result:
    return CliRunner().invoke(main, ["--params", str(PARAMS), "render", "--raw", str(raw), "--out", str(out)])


def test_good_files_come_through_and_each_bad_file_has_its_own_reason(raw: Raw, tmp_path: Path) -> None:
    folder = raw("letter.pdf", "scan.pdf", "picture.png", "truncated.pdf", "encrypted.pdf", "empty.pdf", "text.pdf")
    result = command(folder, tmp_path / "out")
    assert result.exit_code == 0
    rejected = read_rows(tmp_path / "out/rejected.jsonl", Rejected)
    assert reasons_by_file(rejected) == {
        "empty.pdf": "empty",
        "encrypted.pdf": "encrypted",
        "text.pdf": "not_a_document",
        "truncated.pdf": "page_lost",
    }
    assert all(row.message.endswith(".") for row in rejected)
    assert "4 documents, 6 pages (6 rendered, 0 reused)" in result.stderr
    assert "5 rejected (empty 1, encrypted 1, not_a_document 1, page_lost 2)" in result.stderr


def test_a_page_is_rendered_at_the_target_size_with_its_text(raw: Raw, tmp_path: Path) -> None:
    pages, _ = render(raw("letter.pdf"), tmp_path / "out")
    first = pages[0]
    assert [page.page_id for page in pages] == [f"{first.document}-p000{number}" for number in (1, 2, 3)]
    assert first.height_px == 400
    assert first.width_px == round(400 * 300 / 420)
    assert first.px_per_pt == pytest.approx(400 / 420)
    image = Image.open(tmp_path / "out" / first.image)
    assert (image.size, image.mode) == ((first.width_px, first.height_px), "L")
    assert min(image.tobytes()) < 64 < 250 < max(image.tobytes())
    assert first.text and "Invoice no. 1001" in (tmp_path / "out" / first.text).read_text(encoding="utf-8")


def test_a_scan_is_not_enlarged_and_has_no_text(raw: Raw, tmp_path: Path) -> None:
    pages, _ = render(raw("scan.pdf"), tmp_path / "out", long_side_px=2000)
    assert pages[0].text is None
    assert pages[0].height_px == pytest.approx(583, abs=2)


def test_half_a_file_keeps_its_whole_pages_and_rejects_the_lost(raw: Raw, tmp_path: Path) -> None:
    pages, rejected = render(raw("truncated.pdf"), tmp_path / "out")
    assert [(page.page, page.repaired) for page in pages] == [(1, True)]
    assert [(row.page, row.reason) for row in rejected] == [(2, "page_lost"), (3, "page_lost")]


def test_a_file_with_an_owner_password_only_opens(raw: Raw, tmp_path: Path) -> None:
    pages, rejected = render(raw("owner.pdf"), tmp_path / "out")
    assert (len(pages), rejected) == (3, [])


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"%PDF-1.7\nnot a PDF after all\n%%EOF\n", "damaged"),
        (encode_image(Image.effect_noise((90, 90), 60))[:900], "damaged"),
        (b"<html>%PDF-1.7</html>", "damaged"),
        (b"<html><body>Invoice no. 1001</body></html>", "not_a_document"),
        (b"PK\x03\x04" + bytes(26) + draw_pdf(), "not_a_document"),  # a ZIP that holds it as it is
        (draw_pdf(trailer="/Encrypt<</Filter/Adobe.PubSec/V 4>>"), "encrypted"),
        (draw_pdf(kid=9), "page_lost"),
    ],
)
def test_unreadable_bytes_are_a_reason(raw: Raw, tmp_path: Path, data: bytes, reason: str) -> None:
    _, rejected = render(raw("scan.pdf", **{"bad.pdf": data}), tmp_path / "out")
    assert reasons_by_file(rejected) == {"bad.pdf": reason}


def test_too_many_pages_are_rejected_until_the_limit_is_raised(raw: Raw, tmp_path: Path) -> None:
    folder = raw("scan.pdf", "letter.pdf")
    _, rejected = render(folder, tmp_path / "out", max_pages=2)
    assert reasons_by_file(rejected) == {"letter.pdf": "too_many_pages"}
    pages, rejected = render(folder, tmp_path / "out", max_pages=3)
    assert (len(pages), rejected) == (4, [])
    _, rejected = render(folder, tmp_path / "out", max_pages=2)
    assert reasons_by_file(rejected) == {"letter.pdf": "too_many_pages"}


def test_one_and_two_workers_give_equal_bytes(raw: Raw, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = pymupdf.open()
    for number in range(60):  # several processes share them
        long.new_page(width=200, height=100).insert_text((20, 50), f"Page {number}")
    files = {"long.pdf": long.tobytes()}
    folder = raw("letter.pdf", "scan.pdf", "picture.png", "truncated.pdf", "encrypted.pdf", **files)
    for count in ("1", "2"):
        monkeypatch.setenv("WARRAQ_WORKERS", count)
        render(folder, tmp_path / count, max_pages=60)
    assert read_files(tmp_path / "1") == read_files(tmp_path / "2")
    pages = [page for page in read_rows(tmp_path / "2/pages.jsonl", Page) if page.files == ("long.pdf",)]
    assert [page.page for page in pages] == list(range(1, 61))


def test_only_changed_documents_are_rendered_again(
    raw: Raw, documents: dict[str, bytes], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out = tmp_path / "out"
    folder = raw("letter.pdf", "scan.pdf", "truncated.pdf")
    caplog.set_level("INFO")
    render(folder, out)
    first = read_files(out)
    (folder / "letter.pdf").touch()
    (folder / "scan.pdf").rename(folder / "renamed.pdf")
    pages, _ = render(folder, out)
    assert "5 pages (0 rendered, 5 reused)" in caplog.text
    assert ("renamed.pdf",) in {page.files for page in pages}
    (folder / "renamed.pdf").rename(folder / "scan.pdf")
    image = out / pages[0].image
    image.write_bytes(image.read_bytes()[:-1])  # a time stamp would not show it
    render(folder, out)
    assert read_files(out) == first
    (folder / "letter.pdf").unlink()
    pages, _ = render(folder, out)
    assert "2 pages (0 rendered, 2 reused)" in caplog.text
    assert {path.name for path in out.iterdir() if path.is_dir()} == {page.document for page in pages}
    render(folder, out, long_side_px=300)
    assert "2 pages (2 rendered, 0 reused)" in caplog.text


def test_a_killed_run_keeps_its_finished_documents(
    raw: Raw, documents: dict[str, bytes], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = raw("letter.pdf", "picture.png", "owner.pdf")
    out = tmp_path / "out"
    code = (
        "import os, signal, sys; from pathlib import Path; from warraq.rendering import document_loop;\n"
        "from warraq.stages import render; save = document_loop.save_result\n"
        "def killed(*given): save(*given); os.kill(os.getpid(), signal.SIGKILL)\n"
        "document_loop.save_result = killed\n"
        "parameters = render.Render(**eval(sys.argv[3]))\n"
        "render.run(raw=Path(sys.argv[1]), out=Path(sys.argv[2]), parameters=parameters)"
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
    assert read_files(out) == read_files(tmp_path / "fresh")


def test_check_tells_what_would_be_rejected_and_keeps_nothing(raw: Raw, tmp_path: Path) -> None:
    broken = build_pdf(b"BT /F1 14 Tf 20 270 Td (Letter) Tj ET [")
    folder = raw("letter.pdf", "truncated.pdf", "empty.pdf", **{"broken.pdf": broken})
    result = CliRunner().invoke(main, ["--params", str(PARAMS), "render", "--raw", str(folder), "--check"])
    assert (result.exit_code, [line.split(": ")[:2] for line in result.stdout.splitlines()]) == (
        0,
        [
            ["broken.pdf, page 1", "damage"],
            ["empty.pdf", "empty"],
            ["truncated.pdf, page 2", "page_lost"],
            ["truncated.pdf, page 3", "page_lost"],
        ],
    )
    assert [path.name for path in tmp_path.iterdir()] == ["raw"]
    assert CliRunner().invoke(main, ["--params", str(PARAMS), "render", "--raw", str(folder)]).exit_code == 2
    assert "5 pages (5 rendered, 0 reused), 1 damaged," in result.stderr


def test_nothing_to_render_is_one_sentence(raw: Raw, tmp_path: Path) -> None:
    result = command(tmp_path / "missing", tmp_path / "out")
    assert (result.exit_code, "missing is not a folder; create it" in result.stderr) == (2, True)
    result = command(raw("empty.pdf"), tmp_path / "out")
    assert (result.exit_code, "raw has no page to render, 1 rejected (empty 1)" in result.stderr) == (2, True)
    assert reasons_by_file(read_rows(tmp_path / "out/rejected.jsonl", Rejected)) == {"empty.pdf": "empty"}
    with pytest.raises(InputError, match="would be read as input"):
        run(raw=tmp_path, out=tmp_path / "out", parameters=PARAMETERS)


def test_a_password_comes_from_the_variable_that_documents_csv_names(
    raw: Raw, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = raw("encrypted.pdf", **{"documents.csv": b"file,sensitivity,password_env\nencrypted.pdf,,THE_PASSWORD\n"})
    for secret, outcome in ((None, "encrypted"), ("wrong", "wrong_password"), ("user", None), (None, None)):
        if secret is None:
            monkeypatch.delenv("THE_PASSWORD", raising=False)
        else:
            monkeypatch.setenv("THE_PASSWORD", secret)
        result = command(folder, tmp_path / "out")
        rejected = read_rows(tmp_path / "out/rejected.jsonl", Rejected)
        assert reasons_by_file(rejected) == ({"encrypted.pdf": outcome} if outcome else {})
        assert (result.exit_code, "3 pages" in result.stderr) == ((2, False) if outcome else (0, True))
    assert b"user" not in b"".join(read_files(tmp_path / "out").values())


def test_a_full_disk_is_one_sentence_and_what_was_rendered_stays(raw: Raw, tmp_path: Path) -> None:
    folder = raw("letter.pdf", "scan.pdf", **{"large.png": encode_image(Image.effect_noise((1500, 1500), 60))})
    program = str(Path(sys.executable).with_name("warraq"))
    words = [program, "--params", str(PARAMS), "render", "--raw", str(folder), "--out", str(tmp_path / "out")]
    # A file that may not grow stands for a disk that is full: the same error at the same place.
    limited = ["sh", "-c", 'ulimit -f 2000; exec "$@"', "sh", *words]
    full = subprocess.run(limited, capture_output=True, text=True, env={**os.environ, "WARRAQ_WORKERS": "1"})
    assert full.returncode == 1
    assert "Traceback" not in full.stderr
    assert full.stderr.splitlines()[-1].startswith(f"warraq: {tmp_path / 'out'} cannot be written (File too large)")
    assert subprocess.run(words, capture_output=True, text=True).returncode == 0


def test_a_file_that_changes_while_it_is_read_is_no_page(
    raw: Raw, documents: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = raw("letter.pdf", "scan.pdf")
    read = rendering_pages.render_attempt

    def overtaken(*given: Any) -> Generator[Any, None, bool]:
        whole = yield from read(*given)
        if given[-1].source.names == ("scan.pdf",):
            (folder / "scan.pdf").write_bytes(documents["letter.pdf"])
        return whole

    monkeypatch.setattr(document_loop, "render_attempt", overtaken)
    pages, rejected = render(folder, tmp_path / "out")
    assert ({page.files for page in pages}, reasons_by_file(rejected)) == ({("letter.pdf",)}, {"scan.pdf": "changed"})


def test_the_summary_counts_pages_and_rejections(raw: Raw, tmp_path: Path) -> None:
    render(raw("letter.pdf", "scan.pdf", "picture.png", "truncated.pdf", "empty.pdf"), tmp_path / "out")
    assert json.loads((tmp_path / "out/summary.json").read_text()) == {
        "documents": 4,
        "pages": 6,
        "pages_blank": 0,
        "pages_born_digital": 4,
        "pages_by_mupdf": 5,
        "pages_by_pillow": 1,
        "pages_damaged": 0,
        "pages_image": 1,
        "pages_repaired": 1,
        "pages_scan": 1,
        "pages_script_latin": 4,
        "pages_script_none": 2,
        "pages_text_unproved": 0,
        "pages_with_text_layer": 4,
        "rejected_empty": 1,
        "rejected_page_lost": 2,
    }


def test_a_turned_page_stands_upright_and_says_so(raw: Raw, tmp_path: Path) -> None:
    document = pymupdf.open()
    document.new_page(width=300, height=420).draw_rect((0, 0, 300, 40), fill=(0, 0, 0))
    document[0].set_rotation(90)
    (page,), _ = render(raw(**{"turned.pdf": document.tobytes()}), tmp_path / "out")
    assert (page.rotation_deg, page.width_px, page.height_px) == (90, 400, 286)
    image = open_page(page, tmp_path / "out")
    assert read_red(image, (390, 100)) < 20 and read_red(image, (10, 100)) > 235


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
    damaged = {name for page in pages if page.damage and page.engine == "pdfium" for name in page.files}
    bad = reasons_by_file([row for row in rejected if row.reason != "container"])
    allowed = {
        "zero pages": {"no_pages"},
        "encrypted": {"encrypted"},
        "damaged": {"damaged", "empty", "not_a_document", "page_failed"},
        "bomb/damaged": {"damaged", "too_many_pages"},
    }
    wrong = {}
    for name in expected.keys() - slow:
        want = expected[name]
        if want.startswith("ok"):
            fits = name in good and good[name] == (want == "ok after repair")
        else:
            fits = name in damaged or (name not in good and bad.get(name) in allowed[want.split(":")[0]])
        if not fits:
            wrong[name] = (want, good.get(name), bad.get(name))
    assert wrong == {}

"""Folders of files: which of them are documents, whatever their names, links and permissions."""

import ctypes
import os
import subprocess
import sys
from pathlib import Path

from support import PARAMS
from support.rendering import Raw, reasons_by_file, render
from warraq.records import Rejected, read_rows


def test_equal_files_are_one_document_with_all_names(raw: Raw, documents: dict[str, bytes], tmp_path: Path) -> None:
    folder = raw("scan.pdf")
    (folder / "deep/er").mkdir(parents=True)
    (folder / "deep/er/نسخة ثانية.pdf").write_bytes(documents["scan.pdf"])
    pages, _ = render(folder, tmp_path / "out")
    assert [page.files for page in pages] == [("deep/er/نسخة ثانية.pdf", "scan.pdf")]


def test_what_a_file_is_called_does_not_matter(raw: Raw, documents: dict[str, bytes], tmp_path: Path) -> None:
    folder = raw(**{"page.html": documents["scan.pdf"], "scan.pdf": documents["picture.png"], "documents.csv": b"a,b"})
    (folder / ".hidden.pdf").write_bytes(documents["letter.pdf"])
    (folder / os.fsdecode(b"caf\xe9.pdf")).write_bytes(documents["owner.pdf"])
    pages, rejected = render(folder, tmp_path / "out")
    assert {page.files for page in pages} == {("page.html",), ("scan.pdf",), ("caf\\xe9.pdf",)}
    assert reasons_by_file(rejected) == {".hidden.pdf": "hidden"}


def test_links_lead_only_inside_the_folder(raw: Raw, documents: dict[str, bytes], tmp_path: Path) -> None:
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
    assert reasons_by_file(rejected) == {
        "folder": "link_outside",
        "nowhere.pdf": "unreadable",
        "pipe.pdf": "unreadable",
        "secret.pdf": "link_outside",
    }


def test_what_may_not_be_read_is_a_reason(raw: Raw, documents: dict[str, bytes], tmp_path: Path) -> None:
    folder = raw("scan.pdf", "letter.pdf")
    (folder / "closed").mkdir()
    (folder / "closed/owner.pdf").write_bytes(documents["owner.pdf"])
    (folder / "letter.pdf").chmod(0)
    (folder / "closed").chmod(0)

    def as_others_are() -> None:
        for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH: root is stopped by permissions as well
            ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP

    program = str(Path(sys.executable).with_name("warraq"))
    words = [program, "--params", str(PARAMS), "render", "--raw", str(folder), "--out", str(tmp_path / "out")]
    done = subprocess.run(words, preexec_fn=as_others_are, capture_output=True, text=True)
    (folder / "closed").chmod(0o700)
    assert done.returncode == 0, done.stderr
    rejected = read_rows(tmp_path / "out/rejected.jsonl", Rejected)
    assert reasons_by_file(rejected) == {"letter.pdf": "unreadable", "closed": "unreadable"}
    assert all("Permission denied" in row.message for row in rejected)


def test_a_folder_named_like_a_file_is_a_folder(raw: Raw, documents: dict[str, bytes], tmp_path: Path) -> None:
    folder = raw("scan.pdf")
    (folder / "annex.pdf").mkdir()
    (folder / "annex.pdf/letter.pdf").write_bytes(documents["letter.pdf"])
    pages, rejected = render(folder, tmp_path / "out")
    assert ({page.files for page in pages}, rejected) == ({("scan.pdf",), ("annex.pdf/letter.pdf",)}, [])

"""Where the file of a corrected answer goes: beside the raw ones, under no name that a permission was given to."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warraq.errors import InputError
from warraq.rendering.folder import find_documents
from warraq.serving.corrections import CorrectionFolder

PDF = b"%PDF-1.7\n"


def keep(data: Path, name: str, content: bytes = PDF) -> None:
    path = data / "upload"
    path.write_bytes(content)
    CorrectionFolder(data).keep_file(path, name)


@given(st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=300))
def test_whatever_a_file_is_called_render_finds_it_under_a_name_of_its_own(name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        keep(Path(folder), name)
        (source,), rejected = find_documents(Path(folder) / "raw")
        assert source.names[0].startswith(f"served/{source.document}-") and not rejected
        assert len(source.names[0].encode()) <= len("served/") + 255


def test_a_file_that_is_there_gets_no_second_name(tmp_path: Path) -> None:
    """By which it would no longer be public, as every name of the same bytes has to be."""
    (tmp_path / "raw/deep").mkdir(parents=True)
    (tmp_path / "raw/deep/letter.pdf").write_bytes(PDF)
    keep(tmp_path, "letter.pdf")
    keep(tmp_path, "other.pdf", PDF + b"other")
    keep(tmp_path, "again.pdf", PDF + b"other")
    names = [source.names for source in find_documents(tmp_path / "raw")[0]]
    assert len(names) == 2 and ("deep/letter.pdf",) in names


def test_what_is_no_document_is_not_kept(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"notes.txt.*not a PDF"):
        keep(tmp_path, "notes.txt", b"text")
    assert not (tmp_path / "raw").exists()

"""`warraq cloud pack`: what leaves for a rented machine, and what does not."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from PIL import Image

from support.cloud_project import PUBLIC, SECRET, STAYING, Packed, find_leaks, run
from warraq.cli.main import main
from warraq.cloud.remote import RemoteFolder
from warraq.files import read_json
from warraq.params import load
from warraq.records import Page, read_rows, read_samples

pytestmark = pytest.mark.slow  # a project is packed


def pack(home: Path, *arguments: str) -> Result:
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(home)
        return CliRunner().invoke(main, ["cloud", "pack", *arguments])


def test_nothing_of_a_document_that_stays_is_on_the_remote(packed: Packed, tmp_path: Path) -> None:
    assert find_leaks(packed.home, packed.url, tmp_path) == []


def test_the_search_finds_what_should_not_be_there(packed: Packed, tmp_path: Path) -> None:
    page = next(page for page in packed.home.pages if page.files[0] in STAYING)
    place = RemoteFolder.of_url(str(tmp_path / "store"))
    run(packed.out, "git", "bundle", "create", "--quiet", str(tmp_path / "bundle"), "HEAD", "main")
    place.put("warraq/project.bundle", tmp_path / "bundle")
    with Image.open(packed.home.root / "data/pages" / page.image) as image:
        image.crop((0, 60, 160, 90)).save(tmp_path / "band.png")
    place.put("band", tmp_path / "band.png")
    place.write("answer", f'{{"invoice_number": "{SECRET}"}}'.encode())
    assert find_leaks(packed.home, str(tmp_path / "store"), tmp_path / "work") == [f"answer: {SECRET}", "band: pixels"]


def test_what_travels_is_whole(packed: Packed) -> None:
    pages = read_rows(packed.out / "data/pages/pages.jsonl", Page)
    assert {page.files[0] for page in pages} == {"case.pdf", *(f"{number}.pdf" for number in range(PUBLIC))}
    samples = [
        one for side in ("train", "val", "test") for one in read_samples(packed.out / f"data/dataset/{side}.json")
    ]
    assert {one.page_id for one in samples} == {page.page_id for page in pages}
    assert load(packed.out / "params.yaml").dataset.validation_documents == ["1.pdf", "2.pdf"]
    assert read_json(packed.out / "cloud/cleared.json") == {"documents": 12, "pages": 12, "own_host": False}


def test_what_stays_is_told_with_its_reason(packed: Packed) -> None:
    lines = [line for line in packed.told.splitlines() if line.startswith("stays")]
    assert all(sum(f" {name}:" in line for line in lines) == 1 for name in STAYING)
    assert "documents.csv calls it 'internal'" in packed.told and "documents.csv does not name it" in packed.told
    assert "TOP SECRET (review)" in packed.told and "travels  12 pages of 12 documents" in packed.told


def test_to_a_machine_of_the_owner_everything_travels(packed: Packed) -> None:
    result = pack(packed.home.root, "unused", "--remote", "unused", "--own-host", "--dry-run")
    assert f"travels  {len(packed.home.pages)} pages" in result.stdout and not Path("unused").exists()


@pytest.mark.parametrize("place", ["around", "around/within"])
def test_a_remote_of_the_project_itself_is_refused(packed: Packed, tmp_path: Path, place: str) -> None:
    config = packed.home.root / ".dvc/config"
    before = config.read_text(encoding="utf-8")
    config.write_text(f"{before}['remote \"all\"']\n    url = {tmp_path}/around\n", encoding="utf-8")
    try:
        result = pack(packed.home.root, str(tmp_path / "out"), "--remote", str(tmp_path / place))
    finally:
        config.write_text(before, encoding="utf-8")
    assert result.exit_code == 2 and "is in a remote of the project" in result.output
    assert not (tmp_path / "out").exists()


def test_a_remote_with_other_files_is_refused_and_nothing_is_sent(packed: Packed, tmp_path: Path) -> None:
    RemoteFolder.of_url(str(tmp_path / "store")).write("files/md5/ab/cd", b"of another project")
    result = pack(packed.home.root, str(tmp_path / "out"), "--remote", str(tmp_path / "store"))
    assert result.exit_code == 2 and "1 files that are not of this project, files/md5/ab/cd" in result.output
    assert RemoteFolder.of_url(str(tmp_path / "store")).list_files() == ["files/md5/ab/cd"]


def test_a_whole_project_does_not_run_on_a_rented_machine(packed: Packed) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(packed.home.root)
        result = CliRunner().invoke(main, ["cloud", "run", "nano"])
    assert result.exit_code == 2 and "a rented machine would see every page" in result.output

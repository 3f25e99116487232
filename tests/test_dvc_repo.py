"""`warraq prepare`: what an interrupted run, a lost cache or a fresh clone lacks is mended before DVC starts."""

import logging
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from dvc.lock import make_lock
from dvc.repo import Repo
from dvc.scm import SCMError

from support import ROOT
from warraq.cli.main import main
from warraq.dvc_repo import list_stale_stages

STAGES = """\
stages:
  copy:
    cmd: cp data/raw/letter copied && echo copy >>ran
    deps: [data/raw]
    outs: [copied]
  again:
    cmd: cp copied again && echo again >>ran
    deps: [copied]
    outs: [again]
"""


def dvc(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "dvc", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two stages that have run, without git."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "data/raw").mkdir(parents=True)
    (folder / "data/raw/letter").write_text("Dear Sir", encoding="utf-8")
    (folder / "dvc.yaml").write_text(STAGES, encoding="utf-8")
    for arguments in (["init", "--no-scm", "--quiet"], ["repro", "--quiet"]):
        subprocess.run([sys.executable, "-m", "dvc", *arguments], cwd=folder, check=True)
    return folder


@pytest.fixture
def checkout(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, which the test is in."""
    copy = shutil.copytree(finished, tmp_path / "checkout")
    monkeypatch.chdir(copy)
    return copy


def prepare() -> Result:
    return CliRunner().invoke(main, ["prepare"])


def test_files_without_git_need_nothing_else(checkout: Path) -> None:
    config = Path(".dvc/config")
    config.write_text("[core]\n    analytics = false\n", encoding="utf-8")
    with pytest.raises(SCMError):
        Repo()
    assert prepare().exit_code == 0
    Repo().close()
    subprocess.run(["git", "init", "--quiet"], check=True)
    assert prepare().exit_code == 0
    assert "no_scm" not in Path(".dvc/config.local").read_text(encoding="utf-8")


def test_a_lock_that_was_cut_off_stops_no_later_run(checkout: Path) -> None:
    Path(".dvc/tmp/rwlock").write_text('{"write": {"/pa', encoding="utf-8")
    assert dvc("repro").returncode != 0
    assert prepare().exit_code == 0
    assert dvc("repro").returncode == 0


def test_a_lost_cache_runs_nothing_again_that_is_whole(checkout: Path) -> None:
    shutil.rmtree(".dvc/cache")
    assert prepare().exit_code == 0
    shutil.rmtree(".dvc/tmp/runs", ignore_errors=True)
    assert dvc("repro").returncode == 0
    assert Path("ran").read_text(encoding="utf-8").split() == ["copy", "again"]


def test_a_changed_result_is_never_taken_for_whole(checkout: Path) -> None:
    shutil.rmtree(".dvc/cache")
    Path("again").write_text("not what the stage wrote", encoding="utf-8")
    assert prepare().exit_code == 0
    assert dvc("repro").returncode == 0
    assert Path("again").read_text(encoding="utf-8") == "Dear Sir"


def test_missing_files_are_told_in_a_sentence(checkout: Path) -> None:
    shutil.rmtree("data/raw")
    result = prepare()
    assert result.exit_code == 2 and "data/raw is missing; put your files there" in result.output
    assert not Path("data/raw").exists()


def test_what_is_to_run_is_told_in_the_order_of_the_graph(checkout: Path) -> None:
    last = "  evaluate:\n    foreach: [nano]\n    do:\n      cmd: cat again\n      deps: [again]\n"
    Path("dvc.yaml").write_text(STAGES.replace("cp ", "cp -p ") + last, encoding="utf-8")
    assert list_stale_stages(Path(), "nano") == ["copy", "again", "evaluate@nano"]


def test_while_another_run_is_under_way_status_says_that_it_cannot_tell(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(logging.getLogger("warraq"), "propagate", True)  # which a command turns off
    with make_lock(".dvc/tmp/lock", tmp_dir=".dvc/tmp"):
        assert list_stale_stages(Path(), "nano") == []
    assert "what is to run cannot be told: Unable to acquire lock" in caplog.text


def test_a_checkout_that_cannot_be_written_is_told(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("warraq.dvc_repo.os.access", lambda *_: False)  # root may write anything but a closed disk
    result = prepare()
    assert result.exit_code == 2 and f"{checkout} cannot be written" in result.output


def test_what_is_wrong_in_params_is_told_before_dvc_reads_them(checkout: Path) -> None:
    Path("params.yaml").write_text("train:\n\tseed: 1\n", encoding="utf-8")
    result = prepare()
    assert result.exit_code == 2 and "line 2 is not YAML" in result.output


def test_an_empty_folder_of_reviews_is_warned_of_by_no_command(checkout: Path) -> None:
    shutil.copy(ROOT / ".dvcignore", ".")
    Path("dvc.yaml").write_text(STAGES.replace("[data/raw]", "[data/raw, data/reviews]"), encoding="utf-8")
    assert prepare().exit_code == 0
    done = dvc("repro")
    assert done.returncode == 0 and "is empty" not in done.stdout + done.stderr
    Path("data/reviews/.gitkeep").unlink()
    assert "up to date" in dvc("status").stdout, "what keeps the folder is no answer of anybody"


def test_a_link_to_nothing_in_the_place_of_files_is_told(checkout: Path) -> None:
    shutil.rmtree("data/raw")
    Path("data/raw").symlink_to("nowhere")
    result = prepare()
    assert result.exit_code == 2 and "data/raw is no folder; remove it and put your files there" in result.output


def test_versioned_files_are_brought_and_never_replaced_by_an_empty_folder(checkout: Path) -> None:
    Path("data/reviews").mkdir()
    Path("data/reviews/content.jsonl").write_text("{}", encoding="utf-8")
    assert dvc("add", "data/reviews").returncode == 0
    shutil.rmtree("data/reviews")
    assert prepare().exit_code == 0
    assert Path("data/reviews/content.jsonl").read_text(encoding="utf-8") == "{}"
    shutil.rmtree("data/reviews")
    shutil.rmtree(".dvc/cache")
    result = prepare()
    assert (
        result.exit_code == 2 and "data/reviews is versioned by data/reviews.dvc and cannot be brought" in result.output
    )
    assert not Path("data/reviews").exists()

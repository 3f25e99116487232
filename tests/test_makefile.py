"""The verbs of the Makefile that touch files, run in a folder of their own."""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from support import ROOT

KEPT = (
    "models/nano/base/config.json", "models/nano/adapter.part/checkpoint-5/state", "models/other/merged/weights",
    "reports/nano/metrics.json", "data/labels/content.jsonl", "data/raw/letter.pdf", "data/reviews/content.jsonl",
)  # fmt: skip
REMOVED = (
    "models/nano/adapter/weights", "models/nano/merged/weights", "models/nano/onnx/graph",
    "reports/nano/merged/predictions.jsonl", "reports/nano/report.html",
)  # fmt: skip


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The Makefile alone, in a folder whose name has a space and Arabic letters."""
    folder = tmp_path / "my papers ورق"
    folder.mkdir()
    shutil.copy(ROOT / "Makefile", folder)
    monkeypatch.chdir(folder)
    return folder


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["make", *arguments], capture_output=True, text=True, check=False)


def write_environment(checkout: Path, packages: str, before: str | None = None) -> None:
    """One that is whole for the lock file `packages`, of this checkout or of one that was at `before`."""
    Path("requirements.lock").write_text(packages, encoding="utf-8")
    Path(".venv").mkdir(exist_ok=True)
    place, digest = before or checkout, hashlib.sha256(packages.encode()).hexdigest()
    Path(".venv/.stamp").write_text(f"{place}/.venv\n{place}\n{digest}\n", encoding="utf-8")


def put_in_place_of_warraq(command: str) -> None:
    script = Path(".venv/bin/warraq")
    script.parent.mkdir(exist_ok=True)
    script.write_text(f"#!/bin/sh\n{command}\n", encoding="utf-8")
    script.chmod(0o755)


def test_clean_takes_one_students_derived_files_and_names_them(checkout: Path) -> None:
    for name in (*KEPT, *REMOVED):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text("x", encoding="utf-8")
    done = make("clean")
    assert done.returncode == 0, done.stderr
    assert [name for name in (*KEPT, *REMOVED) if Path(name).exists()] == list(KEPT)
    assert "removing models/nano/adapter\n" in done.stdout and "removing reports/nano/report.html\n" in done.stdout


def test_without_a_verb_it_lists_them_and_points_to_the_next_command(checkout: Path) -> None:
    done = make()
    assert "make demo" in done.stdout and "make status tells how far the project is" in done.stdout


def test_modules_of_elsewhere_come_before_none_of_the_environment(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_environment(checkout, "a package")
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    put_in_place_of_warraq('echo "before [$PYTHONPATH]"')
    assert "before []\n" in make("status").stdout


def test_review_leaves_room_for_versioned_files_that_prepare_brings(checkout: Path) -> None:
    write_environment(checkout, "a package")
    put_in_place_of_warraq("[ ! -e data ] || echo taken; exit 2")
    done = make("review")
    assert done.returncode == 2 and "taken" not in done.stdout


def test_an_environment_that_was_moved_is_made_anew(checkout: Path) -> None:
    write_environment(checkout, "a package")
    assert "uv" not in make("--just-print", "setup").stdout
    write_environment(checkout, "a package", before="/before")
    assert "uv" in make("--just-print", "setup").stdout


def test_an_environment_is_made_anew_for_other_packages_and_not_for_newer_files(checkout: Path) -> None:
    write_environment(checkout, "a package")
    os.utime(".venv/.stamp", (0, 0))
    assert "uv" not in make("--just-print", "setup").stdout
    Path("requirements.lock").write_text("another", encoding="utf-8")
    assert "uv" in make("--just-print", "setup").stdout

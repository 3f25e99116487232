"""Every benchmark in its smallest run prints the figures that it is for."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pymupdf
import pytest
from PIL import Image

from support import ROOT, export_project
from support.rendering import encode_image

pytestmark = pytest.mark.slow
FIGURES = {
    "answer": r"^\| onnxruntime fp32.* \| \d+ \| [\d.]+ \| \d+% \| [\d.]+ \| \d+ \| \d+ \| \d+ \|$",
    "evaluate_coverage": r"^ 100 documents, standard deviation 0\.1: [\d.]+ shows [01]\.\d{3}$",
    "dataset_leaks": r"^300 pages: [\d.]+ s to hash, [\d.]+ s to compare, 58 pages of a group beside",
    "evaluate_speed": r"^all: [\d.]+ s, \d+ MiB; \d+ characters a page$",
    "label": r"^1 in flight: 20 labels of 20, [\d.]+/s overall",
    "pages": r"^\| text layer \| all \| 1, 1 \| 0\.000 \| 1\.000 \| 1\.000 \| – \| [\d.]+ \| PyMuPDF",
    "parity": r"equal to transformers token for token: 1 of 1;",
    "train_gpu": r"^\| Gemma-3-4B, logits, checkpointed \| \d+ \(\d+\) \|",
    "views": r"^\| en 24 pt \| \d+ \| page \| [\d.]+ \| [\d.]+ \| [01]\.\d{3} \|$",
    "render": r"^\| warraq render \| [\d.]+ \(1\.0x\) \| [\d.]+ \(1\.0x\) \|$",
}


def printed(name: str, *words: object) -> str:
    command = [sys.executable, str(ROOT / f"benchmarks/{name}.py"), *map(str, words)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def holds_figures(name: str, *words: object) -> bool:
    text = printed(name, *words)
    assert re.search(FIGURES[name], text, re.M), text
    return True


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A merged nano of two layers, its graphs in fp32, and a sample to ask."""
    folder = export_project.copy_exported(tmp_path_factory)
    for name in ("train", "test"):
        shutil.copy(folder / "dataset/val.json", folder / f"dataset/{name}.json")
    return folder


def test_every_benchmark_is_tried() -> None:
    assert {path.stem for path in (ROOT / "benchmarks").glob("*.py")} == FIGURES.keys()


@pytest.mark.parametrize(
    ("name", "size"), [("evaluate_coverage", "1"), ("dataset_leaks", "300"), ("evaluate_speed", "2"), ("label", "loop")]
)
def test_without_files(name: str, size: str) -> None:
    assert holds_figures(name, size)


def test_hostile_pages() -> None:
    assert re.search(r"^count_facts \| [\d.]+ s$", printed("evaluate_speed", "--hostile", 100), re.M)


def test_train_gpu(tmp_path: Path) -> None:
    """A row of real updates, on a CPU and a small model."""
    assert holds_figures("train_gpu", "--tiny", "--rows=0", f"--out={tmp_path / 'figures.json'}")
    assert (tmp_path / "figures.json").exists()


def test_render(tmp_path: Path) -> None:
    scan, letter = pymupdf.open(), pymupdf.open()
    page = scan.new_page()
    page.insert_image(page.rect, stream=encode_image(Image.effect_noise((850, 1200), 60), "JPEG"))
    letter.new_page().insert_text((50, 50), "A letter")
    for name, document in (("scan", scan), ("letter", letter)):
        document.save(tmp_path / f"{name}.pdf")
    assert holds_figures("render", tmp_path, "--rounds=1", "--colour=grey")


def test_pages(tmp_path: Path) -> None:
    """A file with gold beside it; one without is none of the benchmark's."""
    letter = pymupdf.open()
    letter.new_page().insert_text((50, 50), "A letter about nothing at all")
    for name in ("letter.pdf", "other.pdf"):
        letter.save(tmp_path / name)
    (tmp_path / "gt").mkdir()
    (tmp_path / "gt/letter.pdf.md").write_text("# A letter about nothing at all\n", encoding="utf-8")
    text = printed("pages", tmp_path, "textlayer")
    assert re.search(FIGURES["pages"], text, re.M), text
    assert "Of 1 golds 1 have the words of the file's own text" in text


@pytest.mark.skipif(shutil.which("tesseract") is None, reason="tesseract is not installed")
def test_views() -> None:
    assert holds_figures("views", "--points=24", "--bands=0", "--languages=en")


def test_answer(project: Path) -> None:
    page = next((project / "pages").rglob("*.png"))
    words = ["--engines=fp32", "--rounds=1", "--tokens=2", f"--page={page}", f"--onnx={project / 'onnx'}"]
    assert holds_figures("answer", *words)


def test_parity(project: Path) -> None:
    folders = [f"--{name}={project / name}" for name in ("merged", "dataset", "pages")]
    assert holds_figures("parity", *folders, "--answers=1", "--tokens=4")

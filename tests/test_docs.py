"""The documents name what is there: paths, rooms, layers, types."""

import importlib
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from support import ROOT

SOURCE = ROOT / "src/warraq"
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / ".github").rglob("*.md")])
FOREIGN = {"convert_hf_to_gguf.py"}  # of llama.cpp


def block(path: Path, heading: str) -> list[str]:
    """The lines of the first code block after `heading`, or of the whole document."""
    text = path.read_text(encoding="utf-8").partition(heading)[2]
    return text.split("```")[1].splitlines()[1:]


@pytest.fixture(scope="module")
def tracked() -> list[str]:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_path_that_a_document_names_is_there(document: Path, tracked: list[str]) -> None:
    words = re.findall(r"[\w./<>-]*\w[\w./<>-]*", document.read_text(encoding="utf-8"))
    for word in {word.strip("./") if not word.startswith(".") else word.rstrip("./") for word in words} - FOREIGN:
        whole = re.match(r"(src|tests|benchmarks|docs|cloud|\.github|\.ci|\.devcontainer)/", word)
        if whole or word.endswith(".py"):
            pattern = re.sub(r"<\w+>", "[^/]+", word if "<" in word else re.escape(word))
            end = r"(/.*)?$"
            start = r"^" if whole else r"(^|.*/)"
            assert any(re.match(start + pattern + end, path) for path in tracked), f"{document.name}: {word}"


def test_the_readme_has_every_room() -> None:
    lines = block(ROOT / "README.md", "## Where things are")
    rooms = [line.split("  ")[0] for line in (line.strip() for line in lines[lines.index("src/warraq/") + 1 :])]
    names = {name for cell in rooms for name in cell.replace(",", "").split()} - {"tests/"}
    folders = {f"{path.name}/" for path in SOURCE.iterdir() if (path / "__init__.py").exists()}
    modules = {path.name for path in SOURCE.glob("*.py") if not path.name.startswith("__")}
    assert names == folders | modules


def test_the_order_of_imports_is_the_one_that_is_held() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    layers = settings["contracts"][0]["layers"]
    assert (
        block(ROOT / "CONTRIBUTING.md", "do not see each other, and stages never")[0:] == layers[1:]
    )  # above: __main__


def test_no_module_is_long() -> None:
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCE.rglob("*.py")}
    assert not {
        path.name for path, length in lengths.items() if length > (150 if path.parent.name == "stages" else 300)
    }


def test_every_type_of_the_glossary_is_where_it_says() -> None:
    rows = re.findall(r"^\| `(\w+)` \| `([\w.]+)` \|", (ROOT / "docs/glossary.md").read_text(encoding="utf-8"), re.M)
    assert len(rows) > 20
    for name, module in rows:
        assert hasattr(importlib.import_module(f"warraq.{module}"), name), f"{module}.{name}"


def test_every_variable_of_the_environment_is_explained() -> None:
    read = {name for path in SOURCE.rglob("*.py") for name in re.findall(r"WARRAQ_[A-Z_]+\b", path.read_text("utf-8"))}
    told = set(re.findall(r"WARRAQ_[A-Z_]+\b", (ROOT / "docs/running.md").read_text(encoding="utf-8")))
    assert read == told


def test_pre_commit_has_the_checks_of_make_check() -> None:
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
    assert [hook["entry"] for hook in repository["hooks"]] == ["make check"]

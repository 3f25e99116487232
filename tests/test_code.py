"""`warraq code`: what of the code counts for a stage's digest, on small packages made up for it."""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from support import PARAMS, ROOT
from warraq import code, params
from warraq.code import Source, Target
from warraq.errors import InputError

STAGE = '''
"""What it does."""
from typing import TYPE_CHECKING

from warraq.metrics import text

if TYPE_CHECKING:
    from warraq.rendering import pages


def run() -> None:
    """Run."""
    from warraq import records

    text.score(open("report.html"), records)  # why
'''
FILES = {
    "__init__.py": "",
    "stages/__init__.py": "",
    "stages/evaluate.py": STAGE,
    "stages/report.html": "<p>Report</p>",
    "metrics/__init__.py": "",
    "metrics/text.py": "import numpy as np\nscore = np.mean\n",
    "records.py": "ROWS = 1\n",
    "rendering/__init__.py": "",
    "rendering/pages.py": "import pymupdf\n",
    "tasks/__init__.py": "",
    "tasks/content.py": 'class Answer:\n    """What a model is told."""\n\n    text: str\n',
}
PINS = {"numpy": "2.0", "pymupdf": "1.0"}
TARGET = Target("evaluate", ("warraq.stages.evaluate", "warraq.tasks.content"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def describe(folder: Path, target: Target = TARGET, **pins: str) -> str:
    return code.describe_target(Source(folder), target, PINS | pins)


def changes(folder: Path, name: str, old: str, new: str) -> set[str]:
    """The modules and packages of which `describe` says something else once `old` is `new` in a file."""
    before = describe(folder).splitlines()
    text = (folder / name).read_text()
    assert old in text
    (folder / name).write_text(text.replace(old, new))
    return {line.split()[0] for line in set(before) ^ set(describe(folder).splitlines())}


def test_all_modules_and_packages_on_the_way_are_listed(folder: Path) -> None:
    names = [line.split()[0] for line in describe(folder).splitlines()]
    assert names == [
        "warraq.metrics", "warraq.metrics.text", "warraq.records", "warraq.stages", "warraq.stages.evaluate",
        "warraq.tasks", "warraq.tasks.content", "numpy==2.0",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"""What it does."""', '"""What it does, in other words."""'),
        ('    """Run."""\n', ""),
        ("  # why", "  # why else\n    # and more"),
        ("text.score(open", "text.score(\n        open"),
        ("from warraq.rendering import pages", "from warraq.rendering import other"),
    ],
)
def test_docstrings_comments_layout_and_imports_for_type_checkers_do_not_count(
    folder: Path, old: str, new: str
) -> None:
    assert changes(folder, "stages/evaluate.py", old, new) == set()


@pytest.mark.parametrize(
    ("name", "old", "new", "changed"),
    [
        ("stages/evaluate.py", "def run", "def start", "warraq.stages.evaluate"),
        ("stages/evaluate.py", "-> None", "-> int", "warraq.stages.evaluate"),
        ("records.py", "1", "2", "warraq.records"),
        ("records.py", "1", "None", "warraq.records"),
        ("stages/report.html", "Report", "The report", "warraq.stages.evaluate"),
        ("tasks/content.py", "What a model", "All that a model", "warraq.tasks.content"),
        ("metrics/__init__.py", "", "LEVELS = 4", "warraq.metrics"),
    ],
)
def test_code_and_what_it_names_counts(folder: Path, name: str, old: str, new: str, changed: str) -> None:
    assert changes(folder, name, old, new) == {changed}


def test_a_file_that_no_string_names_does_not_count(folder: Path) -> None:
    before = describe(folder)
    (folder / "stages/other.html").write_text("<p>Other</p>")
    assert describe(folder) == before


def test_a_new_pin_counts_where_the_package_is_imported(folder: Path) -> None:
    assert describe(folder, numpy="2.1") != describe(folder)
    assert describe(folder, pymupdf="2.0") == describe(folder)
    with pytest.raises(InputError, match="no version of numpy, which evaluate imports"):
        code.describe_target(Source(folder), TARGET, {})


def test_packages_behind_others_count(folder: Path) -> None:
    target = Target("train", TARGET.roots, programs=("llamafactory",))
    pins = dict.fromkeys(("llamafactory", "accelerate", "datasets", "peft", "transformers", "trl"), "1")
    pins |= dict.fromkeys(("tokenizers", "torch", "torchvision"), "2")
    packages = [line for line in describe(folder, target, **pins).splitlines() if "==" in line]
    assert packages == sorted(f"{name}=={version}" for name, version in (pins | {"numpy": "2.0"}).items())


def test_onnx_counts_where_graphs_are_written(tmp_path: Path) -> None:
    code.run(source=ROOT / "src/warraq", lock=ROOT / "requirements.lock", out=tmp_path, tasks=["content"])
    pinned = {path.name for path in (tmp_path / "export").iterdir() if "\nonnx==" in path.read_text()}
    assert pinned >= {"gemma3", "qwen2_5_vl"}  # its version stands in parity.json


def test_excluded_rooms_neither_count_nor_bring_others(folder: Path) -> None:
    target = Target("train", TARGET.roots, excluded=("warraq.metrics",))
    assert "warraq.metrics" not in describe(folder, target) and "numpy" not in describe(folder, target)
    (folder / "metrics/text.py").write_text("import torch\n")
    assert describe(folder, target) == describe(folder, target)


def test_a_changed_file_is_read_again_within_one_process(folder: Path) -> None:
    before = describe(folder)
    (folder / "records.py").write_text("ROWS = 3\n")
    assert describe(folder) != before


def test_what_cannot_be_followed_is_refused(folder: Path) -> None:
    with pytest.raises(InputError, match=r"has no module warraq\.stages\.train"):
        describe(folder, Target("train", ("warraq.stages.train",)))
    with pytest.raises(InputError, match="restore it from git"):
        code.read_pins(folder / "requirements.lock")
    (folder / "records.py").write_text("from . import files\n")
    with pytest.raises(ValueError, match=r"records\.py, line 1: write the import with its full name"):
        describe(folder)


def test_all_targets_take_a_moment(tmp_path: Path) -> None:
    start = time.process_time()
    code.run(source=ROOT / "src/warraq", lock=ROOT / "requirements.lock", out=tmp_path, tasks=params.load(PARAMS).tasks)
    assert time.process_time() - start < 20  # CPU seconds; 2 on a quiet machine
    assert (tmp_path / "train/gemma3").read_text().startswith("warraq.")


DIGESTS = """
import json, sys, types
from pathlib import Path
sys.modules["warraq.errors"] = types.ModuleType("errors")  # needs pydantic
sys.modules["warraq.errors"].InputError = ValueError
sys.path.insert(0, sys.argv[1])
from warraq.syntax import parse_module
print(json.dumps({str(path): parse_module(path).digest for path in Path(sys.argv[1]).rglob("*.py")}))
"""


def test_digests_are_equal_under_each_version_of_python() -> None:
    other = "python3.12" if sys.version_info < (3, 12) else "python3.11"
    if shutil.which(other) is None or subprocess.run([other, "--version"], capture_output=True).returncode:
        pytest.skip(f"no {other} here")  # a version manager may have the name without the program
    digests = [
        json.loads(subprocess.run([python, "-c", DIGESTS, str(ROOT / "src")], capture_output=True, check=True).stdout)
        for python in (sys.executable, other)
    ]
    assert digests[0] == digests[1] and len(digests[0]) > 100

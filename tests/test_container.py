"""What the build of the container is given: by .dockerignore, whose patterns begin at the checkout's root."""

from collections.abc import Iterable

import pytest
from pathspec import GitIgnoreSpec

from support import ROOT

SECRET = (
    ".env", ".env.local", "cloud/.env", ".dvc/config.local", ".netrc", "cloud/key.pem", "id.key",
    "cloud/credentials.json", "data/raw/letter.pdf", "data/ledger/ledger.sqlite", "data/reviews/content.jsonl",
    "read/letter.json", "planted/pages/0001.png", "tableqa/pages/0001.png",
    "models/gemma3_4b/base/model.safetensors", "models/nano/adapter/adapter_model.safetensors",
    "models/nano/onnx/decoder.onnx", "reports/nano/report.html",
    ".dvc/cache/files/md5/00/1", ".dvc/tmp/rwlock", ".git/config", "wandb/run/secret.log", ".mypy_cache/3.11/x.json",
)  # fmt: skip
NEEDED = (
    "Makefile", "params.yaml", "dvc.yaml", "dvc.lock", "requirements.lock", "src/warraq/__init__.py",
    "models/nano/base/model.safetensors", ".dvc/config", "docs/cli.md", "tests/conftest.py",
)  # fmt: skip


@pytest.fixture(scope="module")
def ignored() -> GitIgnoreSpec:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    patterns = [line for line in lines if line and not line.startswith("#")]
    return GitIgnoreSpec.from_lines(map(anchor, patterns))


def anchor(pattern: str) -> str:
    """A pattern of .dockerignore, which begins at the root, as git would write it."""
    sign, name = ("!", pattern[1:]) if pattern.startswith("!") else ("", pattern)
    return f"{sign}/{name}"


def find(ignored: GitIgnoreSpec, paths: Iterable[str]) -> set[str]:
    return set(ignored.match_files(paths))


def test_no_paper_no_answer_no_key_and_no_model_of_others_goes_into_the_image(ignored: GitIgnoreSpec) -> None:
    assert find(ignored, SECRET) == set(SECRET)


def test_what_the_project_needs_goes_in(ignored: GitIgnoreSpec) -> None:
    assert find(ignored, NEEDED) == set()

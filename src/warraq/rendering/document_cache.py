"""What came of a document, in its own folder `<doc>/` with its images and texts: the unit that a killed run keeps.

`outcome.json` holds what came of it, `build.json` what decided that. DVC does not see the latter, so that no later
stage runs again where another build gives the same bytes.
"""

import hashlib
import shutil
from pathlib import Path

from pydantic import ValidationError

from warraq.files import hash_file, write_text
from warraq.records import Page, Rejected, Row


class DocumentResult(Row):
    """Holds for the bytes, whatever their names: `files` of its pages and `file` of its rejections are empty."""

    pages: tuple[Page, ...]
    rejected: tuple[Rejected, ...]
    sha256: dict[str, str]  # of images and texts


class Build(Row):
    """What a result was made by."""

    code: str  # hash of parameters, code and libraries
    limits: str  # what decided whether the document was given up


class _BuildRecord(Build):
    """`build.json`."""

    outcome_sha256: str  # of outcome.json: pages may come from another checkout without this


def prepare_part(folder: Path) -> Path:
    """An empty `<folder>.part` to write images and texts to."""
    part = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    return part


def save_result(folder: Path, result: DocumentResult, build: Build) -> None:
    """Let `<folder>.part` take the place of `folder`, with `result` in it."""
    part = folder.with_name(f"{folder.name}.part")
    for path in part.glob("*"):
        if path.name not in result.sha256:  # left by a process that died before it could tell
            path.unlink()
    outcome = result.model_dump_json() + "\n"
    record = _BuildRecord(**build.model_dump(), outcome_sha256=hashlib.sha256(outcome.encode()).hexdigest())
    write_text(part / "outcome.json", outcome)
    write_text(part / "build.json", record.model_dump_json() + "\n")
    shutil.rmtree(folder, ignore_errors=True)
    part.replace(folder)


def load_result(folder: Path) -> tuple[DocumentResult, Build] | None:
    """What `save_result` wrote; None where it is missing or any byte of it has changed."""
    try:
        outcome = (folder / "outcome.json").read_bytes()
        result = DocumentResult.model_validate_json(outcome)
        record = _BuildRecord.model_validate_json((folder / "build.json").read_bytes())
        names = {path.name for path in folder.iterdir()} - {"outcome.json", "build.json"}
        hashes = {name: hash_file(folder / name) for name in names}
    except (OSError, ValidationError):
        return None
    is_whole = hashes == result.sha256 and record.outcome_sha256 == hashlib.sha256(outcome).hexdigest()
    return (result, Build(code=record.code, limits=record.limits)) if is_whole else None

"""What came of a document, in its own folder `<doc>/` with its images and texts: the unit that a killed run keeps."""

import shutil
from pathlib import Path

from pydantic import ValidationError

from warraq.files import hash_file, write_text
from warraq.records import Page, Rejected, Row


class DocumentResult(Row):
    """Holds for the bytes, whatever their names: `files` of its pages and `file` of its rejections are empty."""

    build: str  # what decided it, beside the limits: parameters, code, libraries
    limits: str  # what decided whether it was given up
    pages: tuple[Page, ...]
    rejected: tuple[Rejected, ...]
    sha256: dict[str, str]  # of every other file in the folder


def prepare_part(folder: Path) -> Path:
    """An empty `<folder>.part` to write images and texts to."""
    part = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    return part


def save_result(folder: Path, result: DocumentResult) -> None:
    """Let `<folder>.part` take the place of `folder`, with `result` in it."""
    part = folder.with_name(f"{folder.name}.part")
    for path in part.glob("*"):
        if path.name not in result.sha256:  # left by a process that died before it could tell
            path.unlink()
    write_text(part / "outcome.json", result.model_dump_json() + "\n")
    shutil.rmtree(folder, ignore_errors=True)
    part.replace(folder)


def load_result(folder: Path) -> DocumentResult | None:
    """What `save_result` wrote; None where it is missing or any byte beside it has changed."""
    try:
        result = DocumentResult.model_validate_json((folder / "outcome.json").read_bytes())
        names = {path.name for path in folder.iterdir()} - {"outcome.json"}
        hashes = {name: hash_file(folder / name) for name in names}
    except (OSError, ValidationError):
        return None
    return result if hashes == result.sha256 else None

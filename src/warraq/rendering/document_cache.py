"""What came of a document, in its own folder `<doc>/` with its images and texts: the unit that a killed run keeps."""

import hashlib
import shutil
from pathlib import Path

from pydantic import ValidationError

from warraq.files import write_text
from warraq.records import Page, Rejected, Row


class Outcome(Row):
    """Holds for the bytes, whatever their names: `files` of its pages and `file` of its rejections are empty."""

    build: str  # what decided it, beside the limits: parameters, code, libraries
    limits: str  # what decided whether it was given up
    pages: tuple[Page, ...]
    rejected: tuple[Rejected, ...]
    sha256: dict[str, str]  # of every other file in the folder


def work(place: Path) -> Path:
    """An empty `<place>.part` to write images and texts to."""
    part = place.with_name(f"{place.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    return part


def save(place: Path, outcome: Outcome) -> None:
    """Let `<place>.part` take the place of `place`, with `outcome` in it."""
    part = place.with_name(f"{place.name}.part")
    for path in part.glob("*"):
        if path.name not in outcome.sha256:  # left by a process that died before it could tell
            path.unlink()
    write_text(part / "outcome.json", outcome.model_dump_json() + "\n")
    shutil.rmtree(place, ignore_errors=True)
    part.replace(place)


def load(place: Path) -> Outcome | None:
    """What `save` wrote; None where it is missing or any byte beside it has changed."""
    try:
        outcome = Outcome.model_validate_json((place / "outcome.json").read_bytes())
        names = {path.name for path in place.iterdir()} - {"outcome.json"}
        found = {name: hashlib.sha256((place / name).read_bytes()).hexdigest() for name in names}
    except (OSError, ValidationError):
        return None
    return outcome if found == outcome.sha256 else None

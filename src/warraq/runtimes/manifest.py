"""warraq.json in a model's folder: what a page and a question were in training, so that they stay the same."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from warraq.errors import InputError, first_problem
from warraq.files import hash_file, read_json, write_json
from warraq.records import Row

NAME = "warraq.json"
WEIGHTS = (".safetensors", ".onnx_data")  # too large to be hashed again whenever a model is loaded


class Question(Row):
    prompt: str
    schema_sha256: str  # of the answer's JSON Schema


class Manifest(Row):
    look: dict[str, bool | int | float | str]  # the parameters of render that decide the pixels
    recipe: str  # hash of what decides the pixels, as in the rows of the pages
    tasks: dict[str, Question]
    files: dict[str, str]  # SHA-256 of every other file of the folder

    def key(self) -> str:
        """SHA-256 of all that decides an answer."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()


def schema_sha256(schema: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(schema, sort_keys=True).encode()).hexdigest()


def write(folder: Path, look: Mapping[str, bool | int | float | str], recipe: str, tasks: dict[str, Question]) -> None:
    """Write warraq.json; every other file of the folder is there already."""
    files = {path.name: hash_file(path) for path in sorted(folder.iterdir()) if path.name != NAME}
    manifest = Manifest(look=dict(look), recipe=recipe, tasks=dict(sorted(tasks.items())), files=files)
    write_json(folder / NAME, manifest.model_dump())


def read(folder: Path) -> Manifest:
    """Raises InputError where there is no manifest, or where a file beside it is not the one that it names."""
    path, config = folder / NAME, read_json(folder / "config.json")
    if config.get("runtime") == "none":
        raise InputError(f"{folder} holds no model: {config['reason']}; name the merged model.")
    try:
        manifest = Manifest.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise InputError(
            f"{path} is missing, so it is not known what the model was asked in training; `warraq merge` writes it."
        ) from None
    except ValidationError as error:
        raise InputError(f"{path} is not of this version ({first_problem(error)}); merge the model again.") from None
    if "runtime" in config:  # the model itself is elsewhere
        return manifest
    for name, digest in manifest.files.items():
        if not name.endswith(WEIGHTS) and (folder / name).exists() and hash_file(folder / name) != digest:
            raise InputError(f"{folder / name} is not the file that was written with the model; write it again.")
    return manifest

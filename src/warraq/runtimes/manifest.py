"""warraq.json in a model's folder: what a page and a question were in training, so that they stay the same."""

import hashlib
import json
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from warraq.errors import InputError, first_problem
from warraq.files import JsonObject, hash_file, read_json, write_json
from warraq.records import Row
from warraq.views import PAGE, Views

NAME = "warraq.json"
WEIGHTS = (".safetensors", ".onnx_data", ".gguf")  # too large to be hashed again whenever a model is loaded


SettingValues = dict[str, bool | int | float | str]
"""The fields of RenderSettings, which stands above this room, by name."""


class TaskPrompt(Row):
    """A task as it was asked in training."""

    prompt: str
    schema_sha256: str  # of the answer's JSON Schema


class Sight(Row):
    """What the student was trained to see of a page, as params.yaml has it."""

    family: str  # which decides how large a page is seen
    min_line_px: float  # px of a text line, at least
    max_tokens_per_image_token: float  # of an answer, at most


class ModelManifest(Row):
    """What warraq.json holds."""

    look: SettingValues  # the parameters of render that decide the pixels
    views: Views = PAGE  # in which it was shown a page
    recipe: str  # hash of what decides their pixels; of a page alone as in the rows of the pages
    tasks: dict[str, TaskPrompt]
    files: dict[str, str]  # SHA-256 of every other file of the folder
    sight: Sight | None = None  # None: not told, as by earlier versions

    def hash_contents(self) -> str:
        """SHA-256 of all that decides an answer."""
        return hashlib.sha256(self.model_dump_json(exclude_none=True).encode()).hexdigest()


def hash_schema(schema: JsonObject) -> str:
    """SHA-256 of a JSON Schema, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(schema, sort_keys=True).encode()).hexdigest()


def write_manifest(
    folder: Path,
    look: SettingValues,
    recipe: str,
    tasks: dict[str, TaskPrompt],
    views: Views,
    sight: Sight | None = None,
) -> None:
    """Write warraq.json; every other file of the folder is there already."""
    files = {path.name: hash_file(path) for path in sorted(folder.iterdir()) if path.name != NAME}
    manifest = ModelManifest(
        look=look, views=views, recipe=recipe, tasks=dict(sorted(tasks.items())), files=files, sight=sight
    )
    write_json(folder / NAME, manifest.model_dump(exclude_none=True))


def read_manifest(folder: Path) -> ModelManifest:
    """What `write_manifest` wrote.

    Raises:
        InputError: there is no manifest, or a file beside it is not the one that it names.
    """
    path, config = folder / NAME, read_json(folder / "config.json")
    if config.get("runtime") == "none":
        raise InputError(f"{folder} holds no model: {config['reason']}; name the merged model.")
    try:
        manifest = ModelManifest.model_validate_json(path.read_bytes())
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


def choose_views(folder: Path, wanted: Views | None) -> Views:
    """The views in which the model in `folder` is shown pages: those that are wanted, else those of its training, of a
    baseline those that its config.json names.

    Raises:
        InputError: it was trained with others than are wanted, or its config.json names none that there are.
    """
    if not (folder / NAME).exists():
        named = wanted or read_json(folder / "config.json").get("views", PAGE)
        try:
            return TypeAdapter[Views](Views).validate_python(named, strict=True)
        except ValidationError:
            path = folder / "config.json"
            raise InputError(f"{path} names the views {named!r}; write `page`, or one like `page + 4 bands`.") from None
    trained = read_manifest(folder).views
    if wanted not in (None, trained):
        raise InputError(f"{folder} was trained with views {trained!r}, not {wanted!r}: set it back or train it again.")
    return trained

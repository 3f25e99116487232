"""A model's folder -> what its processor does to an image, from where transformers reads it, and changed in place."""

from collections.abc import Callable
from pathlib import Path

from warraq.errors import InputError
from warraq.files import JsonObject, read_json

FILES = ("preprocessor_config.json", "processor_config.json")
"""Where the settings of images stand: the whole of the first, or the part `image_processor` of the second, which counts
where there are both."""


def read_image_settings(folder: Path) -> JsonObject:
    """What the processor of a model does to an image.

    Raises:
        InputError: no file says it.
    """
    for name in reversed(FILES):
        if (folder / name).exists() and (settings := _find_image_settings(name, read_json(folder / name))):
            return settings
    raise InputError(f"{folder} says nowhere what becomes of an image ({' or '.join(FILES)}); restore it.")


def change_image_settings(folder: Path, change: Callable[[JsonObject], JsonObject]) -> dict[str, JsonObject]:
    """The files of a model's folder in which `change` changes the settings of images, by name, with that done."""
    changed = {}
    for name in FILES:
        content = read_json(folder / name) if (folder / name).exists() else {}
        settings = _find_image_settings(name, content)
        if settings and (other := change(settings)) != settings:
            changed[name] = other if settings is content else content | {"image_processor": other}
    return changed


def _find_image_settings(name: str, content: JsonObject) -> JsonObject:
    return content if name == FILES[0] else content.get("image_processor", {})

"""Files as all of warraq reads and writes them: whole or not at all, JSON strict.

A file is written to `<name>.part` and renamed: a reader never sees half of it.
"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from warraq.errors import InputError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield `<path>.part` to write to; on success it takes the place of `path`, on failure it is removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    try:
        yield part
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_text(path: Path, text: str) -> None:
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """UTF-8, not escaped, keys in the order given, one trailing newline."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path} is missing; run the stage that writes it (`dvc repro`).") from None
    except ValueError as error:
        raise InputError(f"{path} is not JSON ({error}); run the stage that writes it again.") from None


def strict_json(text: str) -> Any:
    """The value of strict JSON: no NaN, no key twice, no half of a surrogate pair, no nesting that ends the parser.

    Raises:
        ValueError: the text is anything else.
    """

    def each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        value = dict(pairs)
        if len(value) < len(pairs):
            raise ValueError("a key stands twice")
        return value

    def refused(name: str) -> None:
        raise ValueError(f"{name} is not JSON")

    try:
        value = json.loads(text, object_pairs_hook=each_once, parse_constant=refused)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    json.dumps(value, ensure_ascii=False).encode("utf-8")
    return value

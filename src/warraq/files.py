"""Files as all of warraq reads and writes them: whole or not at all, JSON strict.

A file is written to `<name>.part` and renamed: a reader never sees half of it.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from warraq.errors import InputError

JsonObject = dict[str, Any]
"""A JSON object as Python has it."""


def short_hash(content: bytes | str) -> str:
    """The first 12 hex digits of the SHA-256 of bytes, or of a text as UTF-8."""
    return hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()[:12]


def hash_file(path: Path) -> str:
    """SHA-256 of a file's bytes, 64 hex digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def hash_files(paths: Iterable[Path]) -> str:
    """One SHA-256 of files in the order given, by name and content; 64 hex digits."""
    text = "".join(f"{hash_file(path)} {path.name}\n" for path in paths)
    return hashlib.sha256(text.encode()).hexdigest()


@contextmanager
def replace_file(path: Path) -> Iterator[Path]:
    """Yield `<path>.part` to write to; on success it takes the place of `path`, on failure it is removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    try:
        yield part
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    """Write UTF-8."""
    with replace_file(path) as part:
        part.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write JSON as UTF-8: nothing escaped, two spaces of indent, keys in the order given, one trailing newline."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        InputError: it is missing, or no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path} is missing; run the stage that writes it (`dvc repro`).") from None
    except ValueError as error:
        raise InputError(f"{path} is not JSON ({error}); run the stage that writes it again.") from None


def parse_strict_json(text: str) -> Any:
    """The value of strict JSON: no NaN, no key twice, no half of a surrogate pair, no nesting that ends the parser.

    Raises:
        ValueError: the text is anything else.
    """

    def refuse_repeated_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        value = dict(pairs)
        if len(value) < len(pairs):
            raise ValueError("a key stands twice")
        return value

    def refuse_constant(name: str) -> None:
        raise ValueError(f"{name} is not JSON")

    try:
        value = json.loads(text, object_pairs_hook=refuse_repeated_keys, parse_constant=refuse_constant)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    json.dumps(value, ensure_ascii=False).encode("utf-8")
    return value

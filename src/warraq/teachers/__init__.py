"""Who answers a question about a page: one module a teacher, named as in `label.teachers` of params.yaml.

A teacher answers or says why it does not; it never raises for a page. It raises InputError where the whole run has to
stop (a wrong key, a used-up quota). A paid teacher is asked only for pages that nothing else answers and that were not
answered before, and a cloud teacher only sees images named by `cleared`.
"""

import csv
import threading
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

from pydantic import BaseModel

from warraq.records import InputError, Page, Reference

Reason = Literal[
    "not_this_task",  # the teacher does not know the task
    "no_review",  # nobody has reviewed the page
    "no_text_layer",  # the page is an image only
    "text_layer_unusable",  # the layer is not proved to say what the page shows
    "not_sendable",  # a cloud teacher may not see the page
    "budget",  # the request could pass the spending cap
    "rate_limited",  # the server asked to wait too many times
    "server_error",  # errors, time-outs and broken connections, too many times
    "blocked",  # the prompt or the answer was withheld (SAFETY, RECITATION and their like)
    "truncated",  # the answer reached the token limit
    "empty",  # finished without a word
    "schema_invalid",  # not JSON of the task's answer
]
REMEMBERED: frozenset[str] = frozenset({"blocked", "truncated", "empty", "schema_invalid"})
"""Refusals that cost money and would be repeated: remembered like answers, until what was asked changes."""
PASSING: frozenset[str] = frozenset({"budget", "rate_limited", "server_error"})
"""Refusals that say nothing about the page: the next run asks again."""


@dataclass(frozen=True)
class Question:
    """What a task asks about a page."""

    task: str
    prompt: str
    instruction: str
    answer: type[BaseModel]

    def checked(self, value: Any) -> dict[str, Any]:
        """`value` with every field, as it is written. Raises ValidationError."""
        return self.answer.model_validate(value).model_dump(mode="json")


@dataclass(frozen=True)
class Answer:
    value: dict[str, Any]
    model: str | None = None  # as served


@dataclass(frozen=True)
class Declined:
    reason: Reason
    message: str


class Stopped(Exception):
    """A paid teacher was asked after `stop`."""


class Teacher(Protocol):
    name: str
    reference: Reference

    def identity(self, page: Page) -> dict[str, Any]:
        """All that decides the answer besides the image, the task and the teacher's name."""

    def answer(self, page: Page) -> Answer | Declined: ...


@runtime_checkable
class Paid(Teacher, Protocol):
    def refuses(self, page: Page) -> Declined | None:
        """What can be said without spending."""

    def session(self, pages: int) -> AbstractContextManager[None]:
        """Questions are asked inside it, from any thread; `pages` are about to be asked.

        Raises:
            InputError: it cannot work at all, said before the first request.
        """

    def stop(self) -> None:
        """Ask no more: from now on `answer` raises Stopped, except where the request is already sent."""


class Purse:
    """USD spent and reserved, by any number of threads; together never above the cap."""

    def __init__(self, cap: float) -> None:
        self.cap = cap
        self.spent = 0.0
        self.requests = 0
        self._reserved: list[float] = []
        self._changed = threading.Condition()

    def reserve(self, usd: float) -> bool:
        """Wait until `usd` fit; False where they cannot, whatever comes back from the requests in flight."""
        with self._changed:
            while self.spent + sum(self._reserved) + usd > self.cap:
                if not self._reserved:
                    return False
                self._changed.wait()
            self._reserved.append(usd)
            return True

    def settle(self, reserved: float, usd: float) -> None:
        with self._changed:
            self._reserved.remove(reserved)
            self.spent += usd
            self.requests += 1
            self._changed.notify_all()


def cleared(pages: Iterable[Page], manifest: Path) -> frozenset[str]:
    """The hashes of the images that a cloud teacher may see.

    `manifest` (CSV: file, sensitivity, source) may be absent. A page is cleared if each of its files is `public` in
    each of its rows. Unknown is not public, and an image that is also a page of an uncleared file is not cleared.

    Raises:
        InputError: the manifest lacks a column or is not UTF-8.
    """
    words: dict[str, set[str]] = {}
    if manifest.exists():
        try:
            with manifest.open(encoding="utf-8-sig", newline="") as stream:
                reader = csv.DictReader(stream)
                missing = {"file", "sensitivity"} - set(reader.fieldnames or ())
                if missing:
                    raise InputError(
                        f"{manifest} has no column {' and '.join(sorted(missing))}; add it to its first line."
                    )
                for row in reader:
                    words.setdefault(row["file"] or "", set()).add((row["sensitivity"] or "").strip())
        except (UnicodeDecodeError, csv.Error) as error:
            raise InputError(f"{manifest} cannot be read as CSV in UTF-8 ({error}); save it so.") from None
    seen: set[str] = set()
    denied: set[str] = set()
    for page in pages:
        public = bool(page.files) and all(words.get(file) == {"public"} for file in page.files)
        (seen if public else denied).add(page.image_sha256)
    return frozenset(seen - denied)


def portable(answer: type[BaseModel]) -> dict[str, Any]:
    """The answer's schema in the part of OpenAPI 3.0 that every teacher understands.

    No references, `nullable` for `X | None`, each field required in the order of the class.

    Raises:
        TypeError: the class uses something else (a union, a bound, a free dictionary, a default, recursion).
    """
    schema = answer.model_json_schema()
    return _portable(schema, schema.get("$defs", {}), answer.__name__)


_PLAIN = {"string": "STRING", "integer": "INTEGER", "number": "NUMBER", "boolean": "BOOLEAN"}
_KNOWN = {
    "STRING": {"enum", "const"},
    "INTEGER": set[str](),
    "NUMBER": set[str](),
    "BOOLEAN": set[str](),
    "ARRAY": {"items"},
    "OBJECT": {"properties", "required", "additionalProperties"},
}


def _portable(schema: dict[str, Any], defs: dict[str, Any], where: str) -> dict[str, Any]:
    if "$ref" in schema:
        name = schema["$ref"].removeprefix("#/$defs/")
        if name not in defs:
            raise TypeError(f"{where}: a recursive answer is not portable")
        rest = {key: value for key, value in defs.items() if key != name}
        return _portable({**defs[name], **{k: v for k, v in schema.items() if k != "$ref"}}, rest, where)
    if "anyOf" in schema:
        options = [option for option in schema["anyOf"] if option != {"type": "null"}]
        if len(options) != 1 or len(schema["anyOf"]) != 2 or schema.keys() - {"anyOf", "title", "description"}:
            raise TypeError(f"{where}: of unions only `X | None` is portable")
        return {**_portable(options[0], defs, where), "nullable": True}
    kind = {"object": "OBJECT", "array": "ARRAY", **_PLAIN}.get(schema.get("type", ""))
    if kind is None:
        raise TypeError(f"{where}: a field without one plain type is not portable")
    extra = schema.keys() - {"type", "title", "description", "$defs"} - _KNOWN[kind]
    if extra:
        raise TypeError(f"{where}: {', '.join(sorted(extra))} is not portable; check it after the answer")
    result: dict[str, Any] = {"type": kind}
    if "description" in schema:
        result["description"] = schema["description"]
    if kind == "ARRAY":
        result["items"] = _portable(schema["items"], defs, f"{where}[]")
    elif kind == "OBJECT":
        fields = schema.get("properties", {})
        if not fields or schema.get("additionalProperties") is not False or schema.get("required") != list(fields):
            raise TypeError(f"{where}: an object needs fields, each required, and no others")
        result["properties"] = {name: _portable(field, defs, f"{where}.{name}") for name, field in fields.items()}
        result["required"] = result["property_ordering"] = list(fields)
    elif "const" in schema:
        result["enum"] = [schema["const"]]
    elif "enum" in schema:
        result["enum"] = schema["enum"]
    return result

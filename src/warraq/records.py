"""The rows in the files between stages, and the only code that reads or writes JSON Lines.

Rows are frozen and carry no absolute path and, but for reviews, which people write, no time, so that equal inputs give
equal bytes.
"""

import json
import os
from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any, Generic, Literal, Self, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    SerializerFunctionWrapHandler,
    TypeAdapter,
    ValidationError,
    model_serializer,
    model_validator,
)

from warraq.errors import InputError, first_problem
from warraq.files import JsonObject, read_json, replace_file

Engine = Literal["mupdf", "pdfium", "pillow"]
"""What drew a page."""

Origin = Literal["born_digital", "scan", "image"]
"""A PDF page with text or lines of its own, a PDF page that only shows pictures, or an image file."""

Reference = Literal["gold", "textlayer", "silver"]
"""Who vouches for an answer: a person, the document's own text layer, or a teacher model. Never mixed in one number."""

Split = Literal["val", "test"]
"""The part of the dataset that a prediction is of: on `val` thresholds are chosen, `test` is scored."""

ReviewStatus = Literal[
    "answered",
    "second",  # the answer of a second person who did not see the first one's; it counts for agreement alone
    "unreadable",  # nobody can read the page: it has no answer, and no teacher is asked for one
    "skipped",  # left for later; counts for nothing
    "withdrawn",  # what was said before counts no more
    "second_withdrawn",  # what a second person said before counts no more
    "invalid",  # of no file: a row that is none, `reason` says why
]
"""What became of a page that a person looked at."""


class Row(BaseModel):
    """The base of every row: frozen, and unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class Page(Row):
    """One page image. `page_id` is `<document>-p0001`, of a part `<document>-p0001-2`.

    `document` is the first 12 hex digits of the file's SHA-256.
    """

    page_id: str
    document: str
    page: int  # from 1
    files: tuple[str, ...]  # every name under data/raw with these bytes, sorted
    image: str  # PNG, relative to the pages folder
    image_sha256: str  # of the PNG's bytes
    width_px: int
    height_px: int
    px_per_pt: float | None  # None for image files
    text: str | None  # the page's own text layer, UTF-8, relative to the pages folder; None where there is none
    repaired: bool  # the file was damaged and the reader mended it
    recipe: str  # hash of what decides the pixels: parameters and version of the drawing
    engine: Engine = "mupdf"
    origin: Origin = "born_digital"
    rotation_deg: int = 0  # clockwise, as the file asks for; applied
    skew_deg: float = 0.0  # clockwise, as estimated; turned back
    crop_px: tuple[int, int, int, int] = (0, 0, 0, 0)  # left, top, right, bottom margin taken off
    ink: float | None = None  # share of dark samples; 0.0 on a blank page
    script: str | None = None  # of most letters of the text layer: arabic, latin, other
    codecs: tuple[str, ...] = ()  # of the images on a PDF page
    damage: str | None = None  # what the engine could not read of a page that it drew, or drew as no other does
    part: int = 0  # of a page too long for one image, from 1; 0 is the whole page
    text_fault: str | None = None  # why its text layer is not what the page shows: words without ink, words cut in two
    containers: tuple[str, ...] = ()  # documents that carry this one as an attached file, sorted


class Rejected(Row):
    """A file (`page` is None) or a page of it that is not in pages.jsonl, and why."""

    file: str
    document: str | None
    page: int | None
    reason: str
    message: str


class Label(Row):
    """A teacher's answer for a page, or the reason why there is none: `answer` and `reason` are never both set."""

    page_id: str
    task: str
    key: str  # SHA-256 of all that decides the answer; the file is its own memo
    teacher: str
    model: str | None  # as served, where a model answered
    reference: Reference
    answer: JsonObject | None
    reason: str | None
    message: str | None


class Review(Row):
    """What a person said of a page. The last one that counts of a page and task wins, and beats every teacher's."""

    page_id: str
    task: str
    answer: JsonObject | None = None  # of `answered` and `second`
    reviewer: str
    status: ReviewStatus = "answered"
    reason: str | None = None  # why there is no answer
    seen: str | None = None  # what the answer began from: a source and the hash of what it said
    at: str | None = None  # UTC
    seconds: float | None = None  # that the page was open

    @model_validator(mode="after")
    def _check_answer(self) -> Self:
        if (self.answer is None) == (self.status in ("answered", "second")):
            raise ValueError(f"a review that is {self.status} has {'no' if self.answer is None else 'an'} answer")
        return self

    @model_serializer(mode="wrap")
    def _leave_out_defaults(self, write: SerializerFunctionWrapHandler) -> JsonObject:
        """A row written by hand, with an answer and a name alone, stays as it is."""
        row: JsonObject = write(self)
        return {name: value for name, value in row.items() if value != type(self).model_fields[name].default}


class Turn(Row):
    """One turn of a conversation in the ShareGPT dataset."""

    role: Literal["user", "assistant"]
    content: str


class Sample(Row):
    """One record of the ShareGPT dataset: a page, a task, the prompt and the answer to learn."""

    page_id: str
    document: str
    task: str
    reference: Reference
    images: tuple[str, ...]  # relative to the pages folder
    conversations: tuple[Turn, ...]


class Prediction(Row):
    """What a model answered for a page; `text` is raw, and `error` has none."""

    page_id: str
    task: str
    split: Split
    text: str
    finish_reason: Literal["stop", "length", "error"]
    tokens: int
    seconds: float  # the share of its batch's time
    confidence: float | None = None  # geometric mean of its tokens' probabilities, where the runtime tells them
    confidence_by_field: dict[str, float] = {}  # the same of the tokens of each value, where the text is JSON
    message: str | None = None


class Planted(Row):
    """An error put on a page on purpose: what is printed there, and what a mender would make of it."""

    page_id: str
    kind: Literal["spelling", "digits", "name"]
    printed: str
    mended: str


R = TypeVar("R", bound=Row)


def dump_row(row: Row) -> str:
    """The row as one line of JSON Lines, with its newline."""
    return json.dumps(row.model_dump(mode="json"), ensure_ascii=False, separators=(",", ":")) + "\n"


def write_rows(path: Path, rows: Iterable[R], key: Callable[[R], Any]) -> None:
    """Write `rows` sorted by `key`, one JSON object a line."""
    with replace_file(path) as part, part.open("w", encoding="utf-8", newline="\n") as stream:
        stream.writelines(dump_row(row) for row in sorted(rows, key=key))


def read_rows(path: Path, row: type[R]) -> list[R]:
    """Read a JSON Lines file whole.

    Raises:
        InputError: the file is missing, or a line is not such a row; names file and line.
    """
    if not path.exists():
        raise InputError(f"{path} is missing; run the stage that writes it (`dvc repro`).")
    rows = []
    with path.open(encoding="utf-8") as stream:
        for number, text in enumerate(stream, start=1):
            if not text.strip():
                continue
            try:
                rows.append(row.model_validate_json(text))
            except ValidationError as error:
                raise InputError(
                    f"{path}, line {number} is not a {row.__name__}: {first_problem(error)}; correct or remove it."
                ) from None
            except ValueError as error:
                raise InputError(f"{path}, line {number} cannot be read: {error}.") from None
    return rows


def read_samples(path: Path) -> list[Sample]:
    """Read train.json, val.json or test.json, sorted by page and task.

    Raises:
        InputError: the file is missing or empty, holds what is not a sample, or has one twice.
    """
    try:
        samples = TypeAdapter(list[Sample]).validate_python(read_json(path))
    except ValidationError as error:
        raise InputError(f"{path} holds what is not a sample: {first_problem(error)}; run `warraq dataset`.") from None
    if not samples:
        raise InputError(f"{path} has no samples; add documents or change the shares under `dataset:` in params.yaml.")
    samples.sort(key=lambda sample: (sample.page_id, sample.task))
    for first, second in pairwise(samples):
        if (first.page_id, first.task) == (second.page_id, second.task):
            raise InputError(f"{path} has {first.page_id}, {first.task} twice; run `warraq dataset` again.")
    return samples


class Journal(Generic[R]):
    """Rows of work in progress, each on disk before `append` returns: a killed run loses only what was in flight.

    The file is `<path>.part`. A half-written last line, which a kill leaves, is dropped on opening.
    """

    def __init__(self, path: Path, row: type[R]) -> None:
        self.path = path.with_name(path.name + ".part")
        self.rows: list[R] = []
        self.path.parent.mkdir(parents=True, exist_ok=True)
        whole_bytes = 0
        if self.path.exists():
            for text in self.path.read_bytes().splitlines(keepends=True):
                if not text.endswith(b"\n"):
                    break
                self.rows.append(row.model_validate_json(text))
                whole_bytes += len(text)
        self._stream = self.path.open("ab")
        self._stream.truncate(whole_bytes)

    def append(self, row: R) -> None:
        """Write a row through to the disk."""
        self._stream.write(dump_row(row).encode("utf-8"))
        self._stream.flush()
        os.fsync(self._stream.fileno())
        self.rows.append(row)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def finish(self, key: Callable[[R], Any]) -> None:
        """Write the sorted rows to the real file and remove the journal."""
        self._stream.close()
        path = self.path.with_name(self.path.name.removesuffix(".part"))
        sorted_path = path.with_name(path.name + ".sorted.part")
        with sorted_path.open("w", encoding="utf-8", newline="\n") as stream:
            stream.writelines(dump_row(row) for row in sorted(self.rows, key=key))
        sorted_path.replace(path)
        self.path.unlink()

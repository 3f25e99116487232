"""a model + the validation and test samples -> predictions.jsonl.

Test answers are scored; on validation answers `evaluate` chooses which may go unread. Each batch is on disk before the
next is asked, so a killed run asks again only what was in flight. How many go together (`WARRAQ_BATCH`) changes speed,
and how sums are rounded: a tie within the precision's last digits may fall otherwise.
"""

import hashlib
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Annotated, get_args

from pydantic import Field

from warraq.cluster import map_loaded
from warraq.environment import read_count
from warraq.errors import InputError
from warraq.files import hash_file, read_json, write_text
from warraq.records import Journal, Prediction, Sample, Split
from warraq.runtimes import Answer, ImageError, Request, Runtime, read_requests
from warraq.runtimes.confidence import measure_fields
from warraq.runtimes.endpoint_proof import prove_served_model
from warraq.runtimes.loading import load_runtime, read_token_limit
from warraq.runtimes.manifest import choose_views
from warraq.section import Section
from warraq.views import Views
from warraq.workers import log_progress

logger = logging.getLogger(__name__)


class Predict(Section):
    """How long an answer may be."""

    max_new_tokens: Annotated[int, Field(ge=1, le=32768)]


@dataclass(frozen=True)
class EvalItem:
    """A sample that the model is asked, and the request for it."""

    split: Split
    sample: Sample
    request: Request

    @property
    def key(self) -> tuple[str, str]:
        """Page and task, as of its prediction."""
        return self.sample.page_id, self.sample.task


def read_items(dataset: Path, pages: Path, views: Views) -> list[EvalItem]:
    """The samples of val.json, which a test set alone has not, and of test.json; InputError as from `read_requests`."""
    return [
        EvalItem(split, *pair)
        for split in get_args(Split)
        if split == "test" or (dataset / f"{split}.json").exists()
        for pair in read_requests(dataset / f"{split}.json", pages, views)
    ]


def hash_inputs(model: Path, items: Sequence[EvalItem], parameters: Predict) -> str:
    """SHA-256 of all that decides the answers: files of the model, samples, images, views, parameters."""
    digest = hashlib.sha256(parameters.model_dump_json().encode())
    for item in items:
        digest.update(f"{item.split} {item.request.views} {item.sample.model_dump_json()}\n".encode())
    files = sorted(path for path in model.rglob("*") if path.is_file())
    images = sorted({path for item in items for path in item.request.images})
    for path in (*files, *images):
        digest.update(f"{path.name} {hash_file(path) if path.is_file() else None}\n".encode())
    return digest.hexdigest()


def answer_batch(runtime: Runtime, batch: Sequence[EvalItem], limit: int) -> list[Prediction]:
    """The rows of one batch; a sample whose image cannot be opened becomes an error row, and the others are asked."""
    start = time.monotonic()
    rows: list[Prediction] = []
    answers: list[Answer] = []
    readable = list(batch)
    while readable and not answers:
        try:
            answers = runtime.answer([item.request for item in readable], limit)
        except ImageError as error:
            rows += [_row(item, error, 0.0) for item in readable if error.path in item.request.images]
            readable = [item for item in readable if error.path not in item.request.images]
    seconds = round((time.monotonic() - start) / len(batch), 4)
    return rows + [_row(item, answer, seconds) for item, answer in zip(readable, answers, strict=True)]


def _row(item: EvalItem, answer: Answer | ImageError, seconds: float) -> Prediction:
    if isinstance(answer, ImageError):
        return Prediction(
            page_id=item.sample.page_id, task=item.sample.task, split=item.split, text="", finish_reason="error",
            tokens=0, seconds=seconds, message=str(answer),
        )  # fmt: skip
    return Prediction(
        page_id=item.sample.page_id, task=item.sample.task, split=item.split, text=answer.text,
        finish_reason=answer.finish_reason, tokens=answer.tokens, seconds=seconds,
        confidence=None if answer.confidence is None else round(answer.confidence, 4),
        confidence_by_field=measure_fields(answer),
    )  # fmt: skip


def open_journal(out: Path, key: str) -> Journal[Prediction]:
    """The journal beside `out` if it was begun with this `key`, else an empty one."""
    part, key_part = out.with_name(out.name + ".part"), out.with_name(out.name + ".key.part")
    if not key_part.exists() or key_part.read_text(encoding="utf-8") != key:
        part.unlink(missing_ok=True)
        write_text(key_part, key)
    return Journal(out, Prediction)


def run(*, model: Path, dataset: Path, pages: Path, out: Path, parameters: Predict, views: Views | None = None) -> None:
    """Write `out`, without a row where the folder says that it holds no model. Raises InputError where an input is
    missing, the model has other `views`, or a server answers as another model."""
    batch_size = read_count("WARRAQ_BATCH") or 8
    if not (model / "config.json").is_file():
        raise InputError(f"{model / 'config.json'} is missing; run the stage that writes {model} (`dvc repro`).")
    if (config := read_json(model / "config.json")).get("runtime") == "none":
        write_text(out, "\n")  # of an empty file DVC warns each time
        logger.info("predict: %s holds no model (%s), so there are no answers", model, config["reason"])
        return
    if not pages.is_dir():
        raise InputError(f"{pages} is missing; run `warraq render`.")
    items = read_items(dataset, pages, choose_views(model, views))
    with open_journal(out, hash_inputs(model, items, parameters)) as journal:
        answered = {(row.page_id, row.task) for row in journal.rows}
        # Answers of like length end together; the labels' lengths foretell them, and decide nothing else.
        todo = [item for item in items if item.key not in answered]
        todo.sort(key=lambda item: -len(item.sample.conversations[-1].content))
        if answered:
            logger.info("predict: %d of %d samples were answered before", len(answered), len(items))
        if todo:
            prove_served_model(model, [(item.sample, item.request) for item in todo])
            limit = read_token_limit(model, parameters.max_new_tokens)
            batches = [todo[start : start + batch_size] for start in range(0, len(todo), batch_size)]
            rows = map_loaded(partial(load_runtime, model), partial(answer_batch, limit=limit), batches)
            for row in log_progress(chain.from_iterable(rows), len(todo), "predict", "samples"):
                journal.append(row)
        journal.finish(lambda row: (row.page_id, row.task))
    out.with_name(out.name + ".key.part").unlink()
    cut, failed = (sum(row.finish_reason == why for row in journal.rows) for why in ("length", "error"))
    logger.info("predict: %d samples, %d cut at the limit, %d without an answer", len(journal.rows), cut, failed)

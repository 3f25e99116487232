"""a model + the test samples -> predictions.jsonl.

Each batch is on disk before the next is asked, so a killed run asks again only what was in flight. How many go
together (`WARRAQ_BATCH`) changes speed alone: padding is on the left and masked, though sums are rounded in another
order, so that a tie within the precision's last digits may fall otherwise.
"""

import hashlib
import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field

from warraq import runtimes
from warraq.records import InputError, Journal, Prediction, Sample, write_text
from warraq.runtimes import Answer, ImageError, Request, Runtime
from warraq.section import Section
from warraq.workers import progress

logger = logging.getLogger(__name__)

Question = tuple[Sample, Request]


class Predict(Section):
    max_new_tokens: Annotated[int, Field(ge=1, le=32768)]


def fingerprint(model: Path, dataset: Path, questions: Sequence[Question], parameters: Predict) -> str:
    """SHA-256 of all that decides the answers: the model's files, the samples, their images and the parameters."""
    digest = hashlib.sha256(parameters.model_dump_json().encode())
    files = sorted(path for path in model.rglob("*") if path.is_file())
    images = sorted({path for _, request in questions for path in request.images})
    for path in (*files, dataset, *images):
        digest.update(f"{path.name}\n".encode())
        if path.is_file():
            with path.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


def ask(runtime: Runtime, batch: Sequence[Question], limit: int) -> list[Prediction]:
    """The rows of one batch; a sample whose image cannot be opened becomes an error row, and the others are asked."""
    began = time.monotonic()
    rows: list[Prediction] = []
    answers: list[Answer] = []
    readable = list(batch)
    while readable and not answers:
        try:
            answers = runtime.answer([request for _, request in readable], limit)
        except ImageError as error:
            for sample, request in readable:
                if error.path in request.images:
                    rows.append(
                        Prediction(
                            page_id=sample.page_id, task=sample.task, text="", finish_reason="error", tokens=0,
                            seconds=0.0, message=str(error),
                        )
                    )  # fmt: skip
            readable = [question for question in readable if error.path not in question[1].images]
    seconds = round((time.monotonic() - began) / len(batch), 4)
    for (sample, _), answer in zip(readable, answers, strict=True):
        rows.append(
            Prediction(
                page_id=sample.page_id, task=sample.task, text=answer.text, finish_reason=answer.finish_reason,
                tokens=answer.tokens, seconds=seconds,
            )
        )  # fmt: skip
    return rows


def journal_for(out: Path, key: str) -> Journal[Prediction]:
    """The journal beside `out` if it was begun with this `key`, else an empty one."""
    part, key_part = out.with_name(out.name + ".part"), out.with_name(out.name + ".key.part")
    if not key_part.exists() or key_part.read_text(encoding="utf-8") != key:
        part.unlink(missing_ok=True)
        write_text(key_part, key)
    return Journal(out, Prediction)


def run(model: Path, dataset: Path, pages: Path, out: Path, parameters: Predict) -> None:
    questions = runtimes.questions(dataset / "test.json", pages)
    size = runtimes.whole("WARRAQ_BATCH") or 8
    if not (model / "config.json").is_file():
        raise InputError(f"{model / 'config.json'} is missing; run the stage that writes {model} (`dvc repro`).")
    if not pages.is_dir():
        raise InputError(f"{pages} is missing; run `warraq render`.")
    key = fingerprint(model, dataset / "test.json", questions, parameters)
    with journal_for(out, key) as journal:
        done = {(row.page_id, row.task) for row in journal.rows}
        # Answers of like length end together; the labels' lengths foretell them, and decide nothing else.
        open_questions = sorted(
            (question for question in questions if (question[0].page_id, question[0].task) not in done),
            key=lambda question: -len(question[0].conversations[-1].content),
        )
        if done:
            logger.info("predict: %d of %d samples were answered before", len(done), len(questions))
        if open_questions:
            runtime = runtimes.load(model)
            limit = runtimes.longest(model, parameters.max_new_tokens)
            batches = [open_questions[start : start + size] for start in range(0, len(open_questions), size)]
            rows = (row for batch in batches for row in ask(runtime, batch, limit))
            for row in progress(rows, len(open_questions), "predict", "samples"):
                journal.append(row)
        journal.finish(lambda row: (row.page_id, row.task))
    out.with_name(out.name + ".key.part").unlink()
    failed = sum(row.finish_reason == "error" for row in journal.rows)
    cut = sum(row.finish_reason == "length" for row in journal.rows)
    logger.info("predict: %d samples, %d cut at the limit, %d without an answer", len(journal.rows), cut, failed)

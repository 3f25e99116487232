"""a model + the validation and test samples -> predictions.jsonl.

Test answers are scored; on validation answers `evaluate` chooses which may go unread. Each batch is on disk before the
next is asked, so a killed run asks again only what was in flight. How many go together (`WARRAQ_BATCH`) changes speed
alone: padding is on the left and masked, though sums are rounded in another order, so that a tie within the precision's
last digits may fall otherwise.
"""

import hashlib
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, get_args

from pydantic import Field

from warraq import runtimes
from warraq.environment import read_count
from warraq.errors import InputError
from warraq.files import read_json, write_text
from warraq.records import Journal, Prediction, Sample, Split
from warraq.runtimes import Answer, ImageError, Request, Runtime
from warraq.runtimes.confidence import by_field
from warraq.section import Section
from warraq.workers import progress

logger = logging.getLogger(__name__)


class Predict(Section):
    max_new_tokens: Annotated[int, Field(ge=1, le=32768)]


@dataclass(frozen=True)
class Question:
    split: Split
    sample: Sample
    request: Request

    @property
    def key(self) -> tuple[str, str]:
        return self.sample.page_id, self.sample.task


def asked(dataset: Path, pages: Path) -> list[Question]:
    """The samples of val.json, which a test set alone has not, and of test.json.

    Raises:
        InputError: a file cannot be read, or a prompt does not begin with its images.
    """
    files: dict[Split, Path] = {split: dataset / f"{split}.json" for split in get_args(Split)}
    return [
        Question(split, *pair)
        for split, path in files.items()
        if split == "test" or path.exists()
        for pair in runtimes.questions(path, pages)
    ]


def fingerprint(model: Path, questions: Sequence[Question], parameters: Predict) -> str:
    """SHA-256 of all that decides the answers: the model's files, the samples, their images and the parameters."""
    digest = hashlib.sha256(parameters.model_dump_json().encode())
    for question in questions:
        digest.update(f"{question.split} {question.sample.model_dump_json()}\n".encode())
    files = sorted(path for path in model.rglob("*") if path.is_file())
    images = sorted({path for question in questions for path in question.request.images})
    for path in (*files, *images):
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
            answers = runtime.answer([question.request for question in readable], limit)
        except ImageError as error:
            for question in readable:
                if error.path in question.request.images:
                    rows.append(
                        Prediction(
                            page_id=question.sample.page_id, task=question.sample.task, split=question.split, text="",
                            finish_reason="error", tokens=0, seconds=0.0, message=str(error),
                        )
                    )  # fmt: skip
            readable = [question for question in readable if error.path not in question.request.images]
    seconds = round((time.monotonic() - began) / len(batch), 4)
    for question, answer in zip(readable, answers, strict=True):
        rows.append(
            Prediction(
                page_id=question.sample.page_id, task=question.sample.task, split=question.split, text=answer.text,
                finish_reason=answer.finish_reason, tokens=answer.tokens, seconds=seconds,
                confidence=None if answer.confidence is None else round(answer.confidence, 4),
                confidence_by_field=by_field(answer),
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
    questions = asked(dataset, pages)
    size = read_count("WARRAQ_BATCH") or 8
    if not (model / "config.json").is_file():
        raise InputError(f"{model / 'config.json'} is missing; run the stage that writes {model} (`dvc repro`).")
    if (told := read_json(model / "config.json")).get("runtime") == "none":
        write_text(out, "")
        logger.info("predict: %s holds no model (%s), so there are no answers", model, told["reason"])
        return
    if not pages.is_dir():
        raise InputError(f"{pages} is missing; run `warraq render`.")
    with journal_for(out, fingerprint(model, questions, parameters)) as journal:
        done = {(row.page_id, row.task) for row in journal.rows}
        # Answers of like length end together; the labels' lengths foretell them, and decide nothing else.
        open_questions = sorted(
            (question for question in questions if question.key not in done),
            key=lambda question: -len(question.sample.conversations[-1].content),
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

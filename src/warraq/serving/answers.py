"""Page images -> answers that always fit their schema, and how much each is worth.

The rules, which the answer tells of itself:
1. The model answers freely. What is JSON of the schema and came to its end stands as it is.
2. Any other answer (`schema_invalid`, `truncated`, `loop`) is asked for again under the grammar of the schema: tokens
   that fit are chosen as before, what is open at the limit or in a loop is closed. It is `forced`.
3. A forced answer needs a person, and so does one that is less sure of itself than the threshold of validation, one
   to a page of which the model sees less than in training or that is damaged, and one without text to a page that has
   lines.
"""

import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

from warraq.cluster import map_loaded
from warraq.files import JsonObject
from warraq.records import Row
from warraq.runtimes import Answer, Request
from warraq.runtimes.confidence import measure_fields
from warraq.serving.finished_model import FinishedModel, ModelTask
from warraq.serving.sight import PageSight
from warraq.tasks import Task
from warraq.views import Views

FirstFault = Literal["schema_invalid", "truncated", "loop"]
"""Why the first answer does not stand."""

Reason = FirstFault | Literal[
    "cut", "empty", "damaged", "low_confidence", "no_threshold", "lines_too_small", "too_dense"
]  # fmt: skip
"""Why an answer needs a person."""


class CheckedAnswer(Row):
    """An answer that fits its task's schema, and how much it is worth."""

    answer: JsonObject
    needs_review: bool
    reasons: tuple[Reason, ...]
    forced: bool  # the first answer did not do, and this one was held to the schema
    confidence: float | None  # geometric mean of the tokens' probabilities
    confidence_by_field: dict[str, float]  # the same of the tokens of each value; empty where the runtime does not tell
    tokens: int  # of the answer that stands

    @property
    def marks(self) -> tuple[Reason, ...]:
        """The reasons that are the answer's own, and not those of all answers of its task."""
        return tuple(reason for reason in self.reasons if reason != "no_threshold")


class AnswerKey(Row):
    """What an answer is to."""

    document: str
    page: int  # from 1
    part: int = 0  # of a page too long for one image, from 1; 0 is the whole page
    task: str

    @property
    def key(self) -> tuple[str, int, int, str]:
        """The same as of its PageQuery."""
        return self.document, self.page, self.part, self.task


class PageAnswer(CheckedAnswer, AnswerKey):
    """What the model answered for a page and task."""


@dataclass(frozen=True)
class PageQuery:
    """A page to be asked about for a task."""

    document: str
    page: int  # from 1
    part: int  # as in `records.Page`
    image: Path
    task: ModelTask
    sight: PageSight | None  # None: not known
    is_damaged: bool

    @property
    def key(self) -> tuple[str, int, int, str]:
        """The same as of its PageAnswer."""
        return self.document, self.page, self.part, self.task.name

    def build_request(self, views: Views, listener: Callable[[str], None] | None) -> Request:
        """The free question, as the model was asked in training."""
        return Request((self.image,), self.task.prompt, stop_loops=True, listener=listener, views=views)


def answer_queries(model: FinishedModel, queries: Sequence[PageQuery], batch_size: int) -> Iterator[PageAnswer]:
    """The answers in the order of `queries`, asked `batch_size` at once, here or on a cluster.

    Raises:
        ImageError: a page image cannot be opened, which a rendered one can.
        InputError: as from `map_loaded`.
    """
    batches = [queries[start : start + batch_size] for start in range(0, len(queries), batch_size)]
    return itertools.chain.from_iterable(map_loaded(partial(_load, model), answer_batch, batches))


def _load(model: FinishedModel) -> FinishedModel:
    """Its weights too, where it is asked."""
    _ = model.runtime
    return model


def answer_batch(
    model: FinishedModel, batch: Sequence[PageQuery], listener: Callable[[str], None] | None = None
) -> list[PageAnswer]:
    """The answers to what is asked at once; `listener` is that of each Request.

    Raises:
        whatever `listener` raises.
        ImageError: as from `answer_queries`.
    """
    asked = [query.build_request(model.views, listener) for query in batch]
    free = model.runtime.answer(asked, model.max_new_tokens)
    checks = [check_answer(query.task, answer) for query, answer in zip(batch, free, strict=True)]
    repeats = [
        replace(request, schema=json.dumps(query.task.schema))
        for query, request, check in zip(batch, asked, checks, strict=True)
        if isinstance(check, str)
    ]
    forced = iter(model.runtime.answer(repeats, model.max_new_tokens) if repeats else ())
    return [
        rate_forced_answer(query, next(forced), check)
        if isinstance(check, str)
        else rate_free_answer(query, answer, check)
        for query, answer, check in zip(batch, free, checks, strict=True)
    ]


def check_answer(task: ModelTask, answer: Answer) -> JsonObject | FirstFault:
    """The value of a free answer, or why it does not stand."""
    if answer.looped:
        return "loop"
    if answer.finish_reason == "length":
        return "truncated"
    value, _ = task.task.parse(answer.text)
    return "schema_invalid" if value is None else value


def rate_free_answer(query: PageQuery, answer: Answer, value: JsonObject) -> PageAnswer:
    """An answer that stands, in need of review where it is less sure than the task's threshold."""
    # As the threshold was chosen: where the runtime does not tell, what the answer says of itself.
    certainty, threshold = _round(answer.confidence), query.task.threshold
    if certainty is None:
        certainty = query.task.task.read_confidence(value) or 0.0
    reasons: list[Reason] = ["no_threshold"] if threshold is None else []
    if threshold is not None and certainty < threshold:
        reasons.append("low_confidence")
    return _make_page_answer(query, answer, value, reasons, forced=False)


def rate_forced_answer(query: PageQuery, answer: Answer, fault: FirstFault) -> PageAnswer:
    """An answer under the grammar, which needs review for the first one's fault, and where it had to be closed.

    Raises:
        RuntimeError: it does not fit its schema, which the grammar rules out.
    """
    value, _ = query.task.task.parse(answer.text)
    if value is None:
        name = query.task.name
        raise RuntimeError(f"An answer under the grammar of {name} does not fit its schema: {answer.text[:200]!r}")
    is_closed = answer.finish_reason == "length"
    return _make_page_answer(query, answer, value, [fault, "cut"] if is_closed else [fault], forced=True)


def _make_page_answer(
    query: PageQuery, answer: Answer, value: JsonObject, reasons: list[Reason], forced: bool
) -> PageAnswer:
    sight = query.sight
    if (forced or (sight and sight.line_px)) and lacks_text(query.task.task, value):
        reasons.append("empty")
    if query.is_damaged:
        reasons.append("damaged")
    if sight and sight.is_too_small:
        reasons.append("lines_too_small")
    if sight and sight.is_too_dense(answer.tokens):
        reasons.append("too_dense")
    return PageAnswer(
        document=query.document, page=query.page, part=query.part, task=query.task.name, answer=value,
        needs_review=bool(reasons), reasons=tuple(reasons), forced=forced, confidence=_round(answer.confidence),
        confidence_by_field=measure_fields(answer), tokens=answer.tokens,
    )  # fmt: skip


def lacks_text(task: Task, value: JsonObject) -> bool:
    """Whether an answer that is to copy the page has no letter and no digit."""
    if task.list_elements is None:
        return False
    return not any(map(str.isalnum, "".join(element.text for element in task.list_elements(value))))


def _round(confidence: float | None) -> float | None:
    return None if confidence is None else round(confidence, 4)

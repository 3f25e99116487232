"""Page images -> answers that always fit their schema, and how much each is worth.

The rules, which the answer tells of itself:
1. The model answers freely. What is JSON of the schema and came to its end stands as it is.
2. Any other answer (`schema_invalid`, `truncated`, `loop`) is asked for again under the grammar of the schema: tokens
   that fit are chosen as before, what is open at the limit or in a loop is closed. It is `forced`.
3. A forced answer needs a person, and so does one that is less sure of itself than the threshold of validation.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from warraq.records import Row
from warraq.runtimes import Answer, Request
from warraq.runtimes.confidence import by_field
from warraq.serving.finished_model import Asked, Model

Reason = Literal["schema_invalid", "truncated", "loop", "low_confidence"]


class Reading(Row):
    """What the model answered for a page and task."""

    document: str
    page: int  # from 1
    task: str
    answer: dict[str, Any]
    needs_review: bool
    reasons: tuple[Reason, ...]
    forced: bool  # the first answer did not do, and this one was held to the schema
    confidence: float | None  # geometric mean of the tokens' probabilities
    confidence_by_field: dict[str, float]  # the same of the tokens of each value; empty where the runtime does not tell
    tokens: int


@dataclass(frozen=True)
class Question:
    document: str
    page: int
    image: Path
    task: Asked

    def request(self) -> Request:
        return Request((self.image,), self.task.prompt, stop_loops=True)


def ask(model: Model, questions: Sequence[Question], at_once: int) -> Iterator[Reading]:
    """Raises ImageError where a page image cannot be opened, which a rendered one can."""
    for start in range(0, len(questions), at_once):
        batch = questions[start : start + at_once]
        free = model.runtime.answer([question.request() for question in batch], model.max_new_tokens)
        faults = [fault(question.task, answer) for question, answer in zip(batch, free, strict=True)]
        again = [
            replace(question.request(), schema=json.dumps(question.task.schema))
            for question, reason in zip(batch, faults, strict=True)
            if reason
        ]
        forced = iter(model.runtime.answer(again, model.max_new_tokens) if again else ())
        for question, answer, reason in zip(batch, free, faults, strict=True):
            yield reading(question, next(forced) if reason else answer, reason)


def fault(task: Asked, answer: Answer) -> Reason | None:
    """Why a free answer does not stand."""
    if answer.looped:
        return "loop"
    if answer.finish_reason == "length":
        return "truncated"
    return None if task.task.parse(answer.text)[0] is not None else "schema_invalid"


def reading(question: Question, answer: Answer, reason: Reason | None) -> Reading:
    task = question.task
    value, _ = task.task.parse(answer.text)
    if value is None:
        raise RuntimeError(f"An answer under the grammar of {task.name} does not fit its schema: {answer.text[:200]!r}")
    reasons: list[Reason] = [reason] if reason else []
    if answer.finish_reason == "length":  # closed under the grammar
        reasons.append("loop" if answer.looped else "truncated")
    confidence = None if answer.confidence is None else round(answer.confidence, 4)
    # as the threshold was chosen: where the runtime does not tell, what the answer says of itself
    sure = confidence
    if sure is None:
        sure = task.task.read_confidence(value) or 0.0
    if not reason and (task.threshold is None or sure < task.threshold):
        reasons.append("low_confidence")
    return Reading(
        document=question.document, page=question.page, task=task.name, answer=value, needs_review=bool(reasons),
        reasons=tuple(dict.fromkeys(reasons)), forced=reason is not None, confidence=confidence,
        confidence_by_field=by_field(answer), tokens=answer.tokens,
    )  # fmt: skip

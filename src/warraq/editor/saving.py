"""What a page says of an answer -> a row of its reviews, or where it does not fit, or that somebody else was first."""

from typing import Any, TypeVar

from pydantic import ValidationError
from starlette.responses import JSONResponse, Response

from warraq.editor.log import ConflictError, ReviewLog, hash_review
from warraq.errors import first_problem
from warraq.files import JsonObject, parse_strict_json
from warraq.local_server import make_error_response
from warraq.records import Review, Row
from warraq.reviews import SECOND
from warraq.tasks import Task

ROW_FIELDS = ("page_id", "task", "answer", "reviewer", "status", "reason", "seen", "seconds")


class SaveRequest(Row):
    """What is said of a page, and by which tab; `base` is what the page was opened with."""

    page_id: str
    task: str
    reviewer: str
    status: str = "answered"
    answer: JsonObject | None = None
    reason: str | None = None
    seen: str | None = None
    seconds: float | None = None
    base: str = ""
    tab: str = ""


S = TypeVar("S", bound=SaveRequest)


def parse_request(body: bytes, kind: type[S]) -> S | Response:
    """What was said, or what is wrong with it."""
    try:
        return kind.model_validate(parse_strict_json(body.decode("utf-8")))
    except ValidationError as error:
        return make_error_response(400, "bad_request", first_problem(error))
    except ValueError as error:
        return make_error_response(400, "bad_request", str(error))


def check_review(task: Task, said: SaveRequest) -> Review:
    """The row that is to be added.

    Raises:
        ValidationError: it is none, or its answer does not fit the task.
    """
    row = Review.model_validate(said.model_dump(include=set(ROW_FIELDS)))
    if row.answer is not None:
        task.validate_label(row.answer, strict=True)
    return row


def add_review(log: ReviewLog, row: Review, base: str) -> Response:
    """Append a row, or tell that somebody else was there first."""
    try:
        log.add(row, base)
    except ConflictError as error:
        return _tell_conflict(error)
    return _tell_saved(log, row.page_id, row.status)


def undo_review(log: ReviewLog, said: SaveRequest) -> Response:
    """Take back the last row of a page, by another one."""
    try:
        log.undo(said.page_id, said.reviewer, said.base, second=said.status in SECOND)
    except ConflictError as error:
        return _tell_conflict(error)
    return _tell_saved(log, said.page_id, said.status)


def refuse_answer(error: ValidationError) -> Response:
    """Where an answer does not fit its schema, as paths of its fields."""
    problems: list[dict[str, Any]] = []
    for one in error.errors(include_url=False, include_input=False, include_context=False):
        path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in one["loc"]).lstrip(".")
        problems.append({"path": path, "message": one["msg"]})
    body = {"error": {"code": "invalid", "message": first_problem(error)}, "problems": problems}
    return JSONResponse(body, 422)


def _tell_saved(log: ReviewLog, page_id: str, status: str) -> Response:
    last = log.find_last(page_id, status)
    return JSONResponse({"base": hash_review(last), "status": last.status if last else ""})


def _tell_conflict(error: ConflictError) -> Response:
    message = f"{error.review.reviewer or 'Somebody'} has saved this page since you opened it."
    body = {"error": {"code": "conflict", "message": message}, "base": hash_review(error.review)}
    return JSONResponse(body | {"answer": error.review.answer}, 409)

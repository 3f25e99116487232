"""What a reading of an uploaded file tells while it lasts: one JSON object a line of the stream."""

from typing import Literal

from warraq.records import Row
from warraq.serving.answers import CheckedAnswer
from warraq.serving.output import DocumentAnswers, RejectedPage


class PagesEvent(Row):
    """The pages that will be read, and how many were rejected."""

    event: Literal["pages"] = "pages"
    pages: tuple[int, ...]
    rejected: int


class PageEvent(Row):
    """A page whose answers come next, and its image as a data URL."""

    event: Literal["page"] = "page"
    page: int
    part: int = 0  # of a page too long for one image, from 1
    page_id: str  # as `render` names it
    image: str


class _AnswerHead(Row):
    event: Literal["answer"] = "answer"
    page: int
    part: int = 0
    task: str


class AnswerEvent(CheckedAnswer, _AnswerHead):
    """An answer of the page, and how a review that begins from it names it."""

    seen: str


class DocumentEvent(Row):
    """The end: all that was read."""

    event: Literal["document"] = "document"
    document: DocumentAnswers
    markdown: str


class RejectedEvent(Row):
    """The end, where no page can be read."""

    event: Literal["rejected"] = "rejected"
    rejected: tuple[RejectedPage, ...]


class FailedEvent(Row):
    """The end, where the reading failed."""

    event: Literal["failed"] = "failed"
    message: str


ReadEvent = PagesEvent | PageEvent | AnswerEvent | DocumentEvent | RejectedEvent | FailedEvent

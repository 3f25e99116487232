"""A document's pages, answers and rejections -> its JSON, from which all its other forms are made."""

from collections.abc import Sequence

from warraq.files import JsonObject
from warraq.records import Page, Rejected, Row
from warraq.serving.answers import CheckedAnswer, PageAnswer
from warraq.serving.finished_model import FinishedModel


class ModelName(Row):
    """Which model answered: its folder's name, and the SHA-256 of all that decides an answer."""

    name: str
    sha256: str


class AnsweredPage(Row):
    """A page, and its answers by task."""

    page: int
    part: int  # of a page too long for one image, from 1; 0 is the whole page
    width_px: int
    height_px: int
    damage: str | None = None  # what could not be read of the file where it draws the page
    answers: dict[str, CheckedAnswer]


class RejectedPage(Row):
    """A page that was not read, or the file as a whole (`page` is None), and why."""

    page: int | None
    reason: str
    message: str


class PdfGap(Row):
    """A page of which not all that was read is text of the searchable PDF, and why."""

    page: int
    part: int
    why: str


class DocumentAnswers(Row):
    """All that was read of a document."""

    document: str
    files: tuple[str, ...]
    model: ModelName
    pages: tuple[AnsweredPage, ...]
    rejected: tuple[RejectedPage, ...]
    notes: tuple[str, ...] = ()  # what is to be known of all these answers, once
    pdf_gaps: tuple[PdfGap, ...] = ()  # pages that lack text in its PDF, where one was asked for

    def to_json(self) -> JsonObject:
        """As it is written and sent."""
        return self.model_dump(mode="json")


def shorten_rejection(row: Rejected) -> RejectedPage:
    """A rejection beside the document that it is of."""
    return RejectedPage(page=row.page, reason=row.reason, message=row.message)


def collect_answers(
    model: FinishedModel, document: str, files: tuple[str, ...], pages: Sequence[Page], answers: Sequence[PageAnswer],
    rejected: Sequence[Rejected],
) -> DocumentAnswers:  # fmt: skip
    """The document with its pages in order, each with its answers by task."""
    by_page: dict[tuple[int, int], dict[str, CheckedAnswer]] = {(page.page, page.part): {} for page in pages}
    for one in sorted(answers, key=lambda one: (one.page, one.part, one.task)):
        by_page[one.page, one.part][one.task] = one
    return DocumentAnswers(
        document=document,
        files=files,
        model=ModelName(name=model.folder.name, sha256=model.key),
        pages=tuple(
            AnsweredPage(
                page=page.page, part=page.part, width_px=page.width_px, height_px=page.height_px, damage=page.damage,
                answers=by_page[page.page, page.part],
            )
            for page in pages
        ),
        rejected=tuple(map(shorten_rejection, rejected)),
        notes=model.notes,
    )  # fmt: skip

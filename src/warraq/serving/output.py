"""A document's pages, answers and rejections -> its JSON and its Markdown."""

from collections.abc import Sequence

from warraq.files import JsonObject
from warraq.records import Page, Rejected, Row
from warraq.serving.answers import CheckedAnswer, PageAnswer, Reason
from warraq.serving.finished_model import FinishedModel

REASONS: dict[Reason, str] = {
    "schema_invalid": "the answer did not fit its schema and was asked for again",
    "truncated": "the answer was longer than the limit and is cut",
    "loop": "the answer went round in circles and is cut",
    "low_confidence": "the model is less sure than the threshold",
}


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
    answers: dict[str, CheckedAnswer]


class RejectedPage(Row):
    """A page that was not read, or the file as a whole (`page` is None), and why."""

    page: int | None
    reason: str
    message: str


class DocumentAnswers(Row):
    """All that was read of a document."""

    document: str
    files: tuple[str, ...]
    model: ModelName
    pages: tuple[AnsweredPage, ...]
    rejected: tuple[RejectedPage, ...]

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
                page=page.page, part=page.part, width_px=page.width_px, height_px=page.height_px,
                answers=by_page[page.page, page.part],
            )
            for page in pages
        ),
        rejected=tuple(map(shorten_rejection, rejected)),
    )  # fmt: skip


def render_markdown(model: FinishedModel, document: DocumentAnswers) -> str:
    """The text of each page, then what else was asked as JSON; what needs a person says so."""
    parts = []
    for page in document.pages:
        parts.append(f"<!-- page {page.page}{f', part {page.part}' if page.part else ''} -->")
        for name, checked in page.answers.items():
            if checked.needs_review:
                reasons = "; ".join(REASONS[reason] for reason in checked.reasons)
                parts.append(f"> **Needs review** ({name}): {reasons}.")
            parts.append(model.tasks[name].task.write_markdown(checked.answer))
    for row in document.rejected:
        where = f"Page {row.page}" if row.page else "The file"
        parts.append(f"> **{where} was not read** ({row.reason}): {row.message}")
    return "\n\n".join(part for part in parts if part) + "\n"

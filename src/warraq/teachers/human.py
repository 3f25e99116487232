"""The answers of people: gold, and the last one about a page wins."""

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from warraq.records import InputError, Page, Reference, Review, read_rows
from warraq.teachers import Answer, Declined, Question

logger = logging.getLogger(__name__)


class Human:
    name = "human"
    reference: Reference = "gold"

    def __init__(self, question: Question, reviews: Path, pages: Iterable[Page]) -> None:
        """Read and check the winning reviews of the file, which may be absent, before any work.

        Raises:
            InputError: a review is of another task or does not fit the task's answer.
        """
        self.answers: dict[str, dict[str, Any]] = {}
        rows = read_rows(reviews, Review) if reviews.exists() else []
        for review in {row.page_id: row for row in rows}.values():
            if review.task != question.task:
                raise InputError(
                    f"{reviews}: the review of {review.page_id} is of task {review.task!r}; move it there."
                )
            try:
                self.answers[review.page_id] = question.checked(review.answer)
            except ValidationError as error:
                first = error.errors(include_url=False)[0]
                where = ".".join(str(part) for part in first["loc"])
                raise InputError(
                    f"{reviews}: the review of {review.page_id} does not fit task {question.task}: {where}: "
                    f"{first['msg']}; append a corrected one."
                ) from None
        strangers = self.answers.keys() - {page.page_id for page in pages}
        if strangers:
            logger.warning(
                "%s: %d reviews are of pages that are not there: %s", reviews, len(strangers), min(strangers)
            )

    def identity(self, page: Page) -> dict[str, Any]:
        return {"answer": self.answers.get(page.page_id)}

    def answer(self, page: Page) -> Answer | Declined:
        value = self.answers.get(page.page_id)
        return Declined("no_review", "nobody has reviewed this page") if value is None else Answer(value)

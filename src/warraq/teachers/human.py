"""The answers of people: gold, and the last one about a page wins."""

import logging
from collections.abc import Iterable
from pathlib import Path

from pydantic import ValidationError

from warraq.errors import InputError, first_problem
from warraq.files import JsonObject
from warraq.records import Page, Reference, read_reviews
from warraq.tasks import Task
from warraq.teachers import Answer, Refusal

logger = logging.getLogger(__name__)


class HumanTeacher:
    """The reviews of a task."""

    name = "human"
    reference: Reference = "gold"

    def __init__(self, task: Task, reviews: Path, pages: Iterable[Page]) -> None:
        """Read and check the reviews that count in `reviews`/<task>.jsonl, which may be absent, before any work.

        Raises:
            InputError: a review is of another task or does not fit the task's answer.
        """
        self.answers: dict[str, JsonObject] = {}
        for page_id, review in read_reviews(reviews, task.name).items():
            try:
                self.answers[page_id] = task.validate(review.answer)
            except ValidationError as error:
                raise InputError(
                    f"{reviews / task.name}.jsonl: the review of {page_id} does not fit the task: "
                    f"{first_problem(error)}; append a corrected one."
                ) from None
        if strangers := self.answers.keys() - {page.page_id for page in pages}:
            logger.warning(
                "%s: %d reviews of %s are of pages that are not there: %s",
                reviews, len(strangers), task.name, min(strangers),
            )  # fmt: skip

    def identity(self, page: Page) -> JsonObject:
        """The answer itself: a corrected one has another key."""
        return {"answer": self.answers.get(page.page_id)}

    def answer(self, page: Page, key: str) -> Answer | Refusal:
        """The last review of the page."""
        value = self.answers.get(page.page_id)
        return Refusal("no_review", "nobody has reviewed this page") if value is None else Answer(value)

"""The answers of people: gold, and the last one about a page wins."""

import logging
from collections.abc import Iterable
from pathlib import Path

from pydantic import ValidationError

from warraq.errors import first_problem
from warraq.files import JsonObject
from warraq.records import Page, Reference, Review
from warraq.reviews import read_reviews
from warraq.tasks import Task
from warraq.teachers import Answer, Refusal

logger = logging.getLogger(__name__)


class HumanTeacher:
    """The reviews of a task."""

    name = "human"
    reference: Reference = "gold"

    def __init__(self, task: Task, reviews: Path, pages: Iterable[Page]) -> None:
        """Read and check the reviews that count in `reviews`/<task>.jsonl, which may be absent, before any work."""
        reviewed = read_reviews(reviews, task.name)
        self.outcomes = {page_id: _check_review(task, review) for page_id, review in reviewed.items()}
        faults = {
            page_id: outcome.message
            for page_id, outcome in self.outcomes.items()
            if isinstance(outcome, Refusal) and outcome.reason == "review_invalid"
        }
        if faults:
            logger.warning(
                "%s: %d pages of %s have a review that cannot be used; append a corrected one. %s: %s",
                reviews, len(faults), task.name, min(faults), faults[min(faults)],
            )  # fmt: skip
        if strangers := self.outcomes.keys() - {page.page_id for page in pages}:
            logger.warning(
                "%s: %d reviews of %s are of pages that are not there: %s",
                reviews, len(strangers), task.name, min(strangers),
            )  # fmt: skip

    def identity(self, page: Page) -> JsonObject:
        """The answer itself, or the reason: a corrected one has another key."""
        outcome = self.outcomes.get(page.page_id)
        if isinstance(outcome, Refusal):
            return {"answer": None, "reason": outcome.reason}
        return {"answer": None if outcome is None else outcome.value}

    def answer(self, page: Page, key: str) -> Answer | Refusal:
        """The last review of the page."""
        return self.outcomes.get(page.page_id) or Refusal("no_review", "nobody has reviewed this page")


def _check_review(task: Task, review: Review) -> Answer | Refusal:
    if review.status == "unreadable":
        return Refusal("unreadable", review.reason or "a person cannot read the page")
    if review.answer is None:
        return Refusal("review_invalid", review.reason or "the review has no answer")
    try:
        return Answer(task.validate_label(review.answer))
    except ValidationError as error:
        return Refusal("review_invalid", f"the review does not fit the task: {first_problem(error)}")

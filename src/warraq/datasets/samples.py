"""labels + reviews -> samples to learn from, and by reason what is left out."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from warraq import tasks
from warraq.datasets.splits import hash_to_unit
from warraq.records import Label, Page, Sample, Turn, read_rows
from warraq.reviews import read_reviews

Reasons = Counter[str]
"""Reason -> how many pages are without a sample for it."""


@dataclass(frozen=True)
class LabelledSample:
    """A sample, and the values of its answer without those that hold others."""

    sample: Sample
    values: list[Any]

    @property
    def texts(self) -> list[str]:
        """The values that are text."""
        return [value for value in self.values if isinstance(value, str)]

    @property
    def is_negative(self) -> bool:
        """Whether there is nothing to say."""
        return not any(text.strip() for text in self.texts)


def read_answers(task: str, labels: Path, reviews: Path) -> dict[str, Label]:
    """page_id -> its label, with the last review in its place where a person gave one.

    Raises:
        InputError: the labels are missing, or a file holds what is no such row.
    """
    rows = {row.page_id: row for row in read_rows(labels / f"{task}.jsonl", Label)}
    for page_id, review in read_reviews(reviews, task).items():
        rows[page_id] = Label(
            page_id=page_id, task=task, key="", teacher="human", model=None, reference="gold", answer=review.answer,
            reason="review_invalid" if review.status == "invalid" else review.status if review.answer is None else None,
            message=review.reason,
        )  # fmt: skip
    return rows


def flatten_values(value: Any) -> Iterator[Any]:
    """All values within a JSON value that hold no others, in order."""
    if isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from flatten_values(part)
    else:
        yield value


def make_sample(page: Page, label: Label) -> LabelledSample | str:
    """A sample to learn from, or the reason why there is none."""
    if label.answer is None:
        return label.reason or "no_answer"
    try:
        prompt, answer = tasks.load(label.task).build_example(label.answer)
    except ValidationError:
        return "review_invalid" if label.teacher == "human" else "schema_invalid"
    turns = (Turn(role="user", content="<image>" + prompt), Turn(role="assistant", content=tasks.dumps(answer)))
    sample = Sample(
        page_id=page.page_id, document=page.document, task=label.task, reference=label.reference, images=(page.image,),
        conversations=turns,
    )  # fmt: skip
    return LabelledSample(sample, list(flatten_values(answer)))


def collect_samples(
    task_names: Sequence[str], pages: Sequence[Page], labels: Path, reviews: Path
) -> tuple[list[LabelledSample], dict[str, Reasons]]:
    """All that can be learned, task by task and in the order of the pages; of each task what is left out, by reason."""
    samples: list[LabelledSample] = []
    left_out: dict[str, Reasons] = {}
    for task in task_names:
        answers, reasons = read_answers(task, labels, reviews), left_out.setdefault(task, Counter())
        for page in pages:
            sample = make_sample(page, answers[page.page_id]) if page.page_id in answers else "no_label"
            if isinstance(sample, str):
                reasons[sample] += 1
            else:
                samples.append(sample)
    return samples, left_out


def excess_negatives(samples: Sequence[LabelledSample], share: float) -> list[LabelledSample]:
    """The negative ones that are more than their share of what would be left, chosen by hash."""
    negatives = [one for one in samples if one.is_negative]
    limit = int((len(samples) - len(negatives)) * share / (1 - share)) if share < 1 else len(negatives)
    return sorted(negatives, key=lambda one: hash_to_unit(f"{one.sample.page_id} {one.sample.task}"))[limit:]

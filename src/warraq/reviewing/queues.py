"""Which pages a person should look at, and in which order: what pays most comes first."""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from warraq.datasets.splits import hash_to_unit
from warraq.records import Label, Review
from warraq.reviewing.project import Key, ReviewProject
from warraq.teachers.safety.label_checks import QUARANTINE

Queue = Literal["todo", "quarantined", "doubtful", "unsure", "sample", "second", "skipped", "done", "all"]
QUEUES: tuple[Queue, ...] = get_args(Queue)


@dataclass(frozen=True)
class Shares:
    """How much of the pages people look at, each a share from 0 to 1."""

    todo: float = 1.0  # of each document's pages, to be labelled by people where no teacher answered
    sample: float = 0.1  # of the accepted labels, whatever is doubtful of them: an unbiased look at the teacher
    second: float = 0.0  # of the pages, for a second person who does not see what the first one said


@dataclass(frozen=True)
class Item:
    """A page and task as the list shows it."""

    page_id: str
    task: str
    document: str
    page: int
    file: str
    sensitivity: str
    status: str  # of the last review: answered, unreadable, skipped, invalid; empty: none
    reviewer: str
    reason: str  # why there is no label, or the code of its first doubt
    confidence: float | None  # the student's
    label: Label | None

    @property
    def is_reviewed(self) -> bool:
        """Whether a review of it counts."""
        return self.status in ("answered", "unreadable")


@dataclass
class Filters:
    """What of a queue is wanted; an empty one filters nothing."""

    task: str = ""
    document: str = ""
    reason: str = ""
    sensitivity: str = ""

    def accept(self, item: Item) -> bool:
        """Whether an item is wanted."""
        pairs = (("task", item.task), ("document", item.document), ("reason", item.reason))
        return all(getattr(self, name) in ("", value) for name, value in (*pairs, ("sensitivity", item.sensitivity)))


def list_items(project: ReviewProject) -> list[Item]:
    """Every page and task as it stands."""
    project.refresh()
    return [_make_item(project, key) for key in project.iterate_keys()]


def _make_item(project: ReviewProject, key: Key) -> Item:
    page, label = project.pages[key[0]], project.labels.get(key)
    review = project.logs[key[1]].last.get(key[0])
    if review is not None and review.status in ("skipped", "withdrawn"):
        review = project.logs[key[1]].current.get(key[0]) or (review if review.status == "skipped" else None)
    predictions = project.predictions.get(key, ())
    return Item(
        page_id=page.page_id, task=key[1], document=page.document, page=page.page, file=page.files[0],
        sensitivity=project.sensitivity[page.document], label=label,
        status=review.status if review else "", reviewer=review.reviewer if review else "",
        reason=_read_reason(label, review), confidence=predictions[0][1].confidence if predictions else None,
    )  # fmt: skip


def _read_reason(label: Label | None, review: Review | None) -> str:
    if review is not None and review.status == "invalid":
        return "review_invalid"
    if label is None or label.teacher == "human":
        return ""
    return label.reason or (label.message or "").partition(":")[0]


def fill_queue(
    queue: Queue, items: Sequence[Item], project: ReviewProject, shares: Shares, reviewer: str
) -> list[Item]:
    """The items of a queue in its order."""
    if queue == "todo":
        return list(_stratify(items, shares.todo))
    if queue == "second":
        return [one for one in items if _wants_second(one, project, shares.second, reviewer)]
    chosen = [one for one in items if _belongs(one, queue, shares)]
    if queue == "unsure":
        chosen.sort(key=lambda one: one.confidence or 0.0)
    return chosen


def _belongs(item: Item, queue: Queue, shares: Shares) -> bool:
    if queue in ("all", "skipped", "done"):
        return queue == "all" or (item.is_reviewed if queue == "done" else item.status == "skipped")
    if item.is_reviewed:
        return False
    label = item.label
    if queue == "unsure":
        return item.confidence is not None
    if label is None:
        return False
    if queue == "quarantined":
        return label.reason in QUARANTINE
    if queue == "doubtful":
        return label.answer is not None and bool(label.message)
    return label.answer is not None and in_sample(item.page_id, item.task, shares.sample)


def in_sample(page_id: str, task: str, share: float) -> bool:
    """Whether a label is among those that are looked at at random: by its name, so that it stays there."""
    return hash_to_unit(f"sample {page_id} {task}") < share


def in_second(page_id: str, task: str, share: float) -> bool:
    """Whether a page is read by a second person."""
    return hash_to_unit(f"second {page_id} {task}") < share


def _wants_second(item: Item, project: ReviewProject, share: float, reviewer: str) -> bool:
    log = project.logs[item.task]
    return (
        item.status == "answered"
        and item.reviewer != reviewer
        and item.page_id not in log.second
        and in_second(item.page_id, item.task, share)
    )


def _is_unlabelled(item: Item) -> bool:
    label = item.label
    return label is None or (label.answer is None and label.reason not in QUARANTINE)


def _stratify(items: Sequence[Item], share: float) -> Iterator[Item]:
    """Pages without a label, one of each document in turn, until each has its share; what is done counts."""
    by_document: dict[tuple[str, str], list[Item]] = defaultdict(list)
    for item in items:
        if _is_unlabelled(item) or item.is_reviewed:
            by_document[item.document, item.task].append(item)
    chosen = []
    for (document, _), pages in by_document.items():
        pages.sort(key=lambda one: hash_to_unit(f"todo {one.page_id}"))
        wanted = [one for one in pages[: math.ceil(share * len(pages))] if not one.is_reviewed]
        chosen += [(rank, hash_to_unit(f"todo {document}"), one) for rank, one in enumerate(wanted)]
    chosen.sort(key=lambda one: (one[2].status == "skipped", *one[:2]))
    return (item for *_, item in chosen)

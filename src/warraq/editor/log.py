"""The reviews of a task as they stand, and the way to add one: checked against what the person saw, under a lock."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from warraq.files import JsonObject, short_hash
from warraq.records import Review, dump_row
from warraq.reviews import (
    SECOND,
    count_review,
    count_second_reading,
    lock_rows,
    read_review_rows,
    select_reviews,
)  # fmt: skip
from warraq.tasks import Task


class ConflictError(Exception):
    """Somebody else has said something of the page since it was opened; `review` is that."""

    def __init__(self, review: Review) -> None:
        super().__init__(review.reviewer)
        self.review = review


def hash_review(review: Review | None) -> str:
    """By which a form remembers what had been said of the page when it was opened."""
    return "" if review is None else short_hash(dump_row(review))


def describe_seen(source: str, answer: JsonObject) -> str:
    """What a review that began from an answer says of it: where it came from, and its hash."""
    return f"{source} {short_hash(json.dumps(answer, ensure_ascii=False, sort_keys=True))}"


class ReviewLog:
    """The rows of reviews/<task>.jsonl; read anew when the file has changed, whoever changed it."""

    def __init__(self, folder: Path, task: Task) -> None:
        self.path = folder / f"{task.name}.jsonl"
        self.task = task
        self.rows: list[Review] = []
        self.current: dict[str, Review] = {}  # page_id -> the review that counts
        self.last: dict[str, Review] = {}  # page_id -> the last row but those of second readers
        self.second: dict[str, Review] = {}  # page_id -> the second reader's that counts
        self._stamp: tuple[int, int] | None = None

    def refresh(self) -> None:
        """Read the file again if it is another than before."""
        if (stamp := self._read_stamp()) != self._stamp:
            self._stamp = stamp
            self.rows, self.current, self.last, self.second = [], {}, {}, {}
            for row in read_review_rows(self.path, self.task.name):
                self._count(self.upgrade(row))

    def upgrade(self, row: Review) -> Review:
        """A row with its answer in today's shape, whatever class of the task it was written for."""
        return row if row.answer is None else row.model_copy(update={"answer": self.task.upgrade(row.answer)})

    def _read_stamp(self) -> tuple[int, int] | None:
        stat = self.path.stat() if self.path.exists() else None
        return stat and (stat.st_mtime_ns, stat.st_size)

    def _count(self, row: Review) -> None:
        self.rows.append(row)
        count_review(self.current, row)
        count_second_reading(self.second, row)
        if row.status not in SECOND:
            self.last[row.page_id] = row

    @contextmanager
    def lock(self) -> Iterator[Callable[[Review], None]]:
        """The file for oneself, and as it stands; yields what appends a row, of which the file is not read again."""
        with lock_rows(self.path) as append:
            self.refresh()

            def add(row: Review) -> None:
                append(row)
                self._count(self.upgrade(row))
                self._stamp = self._read_stamp()

            yield add

    def find_last(self, page_id: str, status: str) -> Review | None:
        """What a row of that status would come after: the last of a page by first readers, or by second ones."""
        return (self.second if status in SECOND else self.last).get(page_id)

    def add(self, row: Review, base: str) -> None:
        """Append a row to the file; the same said twice in a row is there once.

        Args:
            row: what the person says.
            base: `hash_review` of the last row of the page when it was opened.

        Raises:
            ConflictError: another row has come since.
            ValidationError: the answer does not fit the task.
        """
        row = self.upgrade(row)
        if row.answer is not None:
            self.task.validate_label(row.answer)
        with self.lock() as append:
            last = self.find_last(row.page_id, row.status)
            if last is not None and _say_the_same(last, row):
                return  # sent again, as the answer to it got lost
            if hash_review(last) != base:
                raise ConflictError(last or row)
            append(row.model_copy(update={"at": datetime.now(UTC).isoformat(timespec="seconds")}))

    def undo(self, page_id: str, reviewer: str, base: str, *, second: bool = False) -> None:
        """Append a row by which what was said before the last one counts again, or nothing does; with `second` of what
        second readers said.

        Raises:
            ConflictError: another row has come since.
        """
        self.refresh()
        rows = [row for row in self.rows if row.page_id == page_id and (row.status in SECOND) == second]
        before = select_reviews(rows[:-1], count_second_reading if second else count_review).get(page_id)
        again: JsonObject = {"page_id": page_id, "task": self.task.name, "reviewer": reviewer}
        again["status"] = "second_withdrawn" if second else "withdrawn"
        if before is not None and before.status != "invalid":
            again |= {"answer": before.answer, "status": before.status, "reviewer": before.reviewer}
            again |= {"reason": before.reason, "seen": before.seen}
        self.add(Review.model_validate(again), base)


def _say_the_same(one: Review, other: Review) -> bool:
    names = ("reviewer", "status", "answer", "reason")
    return all(getattr(one, name) == getattr(other, name) for name in names)

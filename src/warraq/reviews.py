"""reviews/<task>.jsonl: what people said of pages. Rows are only ever appended; a bad one is its page's fault alone."""

import fcntl
import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from warraq.errors import first_problem
from warraq.records import Review, ReviewStatus, Row, dump_row

logger = logging.getLogger(__name__)

SECOND: tuple[ReviewStatus, ...] = ("second", "second_withdrawn")
"""What a second reader says, which touches nothing of what the first one said."""

_PAGE_ID = re.compile(r'"page_id"\s*:\s*"([^"\\]+)"')


def read_review_rows(path: Path, task: str) -> list[Review]:
    """All rows of a file of reviews in their order; none where there is no file.

    A line that is no review of this task is one of status `invalid`, if it says of which page; else it is warned of.
    """
    rows = []
    content = path.read_bytes().removeprefix(b"\xef\xbb\xbf") if path.exists() else b""
    for number, line in enumerate(content.splitlines(), start=1):
        text = line.decode("utf-8", "replace").strip()
        try:
            row = Review.model_validate_json(line)
            problem = f"it is of task {row.task!r}; move it there" if row.task != task else None
        except ValidationError as error:
            problem = first_problem(error)
        if problem is None:
            rows.append(row)
        elif page := _PAGE_ID.search(text):
            reason = f"{path.name}, line {number} is no review of {task}: {problem}"
            rows.append(Review(page_id=page[1], task=task, reviewer="", status="invalid", reason=reason))
        elif text:
            logger.warning("%s, line %d is left out, as it names no page: %s.", path, number, problem)
    return rows


def read_reviews(folder: Path, task: str) -> dict[str, Review]:
    """The review that counts of each page, the last in `<folder>/<task>.jsonl`, which may be absent: it is `answered`,
    `unreadable` or `invalid`."""
    return select_reviews(read_review_rows(folder / f"{task}.jsonl", task))


def count_review(reviews: dict[str, Review], row: Review) -> None:
    """Go on from what counted of each page to what counts with one more row."""
    if row.status == "withdrawn":
        reviews.pop(row.page_id, None)
    elif row.status not in (*SECOND, "skipped"):
        reviews[row.page_id] = row


def count_second_reading(readings: dict[str, Review], row: Review) -> None:
    """The same for second readers."""
    if row.status == "second":
        readings[row.page_id] = row
    elif row.status == "second_withdrawn":
        readings.pop(row.page_id, None)


def select_reviews(
    rows: Iterable[Review], count: Callable[[dict[str, Review], Review], None] = count_review
) -> dict[str, Review]:
    """Of rows in their order the one that counts of each page; with `count_second_reading`, by a second reader."""
    reviews: dict[str, Review] = {}
    for row in rows:
        count(reviews, row)
    return reviews


@contextmanager
def lock_rows(path: Path) -> Iterator[Callable[[Row], None]]:
    """The file for oneself, among all who append by this; yields what appends a row and has it on disk on return.

    A last line without its end gets one, so that a row begins a line whatever was there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab+") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)

        def append(row: Row) -> None:
            stream.seek(max(0, stream.seek(0, os.SEEK_END) - 1))
            whole = stream.read() in (b"", b"\n")
            stream.write((b"" if whole else b"\n") + dump_row(row).encode("utf-8"))
            stream.flush()
            os.fsync(stream.fileno())

        yield append

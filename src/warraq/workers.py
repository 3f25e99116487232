"""How many at once, and how far along.

`WARRAQ_WORKERS` sets the number of worker processes or threads (default: the cores). It changes speed, never a result.
"""

import logging
import os
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from warraq.records import InputError

T = TypeVar("T")
logger = logging.getLogger(__name__)


def count() -> int:
    """The number of workers: `WARRAQ_WORKERS`, else the cores this process may use."""
    text = os.environ.get("WARRAQ_WORKERS", "")
    if not text:
        return len(os.sched_getaffinity(0))
    if not text.isdigit() or int(text) < 1:
        raise InputError(f"WARRAQ_WORKERS is {text!r}; it must be a whole number of at least 1.")
    return int(text)


def progress(items: Iterable[T], total: int, stage: str, unit: str) -> Iterator[T]:
    """Yield `items` and log how many are done, the rate in `unit` a second and the seconds left, once a second.

    The record carries `progress=True`: the command line shows it in place on a terminal and thins it out elsewhere.
    """
    start = shown = time.monotonic()
    for done, item in enumerate(items, start=1):
        yield item
        now = time.monotonic()
        if now - shown >= 1 or done == total:
            shown = now
            rate = done / max(now - start, 1e-9)
            left = (total - done) / rate
            logger.info(
                "%s %d/%d %s, %.1f/s, %.0f s left", stage, done, total, unit, rate, left,
                extra={"progress": True, "last": done == total},
            )  # fmt: skip

"""One model, and the jobs that wait for it in the order in which they came."""

import asyncio
import math
import threading
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from warraq.memory import give_back_memory

T = TypeVar("T")
KEPT = 32  # jobs from which the next one's length is told


class QueueFullError(Exception):
    """The queue is full; `retry_s` is when there should be room."""

    def __init__(self, retry_s: int) -> None:
        super().__init__(retry_s)
        self.retry_s = retry_s


class ClientLeftError(Exception):
    """Nobody waits for the job any more."""


class TimeOverError(Exception):
    """The job has had its time."""


@dataclass
class JobLimit:
    """Until when a job goes on; it asks `check` again and again."""

    left: threading.Event = field(default_factory=threading.Event)
    deadline: float = math.inf  # by the monotonic clock; set when the job's turn begins

    def check(self) -> None:
        """Raises ClientLeftError or TimeOverError where the job is to end."""
        if self.left.is_set():
            raise ClientLeftError
        if time.monotonic() > self.deadline:
            raise TimeOverError


@dataclass
class Turns:
    """A queue of `places`, of which one has its turn for `max_seconds`; used in the event loop alone."""

    places: int
    max_seconds: float
    waiting: int = 0
    totals: dict[str, float] = field(default_factory=lambda: {"jobs": 0, "seconds": 0.0})
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    _lengths_s: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT))
    _began: float | None = None

    def refuse_if_full(self) -> None:
        """Raises QueueFullError."""
        if self.waiting >= self.places:
            raise QueueFullError(self.estimate_room_s())

    @contextmanager
    def reserve_place(self) -> Iterator[None]:
        """A place in the queue. Raises QueueFullError."""
        self.refuse_if_full()
        self.waiting += 1
        try:
            yield
        finally:
            self.waiting -= 1

    def estimate_room_s(self) -> int:
        """When the running job ends, at least 1 s: as long as those lately that lasted longer than it has yet."""
        passed_s = time.monotonic() - (self._began or time.monotonic())
        longer = [length for length in self._lengths_s if length > passed_s]
        left_s = sum(longer) / len(longer) - passed_s if longer else min(passed_s, self.max_seconds - passed_s)
        return max(1, math.ceil(left_s))

    def run(self, work: Callable[[], Iterator[T]], limit: JobLimit, stack: ExitStack) -> AsyncGenerator[T, None]:
        """What `work` yields in a thread, in its turn; `stack` is closed when it has ended, also where nobody listens.

        Who stops to listen ends it. What `work` raises is raised here.
        """
        queue = asyncio.Queue[T | None]()
        job = asyncio.create_task(self._take_turn(work, limit, stack, queue))
        return self._listen(queue, job, limit)

    async def _listen(
        self, queue: asyncio.Queue[T | None], job: asyncio.Task[None], limit: JobLimit
    ) -> AsyncGenerator[T, None]:
        try:
            while (item := await queue.get()) is not None:
                yield item
            await job
        finally:
            limit.left.set()
            if limit.deadline == math.inf:  # it has no thread yet
                job.cancel()
            job.add_done_callback(lambda done: done.cancelled() or done.exception())  # else told as never looked at

    async def _take_turn(
        self, work: Callable[[], Iterator[T]], limit: JobLimit, stack: ExitStack, queue: asyncio.Queue[T | None]
    ) -> None:
        loop = asyncio.get_running_loop()

        def produce() -> None:
            try:
                for item in work():
                    loop.call_soon_threadsafe(queue.put_nowait, item)
            finally:
                give_back_memory()

        with stack:
            try:
                async with self._turn:
                    self._began = time.monotonic()
                    limit.deadline = self._began + self.max_seconds
                    try:
                        await asyncio.to_thread(produce)
                    finally:
                        self._lengths_s.append(time.monotonic() - self._began)
                        self.totals["jobs"] += 1
                        self.totals["seconds"] += self._lengths_s[-1]
                        self._began = None
            finally:
                queue.put_nowait(None)

"""How many at once, where, how far along, and a process of its own for what may hang, crash or exhaust the memory.

`WARRAQ_WORKERS` sets the number of worker processes or threads (default: the cores), `WARRAQ_ON=ray` spreads them over
the machines of a Ray cluster. Both change speed, never a result.
"""

import ctypes
import gc
import itertools
import logging
import math
import multiprocessing
import os
import resource
import signal
import time
import traceback
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

from warraq import cluster
from warraq.environment import read_count
from warraq.memory import keep_memory

T = TypeVar("T")
R = TypeVar("R")
BLOCK = 16  # items that go to a Ray worker together: few enough to share out, enough to pay for the way
ITEMS = 64  # that a process takes before it is replaced: what leaks is small, and a fork costs as much as a page or two
logger = logging.getLogger(__name__)


def count_workers() -> int:
    """The number of workers: `WARRAQ_WORKERS`, else the cores this process may use."""
    return read_count("WARRAQ_WORKERS") or len(os.sched_getaffinity(0))


def log_progress(items: Iterable[T], total: int, stage: str, unit: str) -> Iterator[T]:
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


@dataclass(frozen=True)
class Failure:
    """Why an isolated call has no result."""

    reason: Literal["timeout", "memory", "crashed"]
    detail: str


Result = tuple[T, list[R], Failure | None]


def run_isolated(
    function: Callable[[T], Generator[R, None, bool]],
    queue: deque[T],
    max_seconds: int,
    max_memory_mib: int,
    warm: Callable[[], None],
) -> Iterator[Result[T, R]]:
    """Call `function` on each item of `queue` in forked processes, `count_workers()` at once, or on a Ray cluster.

    Yield, as they complete, item, the values that it yielded, and why it did not come to its end, if it did not. What
    the caller puts into `queue` meanwhile is called too. `warm` imports what `function` needs, before the fork.

    From value to value there are `max_seconds` of processor time, so that a busy machine changes no outcome, four times
    that by the clock, and in all a second a value more; and `max_memory_mib` on top of what a process was forked with.
    A process takes one item after another, `ITEMS` at most, while `function` returns True: False says that the item may
    have left traces. An item that fails in a used process is tried again in a new one, so that no outcome depends on
    what came before. Output goes nowhere, items and values must be picklable. No process outlives this one, however it
    ends.

    Raises:
        whatever `function` raises, except MemoryError: only a death or a limit is a Failure.
        InputError: `WARRAQ_ON` names no place, or Ray is not installed or has no cluster at RAY_ADDRESS.
    """
    serve = partial(_serve, function, max_seconds, max_memory_mib)
    here = partial(_run_here, warm, partial(_Worker, serve, 4 * max_seconds))
    return _run_on_ray(here, queue) if cluster.is_wanted() else here(queue)


def _run_on_ray(here: Callable[[deque[T]], Iterator[Result[T, R]]], queue: deque[T]) -> Iterator[Result[T, R]]:
    """Blocks of items as Ray tasks: Ray decides where, and gives what was on a machine that died to another."""
    with cluster.connect(count_workers()) as ray:
        task = ray.remote(num_cpus=1)(_run_block)
        pending: list[Any] = []
        try:
            while queue or pending:
                while queue:
                    block = [queue.popleft() for _ in range(min(BLOCK, len(queue)))]
                    pending.append(task.remote(Path.cwd(), here, block))
                done, pending = ray.wait(pending)
                yield from ray.get(done[0])
        finally:
            for left in pending:
                ray.cancel(left, force=True)


def _run_block(folder: Path, here: Callable[[deque[T]], Iterator[Result[T, R]]], items: list[T]) -> list[Result[T, R]]:
    os.chdir(folder)  # the same on all machines
    os.environ["WARRAQ_WORKERS"] = "1"
    return list(here(deque(items)))


def _run_here(warm: Callable[[], None], fork: Callable[[], "_Worker[T, R]"], queue: deque[T]) -> Iterator[Result[T, R]]:
    warm()
    pool = _Pool(fork, count_workers())
    try:
        while pool.assign(queue):
            yield from pool.collect()
    finally:
        pool.close()


class _Pool(Generic[T, R]):
    """Processes that take one item after another, `size` at once at most."""

    def __init__(self, fork: Callable[[], "_Worker[T, R]"], size: int) -> None:
        self._fork, self._size = fork, size
        self._busy: dict[Connection, _Worker[T, R]] = {}
        self._idle: list[_Worker[T, R]] = []
        self._again: deque[T] = deque()  # for new processes

    def assign(self, queue: deque[T]) -> bool:
        """Give items to idle processes and new ones. Returns whether any is at work."""
        while self._again or queue:
            if queue and self._idle:
                worker = self._idle.pop()
                worker.begin(queue.popleft())
            elif len(self._busy) < self._size:
                while self._idle:  # to make room
                    self._idle.pop().end()
                worker = self._fork()
                worker.begin((self._again or queue).popleft())
            else:
                break
            self._busy[worker.pipe] = worker
        return bool(self._busy)

    def collect(self) -> Iterator[Result[T, R]]:
        """Wait for the next messages, or a deadline; yields the items that have come to an end."""
        deadline = min(worker.deadline for worker in self._busy.values())
        ready = wait(list(self._busy), max(0.0, deadline - time.monotonic()))
        for pipe, worker in list(self._busy.items()):
            if pipe in ready:
                kind, value = worker.receive()
            elif time.monotonic() >= worker.deadline:
                kind, value = "failure", Failure("timeout", f"waited {worker.patience_s} s")
            else:
                continue
            if kind != "value":
                yield from self._finish(worker, kind, value)

    def _finish(self, worker: "_Worker[T, R]", kind: str, value: Any) -> Iterator[Result[T, R]]:
        del self._busy[worker.pipe]
        if kind == "end" and value and worker.items < ITEMS:
            self._idle.append(worker)
        else:
            worker.end()
        if kind == "error":
            raise value
        if kind == "failure" and worker.items > 1:
            self._again.append(worker.item)
        else:
            yield worker.item, worker.values, value if kind == "failure" else None

    def close(self) -> None:
        for worker in (*self._busy.values(), *self._idle):
            worker.end()


class _Worker(Generic[T, R]):
    """A process that calls `function` on one item after another and tells here what that yields."""

    def __init__(self, serve: Callable[[int, Connection], None], patience_s: int) -> None:
        context = multiprocessing.get_context("fork")  # warm: a child has what the parent imported
        self.pipe, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(os.getpid(), theirs), daemon=True)
        self._process.start()
        theirs.close()  # the child's is then the only one, and its death is an end of file
        self.patience_s = patience_s  # from message to message, by the clock
        self.items = 0  # begun; the last is `item`

    def begin(self, item: T) -> None:
        self.item = item
        self.items += 1
        self.values: list[R] = []
        self.deadline = time.monotonic() + self.patience_s
        with suppress(BrokenPipeError):  # it died since the last item, as `receive` will tell
            self.pipe.send(item)

    def receive(self) -> tuple[str, Any]:
        """("value", value), ("end", what `function` returned), ("failure", Failure) or ("error", exception)."""
        try:
            kind, value = self.pipe.recv()
        except (EOFError, OSError):  # it died, perhaps amid a message
            self._process.join()
            return "failure", _explain_death(-(self._process.exitcode or 0))
        if kind == "value":
            self.values.append(value)
            self.deadline = time.monotonic() + self.patience_s
        return kind, value

    def end(self) -> None:
        self._process.kill()
        self._process.join()
        self.pipe.close()


def _explain_death(number: int) -> Failure:
    """Of the signal `number`; below 1 it is an exit code."""
    if number == signal.SIGXCPU:
        return Failure("timeout", "used all its processor time")
    if number == signal.SIGKILL:  # not ours: the kernel's, out of memory
        return Failure("memory", "killed by the system")
    return Failure("crashed", signal.Signals(number).name if number > 0 else f"exit code {-number}")


def _serve(
    function: Callable[[Any], Generator[Any, None, bool]],
    max_seconds: int,
    max_memory_mib: int,
    parent: int,
    pipe: Connection,
) -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: die with the parent, even by kill -9
    if os.getppid() != parent:
        os._exit(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent's to handle
    keep_memory()
    gc.freeze()  # what was inherited is garbage to nobody; to look through it again and again takes time, and copies it
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    inherited = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (inherited + max_memory_mib * 2**20,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    while True:
        item = pipe.recv()
        try:
            message: tuple[str, Any] = ("end", _send_values(pipe, function(item), max_seconds))
        except MemoryError as error:
            message = ("failure", Failure("memory", str(error) or f"needed more than {max_memory_mib} MiB"))
        except BaseException as error:
            error.add_note(traceback.format_exc())
            message = ("error", error)
        pipe.send(message)


def _send_values(pipe: Connection, values: Generator[Any, None, bool], max_seconds: int) -> bool:
    """Send each value; the kernel ends this process where the next takes too long. Returns what `values` does."""
    start = time.process_time()
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    for done in itertools.count():
        used = time.process_time() - start
        until = math.ceil(start + min(used, done)) + max_seconds
        resource.setrlimit(resource.RLIMIT_CPU, (until if hard < 0 else min(until, hard), hard))
        try:
            pipe.send(("value", next(values)))
        except StopIteration as end:
            return bool(end.value)
    raise AssertionError

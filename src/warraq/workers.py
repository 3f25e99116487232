"""How many at once, how far along, and a process of its own for what may hang, crash or exhaust the memory.

`WARRAQ_WORKERS` sets the number of worker processes or threads (default: the cores). It changes speed, never a result.
"""

import ctypes
import itertools
import logging
import multiprocessing
import os
import resource
import signal
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

from warraq.records import InputError

T = TypeVar("T")
R = TypeVar("R")
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


@dataclass(frozen=True)
class Failure:
    """Why an isolated call has no result."""

    reason: Literal["timeout", "memory", "crashed"]
    detail: str


@dataclass(frozen=True)
class _Child(Generic[T]):
    item: T
    process: BaseProcess
    deadline: float


def isolated(
    function: Callable[[T], R], items: Iterable[T], max_seconds: int, max_memory_mib: int
) -> Iterator[tuple[T, R | Failure]]:
    """Call `function` on each item in a forked process of its own, `count()` at once; yield as they complete.

    A child has `max_seconds` of processor time, so that a busy machine changes no outcome, four times that by the
    clock, and `max_memory_mib` on top of what it was forked with. Its output goes nowhere, its result must be
    picklable. No child outlives this process, however it ends.

    Raises:
        whatever `function` raises, except MemoryError: only a death or a limit is a Failure.
    """
    context = multiprocessing.get_context("fork")  # warm: a child has what the parent imported
    waiting = iter(items)
    running: dict[Connection, _Child[T]] = {}
    try:
        while True:
            for item in itertools.islice(waiting, count() - len(running)):
                reader, writer = context.Pipe(duplex=False)
                limits = (max_seconds, max_memory_mib)
                process = context.Process(
                    target=_child, args=(writer, function, item, limits, os.getpid()), daemon=True
                )
                process.start()
                writer.close()  # the child's is then the only one, and its death is an end of file
                running[reader] = _Child(item, process, time.monotonic() + 4 * max_seconds)
            if not running:
                return
            first = min(child.deadline for child in running.values())
            wait(list(running), max(0.0, first - time.monotonic()))
            for reader, child in list(running.items()):
                if reader.poll():
                    outcome = _outcome(reader, child.process)
                elif time.monotonic() >= child.deadline:
                    outcome = Failure("timeout", f"waited {4 * max_seconds} s")
                else:
                    continue
                _end(child.process)
                reader.close()
                del running[reader]
                yield child.item, outcome
    finally:
        for child in running.values():
            _end(child.process)


def _child(writer: Connection, function: Callable[[T], R], item: T, limits: tuple[int, int], parent: int) -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: die with the parent, even by kill -9
    if os.getppid() != parent:
        os._exit(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent's to handle
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    seconds, memory_mib = limits
    inherited = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (inherited + memory_mib * 2**20,) * 2)
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        message: tuple[str, Any] = ("result", function(item))
    except MemoryError as error:
        message = ("result", Failure("memory", str(error) or f"needed more than {memory_mib} MiB"))
    except BaseException as error:
        error.add_note(traceback.format_exc())
        message = ("error", error)
    writer.send(message)


def _outcome(reader: Connection, process: BaseProcess) -> Any:
    try:
        kind, value = reader.recv()
    except EOFError:
        process.join()
        number = -(process.exitcode or 0)
        if number == signal.SIGXCPU:
            return Failure("timeout", "used all its processor time")
        if number == signal.SIGKILL:  # not ours: the kernel's, out of memory
            return Failure("memory", "killed by the system")
        return Failure("crashed", signal.Signals(number).name if number > 0 else f"exit code {process.exitcode}")
    if kind == "error":
        raise value
    return value


def _end(process: BaseProcess) -> None:
    process.kill()
    process.join()

"""isolated: a call in a process of its own gives a result or the limit that it broke, and nothing stays behind."""

import faulthandler
import multiprocessing
import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Generator
from pathlib import Path

import pytest

from support.waiting import wait_until
from warraq import workers

_seen: list[str] = []  # in this process


def _warm() -> None:
    """Nothing to import."""


def _call(item: str) -> Generator[str, None, bool]:
    yield "begun"
    if item == "timeout":
        while True:
            pass
    if item == "blocked":
        signal.pause()
    if item == "memory":
        yield str(len(bytearray(2**31)))
    if item == "crashed":
        faulthandler.disable()
        os.kill(os.getpid(), signal.SIGSEGV)
    if item == "wrong":
        raise ZeroDivisionError("a mistake in the function")
    if item == "used" and _seen:
        os._exit(3)
    _seen.append(item)
    yield item.upper()
    return item != "dirty"


def test_an_isolated_call_gives_its_values_or_the_limit_that_it_broke(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WARRAQ_WORKERS", "3")
    late = workers.run_isolated(_call, deque(["blocked", "timeout"]), max_seconds=1, max_memory_mib=512, warm=_warm)
    early = workers.run_isolated(
        _call, deque(["memory", "crashed", "fine"]), max_seconds=60, max_memory_mib=512, warm=_warm
    )
    outcomes = [*late, *early]
    assert {item: (values, failure and failure.reason) for item, values, failure in outcomes} == {
        "blocked": (["begun"], "timeout"),
        "timeout": (["begun"], "timeout"),
        "memory": (["begun"], "memory"),
        "crashed": (["begun"], "crashed"),
        "fine": (["begun", "FINE"], None),
    }


def test_a_process_serves_many_items_and_no_outcome_depends_on_the_ones_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WARRAQ_WORKERS", "1")
    monkeypatch.setattr(workers, "ITEMS", 3)

    def numbered(item: str) -> Generator[int, None, bool]:
        yield os.getpid()
        return item != "dirty"

    def processes(*items: str) -> list[int]:
        return [values[0] for _, values, _ in workers.run_isolated(numbered, deque(items), 60, 512, _warm)]

    a, b, c, d = processes("a", "b", "c", "d")
    assert a == b == c != d
    a, b = processes("dirty", "b")
    assert a != b
    assert [
        (item, failure) for item, _, failure in workers.run_isolated(_call, deque(["a", "used"]), 60, 512, _warm)
    ] == [
        ("a", None),
        ("used", None),
    ]


def test_a_process_that_dies_between_two_items_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WARRAQ_WORKERS", "1")

    def numbered(item: str) -> Generator[int, None, bool]:
        yield os.getpid()
        return True

    queue, outcomes = deque(["a"]), []
    for item, values, failure in workers.run_isolated(numbered, queue, 60, 512, _warm):
        outcomes.append((item, failure))
        if item == "a":
            os.kill(values[0], signal.SIGKILL)
            os.waitid(os.P_PID, values[0], os.WEXITED | os.WNOWAIT)
            queue.append("b")
    assert outcomes == [("a", None), ("b", None)]


def test_what_is_queued_meanwhile_is_called_too() -> None:
    queue = deque(["a"])
    called = []
    for item, _, _ in workers.run_isolated(_call, queue, 60, 512, _warm):
        called.append(item)
        if len(called) < 3:
            queue.append(item + "a")
    assert called == ["a", "aa", "aaa"]


def test_a_mistake_in_the_function_is_raised_and_its_siblings_end() -> None:
    before = multiprocessing.active_children()
    with pytest.raises(ZeroDivisionError):
        list(workers.run_isolated(_call, deque(["wrong", "timeout"]), max_seconds=20, max_memory_mib=512, warm=_warm))
    assert multiprocessing.active_children() == before


def test_no_process_outlives_a_killed_run(tmp_path: Path) -> None:
    code = (
        "import os, signal\n"
        "from collections import deque\n"
        "from warraq.workers import run_isolated\n"
        "def call(item):\n"
        "    yield item\n"
        "    while item: pass\n"
        "for _ in run_isolated(call, deque([1, 0]), 20, 512, dict): os.kill(os.getpid(), signal.SIGKILL)"
    )
    marker = str(tmp_path)
    done = subprocess.run([sys.executable, "-c", code, marker], env={**os.environ, "WARRAQ_WORKERS": "2"})
    assert done.returncode == -signal.SIGKILL
    wait_until(lambda: not any(marker in _text(path) for path in Path("/proc").glob("[0-9]*/cmdline")))


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:  # it has just ended
        return ""

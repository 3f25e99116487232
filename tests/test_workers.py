"""isolated: a call in a process of its own gives a result or the limit that it broke, and nothing stays behind."""

import faulthandler
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from warraq import workers


def _call(item: str) -> str:
    if item == "timeout":
        while True:
            pass
    if item == "blocked":
        signal.pause()
    if item == "memory":
        return str(len(bytearray(2**31)))
    if item == "crashed":
        faulthandler.disable()
        os.kill(os.getpid(), signal.SIGSEGV)
    if item == "wrong":
        raise ZeroDivisionError("a mistake in the function")
    return item.upper()


def test_an_isolated_call_gives_its_result_or_the_limit_that_it_broke(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WARRAQ_WORKERS", "3")
    items = ["blocked", "timeout", "memory", "crashed", "fine"]
    outcomes = dict(workers.isolated(_call, items, max_seconds=1, max_memory_mib=512))
    assert outcomes.pop("fine") == "FINE"
    assert {item: outcome.reason for item, outcome in outcomes.items()} == {
        "blocked": "timeout",
        "timeout": "timeout",
        "memory": "memory",
        "crashed": "crashed",
    }


def test_a_mistake_in_the_function_is_raised_and_its_siblings_end() -> None:
    before = multiprocessing.active_children()
    with pytest.raises(ZeroDivisionError):
        list(workers.isolated(_call, ["wrong", "timeout"], max_seconds=20, max_memory_mib=512))
    assert multiprocessing.active_children() == before


def test_no_process_outlives_a_killed_run(tmp_path: Path) -> None:
    code = (
        "import os, signal\n"
        "from warraq.workers import isolated\n"
        "def call(item):\n"
        "    while item: pass\n"
        "for _ in isolated(call, [1, 0], 20, 512): os.kill(os.getpid(), signal.SIGKILL)"
    )
    marker = str(tmp_path)
    done = subprocess.run([sys.executable, "-c", code, marker], env={**os.environ, "WARRAQ_WORKERS": "2"})
    assert done.returncode == -signal.SIGKILL
    deadline = time.monotonic() + 5
    while left := [path for path in Path("/proc").glob("[0-9]*/cmdline") if marker in _text(path)]:
        assert time.monotonic() < deadline, left


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:  # it has just ended
        return ""

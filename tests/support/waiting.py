"""What another process does is awaited, however busy the machine is."""

import threading
import time
from collections.abc import Callable

LONGEST_S = 300  # far more than anything takes; it only ends a test that waits in vain


def wait_until(holds: Callable[[], object], longest_s: float = LONGEST_S) -> None:
    """Return as soon as `holds` is true."""
    end, pause = time.monotonic() + longest_s, threading.Event()
    while not holds():
        assert time.monotonic() < end, "waited in vain"
        pause.wait(0.02)

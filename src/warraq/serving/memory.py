"""Memory that a job has freed -> the system's; glibc would keep up to 64 MiB of it for each thread that had a job."""

import ctypes
from typing import Any

ARENAS = -8  # glibc's number of the setting


def _find_function(name: str) -> Any:
    """One of glibc's own; elsewhere one that does nothing."""
    return getattr(ctypes.CDLL(None), name, lambda *_: None)


def share_memory() -> None:
    """Have threads that start from now on take from what the first one takes from: of theirs little is given back."""
    _find_function("mallopt")(ARENAS, 1)


def give_back_memory() -> None:
    """Give back what is free."""
    _find_function("malloc_trim")(0)

"""What is done with memory that was freed: given back to the system, or kept for what comes next."""

import ctypes
from typing import Any

ARENAS, MMAP_THRESHOLD, TRIM_THRESHOLD = -8, -3, -1  # glibc's numbers of its settings
PAGE_BYTES = 2**25  # the samples of a page are fewer; the most that glibc takes


def _find_function(name: str) -> Any:
    """One of glibc's own; elsewhere one that does nothing."""
    return getattr(ctypes.CDLL(None), name, lambda *_: None)


def share_memory() -> None:
    """Have threads that start from now on share the first one's; of up to 64 MiB of its own each gives little back."""
    _find_function("mallopt")(ARENAS, 1)


def keep_memory() -> None:
    """Keep what is freed of a page for the next: to take it anew costs as much as to write it."""
    _find_function("mallopt")(MMAP_THRESHOLD, PAGE_BYTES)
    _find_function("mallopt")(TRIM_THRESHOLD, 2 * PAGE_BYTES)


def give_back_memory() -> None:
    """Give back what is free."""
    _find_function("malloc_trim")(0)

"""How many requests at once, and when: what all threads of a run share."""

import math
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from warraq.environment import read_count


def read_in_flight() -> int:
    """`WARRAQ_IN_FLIGHT`: requests at once, at most."""
    return read_count("WARRAQ_IN_FLIGHT") or 8


def read_interval_s(input_tokens: float) -> float:
    """Seconds between two requests by the provider's limits, where they are known (`WARRAQ_RPM`, `WARRAQ_TPM`)."""
    rule = "a whole number: what the provider allows in a minute"
    requests, tokens = (read_count(name, 0, rule) for name in ("WARRAQ_RPM", "WARRAQ_TPM"))
    return 60 * max(1 / requests if requests else 0.0, input_tokens / tokens if tokens else 0.0)


MINUTE_S = 60.0  # of quotas that name no other wait


class StoppedError(Exception):
    """A request after `stop`."""


class ConcurrencyLimiter:
    """A limit of requests in flight that finds the server's own (additive increase, decrease to what was admitted).

    A refusal for the rate lowers the limit to the requests that the server did take, a sign of overload halves it; in
    one second it falls to half at most. A round of good answers raises it by one. A wait holds for all requests; after
    one of a minute and more a single request finds out whether it was enough. No two requests are closer than
    `interval_s` on average.
    """

    def __init__(self, max_in_flight: int, interval_s: float = 0.0) -> None:
        """`max_in_flight`: requests at once; `interval_s`: seconds between two of them, on average."""
        self.max_in_flight = max_in_flight
        self.interval_s = interval_s
        self.limit = float(max_in_flight)
        self.active = 0
        self.refused = 0  # for the rate, in all
        self.waited_s = 0.0  # for the rate, since the last good answer, before the wait that was ordered last
        self.stopped = threading.Event()
        self._changed = threading.Condition()
        self._not_before = 0.0
        self._ordered_s = 0.0
        self._waits = 0  # that were ordered; what was on its way when one was is not counted a second time
        self._next = 0.0
        self._lowered = 0.0  # when a refusal last began a second in which the limit falls to `_floor` at most
        self._floor = 1.0
        self._step = 1.0

    def acquire(self) -> int:
        """Wait for a place.

        Returns:
            The number of waits so far, for `release`.

        Raises:
            StoppedError: no request is to be begun any more.
        """
        with self._changed:
            while not self.stopped.is_set():
                now = time.monotonic()
                wait_s = max(self._not_before, self._next) - now
                if wait_s <= 0 and self.active < (1 if self._ordered_s >= MINUTE_S else int(self.limit)):
                    self.active += 1
                    self._next = max(self._next, now - self.interval_s) + self.interval_s
                    return self._waits
                self._changed.wait(wait_s if wait_s > 0 else None)
            raise StoppedError

    def release(self, outcome: str, waits: int = 0, wait_s: float = 0.0, longest_s: float = math.inf) -> None:
        """Give the place back, and adapt the limit to what came of the request.

        Args:
            outcome: `good`, `rate_limited`, `overloaded`, `server_error`; anything else says nothing of the limit.
            waits: what `acquire` gave.
            wait_s: seconds for which no request is to be begun, as asked.
            longest_s: as granted.
        """
        with self._changed:
            now = time.monotonic()
            self.active -= 1
            if outcome == "good":
                self.limit = min(self.max_in_flight, self.limit + self._step / self.limit)
                self.waited_s = self._ordered_s = 0.0
            elif outcome in {"rate_limited", "overloaded", "server_error"}:
                if now - self._lowered >= 1:
                    self._lowered, self._floor = now, max(1.0, self.limit / 2)
                target = self.active if outcome == "rate_limited" else self.limit / 2
                self.limit = max(self._floor, min(self.limit, target))
                self._step = 0.5  # near the server's own limit: climb gently
                self.refused += outcome == "rate_limited"
            if wait_s and waits == self._waits:
                self._waits += 1
                self.waited_s += self._ordered_s
                self._ordered_s = wait_s
            self._not_before = max(self._not_before, now + min(wait_s, longest_s))
            self._changed.notify_all()

    def stop(self) -> None:
        """Let no request be begun any more."""
        with self._changed:
            self.stopped.set()
            self._changed.notify_all()


@contextmanager
def interrupt_on_sigterm() -> Iterator[None]:
    """SIGTERM is a KeyboardInterrupt inside it: no request is begun any more, those in flight are awaited."""

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)

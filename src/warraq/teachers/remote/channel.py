"""Whether a failure is the page's or the channel's: the page's only where a later request was answered."""

import threading


class Channel:
    """What failed since a request was answered that was begun later."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failures: dict[int, str] = {}  # key of the page, by the request's number in the ledger
        self._given_up: set[str] = set()

    def add_failure(self, number: int, key: str) -> None:
        """A request came to nothing."""
        with self._lock:
            self._failures[number] = key

    def add_answer(self, number: int) -> None:
        """A request was answered: those begun before it failed by themselves."""
        with self._lock:
            self._failures = {other: key for other, key in self._failures.items() if other > number}
            self._given_up &= set(self._failures.values())

    def give_up(self, key: str) -> int:
        """A page is asked about no more.

        Returns:
            How many such pages there are in a row.
        """
        with self._lock:
            self._given_up.add(key)
            return len(self._given_up)

    def failures(self) -> list[int]:
        """The numbers of the requests."""
        with self._lock:
            return list(self._failures)

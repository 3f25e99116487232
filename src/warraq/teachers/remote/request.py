"""A request to a model, what can come of it, and whether another one is worth its price.

| what came of it | further requests for the page |
|---|---|
| recitation | one more; then one to the second model, where there is one |
| truncated | one, with twice the room |
| empty, schema_invalid, wrong_tag, loop, rerouted | one, whichever of them it was |
| server_error | three a run, nine in all |
| rate_limited, overloaded | ten a run; they cost nothing |
| anything else | none |
"""

from collections import Counter
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

from warraq.records import Reference
from warraq.teachers import Reason
from warraq.teachers.remote.prices import Lane
from warraq.teachers.safety.clearance import Clearance, Cleared

MISREAD: frozenset[Reason] = frozenset({"empty", "schema_invalid", "wrong_tag", "loop", "rerouted"})
A_RUN = {"rate_limited": 10, "overloaded": 10, "server_error": 3, "unreachable": 3}
IN_ALL = 9  # server errors of a page, over all runs


@dataclass(frozen=True)
class Step:
    """How to ask next."""

    model: str
    max_output_tokens: int
    lane: Lane = "standard"


@dataclass(frozen=True)
class Reply:
    """What a response says of itself, in one vocabulary."""

    finish: Literal["stop", "truncated", "recitation", "blocked"]
    message: str  # the server's own word for it
    text: str
    model: str | None  # as served
    input_tokens: int | None
    output_tokens: int | None  # thoughts included


class Problem(Exception):
    """No response. `spent`: it may have cost money all the same; `stops`: it concerns every page."""

    def __init__(
        self,
        kind: Literal["rate_limited", "overloaded", "server_error", "unreachable", "bad_request", "refused"],
        message: str,
        wait_s: float | None = None,
        spent: bool = False,
        stops: str | None = None,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.wait_s = wait_s
        self.spent = spent
        self.stops = stops


class Provider(Protocol):
    """A kind of server."""

    name: str
    reference: Reference
    cloud: bool  # pages leave the machine, and it is paid for
    first: Step
    second: str | None  # model for what the first withholds as a quotation

    def identity(self) -> dict[str, Any]:
        """All that decides the answer besides image and task."""

    def tokens(self) -> tuple[int, int]:
        """Input tokens of a request: as expected, and as they cannot be exceeded."""

    def lane(self, pages: int) -> Lane:
        """By which so many pages are asked."""

    def session(self, clearance: Clearance, pages: int) -> AbstractContextManager[None]:
        """Requests are sent inside it. Raises InputError: it cannot work at all, said before the first request."""

    def send(self, page: Cleared, tag: str, step: Step) -> str:
        """The response's body. Raises Problem."""

    def read(self, body: str) -> Reply:
        """Raises ValueError: it is not a response."""

    def serves(self, asked: str, served: str) -> bool:
        """Whether the model that answered is the one asked."""


def following(met: Iterable[tuple[str, Reason]], first: Step, second: str | None) -> Step | None:
    """The next request for a page after those of which (model asked, what came of it) is known; None: no more."""
    met = list(met)
    counts = Counter(reason for _, reason in met)
    counted = {"recitation", "truncated", "server_error", "rate_limited", "overloaded", "refused"}
    if any(reason not in MISREAD | counted for reason in counts):
        return None
    if sum(counts[reason] for reason in MISREAD) >= 2 or counts["truncated"] >= 2 or counts["server_error"] >= IN_ALL:
        return None
    step = replace(first, max_output_tokens=min(65536, first.max_output_tokens * (1 + counts["truncated"])))
    if counts["recitation"] < 2:
        return step
    if second is None or (second, "recitation") in met:
        return None
    return replace(step, model=second)

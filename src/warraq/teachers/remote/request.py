"""A request to a model, what can come of it, and whether another one is worth its price.

| what came of it | further requests for the page |
|---|---|
| recitation | one more; then one to the second model, where there is one |
| truncated | one, with twice the room; none where what was cut is a loop (`endless`) |
| empty, schema_invalid, wrong_tag, loop, no_text, declined, rerouted | one, whichever of them it was |
| server_error | three a run, nine in all |
| rate_limited, overloaded | ten a run; they cost nothing |
| anything else | none |
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from warraq.files import JsonObject
from warraq.teachers import Reason
from warraq.teachers.remote.prices import Lane

MISREAD: frozenset[Reason] = frozenset(
    {"empty", "schema_invalid", "wrong_tag", "loop", "no_text", "declined", "rerouted"}
)
MAX_A_RUN = {"rate_limited": 10, "overloaded": 10, "server_error": 3, "unreachable": 3, "bad_request": 1}
MAX_SERVER_ERRORS = 9  # of a page, over all runs
MAX_OUTPUT_TOKENS = 65536

Finish = Literal["stop", "truncated", "recitation", "blocked", "failed"]  # failed: which says nothing of the page
ErrorKind = Literal["rate_limited", "overloaded", "server_error", "unreachable", "bad_request", "refused"]


@dataclass(frozen=True)
class RequestSpec:
    """How to ask."""

    model: str
    max_output_tokens: int
    lane: Lane = "standard"


@dataclass(frozen=True)
class Usage:
    """What a request took, by the server's word."""

    input_tokens: int
    output_tokens: int  # thoughts included
    reported: JsonObject  # as the server says it
    lane: Lane | None = None  # by which it was served, where it says so


@dataclass(frozen=True)
class Reply:
    """What a response says of itself, in one vocabulary."""

    finish: Finish
    message: str  # the server's own word for it
    text: str
    model: str | None  # as served
    usage: Usage | None  # None: not told, or none that can be


class ProviderError(Exception):
    """No response. `spent`: it may have cost money all the same; `stops`: why it concerns every page."""

    def __init__(
        self, kind: ErrorKind, message: str, wait_s: float | None = None, spent: bool = False, stops: str | None = None
    ) -> None:
        """`wait_s`: what the server asks to wait, in seconds."""
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.wait_s = wait_s
        self.spent = spent
        self.stops = stops


def next_request(
    refusals: Sequence[tuple[str, Reason]], first: RequestSpec, second_model: str | None
) -> RequestSpec | None:
    """The next request for a page after those that ended in refusals: (model asked, reason); None: no more."""
    counts = Counter(reason for _, reason in refusals)
    countable = {"recitation", "truncated", "server_error", "rate_limited", "overloaded", "refused"}
    if any(reason not in MISREAD | countable for reason in counts):
        return None
    misread = sum(counts[reason] for reason in MISREAD)
    if misread >= 2 or counts["truncated"] >= 2 or counts["server_error"] >= MAX_SERVER_ERRORS:
        return None
    room = min(MAX_OUTPUT_TOKENS, first.max_output_tokens * (1 + counts["truncated"]))
    spec = replace(first, max_output_tokens=room)
    if counts["recitation"] < 2:
        return spec
    if second_model is None or (second_model, "recitation") in refusals:
        return None
    return replace(spec, model=second_model)

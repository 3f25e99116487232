"""What a bad input is told."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError


class InputError(ValueError):
    """A bad input, told in one sentence that names the file and the remedy. The command line exits with 2."""


def join_faults(name: str, faults: Sequence[str]) -> str:
    """All that is wrong with a file: a sentence where it is one thing, a line a thing where there are more."""
    if len(faults) == 1:
        return f"{name}: {faults[0]}"
    return "\n  ".join([f"{name} has {len(faults)} errors:", *faults])


def first_problem(error: "ValidationError") -> str:
    """The first thing that does not fit, in one sentence without its value: `items.0.total: Field required`."""
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{where}: {first['msg']}" if where else first["msg"]

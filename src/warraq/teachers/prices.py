"""What a request costs: the list price of the day, half of it in the lanes that may wait.

An unknown price refuses to run: it is never read as nothing.
"""

import datetime
from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import Field

from warraq.records import InputError
from warraq.section import Section

Lane = Literal["standard", "flex", "batch"]
SHARE: dict[Lane, float] = {"standard": 1.0, "flex": 0.5, "batch": 0.5}  # of the list price


class Price(Section):
    """USD for 10^6 tokens, from a day on until a later row of the same model; thoughts are output."""

    model: str
    since: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\d$")]
    input: Annotated[float, Field(ge=0)]
    output: Annotated[float, Field(ge=0)]

    def usd(self, input_tokens: float, output_tokens: float, lane: Lane = "standard") -> float:
        return (input_tokens * self.input + output_tokens * self.output) / 1e6 * SHARE[lane]


def price(prices: Iterable[Price], model: str, day: datetime.date) -> Price:
    """The price of a model on a day.

    Raises:
        InputError: no row says it.
    """
    valid = [row for row in prices if row.model == model and row.since <= day.isoformat()]
    if not valid:
        raise InputError(
            f"params.yaml has no price of {model} on {day} under label.prices; add it from the provider's price list."
        )
    return max(valid, key=lambda row: row.since)

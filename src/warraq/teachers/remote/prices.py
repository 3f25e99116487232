"""What a request costs: the list price of the day, half of it in the lanes that may wait.

The list is that of the package genai-prices, with the days on which prices change; rows of params.yaml come before it.
An unknown price refuses to run: it is never read as nothing.
"""

import datetime
from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import Field

from warraq.errors import InputError
from warraq.section import Section

Lane = Literal["standard", "flex", "batch"]
LANE_SHARE: dict[Lane, float] = {"standard": 1.0, "flex": 0.5, "batch": 0.5}  # of the list price


class Price(Section):
    """USD for 10^6 tokens, from a day on until a later row of the same model; thoughts are output."""

    model: str
    since: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\d$")]
    input: Annotated[float, Field(ge=0)]
    output: Annotated[float, Field(ge=0)]

    def usd(self, input_tokens: float, output_tokens: float, lane: Lane = "standard") -> float:
        """USD of so many tokens."""
        return (input_tokens * self.input + output_tokens * self.output) / 1e6 * LANE_SHARE[lane]


def find_price(prices: Iterable[Price], model: str, day: datetime.date) -> Price:
    """The price of a model on a day: of `prices`, else of Google's list as genai-prices knows it, offline.

    Raises:
        InputError: neither says it.
    """
    rows = [row for row in prices if row.model == model and row.since <= day.isoformat()]
    return max(rows, key=lambda row: row.since) if rows else find_list_price(model, day)


def find_list_price(model: str, day: datetime.date) -> Price:
    """The price of a model on a day in Google's list.

    Raises:
        InputError: the list does not have this very model.
    """
    from genai_prices import Usage, calc_price

    tokens = 100_000  # no prompt of ours is longer, and a longer one may cost more
    noon = datetime.datetime.combine(day, datetime.time(12), datetime.UTC)
    try:
        cost = calc_price(
            Usage(input_tokens=tokens, output_tokens=tokens), model, provider_id="google", genai_request_timestamp=noon
        )
    except LookupError:
        cost = None
    if cost is None or cost.model.id != model:
        raise InputError(
            f"there is no price of {model} on {day}; add it to label.prices in params.yaml from the provider's list."
        )
    input_usd, output_usd = (float(usd) * 1e6 / tokens for usd in (cost.input_price, cost.output_price))
    return Price(model=model, since=day.isoformat(), input=input_usd, output=output_usd)

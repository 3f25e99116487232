"""What a request costs: by the list of the package genai-prices, with the days on which prices change and its tiers.

Rows of params.yaml come before the list. An unknown price refuses to run: it is never read as nothing. The lanes that
may wait cost half of the list price where the list has no price of theirs.
"""

import datetime
from collections.abc import Iterable
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from warraq.errors import InputError
from warraq.files import JsonObject
from warraq.section import Section

if TYPE_CHECKING:
    from genai_prices import Usage
    from genai_prices.types import ModelPrice

Lane = Literal["standard", "flex", "batch"]
LANES: tuple[Lane, ...] = ("standard", "flex", "batch")
Tokens = tuple[float, float] | JsonObject
"""Tokens in and out, or what a response of Gemini reports under `usageMetadata`."""


class Price(Section):
    """USD for 10^6 tokens, from a day on until a later row of the same model; thoughts are output."""

    model: str
    since: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\d$")]
    input: Annotated[float, Field(ge=0)]
    output: Annotated[float, Field(ge=0)]


def price_tokens(prices: Iterable[Price], model: str, day: datetime.date, lane: Lane, tokens: Tokens) -> float:
    """USD of tokens on a day: by `prices`, else by Google's list as genai-prices knows it, offline.

    Raises:
        InputError: neither has a price of this very model.
        ValueError: there cannot be such tokens.
    """
    standard = find_rates(prices, model, day, "standard")
    rates = standard if lane == "standard" else find_rates(prices, model, day, lane)
    share = 0.5 if lane != "standard" and rates == standard else 1.0
    return float(rates.calc_price(_read_usage(tokens))["total_price"]) * share


def find_rates(prices: Iterable[Price], model: str, day: datetime.date, lane: Lane) -> "ModelPrice":
    """The price of a model on a day in a lane; where the list has none for the lane, the standard one.

    Raises:
        InputError: the model has none at all.
    """
    from genai_prices import Usage, calc_price
    from genai_prices.types import ModelPrice

    rows = [row for row in prices if row.model == model and row.since <= day.isoformat()]
    if rows:
        row = max(rows, key=lambda row: row.since)
        return ModelPrice(input_mtok=Decimal(str(row.input)), output_mtok=Decimal(str(row.output)))
    noon = datetime.datetime.combine(day, datetime.time(12), datetime.UTC)
    context = None if lane == "standard" else {"processing": "batch"}  # flex costs the same
    try:
        listed = calc_price(Usage(), model, provider_id="google", genai_request_timestamp=noon, price_context=context)
    except LookupError:
        listed = None
    if listed is None or listed.model.id != model:
        raise InputError(
            f"there is no price of {model} on {day}; add it to label.prices in params.yaml from the provider's list."
        )
    return listed.model_price


def _read_usage(tokens: Tokens) -> "Usage":
    from genai_prices import Usage, extract_usage

    if isinstance(tokens, tuple):
        return Usage(input_tokens=tokens[0], output_tokens=tokens[1])
    return extract_usage({"usageMetadata": tokens}, provider_id="google").usage

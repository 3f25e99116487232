"""What labelling would buy and cost, before anything is sent: pages, tokens, USD by lane, hours."""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass

from warraq.teachers.remote.prices import SHARE
from warraq.teachers.remote.rate_limit import interval_s
from warraq.teachers.remote.remote_teacher import Model

LOW_TOKENS, EXPECTED_TOKENS = 300, 1800  # of an answer, before any was measured
SECONDS = {"standard": 12.0, "flex": 60.0, "batch": 0.0}  # of a request, before any was measured


@dataclass(frozen=True)
class Estimate:
    """Tokens of one page, in and out, retries included; measured on `pages`, or assumed."""

    pages: int
    low: tuple[float, float]
    expected: tuple[float, float]
    high: tuple[float, float]
    seconds: float


def estimate(model: Model, pages: int) -> Estimate:
    expected, most = model.provider.tokens()
    room = model.provider.first.max_output_tokens
    low, high = (float(expected), float(LOW_TOKENS)), (float(most), float(room))
    lane = model.provider.lane(pages)
    means = model.ledger.means(model.task.name, model.provider.first.model)
    if means is None:
        return Estimate(0, low, (expected, min(EXPECTED_TOKENS, room)), high, SECONDS[lane])
    return Estimate(means.pages, low, (means.input_tokens, means.output_tokens), high, means.seconds)


def summary(model: Model, pages: int) -> str:
    """What is about to be bought, in a line."""
    lane = model.provider.lane(pages)
    name = model.provider.first.model
    guess = estimate(model, pages)
    expected, high = (pages * model.price(name).usd(*tokens, lane) for tokens in (guess.expected, guess.high))
    left = max(0.0, model.purse.cap - model.purse.spent)
    return (
        f"{pages} pages to buy from {name} in the {lane} lane: about USD {expected:.2f}, at most {high:.2f}; "
        f"label.max_usd leaves {left:.2f}"
    )


def table(model: Model, pages: int) -> str:
    """What buying `pages` costs, for a terminal.

    Raises:
        InputError: the price is not known.
    """
    name = model.provider.first.model
    cost = model.price(name)
    guess = estimate(model, pages)
    rows: list[Sequence[str]] = [("", "low", "expected", "high")]
    columns = (guess.low, guess.expected, guess.high)
    rows.append(("tokens in, a page", *(f"{tokens[0]:,.0f}" for tokens in columns)))
    rows.append(("tokens out, a page", *(f"{tokens[1]:,.0f}" for tokens in columns)))
    for lane in SHARE:
        rows.append((f"USD, {lane}", *(f"{pages * cost.usd(*tokens, lane):,.2f}" for tokens in columns)))
    told = [summary(model, pages)]
    told += ["".join(f"{cell:>{14 if index else 20}}" for index, cell in enumerate(row)) for row in rows]
    basis = f"measured on {guess.pages} pages" if guess.pages else "assumed: --pilot 20 measures"
    rates = f"USD {cost.input:g} in and {cost.output:g} out for 10^6 tokens"
    told.append(f"expected is {basis}; price of {datetime.date.today()}: {rates}")
    told.append(f"label.max_usd is {model.purse.cap:.2f}, of which {model.purse.spent:.4f} are spent")
    told.append(duration(model, pages, guess))
    return "\n".join(told)


def duration(model: Model, pages: int, guess: Estimate) -> str:
    """Hours at the limits that are known: places in flight, and what the provider allows in a minute."""
    if model.provider.lane(pages) == "batch":
        return "jobs of the batch lane are done within a day"
    apart_s = interval_s(guess.expected[0])
    minutes = pages * max(apart_s, guess.seconds / model.pace.most) / 60
    time = f"{minutes / 60:.1f} hours" if minutes > 90 else f"{minutes:.0f} minutes"
    told = f"{time} with {model.pace.most} in flight (WARRAQ_IN_FLIGHT) and {guess.seconds:.1f} s a request"
    if apart_s:
        return f"{told}, no two within {apart_s:.3g} s (WARRAQ_RPM, WARRAQ_TPM)"
    return f"{told}; the provider's own limits are not known (WARRAQ_RPM, WARRAQ_TPM)"

"""What labelling would buy and cost, before anything is sent: pages, tokens, USD by lane, hours."""

import datetime
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from warraq.teachers.remote.prices import LANES
from warraq.teachers.remote.rate_limit import read_interval_s
from warraq.teachers.remote.remote_teacher import RemoteTeacher
from warraq.teachers.teacher_chain import LabelPlan

LOW_TOKENS, EXPECTED_TOKENS = 300, 1800  # of an answer, before any was measured
SECONDS = {"standard": 12.0, "flex": 60.0, "batch": 0.0}  # of a request, before any was measured


@dataclass(frozen=True)
class Estimate:
    """Tokens of one page, in and out, retries included; measured on `pages`, or assumed."""

    pages: int
    low: tuple[float, float]
    expected: tuple[float, float]
    high: tuple[float, float]
    seconds: float  # of a request


def estimate_page(teacher: RemoteTeacher, pages: int) -> Estimate:
    """What one of so many pages takes."""
    context = teacher.context
    provider = context.provider
    expected, worst = provider.input_tokens()
    room = provider.first.max_output_tokens
    low, high = (float(expected), float(LOW_TOKENS)), (float(worst), float(room))
    usage = context.ledger.mean_usage(context.task.name, provider.first.model)
    if usage is None:
        seconds = SECONDS[provider.choose_lane(pages)]
        return Estimate(0, low, (expected, min(EXPECTED_TOKENS, room)), high, seconds)
    return Estimate(usage.pages, low, (usage.input_tokens, usage.output_tokens), high, usage.seconds)


def summarize_cost(teacher: RemoteTeacher, pages: int) -> str:
    """What is about to be bought, in a line.

    Raises:
        InputError: the price is not known.
    """
    context = teacher.context
    lane = context.provider.choose_lane(pages)
    model = context.provider.first.model
    estimate = estimate_page(teacher, pages)
    expected, high = (pages * context.usd(model, lane, tokens) for tokens in (estimate.expected, estimate.high))
    left = max(0.0, context.budget.cap_usd - context.budget.spent_usd)
    return (
        f"{pages} pages to buy from {model} in the {lane} lane: about USD {expected:.2f}, at most {high:.2f}; "
        f"label.max_usd leaves {left:.2f}"
    )


def describe_plan(plan: LabelPlan) -> str:
    """How many pages are answered by whom, how many have none and why, and what buying the others costs."""
    outcomes = Counter(row.reason or row.teacher for row in plan.labels.values()) + Counter(
        {"to buy": len(plan.unpaid)}
    )
    counts = ", ".join(f"{count} {name}" for name, count in sorted(outcomes.items()))
    if damaged := sum(page.damage is not None for page in plan.pages):
        counts += f"; {damaged} of the pages damaged"
    numbers = ((teacher, len(plan.wanted_pages(teacher))) for teacher in plan.remote_teachers)
    tables = [format_cost(teacher, number) for teacher, number in numbers if number]
    return "\n".join([f"label {plan.task}: {len(plan.pages)} pages: {counts}", *(tables or ["nothing to buy"])])


def format_cost(teacher: RemoteTeacher, pages: int) -> str:
    """What buying `pages` costs, for a terminal.

    Raises:
        InputError: the price is not known.
    """
    context, budget = teacher.context, teacher.context.budget
    model = context.provider.first.model
    estimate = estimate_page(teacher, pages)
    columns = (estimate.low, estimate.expected, estimate.high)
    rows: list[Sequence[str]] = [
        ("", "low", "expected", "high"),
        ("tokens in, a page", *(f"{tokens[0]:,.0f}" for tokens in columns)),
        ("tokens out, a page", *(f"{tokens[1]:,.0f}" for tokens in columns)),
    ]
    for lane in LANES:
        rows.append((f"USD, {lane}", *(f"{pages * context.usd(model, lane, tokens):,.2f}" for tokens in columns)))
    basis = f"measured on {estimate.pages} pages" if estimate.pages else "assumed: --pilot 20 measures"
    rates = "USD {:g} in and {:g} out for 10^6 tokens".format(
        *(10 * context.usd(model, "standard", tokens) for tokens in ((1e5, 0), (0, 1e5)))
    )
    return "\n".join(
        [
            summarize_cost(teacher, pages),
            *("".join(f"{cell:>{14 if index else 20}}" for index, cell in enumerate(row)) for row in rows),
            f"expected is {basis}; price of {datetime.date.today()}: {rates}",
            f"label.max_usd is {budget.cap_usd:.2f}, of which {budget.spent_usd:.4f} are spent",
            format_duration(teacher, pages, estimate),
        ]
    )


def format_duration(teacher: RemoteTeacher, pages: int, estimate: Estimate) -> str:
    """Hours at the limits that are known: places in flight, and what the provider allows in a minute."""
    if teacher.context.provider.choose_lane(pages) == "batch":
        return "jobs of the batch lane are done within a day"
    interval_s = read_interval_s(estimate.expected[0])
    in_flight = teacher.limiter.max_in_flight
    minutes = pages * max(interval_s, estimate.seconds / in_flight) / 60
    duration = f"{minutes / 60:.1f} hours" if minutes > 90 else f"{minutes:.0f} minutes"
    line = f"{duration} with {in_flight} in flight (WARRAQ_IN_FLIGHT) and {estimate.seconds:.1f} s a request"
    if interval_s:
        return f"{line}, no two within {interval_s:.3g} s (WARRAQ_RPM, WARRAQ_TPM)"
    return f"{line}; the provider's own limits are not known (WARRAQ_RPM, WARRAQ_TPM)"

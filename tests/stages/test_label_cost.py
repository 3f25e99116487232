"""What labels cost: told before, bounded while, counted after."""

import datetime
import random
import re
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.gemini_server import USAGE, GeminiServer
from support.label_project import Project
from warraq.errors import InputError
from warraq.teachers.remote.prices import Price, price_tokens

COST = (2000 * 0.75 + 500 * 3.75) / 1e6  # USD of each answer of the server, thoughts included


@pytest.mark.parametrize(("in_flight", "fit"), [(1, 1), (6, 4)])
def test_the_budget_is_never_passed(
    project: Project, gemini: GeminiServer, monkeypatch: pytest.MonkeyPatch, in_flight: int, fit: int
) -> None:
    """`fit` requests at their worst fit at once; the others wait for what those really cost."""
    monkeypatch.setenv("WARRAQ_IN_FLIGHT", str(in_flight))
    project.add_cleared_pages(12)
    gemini.hold(after=0)

    with ThreadPoolExecutor() as pool:
        running = pool.submit(project.label, "gemini", max_usd=0.034, max_output_tokens=1024)
        gemini.await_requests(fit)
        gemini.release()
        running.result()

    bought = [row for row in project.rows() if row.answer]
    assert {row.reason for row in project.rows()} == {None, "budget"}
    assert len(gemini.requests) == len(bought)
    assert 0.034 - 0.009 < len(bought) * COST <= 0.034
    assert project.spent() == pytest.approx(len(bought) * COST)


def test_the_budget_is_of_all_runs_and_tasks_together(project: Project, gemini: GeminiServer) -> None:
    project.add_cleared_pages(6)
    for task in ("content", "invoice", "metadata"):
        gemini.reply = lambda image: {}  # no task's answer: bought all the same
        result = project.label("gemini", task=task, max_usd=0.1)
        assert result.exit_code == 0, result.output

    assert project.spent() <= 0.1
    assert {row.reason for row in project.rows("metadata")} == {"budget"}


def test_random_budgets_hold(project: Project, gemini: GeminiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The long form, 50 runs, is benchmarks/label.py."""
    monkeypatch.setenv("WARRAQ_IN_FLIGHT", "8")
    project.add_cleared_pages(20)
    dice = random.Random(3)
    caps = sorted(round(dice.uniform(0.02, 0.09), 4) for _ in range(4))
    gemini.usage = lambda: {"promptTokenCount": dice.randrange(1200, 2400), "candidatesTokenCount": dice.randrange(900)}
    for cap in caps:
        project.label("gemini", max_usd=cap, max_output_tokens=1024)

        assert project.spent() <= cap


def read_table_row(output: str, row: str) -> list[float]:
    """The figures of a row of the table: low, expected, high."""
    match = re.search(rf"^ *{re.escape(row)}(.*)$", output, re.M)
    assert match, output
    return [float(figure.replace(",", "")) for figure in match[1].split()]


def test_a_dry_run_tells_all_and_sends_nothing(
    project: Project, gemini: GeminiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GEMINI_API_KEY")
    for number in range(5):
        project.add_page(number)
    project.declare_public(range(3))

    result = project.label("human", "gemini", options=["--dry-run"])

    assert result.exit_code == 0, result.output
    assert "label content: 5 pages: 2 not_sendable, 3 to buy" in result.output
    assert "3 pages to buy from gemini-3.8-flash in the standard lane" in result.output
    low, expected, high = read_table_row(result.output, "USD, standard")
    assert 0 < low <= expected < high
    assert read_table_row(result.output, "USD, flex")[2] == pytest.approx(high / 2, abs=0.01)
    assert "assumed" in result.output and "label.max_usd leaves 5.00" in result.output
    assert not gemini.requests and not project.out.exists() and not (project.root / "ledger").exists()


@pytest.mark.parametrize(
    ("limits", "hours"),
    [
        ({}, "5 minutes with 8 in flight"),
        ({"WARRAQ_RPM": "20"}, "11 minutes with 8 in flight"),  # 211 pages, one in 3 s
        ({"WARRAQ_RPM": "20", "WARRAQ_TPM": "1000"}, "hours with 8 in flight"),
    ],
)
def test_a_dry_run_tells_the_time_at_the_known_limits(
    project: Project, monkeypatch: pytest.MonkeyPatch, limits: dict[str, str], hours: str
) -> None:
    project.add_cleared_pages(211)
    monkeypatch.setenv("WARRAQ_IN_FLIGHT", "8")
    for name, value in limits.items():
        monkeypatch.setenv(name, value)

    result = project.label("gemini", options=["--dry-run"], lane="standard")

    assert hours in result.output, result.output


def test_requests_are_no_closer_than_the_known_limit(
    project: Project, gemini: GeminiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WARRAQ_IN_FLIGHT", "8")
    monkeypatch.setenv("WARRAQ_RPM", "240")
    project.add_cleared_pages(6)
    start = time.monotonic()

    project.label("gemini")

    # 240 a minute on average, one ahead of it: longer on a busy machine, never shorter
    assert len(gemini.times) == 6 and gemini.times[-1] - start > 4 * 60 / 240


def test_a_dry_run_with_nothing_to_buy_says_so(project: Project) -> None:
    project.add_page(1)

    result = project.label("human", options=["--dry-run"])

    assert result.output == "label content: 1 pages: 1 no_review\nnothing to buy\n"


def test_after_a_pilot_the_estimate_is_measured(project: Project, gemini: GeminiServer) -> None:
    """Within 20 % of what the whole then costs."""
    dice = random.Random(5)
    gemini.usage = lambda: {
        "promptTokenCount": dice.randrange(1800, 2600),
        "candidatesTokenCount": dice.randrange(300, 3000),
        "thoughtsTokenCount": dice.randrange(0, 400),
    }
    project.add_cleared_pages(100)

    pilot = project.label("gemini", options=["--pilot", "20"])
    asked, spent = len(gemini.requests), project.spent()
    project.label("gemini", lane="standard")

    assert asked == 20 and "measured on 20 pages" in pilot.output and "80 to buy" in pilot.output
    _, expected, _ = read_table_row(pilot.output, "USD, standard")
    assert expected == pytest.approx(project.spent() - spent, rel=0.2)
    assert len(gemini.requests) == 100


def test_many_pages_go_by_the_cheap_lane(project: Project) -> None:
    project.add_cleared_pages(201)

    result = project.label("gemini", options=["--dry-run"])

    assert "201 pages to buy from gemini-3.8-flash in the flex lane" in result.output


@pytest.mark.parametrize("options", [[], ["--dry-run"]])
def test_an_unknown_price_refuses_to_run(project: Project, gemini: GeminiServer, options: list[str]) -> None:
    project.add_cleared_pages(1)

    result = project.label("gemini", model="gemini-9-new", options=options)

    assert result.exit_code == 2 and "no price of gemini-9-new" in result.output
    assert not gemini.requests


ROWS = [
    Price(model="m", since="2026-01-01", input=1, output=2),
    Price(model="m", since="2027-01-01", input=3, output=4),
    Price(model="n", since="2026-06-01", input=5, output=6),
]


def rates(rows: list[Price], model: str, day: datetime.date) -> tuple[float, float]:
    """USD for 10^6 tokens in and out."""
    tokens = ((1e5, 0), (0, 1e5))
    first, second = (10 * price_tokens(rows, model, day, "standard", counts) for counts in tokens)
    return first, second


@given(st.dates(datetime.date(2026, 1, 1), datetime.date(2030, 1, 1)), st.permutations(ROWS))
def test_the_price_is_the_one_of_the_day(day: datetime.date, ordered: list[Price]) -> None:
    assert rates(ordered, "m", day) == pytest.approx((1, 2) if day.year == 2026 else (3, 4))


@pytest.mark.parametrize(
    ("day", "listed"), [("2026-11-22", (0.75, 3.75)), ("2027-01-02", (1.5, 7.5))], ids=["before", "after"]
)
def test_the_list_knows_the_day_on_which_a_price_changes(day: str, listed: tuple[float, float]) -> None:
    own = Price(model="gemini-3.8-flash", since="2026-01-01", input=9, output=9)

    assert rates(ROWS, "gemini-3.8-flash", datetime.date.fromisoformat(day)) == pytest.approx(listed)
    assert rates([own], "gemini-3.8-flash", datetime.date.fromisoformat(day)) == pytest.approx((9, 9))


DAY = datetime.date(2026, 11, 22)


@pytest.mark.parametrize("model", ["gemini-3.8-flash", "gemini-3.5-flash", "m"])
def test_lanes_that_may_wait_cost_half(model: str) -> None:
    """The list has a price of batch for the first of them only."""
    tokens = (2000, 500)
    standard = price_tokens(ROWS, model, DAY, "standard", tokens)
    assert price_tokens(ROWS, model, DAY, "flex", tokens) == pytest.approx(standard / 2)
    assert price_tokens(ROWS, model, DAY, "batch", tokens) == pytest.approx(standard / 2)


def test_tokens_are_priced_as_they_are_reported() -> None:
    """Cached ones at their own price, thoughts as output, a long prompt by its tier; own prices know only two."""
    reported = {"promptTokenCount": 2000, "cachedContentTokenCount": 1000, "candidatesTokenCount": 400,
                "thoughtsTokenCount": 100}  # fmt: skip
    long = {"promptTokenCount": 300_000, "candidatesTokenCount": 1000}

    assert price_tokens(ROWS, "gemini-3.8-flash", DAY, "standard", reported) == pytest.approx(
        (1000 * 0.75 + 1000 * 0.075 + 500 * 3.75) / 1e6
    )
    assert price_tokens(ROWS, "m", DAY, "standard", reported) == pytest.approx((2000 * 1 + 500 * 2) / 1e6)
    assert price_tokens(ROWS, "gemini-3.1-pro-preview", DAY, "standard", long) == pytest.approx((300 * 4 + 18) / 1e3)


@pytest.mark.parametrize("lane", ["standard", "flex"])
def test_a_request_costs_what_the_lane_that_served_it_costs(project: Project, gemini: GeminiServer, lane: str) -> None:
    gemini.usage = lambda: USAGE | {"serviceTier": "standard"}
    project.add_cleared_pages(1)

    project.label("gemini", lane=lane)

    assert project.spent() == pytest.approx(COST)


def test_usage_above_what_a_request_can_take_stops_the_run(project: Project, gemini: GeminiServer) -> None:
    """It is billed, so it is in the ledger."""
    gemini.usage = lambda: {"promptTokenCount": 2000, "candidatesTokenCount": 60_000}
    project.add_cleared_pages(2)

    result = project.label("gemini")

    assert result.exit_code == 2 and "was thought the most" in result.output
    assert len(gemini.requests) == 1
    assert project.spent() == pytest.approx((2000 * 0.75 + 60_000 * 3.75) / 1e6)


def test_a_like_name_has_no_price() -> None:
    with pytest.raises(InputError, match="no price"):
        rates([], "gemini-3.8-flash-other", DAY)


@pytest.mark.parametrize(("model", "day"), [("m", "2025-12-31"), ("n", "2026-05-31"), ("o", "2027-01-01")])
def test_no_price_is_never_nothing(model: str, day: str) -> None:
    with pytest.raises(InputError, match=f"no price of {model}"):
        rates(ROWS, model, datetime.date.fromisoformat(day))

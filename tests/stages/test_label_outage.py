"""An outage is the channel's: whatever it looks like, no page is lost to it, and nothing is paid twice."""

import json
from collections import Counter
from contextlib import suppress
from email.utils import formatdate
from time import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.gemini_server import GeminiServer
from support.label_project import Project, content_answer
from warraq.teachers import RETRYABLE
from warraq.teachers.remote import synchronous_lane
from warraq.teachers.remote.faults import ErrorBody, parse_delay
from warraq.teachers.remote.gemini_responses import parse_job_line, parse_reply
from warraq.teachers.remote.rate_limit import ConcurrencyLimiter


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that each refusal for the rate makes all requests wait; none is waited."""
    asked: list[float] = []
    release = ConcurrencyLimiter.release

    def record(self: ConcurrencyLimiter, outcome: str, waits: int, wait_s: float, longest_s: float) -> None:
        asked.extend([wait_s] if outcome == "rate_limited" else [])
        release(self, outcome, waits, wait_s, 0.0)

    monkeypatch.setattr(ConcurrencyLimiter, "release", record)
    monkeypatch.setattr(synchronous_lane, "LONGEST_WAIT_S", 0.01)
    return asked


@pytest.mark.parametrize(
    "case",
    [
        "no_billing", "bad_request", "string_400", "forbidden", "redirect", "error_500", "aborted", "html_200",
        "other", "no_candidates", "rate_bare", "full", "reset",
    ],
)  # fmt: skip
def test_after_an_outage_every_page_is_labelled_and_none_paid_twice(
    project: Project, gemini: GeminiServer, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    """As one of the bill does, it begins in mid-run and ends before the next."""
    monkeypatch.setattr(synchronous_lane, "LONGEST_WAIT_S", 0.01)
    monkeypatch.setenv("WARRAQ_IN_FLIGHT", "4")
    project.add_cleared_pages(24)
    gemini.script = ["ok"] * 10 + [case] * 300

    stopped = project.label("gemini", second_model=None, max_usd=50)
    failed = len(gemini.requests)
    gemini.script = []
    repaired = project.label("gemini", second_model=None, max_usd=50)

    assert stopped.exit_code == 2 and "Traceback" not in stopped.output, stopped.output
    assert failed <= 10 + 100 and repaired.exit_code == 0, repaired.output
    assert [row.answer for row in project.rows()] == [content_answer(page.image_sha256) for page in project.pages]
    paid = Counter(request.images for request in gemini.requests if request.case == "ok")
    assert set(paid.values()) == {1}


@pytest.mark.parametrize("case", ["error_500", "bad_request"])
def test_outages_of_many_runs_use_up_no_page(
    project: Project, gemini: GeminiServer, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    """Nine errors give a page up for good; those of an outage are none of its own."""
    monkeypatch.setattr(synchronous_lane, "LONGEST_WAIT_S", 0.01)
    project.add_cleared_pages(6)
    gemini.script = [case] * 1000
    for _ in range(3):
        assert project.label("gemini").exit_code == 2

    gemini.script = []
    project.label("gemini")

    assert all(row.answer for row in project.rows())


def test_few_errors_are_the_pages_own(project: Project, gemini: GeminiServer) -> None:
    project.add_cleared_pages(10)
    gemini.script = ["ok", "bad_request", "ok", "bad_request", "bad_request", "ok"]

    result = project.label("gemini")

    assert result.exit_code == 0
    assert Counter(row.reason for row in project.rows()) == {None: 7, "bad_request": 3}


@pytest.mark.parametrize(
    ("case", "header", "least_s", "most_s"),
    [
        ("rate_bare", None, 60, 60),
        ("null_details", None, 60, 60),
        ("rate_bare", "7", 7, 7),
        ("rate_bare", "date", 400, 600),
        ("rate_bare", "soon", 60, 60),
        ("delay_ms", "7", 1.5, 1.5),
    ],
)
def test_a_refusal_for_the_rate_is_waited_out(
    project: Project, gemini: GeminiServer, waits: list[float],
    case: str, header: str | None, least_s: float, most_s: float,
) -> None:  # fmt: skip
    project.add_cleared_pages(1)
    gemini.script = [case]
    if header:
        gemini.headers[case] = {"Retry-After": formatdate(time() + 600, usegmt=True) if header == "date" else header}

    result = project.label("gemini")

    assert result.exit_code == 0 and project.rows()[0].answer
    assert len(waits) == 1 and least_s <= waits[0] <= most_s


@pytest.mark.parametrize("in_flight", [1, 8])
def test_the_quota_of_a_day_is_known_without_details(
    project: Project, gemini: GeminiServer, waits: list[float], monkeypatch: pytest.MonkeyPatch, in_flight: int
) -> None:
    monkeypatch.setenv("WARRAQ_IN_FLIGHT", str(in_flight))
    project.add_cleared_pages(60)
    gemini.script = ["ok"] * 20 + ["rate_bare"] * 1000

    result = project.label("gemini")

    assert result.exit_code == 2 and "quota of a day" in result.output
    assert len(gemini.requests) <= 20 + 2 * in_flight + 2
    assert waits[0] == 60


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        ("odd_content", "server_error"), ("half_a_letter", "server_error"),
        ("no_reason", "server_error"), ("html_200", "server_error"),
        ("list_200", "server_error"), ("no_candidates", "server_error"), ("aborted", "server_error"),
        ("cancelled", "server_error"), ("full", "overloaded"), ("retry_after", "rate_limited"),
    ],
)  # fmt: skip
def test_the_faults_of_a_local_server_are_its_own(
    project: Project, gemini: GeminiServer, monkeypatch: pytest.MonkeyPatch, case: str, reason: str
) -> None:
    monkeypatch.setattr(synchronous_lane, "LONGEST_WAIT_S", 0.01)
    monkeypatch.setenv("WARRAQ_LOCAL_URL", f"{gemini.url}/v1")
    project.add_page(1)
    gemini.script = [case] * 20

    failed = project.label("local")
    rows = project.rows()
    gemini.script = []
    project.label("local")

    assert failed.exit_code == 0, failed.output
    assert [row.reason for row in rows] == [reason] and reason in RETRYABLE
    assert project.rows()[0].answer


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(
            ["error", "status", "message", "details", "retryDelay", "violations", "quotaId", "reason", "candidates",
             "finishReason", "content", "parts", "text", "usageMetadata", "promptTokenCount", "response", "key"]
        ), inner, max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip


@given(JSON)
def test_no_body_is_a_traceback(body: Any) -> None:
    error = ErrorBody.read(body)
    assert error.wait_s({}) is None or error.wait_s({}) >= 0  # type: ignore[operator]
    assert all(isinstance(name, str) for name in error.find("quotaId"))
    text = json.dumps(body)
    with suppress(ValueError):
        parse_reply(text)
    parse_job_line(text.encode())


@given(st.text(max_size=12))
def test_a_delay_is_a_number_of_seconds_or_none(text: str) -> None:
    delay = parse_delay(text)
    assert delay is None or delay >= 0


@pytest.mark.parametrize(("text", "seconds"), [("37s", 37), ("1500ms", 1.5), ("2m", 120), ("3.5s", 3.5), ("-1s", None)])
def test_delays_are_read_with_their_unit(text: str, seconds: float | None) -> None:
    assert parse_delay(text) == seconds

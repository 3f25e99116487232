"""Gemini over real HTTP: what a request says, and what comes of each answer that a server can give."""

import json

import pytest

from support import ROOT
from support.gemini_server import CYRILLIC, KEY, GeminiServer
from support.label_project import Project, content_answer
from warraq import tasks
from warraq.teachers import RETRYABLE
from warraq.teachers.remote import synchronous_lane

PRICE = (2000 * 0.75 + 500 * 3.75) / 1e6  # USD of each answer of the server, thoughts included


def documented() -> list[tuple[str, str, int, str]]:
    """The table of docs/pipeline.md: case, what comes of the page, requests, what each costs."""
    text = (ROOT / "docs/pipeline.md").read_text(encoding="utf-8")
    table = text.partition("| case | the server |")[2].partition("\n\n")[0]
    rows = [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]
    return [(case, comes, int(requests.split(",")[0]), costs) for case, _, comes, requests, costs in rows]


def test_a_request_says_all_that_matters(
    project: Project, gemini: GeminiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GOOGLE_GEMINI_BASE_URL", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("GOOGLE_API_KEY", "another-key")
    monkeypatch.setenv("GOOGLE_GENAI_USE_VERTEXAI", "true")
    page = project.add_page(1)
    project.declare_public([1])

    result = project.label("human", "textlayer", "gemini")

    assert result.exit_code == 0, result.output
    (request,) = gemini.requests
    (row,) = project.rows()
    task = tasks.load("content")
    assert request.path == "/v1/models/gemini-3.8-flash:generateContent"
    assert request.headers["x-goog-api-key"] == KEY
    assert request.headers["x-server-timeout"] == "900"
    assert request.images == (page.image_sha256,)
    assert request.body["contents"][0]["parts"][1:] == [{"text": f"{task.prompt}\npage_tag is {row.key[:8]}."}]
    assert request.body["systemInstruction"]["parts"] == [{"text": task.instruction}]
    assert {setting["threshold"] for setting in request.body["safetySettings"]} == {"OFF"}
    assert request.body["store"] is False
    assert "serviceTier" not in request.body and "tools" not in request.body
    asked = request.body["generationConfig"]
    assert asked["responseMimeType"] == "application/json"
    assert asked["mediaResolution"] == "MEDIA_RESOLUTION_HIGH"
    assert asked["thinkingConfig"] == {"thinking_level": "LOW"}
    assert asked["maxOutputTokens"] == 16384
    assert next(iter(asked["responseSchema"]["properties"])) == "page_tag"
    blocks = asked["responseSchema"]["properties"]["answer"]["properties"]["blocks"]["items"]
    assert blocks["required"] == blocks["property_ordering"] == ["kind", "text", "level", "language"]
    assert blocks["properties"]["level"] == {"type": "INTEGER", "nullable": True}
    assert "additionalProperties" not in json.dumps(asked) and "$" not in json.dumps(asked["responseSchema"])
    assert (row.answer, row.teacher, row.reference) == (content_answer(page.image_sha256), "gemini", "silver")
    assert row.model == "gemini-3.8-flash"


@pytest.mark.parametrize(("case", "comes", "requests", "costs"), documented())
def test_each_case_comes_to_what_is_documented(
    project: Project, gemini: GeminiServer, monkeypatch: pytest.MonkeyPatch,
    case: str, comes: str, requests: int, costs: str,
) -> None:  # fmt: skip
    """Its outcome, its reason, a row in the ledger for each request and its price; and no page is asked for ever."""
    monkeypatch.setattr(synchronous_lane, "LONGEST_WAIT_S", 0.01)
    if case == "hang":
        monkeypatch.setenv("WARRAQ_TIMEOUT", "0.1")
    project.add_cleared_pages(1)
    gemini.script = [case] * 30

    result = project.label("gemini")

    charges = project.charges()
    gemini.await_requests(requests)  # one that is no longer awaited may still be on its way
    assert len(gemini.requests) == len(charges) == requests
    assert all(code for _, code, _ in charges)
    told = {"usage": "answered", "nothing": "failed", "worst": "unknown"}[costs]
    untold = ("no_usage", "no_response", "odd_content", "odd_parts", "cached_too_much")
    is_answered = case.endswith(("_200", "_usage")) or case in untold
    assert {state for state, _, _ in charges} == {"answered" if is_answered else told}
    for asked, (_, _, usd) in zip(gemini.requests, charges, strict=True):
        rates = (0.25, 1.5) if "3.1-flash-lite" in asked.path else (0.75, 3.75)
        room = asked.body["generationConfig"]["maxOutputTokens"]
        assert (
            usd
            == {
                "usage": pytest.approx((2000 * rates[0] + 500 * rates[1]) / 1e6),
                "nothing": 0,
                "worst": pytest.approx((4000 * rates[0] + room * rates[1]) / 1e6, rel=0.1),
            }[costs]
        )
    if comes == "stops the run":
        assert result.exit_code == 2 and not project.out.exists()
        return
    assert result.exit_code == 0, result.output
    (row,) = project.rows()
    if comes == "answer":
        assert row.reason is None and row.answer and row.answer["blocks"][0]["text"]
    else:
        assert (row.answer, row.reason) == (None, comes) and row.message
    if row.reason not in RETRYABLE:
        project.label("gemini")
        assert len(gemini.requests) == requests


@pytest.mark.parametrize(
    ("case", "attempts"),
    [
        ("ok", ["answered"]),
        ("dated", ["answered"]),
        ("no_usage", ["answered"]),
        ("odd", ["answered"]),
        ("spoken_to", ["answered"]),
        ("truncated", ["answered", "answered"]),
        ("recitation", ["answered", "answered"]),
        ("empty", ["answered", "answered"]),
        ("other_page", ["answered", "answered"]),
        ("rate_limited", ["failed", "answered"]),
        ("error_500", ["failed", "answered"]),
        ("html_503", ["failed", "answered"]),
        ("reset", ["unknown", "answered"]),
    ],
)
def test_what_passes_ends_in_an_answer(project: Project, gemini: GeminiServer, case: str, attempts: list[str]) -> None:
    project.add_cleared_pages(1)
    gemini.script = [case]

    result = project.label("gemini")

    assert result.exit_code == 0, result.output
    (row,) = project.rows()
    assert row.answer and row.answer["blocks"][0]["text"]
    assert [attempt.state for attempt in project.attempts()] == attempts
    worst = project.spent() > 0.05  # what the server did not say counts as the most that it could be
    assert worst == (case in {"no_usage", "reset"})


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (["rate_limited"] * 10, "rate_limited"),
        (["full"] * 10, "overloaded"),
        (["error_500"] * 3, "server_error"),
    ],
)
def test_what_does_not_pass_is_given_up_and_asked_again_by_the_next_run(
    project: Project, gemini: GeminiServer, script: list[str], reason: str
) -> None:
    project.add_cleared_pages(1)
    gemini.script = script

    result = project.label("gemini")
    first = project.rows()
    project.label("gemini")

    assert "1 pages have no answer for a passing reason" in result.output
    assert [row.reason for row in first] == [reason]
    assert [row.reason for row in project.rows()] == [None]
    assert len(gemini.requests) == len(script) + 1


def test_a_page_that_always_fails_is_given_up_for_good(project: Project, gemini: GeminiServer) -> None:
    project.add_cleared_pages(1)
    gemini.script = ["error_500"] * 20

    for _ in range(5):
        project.label("gemini")

    assert len(gemini.requests) == 9
    assert [row.reason for row in project.rows()] == ["server_error"]


def test_more_room_is_given_once(project: Project, gemini: GeminiServer) -> None:
    project.add_cleared_pages(1)
    gemini.script = ["truncated"]

    project.label("gemini")

    assert [request.body["generationConfig"]["maxOutputTokens"] for request in gemini.requests] == [16384, 32768]


def test_a_quotation_is_asked_of_the_second_model(project: Project, gemini: GeminiServer) -> None:
    project.add_cleared_pages(1)
    gemini.script = ["recitation", "recitation"]

    project.label("gemini")

    models = [request.path.rpartition("/")[2].partition(":")[0] for request in gemini.requests]
    assert models == ["gemini-3.8-flash", "gemini-3.8-flash", "gemini-3.1-flash-lite"]
    assert [row.model for row in project.rows()] == ["gemini-3.1-flash-lite"]


@pytest.mark.parametrize(
    ("case", "sentence"),
    [
        ("bad_key", "check GEMINI_API_KEY"),
        ("forbidden", "check GEMINI_API_KEY"),
        ("retired", "change label.gemini"),
        ("day_quota", "PerDayPerProject"),
        ("rerouted", "gemini-9-other answered"),
    ],
)
def test_what_concerns_every_page_stops_the_run_and_keeps_what_was_paid(
    project: Project, gemini: GeminiServer, case: str, sentence: str
) -> None:
    project.add_cleared_pages(4)
    gemini.script = ["ok", "ok", case]

    stopped = project.label("gemini")
    asked = len(gemini.requests)
    again = project.label("gemini")

    assert stopped.exit_code == 2 and sentence in stopped.output, stopped.output
    assert stopped.output.count(KEY) == 0
    assert asked == 3
    assert again.exit_code == 0
    assert len(gemini.requests) == 5
    assert all(row.answer for row in project.rows())


def test_a_refused_request_stops_the_run_only_while_nothing_was_answered(
    project: Project, gemini: GeminiServer
) -> None:
    project.add_cleared_pages(3)
    gemini.script = ["bad_request", "ok", "bad_request", "ok"]

    first = project.label("gemini")
    asked = len(gemini.requests)
    second = project.label("gemini")

    assert (first.exit_code, asked) == (2, 1) and "Gemini refuses the request" in first.output
    assert second.exit_code == 0
    assert sorted(row.reason or "" for row in project.rows()) == ["", "", "bad_request"]


def test_a_run_in_which_too_much_fails_is_stopped(project: Project, gemini: GeminiServer) -> None:
    project.add_cleared_pages(60)
    gemini.script = ["wrong_schema", "wrong_schema", "ok", "ok"] * 30

    result = project.label("gemini")

    assert result.exit_code == 2 and "pages failed, most with schema_invalid" in result.output
    assert 65 <= len(gemini.requests) < 85


def test_the_share_of_failures_that_stops_a_run_is_a_parameter(project: Project, gemini: GeminiServer) -> None:
    project.add_cleared_pages(60)
    gemini.script = ["wrong_schema", "wrong_schema", "ok", "ok"] * 30

    result = project.label("gemini", max_failed_share=0.5)

    assert result.exit_code == 0, result.output
    assert sum(row.answer is not None for row in project.rows()) == 40


@pytest.mark.parametrize("case", ["recitation", "safety"])
def test_a_corpus_of_which_much_is_withheld_is_labelled_to_its_end(
    project: Project, gemini: GeminiServer, case: str
) -> None:
    project.add_cleared_pages(100)
    gemini.script = ([case] * (3 if case == "recitation" else 1) + ["ok", "ok"]) * 40

    result = project.label("gemini")

    assert result.exit_code == 0, result.output
    assert sum(row.answer is None for row in project.rows()) > 30


def test_a_server_that_is_not_there_stops_the_run(
    project: Project, gemini: GeminiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.add_cleared_pages(1)
    monkeypatch.setenv("WARRAQ_GEMINI_URL", "http://127.0.0.1:9")

    result = project.label("gemini")

    assert result.exit_code == 2 and "no connection to http://127.0.0.1:9" in result.output


def test_flex_is_asked_for_by_name_and_costs_half(project: Project, gemini: GeminiServer) -> None:
    project.add_cleared_pages(1)

    project.label("gemini", lane="flex")

    assert [request.body["serviceTier"] for request in gemini.requests] == ["flex"]
    assert project.spent() == pytest.approx(PRICE / 2)


def test_foreign_letters_are_not_a_label(project: Project, gemini: GeminiServer) -> None:
    project.add_cleared_pages(1)
    gemini.script = ["foreign"]

    project.label("gemini")

    assert CYRILLIC not in project.out.read_text(encoding="utf-8")

"""The batch lane: jobs that outlive the run, results in any order, nothing paid twice."""

import json
import sqlite3

import pytest

from support.gemini_server import GeminiServer
from support.label_project import Project, content_answer
from warraq.teachers.remote import batch_lane


@pytest.fixture
def server(gemini: GeminiServer, monkeypatch: pytest.MonkeyPatch) -> GeminiServer:
    monkeypatch.setenv("WARRAQ_POLL", "0.01")
    return gemini


def right(project: Project) -> bool:
    return [row.answer for row in project.rows()] == [content_answer(page.image_sha256) for page in project.pages]


def leave_jobs(project: Project, server: GeminiServer, pages: int) -> None:
    """A run that is killed while its jobs, of as many pages, are not over."""
    server.jobs_over = False
    with project.start("gemini", lane="batch"):
        server.await_requests(pages)


def test_results_find_their_pages_in_any_order(
    project: Project, server: GeminiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some by the tag that the answer repeats, since the server lost their key."""
    monkeypatch.setattr(batch_lane, "MAX_JOB_PAGES", 4)
    project.add_cleared_pages(10)
    server.script = ["ok", "no_key", "ok", "no_key"]

    result = project.label("gemini", lane="batch")

    assert result.exit_code == 0, result.output
    assert right(project)
    assert len(server.jobs) == 3 and len(server.requests) == 10
    assert project.spent() == pytest.approx(10 * (2000 * 0.75 + 500 * 3.75) / 1e6 / 2)


def test_what_a_job_does_not_answer_is_asked_by_flex(project: Project, server: GeminiServer) -> None:
    project.add_cleared_pages(4)
    server.script = ["lost", "error_500", "truncated", "other_page"]

    result = project.label("gemini", lane="batch")

    assert result.exit_code == 0, result.output
    assert right(project)
    assert [request.body.get("serviceTier") for request in server.requests[4:]] == ["flex"] * 4


def test_an_answer_for_another_page_is_not_taken(project: Project, server: GeminiServer) -> None:
    project.add_cleared_pages(2)
    server.script = ["other_page"] * 4

    project.label("gemini", lane="batch")

    assert [row.reason for row in project.rows()] == ["wrong_tag"] * 2


@pytest.mark.parametrize("lane", ["batch", "standard"])
def test_a_killed_run_leaves_its_job_to_the_next_one(project: Project, server: GeminiServer, lane: str) -> None:
    """Whichever lane that one takes: the pages are paid for."""
    project.add_cleared_pages(5)
    leave_jobs(project, server, 5)

    server.jobs_over = True
    result = project.label("gemini", lane=lane)

    assert result.exit_code == 0, result.output
    assert right(project)
    assert len(server.requests) == 5


def test_a_reservation_without_a_job_is_given_up_in_the_end(project: Project, server: GeminiServer) -> None:
    """As after a kill between the two: its price counts, and the pages are asked again."""
    project.add_cleared_pages(2)
    leave_jobs(project, server, 2)
    server.unlisted = {name for name, _ in server.jobs}
    server.jobs_over = True
    with sqlite3.connect(project.root / "ledger/ledger.sqlite") as ledger:
        ledger.execute("UPDATE attempt SET started_at = '2026-01-01T00:00:00Z'")

    project.label("gemini", lane="batch")

    assert right(project)
    assert len(server.requests) == 4
    assert [attempt.state for attempt in project.attempts()] == ["unknown", "answered"] * 2


def test_a_job_reserves_before_it_is_created(project: Project, server: GeminiServer) -> None:
    project.add_cleared_pages(6)

    project.label("gemini", lane="batch", max_usd=0.015, max_output_tokens=1024)

    assert {row.reason for row in project.rows()} == {None, "budget"}
    assert project.spent() <= 0.015


def test_only_cleared_pages_are_in_a_job(project: Project, server: GeminiServer) -> None:
    for number in range(6):
        project.add_page(number)
    project.declare_public([1, 3])

    project.label("gemini", lane="batch")

    assert server.seen == {project.pages[1].image_sha256, project.pages[3].image_sha256}


def test_a_job_asks_what_a_request_asks_and_its_file_is_deleted(project: Project, server: GeminiServer) -> None:
    project.add_cleared_pages(1)
    server.script = ["other_page"]  # so that the same page is asked again, by flex

    project.label("gemini", lane="batch")

    job, request = server.requests
    assert request.body.pop("serviceTier") == "flex"
    assert job.body == json.loads(json.dumps(request.body).replace("mime_type", "mimeType"))  # either is understood
    assert server.files == {}


def test_few_jobs_are_under_way_at_once(
    project: Project, server: GeminiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_lane, "MAX_JOB_PAGES", 1)
    monkeypatch.setattr(batch_lane, "MAX_JOBS", 2)
    project.add_cleared_pages(5)

    project.label("gemini", lane="batch")

    assert right(project) and len(server.jobs) == 5
    assert server.most_files == 2  # a file is deleted when its job is settled


def test_another_model_in_a_job_stops_the_run(project: Project, server: GeminiServer) -> None:
    """What it answered is paid for, so it is in the ledger before."""
    project.add_cleared_pages(2)
    server.script = ["ok", "rerouted"]

    result = project.label("gemini", lane="batch")

    assert result.exit_code == 2 and "gemini-9-other answered" in result.output
    assert len(server.requests) == 2
    assert project.spent() == pytest.approx(2 * (2000 * 0.75 + 500 * 3.75) / 1e6 / 2)


def test_a_job_that_cannot_be_created_costs_nothing(project: Project, server: GeminiServer) -> None:
    project.add_cleared_pages(2)
    server.full = True

    result = project.label("gemini", lane="batch")

    assert result.exit_code == 2 and "no job can be created (503" in result.output
    assert project.spent() == 0 and not server.seen


def test_what_an_old_job_finds_confidential_is_sent_by_no_other_lane(project: Project, server: GeminiServer) -> None:
    """The other page of its document was not in the job."""
    project.add_page(1, document="0" * 12)
    project.declare_public([1])
    server.script = ["marked"]
    leave_jobs(project, server, 1)
    other = project.add_page(2, document="0" * 12)
    project.declare_public([1, 2])

    server.jobs_over = True
    result = project.label("gemini", lane="standard")

    assert result.exit_code == 0, result.output
    assert [row.reason for row in project.rows()] == ["marked_confidential"] * 2
    assert other.image_sha256 not in server.seen


@pytest.mark.parametrize("code", [404, 400])
def test_results_that_cannot_be_had_free_their_pages(
    project: Project, server: GeminiServer, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """They may have been paid. The other job of the run is not kept up."""
    project.add_cleared_pages(3)
    server.results_code = code

    result = project.label("gemini", lane="batch")

    assert result.exit_code == 0, result.output
    assert right(project)
    assert [attempt.state for attempt in project.attempts()] == ["unknown", "answered"] * 3
    assert len(server.requests) == 6


def test_a_job_that_is_not_over_keeps_up_no_other_lane(project: Project, server: GeminiServer) -> None:
    """Its pages are collected by a later run, or asked again after its deadline."""
    project.add_cleared_pages(2)
    leave_jobs(project, server, 2)
    for number in (2, 3):
        project.add_page(number)
    project.declare_public(range(4))

    first = project.label("gemini", lane="standard")
    rows = project.rows()
    server.results_code, server.jobs_over = 404, True
    second = project.label("gemini", lane="standard")
    with sqlite3.connect(project.root / "ledger/ledger.sqlite") as ledger:
        ledger.execute("UPDATE attempt SET started_at = '2026-01-01T00:00:00Z' WHERE state = 'started'")
    third = project.label("gemini", lane="standard")

    assert [result.exit_code for result in (first, second, third)] == [0, 0, 0], first.output + second.output
    assert [row.reason for row in rows] == ["under_way", "under_way", None, None]
    assert right(project)
    assert len(server.requests) == 6


def test_jobs_that_cannot_be_listed_keep_up_no_other_lane(project: Project, server: GeminiServer) -> None:
    project.add_cleared_pages(1)
    leave_jobs(project, server, 1)
    project.add_page(1)
    project.declare_public(range(2))
    server.listed = [1, "two"]

    result = project.label("gemini", lane="standard")

    assert result.exit_code == 0, result.output
    assert [row.reason for row in project.rows()] == ["under_way", None]


@pytest.mark.parametrize("state", ["FAILED", "EXPIRED"])
def test_a_job_that_came_to_nothing_costs_nothing(project: Project, server: GeminiServer, state: str) -> None:
    project.add_cleared_pages(3)
    server.job_state = state

    result = project.label("gemini", lane="batch")

    assert result.exit_code == 0, result.output
    assert right(project)
    assert project.spent() == pytest.approx(3 * (2000 * 0.75 + 500 * 3.75) / 1e6 / 2)  # by flex


def test_after_a_pilot_a_job_reserves_by_what_was_measured(project: Project, server: GeminiServer) -> None:
    """Before it 10 pages at their worst fit under the cap; after it, all do."""
    project.add_cleared_pages(90)
    project.label("gemini", lane="standard", options=["--pilot", "10"])

    result = project.label("gemini", lane="batch", max_usd=0.36)

    assert result.exit_code == 0, result.output
    assert right(project)
    assert project.spent() == pytest.approx((10 + 80 / 2) * (2000 * 0.75 + 500 * 3.75) / 1e6)


def test_pages_that_cost_more_than_was_reserved_are_charged(project: Project, server: GeminiServer) -> None:
    """A later job has what is left."""
    project.add_cleared_pages(60)
    project.label("gemini", lane="standard", options=["--pilot", "10"])
    server.usage = lambda: {"promptTokenCount": 2000, "candidatesTokenCount": 6000}

    project.label("gemini", lane="batch")

    assert project.spent() == pytest.approx((10 * (1500 + 1875) + 50 * (1500 + 22_500) / 2) / 1e6)

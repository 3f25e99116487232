"""`warraq label --check`: what a person runs first."""

import re

import pytest

from support.gemini_server import GeminiServer
from support.label_project import Project
from support.params import read_params

TASKS = read_params()["tasks"]


def test_one_real_request_is_asked_for_each_task(project: Project, gemini: GeminiServer) -> None:
    """Its answer is bought: the next run finds it in the ledger."""
    for number in range(3):
        project.add_page(number)
    project.declare_public([1])

    result = project.label("human", "gemini", options=["--check"])
    project.label("gemini")

    assert result.exit_code == 0, result.output
    assert {request.images for request in gemini.requests} == {(project.pages[1].image_sha256,)}
    assert len(gemini.requests) == len(TASKS)
    for task in TASKS:
        tokens = "2000 tokens in and 500 out, USD 0.0034, "
        line = rf"label {task}: gemini-3.8-flash by Gemini's API v1: STOP, {tokens}[\d.]+ s: "
        assert re.search(line + ("an answer" if task == "content" else "schema_invalid, "), result.output), (
            result.output
        )
    assert "Traceback" not in result.output and not (project.root / "labels/invoice.jsonl").exists()


def test_the_version_of_the_api_is_a_parameter(project: Project, gemini: GeminiServer) -> None:
    project.add_cleared_pages(1)

    checked = project.label("gemini", api_version="v1beta", options=["--check"])
    project.label("gemini", api_version="v1beta", lane="batch", thinking_level="high")
    project.label("gemini", lane="flex")

    assert "by Gemini's API v1beta" in checked.output
    assert [request.path.split("/")[1] for request in gemini.requests] == ["v1beta"] * len(gemini.requests)
    assert len(gemini.requests) == len(TASKS) + 1 and not gemini.files  # the version is no part of a label's key


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("bad_key", "check GEMINI_API_KEY"), ("retired", "in this version of its API"),
        ("no_billing", "FAILED_PRECONDITION"), ("error_500", "gemini: 500 INTERNAL"),
        ("html_200", "not a response"), ("rate_bare", "429 RESOURCE_EXHAUSTED"),
    ],
)  # fmt: skip
def test_what_a_server_says_in_place_of_a_response_is_told(
    project: Project, gemini: GeminiServer, case: str, words: str
) -> None:
    project.add_cleared_pages(1)
    gemini.script = [case]

    result = project.label("gemini", options=["--check"])

    assert result.exit_code == 2 and words in result.output
    assert len(gemini.requests) == 1


def test_jobs_are_checked_where_they_are_the_lane(project: Project, gemini: GeminiServer) -> None:
    project.add_cleared_pages(1)
    gemini.listed = [1]

    result = project.label("gemini", lane="batch", options=["--check"])

    assert result.exit_code == 2 and not gemini.requests


@pytest.mark.parametrize("teachers", [("gemini",), ("human",)])
def test_there_is_nothing_to_check_without_a_page_or_a_model(
    project: Project, gemini: GeminiServer, teachers: tuple[str, ...]
) -> None:
    project.add_page(1)

    result = project.label(*teachers, options=["--check"])

    assert result.exit_code == 2 and not gemini.requests

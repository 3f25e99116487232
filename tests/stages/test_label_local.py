"""A model on this machine, by the chat completions endpoint."""

import pytest

from support.gemini_server import GeminiServer
from support.label_project import Project, content_answer
from warraq import tasks


@pytest.fixture
def local(gemini: GeminiServer, monkeypatch: pytest.MonkeyPatch) -> GeminiServer:
    monkeypatch.delenv("GEMINI_API_KEY")
    monkeypatch.setenv("WARRAQ_LOCAL_URL", f"{gemini.url}/v1")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    return gemini


def test_a_request_says_all_that_matters(project: Project, local: GeminiServer) -> None:
    """Pages that nobody cleared may be asked about: nothing leaves the machine."""
    page = project.add_page(1)

    result = project.label("local")

    assert result.exit_code == 0, result.output
    (request,) = local.requests
    assert request.path == "/v1/chat/completions"
    assert request.images == (page.image_sha256,)
    assert request.body["messages"][0] == {"role": "system", "content": tasks.load("content").instruction}
    assert request.body["response_format"]["json_schema"]["strict"] is True
    assert request.body["temperature"] == 0
    (row,) = project.rows()
    assert (row.answer, row.model, row.teacher) == (content_answer(page.image_sha256), "served-name", "local")
    assert project.spent() == 0


def test_it_is_asked_once(project: Project, local: GeminiServer) -> None:
    for number in range(3):
        project.add_page(number)
    project.label("local")
    project.out.unlink()

    project.label("local")

    assert len(local.requests) == 3 and all(row.answer for row in project.rows())


@pytest.mark.parametrize(
    ("script", "requests", "reason"),
    [
        (["truncated"] * 2, 2, "truncated"),
        (["error_500"] * 3, 3, "server_error"),
        (["other_page"] * 2, 2, "wrong_tag"),
        (["truncated"], 2, None),
    ],
)
def test_what_comes_of_its_failures(
    project: Project, local: GeminiServer, script: list[str], requests: int, reason: str | None
) -> None:
    project.add_page(1)
    local.script = script

    project.label("local")

    assert [row.reason for row in project.rows()] == [reason]
    assert len(local.requests) == requests


def test_a_model_that_is_not_there_stops_the_run(project: Project, local: GeminiServer) -> None:
    project.add_page(1)
    local.script = ["retired"]

    result = project.label("local")

    assert result.exit_code == 2 and "check label.local in params.yaml" in result.output


def test_no_server_is_told(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.add_page(1)
    monkeypatch.setenv("WARRAQ_LOCAL_URL", "http://127.0.0.1:9/v1")

    result = project.label("local")

    assert result.exit_code == 2 and "start the server or set WARRAQ_LOCAL_URL" in result.output


def test_another_machine_is_refused(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.add_page(1)
    monkeypatch.setenv("WARRAQ_LOCAL_URL", "http://10.1.2.3:8000/v1")

    result = project.label("local")

    assert result.exit_code == 2 and "label.local.private_network" in result.output


def test_what_the_local_model_declines_goes_on_to_gemini_where_that_may_see_it(
    project: Project, local: GeminiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GEMINI_API_KEY", "k")
    project.add_page(1)
    project.add_page(2)
    project.declare_public([2])
    local.script = ["wrong_schema"] * 4

    result = project.label("local", "gemini")

    assert result.exit_code == 0, result.output
    first, second = project.rows()
    assert (first.answer, first.reason) == (None, "not_sendable")
    assert second.teacher == "gemini" and second.answer


def test_odd_usage_is_none(project: Project, local: GeminiServer) -> None:
    project.add_page(1)
    local.script = ["odd_usage"]

    result = project.label("local")

    assert result.exit_code == 0, result.output
    assert project.rows()[0].answer


@pytest.mark.parametrize("model", ["gpt-oss:120b-cloud", "kimi-k2:cloud", "QWEN3-VL:235B-CLOUD", "x-cloud:latest"])
def test_a_model_in_a_cloud_is_refused_by_its_name(project: Project, local: GeminiServer, model: str) -> None:
    project.add_page(1)

    result = project.label("local", model=model)

    assert result.exit_code == 2 and "label.local.model is not local" in result.output
    assert not local.requests


def test_a_model_in_a_cloud_is_refused_by_its_servers_word(project: Project, local: GeminiServer) -> None:
    local.shown = {"remote_host": "https://ollama.com:443", "remote_model": "qwen3-vl:235b", "details": {}}
    project.add_page(1)

    result = project.label("local", model="mine")
    local.shown = {"details": {"family": "qwen3vl"}}
    project.label("local", model="mine")

    assert result.exit_code == 2 and "forwards it to https://ollama.com:443" in result.output
    assert len(local.requests) == 1


def test_a_server_that_sends_its_callers_on_is_refused(project: Project, local: GeminiServer) -> None:
    local.sends_on = "http://192.0.2.1/v1/chat/completions"
    project.add_page(1)

    result = project.label("local")

    assert result.exit_code == 2 and "sends its callers on to http://192.0.2.1" in result.output
    assert not local.requests

"""A model on this machine, by the chat completions endpoint."""

import json
from typing import Any

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


TABLE = "<table><tr><th>Item</th></tr><tr><td>Pen</td></tr></table>"
DOTS = json.dumps(
    [
        {"bbox": [60, 40, 700, 90], "category": "Title", "text": "# Invoice"},
        {"bbox": [60, 120, 700, 300], "category": "Table", "text": TABLE},
        {"bbox": [60, 320, 200, 400], "category": "Picture"},
    ]
)  # fmt: skip
OLMOCR = (
    "---\nprimary_language: en\nis_rotation_valid: True\nrotation_correction: 0\n---\n# Invoice\n\n|Item|\n|---|\n|Pen|"
)
NANONETS = f"<h1>Invoice</h1>\n{TABLE}\n<signature>J</signature>"


@pytest.mark.parametrize(
    ("answers", "written", "third"),
    [
        ("layout", DOTS, "figure"),
        ("markdown", OLMOCR, None),
        ("markdown", NANONETS, "signature"),
        ("html", NANONETS, "signature"),
    ],
)
def test_a_model_that_only_reads_answers_in_its_own_form(
    project: Project, local: GeminiServer, answers: str, written: str, third: str | None
) -> None:
    """It is asked in its own words, for no schema and by no tag, which it would not repeat."""
    project.add_page(1)
    local.written = written

    result = project.label("local", answers=answers, prompt="<image>OCR:")

    assert result.exit_code == 0, result.output
    (request,) = local.requests
    (message,) = request.body["messages"]
    assert message["content"][1]["text"] == "<image>OCR:" and "response_format" not in request.body
    blocks: list[dict[str, Any]] = (project.rows()[0].answer or {})["blocks"]
    assert [(block["kind"], block["text"]) for block in blocks[:2]] == [
        ("heading", "Invoice"),
        ("table", TABLE),
    ]
    assert [block["kind"] for block in blocks[2:]] == ([third] if third else [])


def test_what_it_is_asked_without_a_prompt_of_its_own(project: Project, local: GeminiServer) -> None:
    project.add_page(1)
    local.written = DOTS

    project.label("local", answers="layout")

    assert "bbox" in local.requests[0].body["messages"][0]["content"][1]["text"]


@pytest.mark.parametrize(
    ("answers", "written", "why"),
    [
        ("layout", DOTS[:-40], "Invalid JSON"),
        ("layout", OLMOCR, "Invalid JSON"),
        ("markdown", DOTS, "label.local.answers is another"),
        ("markdown", "# Invoice\n\n<table><tr><td>Pen", "<table> is never closed"),
        ("html", "<table>Pen</table>", "'Pen' stands in a table outside its cells"),
    ],
)
def test_of_a_garbled_page_nothing_is_taken(
    project: Project, local: GeminiServer, answers: str, written: str, why: str
) -> None:
    project.add_page(1)
    local.written = written

    result = project.label("local", answers=answers)

    assert result.exit_code == 0, result.output
    (row,) = project.rows()
    assert (row.answer, row.reason) == (None, "schema_invalid") and why in (row.message or "")


def test_a_cut_page_is_none_though_its_form_is_whole(project: Project, local: GeminiServer) -> None:
    project.add_page(1)
    local.written, local.script = "# Invoice of the year and what was paid for it", ["truncated"] * 2

    project.label("local", answers="markdown")

    assert [row.reason for row in project.rows()] == ["truncated"]


def test_of_fields_it_is_not_asked(project: Project, local: GeminiServer) -> None:
    project.add_page(1)

    result = project.label("local", answers="markdown", task="invoice")

    assert result.exit_code == 0, result.output
    assert [row.reason for row in project.rows("invoice")] == ["not_this_task"] and not local.requests


def test_what_is_stamped_confidential_in_its_form_goes_to_no_cloud(
    project: Project, local: GeminiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second page of a document is not sent once a local model has read the stamp on the first."""
    monkeypatch.setenv("GEMINI_API_KEY", "k")
    page = project.add_page(1)
    project.declare_public([1])
    local.written = "A letter of the ministry\n\n<watermark>this copy is confidential</watermark>\n"

    project.label("local", answers="markdown")
    result = project.label("gemini")

    assert result.exit_code == 0, result.output
    assert [(row.page_id, row.reason) for row in project.rows()] == [(page.page_id, "marked_confidential")]
    assert len(local.requests) == 1

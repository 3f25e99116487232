"""`POST /v1/chat/completions` and `GET /v1/models`: what OpenAI's clients expect is done, or refused by name."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from support.scripted_model import CONTENT, ScriptedModel
from support.serving import Start, ask, start_server, write_parts
from support.waiting import LONGEST_S
from warraq.runtimes import Request
from warraq.runtimes.onnx import OnnxRuntime


@pytest.fixture(scope="module")
def url(cut: Path) -> Iterator[str]:
    """A server of nano cut to two layers."""
    process, url = start_server(cut / "onnx")
    yield url
    process.terminate()
    process.wait()


def told(reply: httpx2.Response) -> tuple[int, str, str]:
    error = reply.json()["error"]
    return reply.status_code, error["code"], error["message"]


def test_an_image_is_asked_about(start: Start, server: ScriptedModel, documents: dict[str, bytes]) -> None:
    url, content = start(), write_parts("Copy.", documents["picture.png"])
    reply = ask(url, content).json()
    assert reply["choices"][0]["message"]["content"] == CONTENT and reply["usage"] is None  # it tells none
    assert server.asked[-1]["messages"][0]["content"][-1]["text"] == "Copy."
    schema = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}}
    assert ask(url, content, response_format=schema).status_code == 200
    assert server.asked[-1]["response_format"]["json_schema"]["schema"] == {"type": "object"}
    for wrong in (["http://127.0.0.1/a.png"], ["data:image/png;base64,%"], ["data:image/png;base64,JVBERi0="]):
        part = {"type": "image_url", "image_url": {"url": wrong[0]}}
        assert told(ask(url, [part]))[:2] == (400, "bad_request")


def test_the_model_is_listed_and_no_other_is_answered_for(url: str) -> None:
    (listed,) = httpx2.get(f"{url}/v1/models", trust_env=False).json()["data"]
    reply = ask(url, "Read.", model=listed["id"], max_tokens=1)
    assert reply.status_code == 200 and reply.json()["model"] == listed["id"]
    assert told(ask(url, "Read.", model="gpt"))[:2] == (404, "model_not_found")


def test_usage_is_whole_and_the_system_is_heard(url: str, cut: Path) -> None:
    question = {"role": "user", "content": "Read."}
    messages = [{"role": "system", "content": "Be short."}, question]
    reply = ask(url, "", messages=messages, max_tokens=3).json()
    request = Request((), "Read.", instruction="Be short.")
    runtime = OnnxRuntime(cut / "onnx")
    (answer,) = runtime.answer([request], 3)
    assert reply["choices"][0]["message"]["content"] == answer.text
    prompt = len(runtime.processor.encode_prompt(request))
    assert prompt > len(runtime.processor.encode_prompt(Request((), "Read.")))
    assert reply["usage"] == {"prompt_tokens": prompt, "completion_tokens": 3, "total_tokens": prompt + 3}


def test_a_stream_says_what_the_whole_answer_says(url: str, documents: dict[str, bytes]) -> None:
    content = write_parts("Read.", documents["picture.png"])
    whole = ask(url, content, max_tokens=9, logprobs=True).json()
    text = ask(url, content, max_tokens=9, logprobs=True, stream=True, stream_options={"include_usage": True}).text
    *lines, last = [line.removeprefix("data: ") for line in text.split("\n\n")[:-1]]
    assert last == "[DONE]"
    *chunks, end = map(json.loads, lines)
    pieces = [chunk["choices"][0]["delta"].get("content", "") for chunk in chunks]
    assert "".join(pieces) == whole["choices"][0]["message"]["content"]
    assert chunks[-1]["choices"][0]["finish_reason"] == whole["choices"][0]["finish_reason"] == "length"
    assert chunks[-1]["choices"][0]["logprobs"] == whole["choices"][0]["logprobs"]
    assert len(whole["choices"][0]["logprobs"]["content"]) == 9
    assert end["choices"] == [] and end["usage"] == whole["usage"]


def test_a_stream_that_cannot_be_is_refused_before_it_begins(url: str) -> None:
    schema = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "nothing"}}}
    assert told(ask(url, "Read.", response_format=schema, stream=True))[:2] == (400, "bad_request")


def test_a_json_object_is_one(url: str) -> None:
    reply = ask(url, "Read.", response_format={"type": "json_object"}, max_tokens=5).json()
    assert isinstance(json.loads(reply["choices"][0]["message"]["content"]), dict)


@pytest.mark.parametrize(
    "more",
    [
        {"n": 2}, {"temperature": 0.5}, {"top_p": 0.5}, {"stop": "a"}, {"stop": ["a"]}, {"tools": [{}]},
        {"logit_bias": {}},
        {"presence_penalty": 1}, {"top_logprobs": 2}, {"max_tokens": 0}, {"max_tokens": "7"}, {"max_tokens": True},
        {"max_tokens": 1, "max_completion_tokens": 2}, {"stream_options": {}},
        {"response_format": {"type": "json_schema"}},
        {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "nothing"}}}},
        {"messages": []}, {"messages": [{"role": "assistant", "content": "a"}]},
        {"messages": [{"role": "user", "content": "a"}] * 2}, {"messages": [{"role": "user", "content": 3}]},
        {"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]},
    ],
    ids=str,
)  # fmt: skip
def test_what_cannot_be_done_is_refused(url: str, more: dict[str, Any]) -> None:
    status, code, message = told(ask(url, "Read.", **({"max_tokens": 1} | more)))
    assert (status, code) == (400, "bad_request") and message


@pytest.mark.parametrize(
    "more",
    [{"n": 1}, {"temperature": 0}, {"temperature": 0.0}, {"top_p": 1}, {"stop": None}, {"seed": 3}, {"user": "a"}],
)
def test_what_is_so_anyway_is_taken(url: str, more: dict[str, Any]) -> None:
    assert ask(url, "Read.", max_tokens=1, **more).status_code == 200


@pytest.mark.parametrize("body", [b"", b"[", b"\xff", b"[" * 100_000, b'{"messages":' * 50_000, b"3", b"null"])
def test_what_is_no_request_is_told(url: str, body: bytes) -> None:
    reply = httpx2.post(f"{url}/v1/chat/completions", content=body, timeout=LONGEST_S, trust_env=False)
    assert told(reply)[:2] == (400, "bad_request")


def test_too_long_a_question_is_refused_before_anything_is_drawn(url: str) -> None:
    """The images are none, which only drawing would tell."""
    assert told(ask(url, write_parts("Read.", *[b"none"] * 20)))[:2] == (400, "bad_request")
    assert told(ask(url, "a " * 5000))[1] == "context_length_exceeded"
    assert told(ask(url, "a" * 2_000_000))[1] == "context_length_exceeded"
    assert told(ask(url, write_parts("a " * 1500, *[b"none"] * 8)))[1] == "context_length_exceeded"


def test_the_description_names_every_route_and_field(url: str) -> None:
    held = httpx2.get(f"{url}/openapi.json", trust_env=False).json()
    assert {"/v1/read", "/v1/models", "/v1/models/{name}", "/v1/chat/completions", "/healthz", "/metrics"} == set(
        held["paths"]
    )
    text = json.dumps(held)
    named = {part.split('"')[0] for part in text.split('"#/components/schemas/')[1:]}
    assert named <= set(held["components"]["schemas"]) and "ChatBody" in named
    assert "max_tokens" in held["components"]["schemas"]["ChatBody"]["properties"]
    content = held["paths"]["/v1/chat/completions"]["post"]["responses"]["200"]["content"]
    assert content["text/event-stream"] == {}, "an event is no string"

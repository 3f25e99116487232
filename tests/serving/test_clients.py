"""The clients that people have, against `warraq serve`: list, ask with an image, stream, parse; its description, tried.

LiteLLM and LangChain need versions of other packages than the lock's, so they are tested where somebody installed them.
"""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import hypothesis
import openai
import pytest
import schemathesis
from pydantic import BaseModel
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance

from support.serving import start_server
from support.waiting import LONGEST_S


class Form(BaseModel):
    kind: Literal["invoice", "letter"]
    paid: bool


@pytest.fixture(scope="module")
def url(cut: Path) -> Iterator[str]:
    process, url = start_server(cut / "onnx")
    yield f"{url}/v1"
    process.terminate()
    process.wait()


@pytest.fixture(scope="module")
def name(cut: Path) -> str:
    return f"{cut.name}-onnx"


@pytest.fixture
def messages(documents: dict[str, bytes]) -> list[Any]:
    image = f"data:image/png;base64,{base64.b64encode(documents['picture.png']).decode()}"
    parts = [{"type": "image_url", "image_url": {"url": image}}, {"type": "text", "text": "Read."}]
    return [{"role": "system", "content": "Be short."}, {"role": "user", "content": parts}]


def test_openai(url: str, name: str, messages: list[Any]) -> None:
    client = openai.OpenAI(base_url=url, api_key="none", max_retries=0)
    assert client.models.list().data == [client.models.retrieve(name)]
    ask = client.chat.completions
    answer = ask.create(model=name, messages=messages, max_tokens=5).choices[0].message.content
    chunks = ask.create(model=name, messages=messages, max_tokens=5, stream=True)
    assert answer and answer == "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    parsed = ask.parse(model=name, messages=messages, response_format=Form).choices[0].message.parsed
    assert isinstance(parsed, Form)
    with pytest.raises(openai.NotFoundError, match="There is no model 'gpt'"):
        client.models.retrieve("gpt")
    messages[-1]["content"][0]["image_url"]["detail"] = "high"
    with pytest.raises(openai.BadRequestError, match=r"image_url\.detail: Input should be 'auto'"):
        ask.create(model=name, messages=messages)


def test_litellm(url: str, name: str, messages: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "true")  # else it is fetched
    litellm = pytest.importorskip("litellm")
    asked = {"model": f"openai/{name}", "api_base": url, "api_key": "none", "messages": messages}
    answer = litellm.completion(**asked, max_tokens=5).choices[0].message.content
    chunks = litellm.completion(**asked, max_tokens=5, stream=True)
    assert answer and answer == "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    Form.model_validate_json(litellm.completion(**asked, response_format=Form).choices[0].message.content)


def test_langchain(url: str, name: str, messages: list[Any]) -> None:
    library = pytest.importorskip("langchain_openai")
    model = library.ChatOpenAI(base_url=url, api_key="none", model=name)
    answer = model.invoke(messages, max_tokens=5).content
    assert answer and answer == "".join(chunk.content for chunk in model.stream(messages, max_tokens=5))
    assert isinstance(model.with_structured_output(Form).invoke(messages), Form)


@pytest.mark.parametrize("path", ["/v1/read", "/v1/chat/completions"])
def test_every_answer_is_as_described(url: str, path: str) -> None:
    """`schemathesis run URL/openapi.json` tries more."""
    operation = schemathesis.openapi.from_url(f"{url.removesuffix('/v1')}/openapi.json")[path]["POST"]

    @hypothesis.settings(max_examples=8, suppress_health_check=list(hypothesis.HealthCheck))
    @hypothesis.given(case=operation.as_strategy())
    def ask(case: Any) -> None:
        case.call_and_validate(
            checks=[not_a_server_error, response_schema_conformance, content_type_conformance], timeout=LONGEST_S
        )

    ask()

"""A question about images in the form of OpenAI's chat completions, as vLLM, Ollama, llama.cpp and SGLang take it.

It belongs to no room, since a teacher and a finished model are asked in it, and neither shall bring the other's code
into a stage.
"""

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NotRequired, TypedDict


class ResponseFormat(TypedDict):
    """That the answer is JSON of a schema: `{"type": "json_schema", "json_schema": {name, strict, schema}}`."""

    type: str
    json_schema: dict[str, object]


class ChatRequest(TypedDict):
    """The body of a request to `/chat/completions`."""

    model: str
    messages: list[dict[str, object]]
    temperature: int
    max_tokens: int
    logprobs: NotRequired[bool]
    response_format: NotRequired[ResponseFormat]


@dataclass(frozen=True)
class ChatResponse:
    """The first choice of a response, and what the server says it took."""

    finish_reason: str | None  # `stop`, `length` or a word of the server's own
    text: str
    model: str | None  # as the server names it
    input_tokens: int | None
    output_tokens: int | None
    logprobs: tuple[tuple[int, float], ...]  # of each token its end in `text` and its log-probability, where told


def build_request(
    model: str,
    prompt: str,
    images: Iterable[bytes],
    max_tokens: int,
    *,
    instruction: str = "",
    logprobs: bool = False,
    padding: str = "",
) -> ChatRequest:
    """A question about PNG images, which stand before the prompt with `padding` on both sides of each, to be answered
    greedily."""
    content: list[dict[str, object]] = []
    before, last = padding, ""
    for image in images:
        url = f"data:image/png;base64,{base64.b64encode(image).decode('ascii')}"
        content += [{"type": "text", "text": before}] if before else []
        content.append({"type": "image_url", "image_url": {"url": url}})
        before, last = 2 * padding, padding
    content.append({"type": "text", "text": last + prompt})
    messages: list[dict[str, object]] = [{"role": "system", "content": instruction}] if instruction else []
    messages.append({"role": "user", "content": content})
    request: ChatRequest = {"model": model, "messages": messages, "temperature": 0, "max_tokens": max_tokens}
    if logprobs:
        request["logprobs"] = True
    return request


def find_forwarding(model: str, shown: object) -> str | None:
    """Why a model is none of this machine though its server is; None where nothing says so.

    Args:
        model: its name; Ollama forwards those that end with `cloud` after a colon or a dash.
        shown: what Ollama's `/api/show` answers of it, which names the host of a model that it forwards.
    """
    name = model.casefold()
    if name.endswith((":cloud", "-cloud")) or "-cloud:" in name:
        return f"its name {model!r} is that of a model in a cloud"
    if isinstance(shown, dict) and (host := shown.get("remote_host") or shown.get("remote_model")):
        return f"its server forwards it to {host}"
    return None


def build_format(name: str, schema: Mapping[str, object]) -> ResponseFormat:
    """The `response_format` for which the server writes nothing but JSON of `schema`, strictly."""
    return {"type": "json_schema", "json_schema": {"name": name, "strict": True, "schema": schema}}


def parse_response(body: str) -> ChatResponse:
    """Read the body of a response.

    Raises:
        ValueError: it is not JSON, or not a chat completion.
    """
    response = json.loads(body)
    try:
        choice, usage = response["choices"][0], response.get("usage") or {}
        text = (choice.get("message") or {}).get("content") or ""
        if not isinstance(text, str):
            raise TypeError
        tokens = (choice.get("logprobs") or {}).get("content") or ()
        end, logprobs = 0, []
        for token in tokens:
            end += len(token["token"])
            logprobs.append((end, float(token["logprob"])))
        counts = (usage.get("prompt_tokens"), usage.get("completion_tokens"))
        return ChatResponse(choice.get("finish_reason"), text, response.get("model"), *counts, tuple(logprobs))
    except (LookupError, TypeError, AttributeError):
        raise ValueError("not a chat completion") from None

"""A model's answer -> a chat completion in the form of OpenAI's API, whole or as the chunks of a stream."""

import time
import uuid
from collections.abc import AsyncIterator
from typing import Literal

from pydantic import BaseModel

from warraq.runtimes import Answer
from warraq.serving.chat import ChatRequest


class Usage(BaseModel):
    """Tokens; the stop token is not counted."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class TokenLogprob(BaseModel):
    """A token, and the logarithm of its probability."""

    token: str
    logprob: float
    bytes: list[int]
    top_logprobs: list[None] = []


class Logprobs(BaseModel):
    """The tokens of an answer; empty where the model's runtime does not tell."""

    content: list[TokenLogprob]


class Reply(BaseModel):
    """What the model says."""

    role: Literal["assistant"] = "assistant"
    content: str
    refusal: None = None


class Choice(BaseModel):
    """The one answer."""

    index: Literal[0] = 0
    finish_reason: Literal["stop", "length"]
    message: Reply
    logprobs: Logprobs | None


class ChatCompletion(BaseModel):
    """The answer to a request."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int  # s since 1970
    model: str
    choices: list[Choice]
    usage: Usage | None  # None where the model's runtime does not count a prompt


def make_usage(answer: Answer) -> Usage | None:
    """The tokens of an answer; None where its runtime does not count the prompt's."""
    if answer.prompt_tokens is None:
        return None
    total = answer.prompt_tokens + answer.tokens
    return Usage(prompt_tokens=answer.prompt_tokens, completion_tokens=answer.tokens, total_tokens=total)


def make_logprobs(answer: Answer) -> Logprobs:
    """The tokens of an answer, each with the text that it ended."""
    start, tokens = 0, []
    for end, logprob in answer.logprobs:
        text = answer.text[start:end]
        tokens.append(TokenLogprob(token=text, logprob=logprob, bytes=list(text.encode())))
        start = end
    return Logprobs(content=tokens)


def make_completion(model: str, chat: ChatRequest, answer: Answer) -> ChatCompletion:
    """The whole answer."""
    choice = Choice(
        finish_reason=answer.finish_reason,
        message=Reply(content=answer.text),
        logprobs=make_logprobs(answer) if chat.logprobs else None,
    )
    return ChatCompletion(
        id=_make_id(), created=int(time.time()), model=model, choices=[choice], usage=make_usage(answer)
    )


async def make_chunks(
    model: str, chat: ChatRequest, parts: AsyncIterator[str | Answer]
) -> AsyncIterator[dict[str, object]]:
    """The chunks of a stream: the text as it grows, why it ended, and the usage where it was asked for."""
    head: dict[str, object] = {
        "id": _make_id(), "object": "chat.completion.chunk", "created": int(time.time()), "model": model,
    }  # fmt: skip

    def make_chunk(delta: dict[str, str], finish_reason: str | None = None, **more: object) -> dict[str, object]:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason, **more}
        return head | {"choices": [choice]} | ({"usage": None} if chat.include_usage else {})

    yield make_chunk({"role": "assistant", "content": ""})
    sent = 0
    async for part in parts:
        if isinstance(part, str):
            sent += len(part)
            yield make_chunk({"content": part})
            continue
        if rest := part.text[sent:]:
            yield make_chunk({"content": rest})
        logprobs = {"logprobs": make_logprobs(part).model_dump()} if chat.logprobs else {}
        yield make_chunk({}, part.finish_reason, **logprobs)
        usage = make_usage(part)
        if chat.include_usage:
            yield head | {"choices": [], "usage": usage and usage.model_dump()}


def _make_id() -> str:
    return f"chatcmpl-{uuid.uuid4().hex}"

"""What Gemini says -> one vocabulary: a response, an error, a line of a job's results."""

import json
from typing import Any

from pydantic import AliasPath, Field

from warraq.files import JsonObject
from warraq.teachers.remote.faults import Body, ErrorBody, Lenient, find_kind
from warraq.teachers.remote.prices import LANES
from warraq.teachers.remote.provider import JobResult
from warraq.teachers.remote.request import Finish, ProviderError, Reply, Usage

FINISHES: dict[str, Finish] = {
    "STOP": "stop", "MAX_TOKENS": "truncated", "CONTINUATION": "truncated", "RECITATION": "recitation", "": "failed",
    "OTHER": "failed", "FINISH_REASON_UNSPECIFIED": "failed", "BLOCKED_REASON_UNSPECIFIED": "failed",
    "MALFORMED_RESPONSE": "failed", "MALFORMED_FUNCTION_CALL": "failed", "UNEXPECTED_TOOL_CALL": "failed",
    "TOO_MANY_TOOL_CALLS": "failed", "MISSING_THOUGHT_SIGNATURE": "failed",
}  # fmt: skip
"""How an answer ended: `failed` says nothing of the page, and every other word withholds it."""

TokenCount = Field(default=0, ge=0, le=4_000_000)  # no model reads or writes more


class UsageMetadata(Body, extra="allow"):
    """What the server says was used; one odd number makes all of it untold."""

    prompt_token_count: int = Field(gt=0, le=4_000_000)
    candidates_token_count: int = TokenCount
    thoughts_token_count: int = TokenCount
    cached_content_token_count: int = TokenCount
    tool_use_prompt_token_count: int = TokenCount
    service_tier: Lenient[str] = None

    def summarize(self) -> Usage:
        """In and out; thoughts are billed as output and are not among the candidates' tokens."""
        tokens = (self.prompt_token_count + self.tool_use_prompt_token_count,
                  self.candidates_token_count + self.thoughts_token_count)  # fmt: skip
        served = [lane for lane in LANES if lane == (self.service_tier or "").lower()]
        return Usage(*tokens, self.model_dump(by_alias=True), *served)


class Part(Body):
    """Of an answer."""

    text: str | None = None
    thought: bool | None = None


class Response(Body):
    """The first candidate of a response's body, and what is told beside it."""

    content: dict[str, Any] | None = Field(None, validation_alias=AliasPath("candidates", 0, "content"))
    parts: list[Part] | None = Field(None, validation_alias=AliasPath("candidates", 0, "content", "parts"))
    finish_reason: str | None = Field(None, validation_alias=AliasPath("candidates", 0, "finishReason"))
    block_reason: Lenient[str] = Field(None, validation_alias=AliasPath("promptFeedback", "blockReason"))
    model_version: Lenient[str] = None
    usage_metadata: Lenient[UsageMetadata] = None


def parse_reply(body: str) -> Reply:
    """Read a response.

    Raises:
        ValueError: it is not a response.
    """
    response = Response.model_validate_json(body)
    word = response.finish_reason or response.block_reason or ""
    text = "".join(part.text or "" for part in response.parts or () if not part.thought)
    usage = response.usage_metadata.summarize() if response.usage_metadata else None
    return Reply(FINISHES.get(word, "blocked"), word or "no candidate", text, response.model_version, usage)


def parse_error(error: Any, model: str) -> ProviderError:
    """What an error says; `error` is the SDK's APIError about a request to `model`."""
    body = ErrorBody.read(error.details)
    message = f"{error.code} {body.status or ''}".strip()
    wait_s = body.wait_s(error.response.headers if error.response is not None else {})
    kind = find_kind(error.code)
    told = f"{message}: {body.message or 'without a word'}"[:500]
    if kind == "rate_limited":
        quotas = ", ".join(body.find("quotaId"))
        stops = f"the day's quota of Gemini is used up ({quotas}): go on tomorrow." if "PerDay" in quotas else None
        return ProviderError(kind, message, wait_s, stops=stops)
    if kind in {"overloaded", "server_error"}:
        return ProviderError(kind, message, wait_s, spent=error.code < 300)
    if error.code in {401, 403} or "API_KEY_INVALID" in body.find("reason"):
        return ProviderError("refused", message, stops=f"Gemini refuses the key ({told}): check GEMINI_API_KEY.")
    if error.code == 404:
        stops = f"Gemini has no model {model} in this version of its API ({told}): change label.gemini in params.yaml."
        return ProviderError("refused", message, stops=stops)
    if error.code == 400 and body.status != "INVALID_ARGUMENT":
        kind = "refused"  # the bill, the region, a body that nobody wrote for a request
    return ProviderError(kind, told, stops=f"Gemini refuses the request ({told}).")


def parse_job_line(text: bytes) -> JobResult:
    """Read a line of a job's results."""
    try:
        line: JsonObject = json.loads(text)
        key = line["key"] if isinstance(line.get("key"), str) else None
    except (ValueError, AttributeError, RecursionError):
        return JobResult(None, None, "a line of the results is not a JSON object")
    if "response" not in line:
        return JobResult(key, None, json.dumps(line.get("error", "no response"))[:200])
    return JobResult(key, json.dumps(line["response"], ensure_ascii=False), "")

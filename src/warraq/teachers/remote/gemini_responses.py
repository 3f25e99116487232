"""What Gemini says -> one vocabulary: a response, an error, a line of a job's results."""

import json
from typing import Any, Literal

from warraq.teachers.remote.provider import JobResult
from warraq.teachers.remote.request import ProviderError, Reply

FINISHES: dict[str, Literal["stop", "truncated", "recitation"]] = {
    "STOP": "stop",
    "MAX_TOKENS": "truncated",
    "CONTINUATION": "truncated",
    "RECITATION": "recitation",
}
"""How an answer ended; every other word withholds it."""


def parse_reply(body: str) -> Reply:
    """Read a response; thoughts are billed as output and are not among the candidates' tokens.

    Raises:
        ValueError: it is not a response.
    """
    response = json.loads(body)
    if not isinstance(response, dict):
        raise ValueError("not an object")
    usage = response.get("usageMetadata") or {}
    input_tokens = usage.get("promptTokenCount")
    output_tokens = usage.get("candidatesTokenCount", 0) + usage.get("thoughtsTokenCount", 0)
    counts = (response.get("modelVersion"), input_tokens, None if input_tokens is None else output_tokens)
    candidates = response.get("candidates") or []
    if not candidates:
        reason = (response.get("promptFeedback") or {}).get("blockReason", "no candidate")
        return Reply("blocked", f"prompt: {reason}", "", *counts)
    word = candidates[0].get("finishReason", "no finish reason")
    parts = (candidates[0].get("content") or {}).get("parts") or []
    text = "".join(part.get("text", "") for part in parts if not part.get("thought"))
    return Reply(FINISHES.get(word, "blocked"), word, text, *counts)


def parse_error(error: Any, model: str) -> ProviderError:
    """What an error says; `error` is the SDK's APIError about a request to `model`."""
    body = error.details.get("error", {}) if isinstance(error.details, dict) else {}
    details = body.get("details", [])
    message = f"{error.code} {error.status or ''}".strip()
    delay = next((detail["retryDelay"] for detail in details if "retryDelay" in detail), None)
    wait_s = float(delay.removesuffix("s")) if delay else None
    if error.code == 429:
        return ProviderError("rate_limited", message, wait_s, stops=_explain_quota(details))
    if error.code == 503:
        return ProviderError("overloaded", message, wait_s)
    if error.code == 408 or error.code >= 500:
        return ProviderError("server_error", message, wait_s)
    if error.code in {401, 403} or any(detail.get("reason") == "API_KEY_INVALID" for detail in details):
        return ProviderError("refused", message, stops=f"Gemini refuses the key ({message}): check GEMINI_API_KEY.")
    if error.code == 404:
        stops = f"Gemini has no model {model}: change label.gemini in params.yaml."
        return ProviderError("refused", message, stops=stops)
    stops = f"Gemini refuses the request ({message}: {error.message})."
    return ProviderError("bad_request", f"{message}: {error.message}", stops=stops)


def _explain_quota(details: list[dict[str, Any]]) -> str | None:
    """Why the run stops where the quota of a day is used up; None where it is that of a minute."""
    quotas = [violation.get("quotaId", "") for detail in details for violation in detail.get("violations", [])]
    if any("PerDay" in quota for quota in quotas):
        return f"the day's quota of Gemini is used up ({', '.join(quotas)}): go on tomorrow."
    return None


def parse_job_line(text: bytes) -> JobResult:
    """Read a line of a job's results."""
    try:
        line = json.loads(text)
    except ValueError:
        line = None
    if not isinstance(line, dict):
        return JobResult(None, None, "a line of the results is not a JSON object")
    key = line["key"] if isinstance(line.get("key"), str) else None
    if "response" not in line:
        return JobResult(key, None, json.dumps(line.get("error", "no response"), ensure_ascii=False)[:200])
    return JobResult(key, json.dumps(line["response"], ensure_ascii=False), "")

"""What Gemini says -> one vocabulary: a response, an error, a line of a job's results."""

import json
from typing import Any, Literal

from warraq.teachers.remote.batch import Result
from warraq.teachers.remote.request import Problem, Reply


def reply(body: str) -> Reply:
    """Thoughts are billed as output and are not among the candidates' tokens. Raises ValueError: not a response."""
    response = json.loads(body)
    if not isinstance(response, dict):
        raise ValueError("not an object")
    usage = response.get("usageMetadata") or {}
    taken = usage.get("promptTokenCount")
    given = usage.get("candidatesTokenCount", 0) + usage.get("thoughtsTokenCount", 0)
    known = (response.get("modelVersion"), taken, None if taken is None else given)
    candidates = response.get("candidates") or []
    if not candidates:
        reason = (response.get("promptFeedback") or {}).get("blockReason", "no candidate")
        return Reply("blocked", f"prompt: {reason}", "", *known)
    word = candidates[0].get("finishReason", "no finish reason")
    parts = (candidates[0].get("content") or {}).get("parts") or []
    text = "".join(part.get("text", "") for part in parts if not part.get("thought"))
    finish: Literal["stop", "truncated", "recitation", "blocked"] = "blocked"
    if word == "STOP":
        finish = "stop"
    elif word in {"MAX_TOKENS", "CONTINUATION"}:
        finish = "truncated"
    elif word == "RECITATION":
        finish = "recitation"
    return Reply(finish, word, text, *known)


def problem(error: Any, model: str) -> Problem:
    """`error`: the SDK's APIError about a request to `model`."""
    body = error.details.get("error", {}) if isinstance(error.details, dict) else {}
    details = body.get("details", [])
    message = f"{error.code} {error.status or ''}".strip()
    told = next((d["retryDelay"] for d in details if "retryDelay" in d), None)
    wait_s = float(told.removesuffix("s")) if told else None
    if error.code == 429:
        quotas = [v.get("quotaId", "") for d in details for v in d.get("violations", [])]
        day = any("PerDay" in quota for quota in quotas)
        stops = f"the day's quota of Gemini is used up ({', '.join(quotas)}): go on tomorrow." if day else None
        return Problem("rate_limited", message, wait_s, stops=stops)
    if error.code == 503:
        return Problem("overloaded", message, wait_s)
    if error.code == 408 or error.code >= 500:
        return Problem("server_error", message, wait_s)
    stops = f"Gemini refuses the request ({message}: {error.message})."
    if error.code in {401, 403} or any(d.get("reason") == "API_KEY_INVALID" for d in details):
        return Problem("refused", message, stops=f"Gemini refuses the key ({message}): check GEMINI_API_KEY.")
    if error.code == 404:
        stops = f"Gemini has no model {model}: change label.gemini in params.yaml."
        return Problem("refused", message, stops=stops)
    return Problem("bad_request", f"{message}: {error.message}", stops=stops)


def result(text: bytes) -> Result:
    """A line of a job's results."""
    try:
        line = json.loads(text)
    except ValueError:
        line = None
    if not isinstance(line, dict):
        return Result(None, None, "a line of the results is not a JSON object")
    key = line["key"] if isinstance(line.get("key"), str) else None
    if "response" not in line:
        return Result(key, None, json.dumps(line.get("error", "no response"), ensure_ascii=False)[:200])
    return Result(key, json.dumps(line["response"], ensure_ascii=False), "")

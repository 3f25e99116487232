"""Gemini, by structured output: one page a request, exactly one attempt of the SDK's.

What the SDK would do by itself costs money or sends pages elsewhere, so each of these is said explicitly: endpoint, API
version, time-out, no proxy from the environment, no continuation, no storing, no retry.
"""

import copy
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field

from warraq.records import InputError, Reference
from warraq.section import Section
from warraq.teachers import Question
from warraq.teachers.attempts import Problem, Reply, Step
from warraq.teachers.batch import Result
from warraq.teachers.clearance import Clearance, Cleared
from warraq.teachers.prices import Lane
from warraq.teachers.reading import tag
from warraq.teachers.schema import asking, envelope, portable
from warraq.teachers.transport import client, timeout_s

ENDPOINT = "https://generativelanguage.googleapis.com"
API_VERSION = "v1"
MANY = 200  # pages; more of them can wait a quarter of an hour for half the price
DECIDES = {"model", "thinking_level", "max_output_tokens", "media_resolution"}  # not the lane, not the second model
IMAGE_TOKENS = {"low": 280, "medium": 560, "high": 1120}
FRAME_TOKENS = 512  # what the server adds around a request, generously
OVER = {"SUCCEEDED", "PARTIALLY_SUCCEEDED", "FAILED", "CANCELLED", "EXPIRED"}
UNSAFE = ("HARASSMENT", "HATE_SPEECH", "SEXUALLY_EXPLICIT", "DANGEROUS_CONTENT")

Name = Annotated[str, Field(pattern=r"^gemini-[a-z0-9.-]+$")]


class Parameters(Section):
    model: Name
    second_model: Name | None
    thinking_level: Literal["minimal", "low", "medium", "high"]
    max_output_tokens: Annotated[int, Field(ge=256, le=65536)]
    media_resolution: Literal["low", "medium", "high"]
    lane: Literal["auto", "standard", "flex", "batch"]


def endpoint() -> str:
    """`WARRAQ_GEMINI_URL`, else Google's; https, or http to this machine.

    Raises:
        InputError: pages would travel in the clear.
    """
    url = os.environ.get("WARRAQ_GEMINI_URL") or ENDPOINT
    parts = urlsplit(url)
    loopback = parts.scheme == "http" and parts.hostname in {"127.0.0.1", "::1", "localhost"}
    if not (loopback or (parts.scheme == "https" and parts.hostname)) or parts.username is not None:
        raise InputError(f"WARRAQ_GEMINI_URL is {url!r}; it must be https://… or http://127.0.0.1:….")
    return url.rstrip("/")


class Gemini:
    name = "gemini"
    reference: Reference = "silver"
    cloud = True

    def __init__(self, question: Question, parameters: Parameters) -> None:
        self.question = question
        self.parameters = parameters
        self.schema = portable(envelope(question.answer))
        self.first = Step(parameters.model, parameters.max_output_tokens)
        self.second = parameters.second_model
        self._sdk: Any = None

    def identity(self) -> dict[str, Any]:
        prompt = asking(self.question.prompt, "")
        asked = {"prompt": prompt, "instruction": self.question.instruction, "schema": self.schema}
        return asked | self.parameters.model_dump(include=DECIDES)

    def tokens(self) -> tuple[int, int]:
        text = self.question.prompt + self.question.instruction + json.dumps(self.schema, ensure_ascii=False)
        image = IMAGE_TOKENS[self.parameters.media_resolution]
        return image + len(text) // 4, image + FRAME_TOKENS + len(text.encode())

    def lane(self, pages: int) -> Lane:
        if self.parameters.lane == "auto":
            return "flex" if pages > MANY else "standard"
        return self.parameters.lane

    @contextmanager
    def session(self, clearance: Clearance, pages: int) -> Iterator[None]:
        key = os.environ.get("GEMINI_API_KEY", "").strip()
        if not key:
            raise InputError(
                f"{pages} pages need gemini for task {self.question.task}: set GEMINI_API_KEY, or take gemini out of "
                "label.teachers in params.yaml."
            )
        url, timeout_ms = endpoint(), int(timeout_s() * 1000)
        from google import genai
        from google.genai import types

        with client(url, clearance) as http:
            options = types.HttpOptions(base_url=url, api_version=API_VERSION, timeout=timeout_ms, httpx_client=http)
            self._sdk = genai.Client(vertexai=False, api_key=key, http_options=options)
            try:
                yield
            finally:
                self._sdk = None

    def _contents(self, page: Cleared, mark: str) -> list[Any]:
        from google.genai import types

        return [types.Part.from_bytes(data=page.image, mime_type="image/png"), asking(self.question.prompt, mark)]

    @contextmanager
    def _problems(self, model: str) -> Iterator[None]:
        """What the SDK raises, as a Problem."""
        import httpx2
        from google.genai import errors

        try:
            yield
        except errors.APIError as error:
            raise self._problem(error, model) from None
        except httpx2.ConnectError as error:
            raise Problem("unreachable", f"{endpoint()} ({error})") from None
        except (httpx2.RequestError, errors.UnknownApiResponseError) as error:
            raise Problem("server_error", f"{type(error).__name__}: {error}", spent=True) from None

    def send(self, page: Cleared, tag: str, step: Step) -> str:
        with self._problems(step.model):
            response = self._sdk.models.generate_content(
                model=step.model, contents=self._contents(page, tag), config=self._config(step)
            )
        return response.sdk_http_response.body or ""

    def submit(self, job: str, asked: dict[str, Cleared], step: Step) -> None:
        from google.genai import types

        requests = [
            types.InlinedRequest(
                contents=self._contents(page, tag(key)), config=self._config(step), metadata={"key": key}
            )
            for key, page in asked.items()
        ]
        with self._problems(step.model):
            self._sdk.batches.create(model=step.model, src=requests, config={"display_name": job})

    def collect(self, jobs: set[str]) -> dict[str, list[Result] | None]:
        found: dict[str, list[Result] | None] = {}
        with self._problems(self.parameters.model):
            for listed in self._sdk.batches.list():
                if listed.display_name not in jobs:
                    continue
                job = self._sdk.batches.get(name=listed.name)
                over = job.state is not None and job.state.value.removeprefix("JOB_STATE_") in OVER
                results = (job.dest.inlined_responses if job.dest else None) or []
                found[listed.display_name] = [self._result(one) for one in results] if over else None
        return found

    def cancel(self, job: str) -> None:
        with self._problems(self.parameters.model):
            for listed in self._sdk.batches.list():
                if listed.display_name == job:
                    self._sdk.batches.cancel(name=listed.name)

    def _result(self, one: Any) -> Result:
        key = (one.metadata or {}).get("key")
        if one.response is None:
            return Result(key, None, f"{one.error.code} {one.error.message}" if one.error else "no response")
        return Result(key, one.response.model_dump_json(by_alias=True, exclude_none=True), "")

    def _config(self, step: Step) -> Any:
        from google.genai import types

        asked = self.parameters
        return types.GenerateContentConfig(
            should_return_http_response=None if step.lane == "batch" else True,  # the body as it came is stored
            system_instruction=self.question.instruction,
            response_mime_type="application/json",
            response_schema=copy.deepcopy(self.schema),  # the SDK rewrites it, and it is part of the key
            media_resolution=types.MediaResolution(f"MEDIA_RESOLUTION_{asked.media_resolution.upper()}"),
            thinking_config=types.ThinkingConfig(thinking_level=types.ThinkingLevel(asked.thinking_level.upper())),
            max_output_tokens=step.max_output_tokens,
            automatic_continuation=False,
            automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
            service_tier=types.ServiceTier.FLEX if step.lane == "flex" else None,
            store=False,
            safety_settings=[
                types.SafetySetting(
                    category=types.HarmCategory(f"HARM_CATEGORY_{name}"), threshold=types.HarmBlockThreshold.OFF
                )
                for name in UNSAFE
            ],
        )

    def read(self, body: str) -> Reply:
        """Thoughts are billed as output and are not among the candidates' tokens."""
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

    def serves(self, asked: str, served: str) -> bool:
        """Dated and numbered versions of a model are that model."""
        return re.fullmatch(re.escape(asked) + r"(-\d[\d-]*)?", served) is not None

    def _problem(self, error: Any, model: str) -> Problem:
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

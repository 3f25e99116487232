"""Gemini, by structured output: one page a request, exactly one attempt of the SDK's, retries and spending ours.

What the SDK would do by itself costs money or sends pages elsewhere, so each of these is said explicitly: endpoint, API
version, time-out, no proxy from the environment, no continuation, no storing, no retry.

Spending is capped for each run, that is for each task: what other runs spent is not known here. A request is sent only
if its worst case still fits; one whose fate is unknown (a broken connection, a time-out) counts as the worst case.
"""

import copy
import hashlib
import json
import logging
import os
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, ValidationError

from warraq.records import InputError, Page, Reference
from warraq.section import Section
from warraq.teachers import Answer, Declined, Purse, Question, Stopped, portable

logger = logging.getLogger(__name__)

ENDPOINT = "https://generativelanguage.googleapis.com"
API_VERSION = "v1"
TIMEOUT_MS = 600_000
ATTEMPTS = {"rate_limited": 10, "server_error": 3, "unreachable": 3}  # of one page
LONGEST_WAIT_S = 90.0
DECIDES = {"model", "thinking_level", "max_output_tokens", "media_resolution"}  # not the cap, not the prices
IMAGE_TOKENS = {"low": 280, "medium": 560, "high": 1120}
FRAME_TOKENS = 512  # what the server adds around a request, generously
LEAST_ANSWER_TOKENS = 300  # of the lower estimate
KEPT = "What was answered is kept."
UNSAFE = ("HARASSMENT", "HATE_SPEECH", "SEXUALLY_EXPLICIT", "DANGEROUS_CONTENT")


class Parameters(Section):
    model: Annotated[str, Field(pattern=r"^gemini-[a-z0-9.-]+$")]
    thinking_level: Literal["minimal", "low", "medium", "high"]
    max_output_tokens: Annotated[int, Field(ge=256, le=65536)]
    media_resolution: Literal["low", "medium", "high"]
    max_usd: Annotated[float, Field(ge=0)]
    usd_per_million_input: Annotated[float, Field(gt=0)]
    usd_per_million_output: Annotated[float, Field(gt=0)]


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


@dataclass(frozen=True)
class Problem:
    """What may pass by itself."""

    kind: Literal["rate_limited", "server_error", "unreachable"]
    message: str
    wait_s: float | None = None  # where the server names it


class Gemini:
    name = "gemini"
    reference: Reference = "silver"

    def __init__(self, question: Question, parameters: Parameters, pages: Path, cleared: frozenset[str]) -> None:
        self.question = question
        self.parameters = parameters
        self.pages = pages
        self.cleared = cleared
        self.schema = portable(question.answer)
        self.purse = Purse(parameters.max_usd)
        self._not_before = 0.0
        self._stopped = threading.Event()
        self._client: Any = None

    def identity(self, page: Page) -> dict[str, Any]:
        asked = {"prompt": self.question.prompt, "instruction": self.question.instruction, "schema": self.schema}
        return asked | self.parameters.model_dump(include=DECIDES)

    def refuses(self, page: Page) -> Declined | None:
        if page.image_sha256 not in self.cleared:
            return Declined("not_sendable", "documents.csv does not call each of its files public")
        return None

    @contextmanager
    def session(self, pages: int) -> Iterator[None]:
        key = os.environ.get("GEMINI_API_KEY", "").strip()
        if not key:
            raise InputError(
                f"{pages} pages need gemini for task {self.question.task}: set GEMINI_API_KEY, or take gemini out of "
                "label.teachers in params.yaml."
            )
        url = endpoint()
        least, most = self._usd(LEAST_ANSWER_TOKENS, 4), self._usd(self.parameters.max_output_tokens, 1)
        logger.info(
            "gemini: %d pages to buy from %s, USD %.3f to %.3f, at most %.3f in this run",
            pages, self.parameters.model, pages * least, pages * most, self.parameters.max_usd,
        )  # fmt: skip
        import httpx2
        from google import genai
        from google.genai import types

        with httpx2.Client(trust_env=False, limits=httpx2.Limits(max_connections=None)) as http:
            options = types.HttpOptions(base_url=url, api_version=API_VERSION, timeout=TIMEOUT_MS, httpx_client=http)
            self._client = genai.Client(vertexai=False, api_key=key, http_options=options)
            try:
                yield
            finally:
                self._client = None
                logger.info("gemini: %d requests, USD %.4f spent", self.purse.requests, self.purse.spent)

    def stop(self) -> None:
        self._stopped.set()

    def answer(self, page: Page) -> Answer | Declined:
        path = self.pages / page.image
        image = path.read_bytes() if path.is_file() else b""
        if hashlib.sha256(image).hexdigest() not in self.cleared & {page.image_sha256}:
            raise InputError(f"{path} is not the image that pages.jsonl names; run render again.")
        worst = self._usd(self.parameters.max_output_tokens, 1)
        met: Counter[str] = Counter()
        while True:
            self._wait()
            if not self.purse.reserve(worst):
                return Declined("budget", f"a request may cost USD {worst:.4f}, more than label.gemini.max_usd leaves")
            outcome = self._once(image, worst)
            if not isinstance(outcome, Problem):
                return self._read(outcome)
            met[outcome.kind] += 1
            if met[outcome.kind] == ATTEMPTS[outcome.kind]:
                if outcome.kind == "unreachable":
                    raise InputError(f"no connection to {endpoint()} ({outcome.message}). {KEPT}")
                return Declined(outcome.kind, outcome.message)
            wait_s = 2.0 ** (met.total() - 1) if outcome.wait_s is None else outcome.wait_s
            self._not_before = max(self._not_before, time.monotonic() + min(wait_s, LONGEST_WAIT_S))

    def _wait(self) -> None:
        """A wait that the server asks of one request holds for all; a race for it only shortens a wait."""
        while (seconds := self._not_before - time.monotonic()) > 0 and not self._stopped.wait(seconds):
            pass

    def _once(self, image: bytes, worst: float) -> Any:
        """One request, `worst` USD reserved for it: the response, or the Problem."""
        import httpx2
        from google.genai import errors, types

        contents = [types.Part.from_bytes(data=image, mime_type="image/png"), self.question.prompt]
        usd = 0.0
        try:
            if self._stopped.is_set():
                raise Stopped
            usd = worst  # until the server says less
            response = self._client.models.generate_content(
                model=self.parameters.model, contents=contents, config=self._config()
            )
            usd = self._cost(response.usage_metadata, worst)
            return response
        except errors.APIError as error:
            usd = 0.0
            return self._problem(error)
        except httpx2.ConnectError as error:
            usd = 0.0
            return Problem("unreachable", str(error))
        except (httpx2.RequestError, errors.UnknownApiResponseError) as error:
            return Problem("server_error", f"{type(error).__name__}: {error}")
        finally:
            self.purse.settle(worst, usd)

    def _config(self) -> Any:
        from google.genai import types

        asked = self.parameters
        return types.GenerateContentConfig(
            system_instruction=self.question.instruction,
            response_mime_type="application/json",
            response_schema=copy.deepcopy(self.schema),  # the SDK rewrites it, and it is part of the key
            media_resolution=types.MediaResolution(f"MEDIA_RESOLUTION_{asked.media_resolution.upper()}"),
            thinking_config=types.ThinkingConfig(thinking_level=types.ThinkingLevel(asked.thinking_level.upper())),
            max_output_tokens=asked.max_output_tokens,
            automatic_continuation=False,
            automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
            store=False,
            safety_settings=[
                types.SafetySetting(
                    category=types.HarmCategory(f"HARM_CATEGORY_{name}"), threshold=types.HarmBlockThreshold.OFF
                )
                for name in UNSAFE
            ],
        )

    def _usd(self, output_tokens: int, bytes_per_token: int) -> float:
        """What a request costs; a token is never less than a byte."""
        text = self.question.prompt + self.question.instruction + json.dumps(self.schema, ensure_ascii=False)
        tokens = IMAGE_TOKENS[self.parameters.media_resolution] + FRAME_TOKENS + len(text.encode()) // bytes_per_token
        return self._price(tokens, output_tokens)

    def _price(self, input_tokens: int, output_tokens: int) -> float:
        asked = self.parameters
        return (input_tokens * asked.usd_per_million_input + output_tokens * asked.usd_per_million_output) / 1e6

    def _cost(self, usage: Any, worst: float) -> float:
        """Thoughts are billed as output and are not among the candidates' tokens."""
        if usage is None or usage.prompt_token_count is None:
            return worst
        output = (usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0)
        return self._price(usage.prompt_token_count, output)

    def _read(self, response: Any) -> Answer | Declined:
        asked, served = self.parameters.model, response.model_version
        if served and not re.fullmatch(re.escape(asked) + r"(-\d[\d-]*)?", served):
            raise InputError(
                f"{asked} was asked and {served} answered: change label.gemini.model in params.yaml. {KEPT}"
            )
        if not response.candidates:
            reason = getattr(response.prompt_feedback, "block_reason", None)
            return Declined("blocked", f"prompt: {reason.value if reason else 'no candidate'}")
        candidate = response.candidates[0]
        finish = candidate.finish_reason.value if candidate.finish_reason else "no finish reason"
        if finish in {"MAX_TOKENS", "CONTINUATION"}:
            return Declined("truncated", finish)
        if finish != "STOP":
            return Declined("blocked", finish)
        parts = (candidate.content.parts if candidate.content else None) or []
        text = "".join(part.text for part in parts if part.text and not part.thought)
        if not text.strip():
            return Declined("empty", finish)
        try:
            answer = self.question.answer.model_validate_json(text, strict=True)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            return Declined("schema_invalid", ".".join(str(part) for part in first["loc"]) + ": " + first["msg"])
        return Answer(answer.model_dump(mode="json"), served or asked)

    def _problem(self, error: Any) -> Problem:
        """Raises InputError for what concerns every page."""
        body = error.details.get("error", {}) if isinstance(error.details, dict) else {}
        details = body.get("details", [])
        message = f"{error.code} {error.status or ''}".strip()
        told = next((d["retryDelay"] for d in details if "retryDelay" in d), None)
        wait_s = float(told.removesuffix("s")) if told else None
        if error.code == 429:
            quotas = [v.get("quotaId", "") for d in details for v in d.get("violations", [])]
            if any("PerDay" in quota for quota in quotas):
                raise InputError(f"the day's quota of Gemini is used up ({', '.join(quotas)}): go on tomorrow. {KEPT}")
            return Problem("rate_limited", message, wait_s)
        if error.code == 408 or error.code >= 500:
            return Problem("server_error", message, wait_s)
        if error.code in {401, 403} or any(d.get("reason") == "API_KEY_INVALID" for d in details):
            raise InputError(f"Gemini refuses the key ({message}): check GEMINI_API_KEY. {KEPT}")
        if error.code == 404:
            model = self.parameters.model
            raise InputError(f"Gemini has no model {model}: change label.gemini.model in params.yaml. {KEPT}")
        raise InputError(f"Gemini refuses the request ({message}: {error.message}). {KEPT}")

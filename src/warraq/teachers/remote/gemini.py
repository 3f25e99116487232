"""Gemini, by structured output: one page a request, exactly one attempt of the SDK's.

What the SDK would do by itself costs money or sends pages elsewhere, so each of these is said explicitly: endpoint, API
version, time-out, no proxy from the environment, no continuation, no storing, no retry.
"""

import copy
import io
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field

from warraq.errors import InputError
from warraq.records import Reference
from warraq.section import Section
from warraq.tasks import Task
from warraq.teachers.remote.batch import Result
from warraq.teachers.remote.gemini_responses import problem, reply, result
from warraq.teachers.remote.parse_response import tag
from warraq.teachers.remote.prices import Lane
from warraq.teachers.remote.request import Problem, Reply, Step
from warraq.teachers.remote.schema import asking, envelope, portable
from warraq.teachers.remote.transport import client, timeout_s
from warraq.teachers.safety.clearance import Clearance, Cleared

ENDPOINT = "https://generativelanguage.googleapis.com"
API_VERSION = "v1"
MANY = 200  # pages; more of them can wait a quarter of an hour for half the price
DECIDES = {"model", "thinking_level", "max_output_tokens", "media_resolution"}  # not the lane, not the second model
IMAGE_TOKENS = {"low": 280, "medium": 560, "high": 1120}
FRAME_TOKENS = 512  # what the server adds around a request, generously
OVER = {"SUCCEEDED", "PARTIALLY_SUCCEEDED", "FAILED", "CANCELLED", "EXPIRED"}
UNSAFE = ("HARASSMENT", "HATE_SPEECH", "SEXUALLY_EXPLICIT", "DANGEROUS_CONTENT")
SAFETY = [{"category": f"HARM_CATEGORY_{name}", "threshold": "OFF"} for name in UNSAFE]

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


class Whole(io.BytesIO):
    """The SDK sends what one read gives as one request: all of it, so that the second lock sees whole lines."""

    def read(self, _: int | None = -1) -> bytes:
        return super().read()


class Gemini:
    name = "gemini"
    reference: Reference = "silver"
    cloud = True

    def __init__(self, task: Task, parameters: Parameters) -> None:
        self.task = task
        self.parameters = parameters
        self.schema = portable(envelope(task.answer))
        self.first = Step(parameters.model, parameters.max_output_tokens)
        self.second = parameters.second_model
        self._sdk: Any = None

    def identity(self) -> dict[str, Any]:
        prompt = asking(self.task.prompt, "")
        asked = {"prompt": prompt, "instruction": self.task.instruction, "schema": self.schema}
        return asked | self.parameters.model_dump(include=DECIDES)

    def tokens(self) -> tuple[int, int]:
        text = self.task.prompt + self.task.instruction + json.dumps(self.schema, ensure_ascii=False)
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
                f"{pages} pages need gemini for task {self.task.name}: set GEMINI_API_KEY, or take gemini out of "
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

    def _contents(self, page: Cleared, mark: str) -> Any:
        from google.genai import types

        image = types.Part.from_bytes(data=page.image, mime_type="image/png")
        return types.Content(role="user", parts=[image, types.Part(text=asking(self.task.prompt, mark))])

    @contextmanager
    def _problems(self, model: str) -> Iterator[None]:
        """What the SDK raises, as a Problem."""
        import httpx2
        from google.genai import errors

        try:
            yield
        except errors.APIError as error:
            raise problem(error, model) from None
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
        file = f"files/{job}"
        body = Whole("\n".join(json.dumps(self._line(key, page, step)) for key, page in asked.items()).encode())
        try:
            with self._problems(step.model):
                self._sdk.files.upload(file=body, config={"name": file, "display_name": job, "mime_type": "jsonl"})
        except Problem as failed:
            failed.spent = False  # there is no job yet
            raise
        except (KeyError, ValueError) as error:  # of the SDK, where the server does not take it whole
            raise Problem("server_error", f"the upload failed: {error}") from None
        with self._problems(step.model):
            self._sdk.batches.create(model=step.model, src=file, config={"display_name": job})

    def _line(self, key: str, page: Cleared, step: Step) -> dict[str, Any]:
        """A request in the dialect of REST; the same as `_config` makes of it for the SDK."""
        contents = self._contents(page, tag(key)).model_dump(mode="json", by_alias=True, exclude_none=True)
        return {
            "key": key,
            "request": {
                "contents": [contents],
                "systemInstruction": {"parts": [{"text": self.task.instruction}], "role": "user"},
                "generationConfig": self._generation(step),
                "safetySettings": SAFETY,
                "store": False,
            },
        }

    def collect(self, jobs: set[str]) -> dict[str, list[Result] | None]:
        found: dict[str, list[Result] | None] = {}
        with self._problems(self.parameters.model):
            for listed in self._sdk.batches.list():
                if listed.display_name not in jobs:
                    continue
                job = self._sdk.batches.get(name=listed.name)
                found[listed.display_name] = None
                if job.state is not None and job.state.value.removeprefix("JOB_STATE_") in OVER:
                    file = job.dest.file_name if job.dest else None
                    body = self._sdk.files.download(file=file) if file else b""
                    found[listed.display_name] = [result(text) for text in body.split(b"\n") if text.strip()]
        return found

    def cancel(self, job: str) -> None:
        with self._problems(self.parameters.model):
            for listed in self._sdk.batches.list():
                if listed.display_name == job:
                    self._sdk.batches.cancel(name=listed.name)

    def forget(self, job: str) -> None:
        with self._problems(self.parameters.model):
            self._sdk.files.delete(name=f"files/{job}")

    def _generation(self, step: Step) -> dict[str, Any]:
        asked = self.parameters
        return {
            "responseMimeType": "application/json",
            "responseSchema": copy.deepcopy(self.schema),  # the SDK rewrites it, and it is part of the key
            "mediaResolution": f"MEDIA_RESOLUTION_{asked.media_resolution.upper()}",
            "thinkingConfig": {"thinking_level": asked.thinking_level.upper()},
            "maxOutputTokens": step.max_output_tokens,
        }

    def _config(self, step: Step) -> Any:
        from google.genai import types

        return types.GenerateContentConfig.model_validate(
            self._generation(step)
            | {
                "should_return_http_response": True,  # the body as it came is stored
                "system_instruction": self.task.instruction,
                "automatic_continuation": False,
                "automatic_function_calling": {"disable": True},
                "service_tier": "flex" if step.lane == "flex" else None,
                "store": False,
                "safety_settings": SAFETY,
            }
        )

    def read(self, body: str) -> Reply:
        return reply(body)

    def serves(self, asked: str, served: str) -> bool:
        """Dated and numbered versions of a model are that model."""
        return re.fullmatch(re.escape(asked) + r"(-\d[\d-]*)?", served) is not None

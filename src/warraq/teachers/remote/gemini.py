"""Gemini, by structured output: one page a request, exactly one attempt of the SDK's.

What the SDK would do by itself costs money or sends pages elsewhere, so each of these is said explicitly: endpoint, API
version, time-out, no proxy from the environment, no continuation, no storing, no retry.
"""

import copy
import io
import json
import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field

from warraq.errors import InputError
from warraq.files import JsonObject
from warraq.loopback import LOOPBACK
from warraq.records import Reference
from warraq.section import Section
from warraq.tasks import Task
from warraq.teachers.remote.gemini_responses import parse_error, parse_job_line, parse_reply
from warraq.teachers.remote.parse_response import page_tag
from warraq.teachers.remote.prices import Lane
from warraq.teachers.remote.provider import JobStatus
from warraq.teachers.remote.request import ProviderError, Reply, RequestSpec
from warraq.teachers.remote.schema import build_envelope, build_prompt, to_openapi
from warraq.teachers.remote.transport import build_client, read_timeout_s
from warraq.teachers.safety.clearance import Clearance, ClearedPage

logger = logging.getLogger(__name__)

ENDPOINT = "https://generativelanguage.googleapis.com"
FLEX_PAGES = 200  # more of them can wait a quarter of an hour for half the price
IDENTITY_FIELDS = {
    "model",
    "thinking_level",
    "max_output_tokens",
    "media_resolution",
}  # not lane, second model
IMAGE_TOKENS = {"low": 280, "medium": 560, "high": 1120}
FRAME_TOKENS = 512  # what the server adds around a request, generously
FINISHED_STATES = {"SUCCEEDED": True, "PARTIALLY_SUCCEEDED": True} | dict.fromkeys(
    ("FAILED", "CANCELLED", "EXPIRED"), False
)  # of a job; whether a page without a result may have cost something
UNSAFE = ("HARASSMENT", "HATE_SPEECH", "SEXUALLY_EXPLICIT", "DANGEROUS_CONTENT")
SAFETY = [{"category": f"HARM_CATEGORY_{name}", "threshold": "OFF"} for name in UNSAFE]

ModelName = Annotated[str, Field(pattern=r"^gemini-[a-z0-9.-]+$")]


class Parameters(Section):
    """The branch `label.gemini` of params.yaml."""

    model: ModelName
    second_model: ModelName | None
    thinking_level: Literal["minimal", "low", "medium", "high"]
    max_output_tokens: Annotated[int, Field(ge=256, le=65536)]
    media_resolution: Literal["low", "medium", "high"]
    lane: Literal["auto", "standard", "flex", "batch"]
    api_version: Annotated[str, Field(pattern=r"^v\d+((alpha|beta)\d*)?$")] = "v1"


def read_endpoint() -> str:
    """`WARRAQ_GEMINI_URL`, else Google's; https, or http to this machine.

    Raises:
        InputError: pages would travel in the clear.
    """
    url = os.environ.get("WARRAQ_GEMINI_URL") or ENDPOINT
    parts = urlsplit(url)
    loopback = parts.scheme == "http" and parts.hostname in LOOPBACK
    if not (loopback or (parts.scheme == "https" and parts.hostname)) or parts.username is not None:
        raise InputError(f"WARRAQ_GEMINI_URL is {url!r}; it must be https://… or http://127.0.0.1:….")
    return url.rstrip("/")


class UploadStream(io.BytesIO):
    """The SDK sends what one read gives as one request: all of it, so that the second lock sees whole lines."""

    def read(self, _: int | None = -1) -> bytes:
        """All that was not read yet."""
        return super().read()


class GeminiProvider:
    """Gemini about a task, by Google's SDK; it also takes jobs."""

    name = "gemini"
    reference: Reference = "silver"
    cloud = True
    unfit: str | None = None

    def __init__(self, task: Task, parameters: Parameters) -> None:
        """Raises TypeError where the task's answer has a schema that Gemini does not understand."""
        self.task = task
        self.parameters = parameters
        self.schema = to_openapi(build_envelope(task.answer))
        self.first = RequestSpec(parameters.model, parameters.max_output_tokens)
        self.second_model = parameters.second_model
        self.api = f"Gemini's API {parameters.api_version}"
        self._sdk: Any = None

    def identity(self) -> JsonObject:
        """What is asked and how, but for lane and second model."""
        prompt = build_prompt(self.task.prompt, "")
        question = {"prompt": prompt, "instruction": self.task.instruction, "schema": self.schema}
        return question | self.parameters.model_dump(include=IDENTITY_FIELDS)

    def input_tokens(self) -> tuple[int, int]:
        """Of image, prompt and schema: a token is about four letters of English, and never less than a byte."""
        text = self.task.prompt + self.task.instruction + json.dumps(self.schema, ensure_ascii=False)
        image = IMAGE_TOKENS[self.parameters.media_resolution]
        return image + len(text) // 4, image + FRAME_TOKENS + len(text.encode())

    def choose_lane(self, pages: int) -> Lane:
        """The lane of the parameters; `auto` has many pages wait for half the price."""
        if self.parameters.lane == "auto":
            return "flex" if pages > FLEX_PAGES else "standard"
        return self.parameters.lane

    @contextmanager
    def open_session(self, clearance: Clearance, pages: int) -> Iterator[None]:
        """The SDK's client, on a transport that lets only cleared images out."""
        key = os.environ.get("GEMINI_API_KEY", "").strip()
        if not key:
            raise InputError(
                f"{pages} pages need gemini for task {self.task.name}: set GEMINI_API_KEY, or take gemini out of "
                "label.teachers in params.yaml."
            )
        url, timeout_ms = read_endpoint(), int(read_timeout_s() * 1000)
        from google import genai
        from google.genai import types

        host = urlsplit(url).hostname
        if host not in {urlsplit(ENDPOINT).hostname, *LOOPBACK}:
            logger.warning("pages go to %s, which WARRAQ_GEMINI_URL names, and not to Google's own host", host)
        with build_client(url, clearance) as http:
            options = types.HttpOptions(
                base_url=url, api_version=self.parameters.api_version, timeout=timeout_ms, httpx_client=http
            )
            self._sdk = genai.Client(vertexai=False, api_key=key, http_options=options)
            try:
                yield
            finally:
                self._sdk = None

    def _build_contents(self, page: ClearedPage, tag: str) -> Any:
        from google.genai import types

        image = types.Part.from_bytes(data=page.image, mime_type="image/png")
        return types.Content(role="user", parts=[image, types.Part(text=build_prompt(self.task.prompt, tag))])

    @contextmanager
    def _translate_errors(self, model: str) -> Iterator[None]:
        """What the SDK raises, as a ProviderError."""
        import httpx2
        from google.genai import errors

        try:
            yield
        except errors.APIError as error:
            raise parse_error(error, model) from None
        except httpx2.ConnectError as error:
            raise ProviderError("unreachable", f"{read_endpoint()} ({error})") from None
        except (httpx2.RequestError, ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
            # The SDK reads bodies as if they were what it expects.
            raise ProviderError("server_error", f"{type(error).__name__}: {error}", spent=True) from None

    def send(self, page: ClearedPage, tag: str, spec: RequestSpec) -> str:
        """Ask once; the body of the response as it came."""
        with self._translate_errors(spec.model):
            response = self._sdk.models.generate_content(
                model=spec.model, contents=self._build_contents(page, tag), config=self._build_config(spec)
            )
        body: str = response.sdk_http_response.body or ""
        return body

    def submit(self, job: str, pages: dict[str, ClearedPage], spec: RequestSpec) -> None:
        """Upload the requests as one file, named after the job, and create the job."""
        file = f"files/{job}"
        lines = (json.dumps(self._build_job_line(key, page, spec)) for key, page in pages.items())
        body = UploadStream("\n".join(lines).encode())
        try:
            with self._translate_errors(spec.model):
                self._sdk.files.upload(file=body, config={"name": file, "display_name": job, "mime_type": "jsonl"})
        except ProviderError as error:
            error.spent = False  # there is no job yet
            raise
        with self._translate_errors(spec.model):
            self._sdk.batches.create(model=spec.model, src=file, config={"display_name": job})

    def _build_job_line(self, key: str, page: ClearedPage, spec: RequestSpec) -> JsonObject:
        """A request in the dialect of REST; the same as `_build_config` makes of it for the SDK."""
        contents = self._build_contents(page, page_tag(key)).model_dump(mode="json", by_alias=True, exclude_none=True)
        return {
            "key": key,
            "request": {
                "contents": [contents],
                "systemInstruction": {"parts": [{"text": self.task.instruction}], "role": "user"},
                "generationConfig": self._build_generation_config(spec),
                "safetySettings": SAFETY,
                "store": False,
            },
        }

    def collect(self, jobs: set[str]) -> dict[str, JobStatus]:
        """What came of them; one whose results cannot be had does not keep the others."""
        with self._translate_errors(self.parameters.model):
            listed = {job.display_name: job.name for job in self._sdk.batches.list() if job.display_name in jobs}
        return {job: self._read_job(name) for job, name in listed.items()}

    def _read_job(self, name: str) -> JobStatus:
        try:
            with self._translate_errors(self.parameters.model):
                job = self._sdk.batches.get(name=name)
                state = job.state.value.removeprefix("JOB_STATE_") if job.state else ""
                if state not in FINISHED_STATES:
                    return JobStatus()
                file = job.dest.file_name if job.dest else None
                if FINISHED_STATES[state] and not file:
                    return JobStatus(fault="the job names no results")
                body = self._sdk.files.download(file=file) if file else b""
        except ProviderError as error:
            return JobStatus(fault=error.message)
        lines = [parse_job_line(text) for text in body.split(b"\n") if text.strip()]
        return JobStatus(lines, charged=FINISHED_STATES[state])

    def cancel(self, job: str) -> None:
        """Find the job by its name and cancel it."""
        with self._translate_errors(self.parameters.model):
            for listed in self._sdk.batches.list():
                if listed.display_name == job:
                    self._sdk.batches.cancel(name=listed.name)

    def delete(self, job: str) -> None:
        """Delete the file of its requests, with the pages in it."""
        with self._translate_errors(self.parameters.model):
            self._sdk.files.delete(name=f"files/{job}")

    def _build_generation_config(self, spec: RequestSpec) -> JsonObject:
        return {
            "responseMimeType": "application/json",
            "responseSchema": copy.deepcopy(self.schema),  # the SDK rewrites it, and it is part of the key
            "mediaResolution": f"MEDIA_RESOLUTION_{self.parameters.media_resolution.upper()}",
            "thinkingConfig": {"thinking_level": self.parameters.thinking_level.upper()},
            "maxOutputTokens": spec.max_output_tokens,
        }

    def _build_config(self, spec: RequestSpec) -> Any:
        from google.genai import types

        return types.GenerateContentConfig.model_validate(
            self._build_generation_config(spec)
            | {
                "should_return_http_response": True,  # the body as it came is stored
                "system_instruction": self.task.instruction,
                "automatic_continuation": False,
                "automatic_function_calling": {"disable": True},
                "service_tier": "flex" if spec.lane == "flex" else None,
                "store": False,
                "safety_settings": SAFETY,
            }
        )

    def parse(self, body: str) -> Reply:
        """What a response says."""
        return parse_reply(body)

    def convert(self, text: str) -> None:
        """It is asked for JSON of the schema."""

    def serves(self, model: str, served: str) -> bool:
        """Dated and numbered versions of a model are that model."""
        return re.fullmatch(re.escape(model) + r"(-\d[\d-]*)?", served) is not None

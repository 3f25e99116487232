"""A model on this machine behind the chat completions endpoint that vLLM, Ollama, llama.cpp and SGLang serve.

It may see every page, because nothing leaves: the server's address is proved to be of this machine before anything is
sent. It costs nothing, and goes through the same ledger: a killed run goes on, an answer is never asked for twice.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from warraq.chat_completions import build_format, build_request, find_forwarding, parse_response
from warraq.errors import InputError
from warraq.files import JsonObject, parse_strict_json
from warraq.records import Reference
from warraq.section import Section
from warraq.tasks import Task
from warraq.teachers.remote.faults import find_kind, parse_retry_after
from warraq.teachers.remote.prices import Lane
from warraq.teachers.remote.request import Finish, ProviderError, Reply, RequestSpec, Usage
from warraq.teachers.remote.schema import build_envelope, build_prompt, to_json_schema, to_openapi
from warraq.teachers.remote.transport import LONGEST_TEXT, build_client, read_timeout_s, resolve_local_url
from warraq.teachers.safety.clearance import Clearance, ClearedPage
from warraq.teachers.transcripts import PROMPTS, Notation, read_transcript

FINISHES: dict[str, Finish] = {"stop": "stop", "length": "truncated", "content_filter": "blocked"}
ENDPOINT = "http://127.0.0.1:8000/v1"  # vLLM's
SHOW_S = 30  # for what a server says of a model
REDIRECTED = "WARRAQ_LOCAL_URL is {}, which sends its callers on to {}; name the server that answers itself."


class Parameters(Section):
    """The branch `label.local` of params.yaml."""

    model: str
    max_output_tokens: Annotated[int, Field(ge=256, le=65536)]
    private_network: bool
    answers: Literal["schema"] | Notation = "schema"
    prompt: Annotated[str, Field(min_length=1, max_length=LONGEST_TEXT)] | None = None

    @model_validator(mode="after")
    def _check_prompt(self) -> "Parameters":
        if self.answers == "schema" and self.prompt is not None:
            raise ValueError("prompt is for answers in another form than schema, which each task asks for itself")
        return self


class LocalProvider:
    """A chat completions server near, about a task; it takes no jobs."""

    name = "local"
    api = "chat completions"
    reference: Reference = "silver"
    cloud = False
    second_model: str | None = None
    unfit: str | None = None

    def __init__(self, task: Task, parameters: Parameters) -> None:
        """Raises TypeError where the task's answer has a schema that not every server understands."""
        self.task = task
        self.parameters = parameters
        self.schema = to_json_schema(to_openapi(build_envelope(task.answer)))
        self.first = RequestSpec(parameters.model, parameters.max_output_tokens)
        if parameters.answers != "schema" and task.name != "content":
            self.unfit = f"a model that answers in {parameters.answers} copies pages and has no fields"
        self._http: Any = None
        self._url = ""

    def identity(self) -> JsonObject:
        """What is asked and how."""
        question: JsonObject = {"prompt": self._prompt(""), "answers": self.parameters.answers}
        if self.parameters.answers == "schema":
            question = {"prompt": self._prompt(""), "instruction": self.task.instruction, "schema": self.schema}
        return question | self.parameters.model_dump(include={"model", "max_output_tokens"})

    def _prompt(self, tag: str) -> str:
        """A model that only reads knows no tag, nor any message but its own prompt."""
        answers = self.parameters.answers
        return (
            build_prompt(self.task.prompt, tag) if answers == "schema" else self.parameters.prompt or PROMPTS[answers]
        )

    def input_tokens(self) -> tuple[int, int]:
        """None count, as none is paid for."""
        return 0, 0

    def choose_lane(self, pages: int) -> Lane:
        """There is one lane only."""
        return "standard"

    @contextmanager
    def open_session(self, clearance: Clearance, pages: int) -> Iterator[None]:
        """A client of the server at `WARRAQ_LOCAL_URL`, which is proved to be near."""
        url = os.environ.get("WARRAQ_LOCAL_URL") or ENDPOINT
        self._url, host = resolve_local_url("WARRAQ_LOCAL_URL", url, self.parameters.private_network)
        with build_client(self._url, clearance, host=host) as self._http:
            self._refuse_forwarding(url)
            yield

    def _refuse_forwarding(self, url: str) -> None:
        """Before the first page: that the server answers for itself, and does not hand the model's pages on.

        Raises:
            InputError: it redirects, or the model is in a cloud.
        """
        import httpx2

        model, place = self.parameters.model, f"{self._url.removesuffix('/v1')}/api/show"
        shown: object = None
        location = None
        with suppress(httpx2.RequestError, ValueError):  # no server yet, or no Ollama
            response = self._http.post(place, json={"model": model}, timeout=SHOW_S)
            location = response.headers.get("location")
            shown = response.json()
        if location:
            raise InputError(REDIRECTED.format(url, location))
        if why := find_forwarding(model, shown):
            raise InputError(f"label.local.model is not local, as {why}: name a model that this machine runs.")

    def send(self, page: ClearedPage, tag: str, spec: RequestSpec) -> str:
        """Ask once; the body of the response as it came."""
        import httpx2

        has_schema = self.parameters.answers == "schema"
        instruction = self.task.instruction if has_schema else ""
        body = build_request(
            spec.model, self._prompt(tag), [page.image], spec.max_output_tokens, instruction=instruction
        )
        if has_schema:
            body["response_format"] = build_format(self.task.name, self.schema)
        try:
            response = self._http.post(f"{self._url}/chat/completions", json=body, timeout=read_timeout_s())
        except httpx2.ConnectError as error:
            message = f"{self._url} ({error}); start the server or set WARRAQ_LOCAL_URL"
            raise ProviderError("unreachable", message) from None
        except httpx2.RequestError as error:
            raise ProviderError("server_error", f"{type(error).__name__}: {error}") from None
        if response.status_code == 200:
            return str(response.text)
        if response.is_redirect:
            onward = REDIRECTED.format(self._url, response.headers.get("location"))
            raise ProviderError("refused", "a redirect", stops=onward)
        message = f"{response.status_code} {response.text[:200]}"
        kind = find_kind(response.status_code)
        stops = None
        if kind in {"bad_request", "refused"}:
            stops = f"the local teacher refuses the request ({message}): check label.local in params.yaml."
        raise ProviderError(kind, message, parse_retry_after(response.headers), stops=stops)

    def parse(self, body: str) -> Reply:
        """What a response says."""
        parse_strict_json(body)  # what no ledger and no labels file could hold is no response
        response = parse_response(body)
        word = response.finish_reason if isinstance(response.finish_reason, str) else "no finish reason"
        model = response.model if isinstance(response.model, str) else None
        counts = (response.input_tokens, response.output_tokens)
        tokens = [count for count in counts if isinstance(count, int) and 0 <= count < 2**31]
        usage = Usage(tokens[0], tokens[1], {}) if len(tokens) == 2 else None
        return Reply(FINISHES.get(word, "failed"), word, response.text, model, usage)

    def convert(self, text: str) -> JsonObject | None:
        """The answer that a transcript comes to; None where the model was asked for the schema."""
        answers = self.parameters.answers
        return None if answers == "schema" else read_transcript(text, answers)

    def serves(self, model: str, served: str) -> bool:
        """A local server names its model as it likes: by a path, or by an alias."""
        return True

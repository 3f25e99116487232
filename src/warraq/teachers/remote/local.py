"""A model on this machine behind the chat completions endpoint that vLLM, Ollama, llama.cpp and SGLang serve.

It may see every page, because nothing leaves: the server's address is proved to be of this machine before anything is
sent. It costs nothing, and goes through the same ledger: a killed run goes on, an answer is never asked for twice.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Literal

from pydantic import Field

from warraq.chat_completions import build_format, build_request, parse_response
from warraq.records import Reference
from warraq.section import Section
from warraq.tasks import Task
from warraq.teachers.remote.prices import Lane
from warraq.teachers.remote.request import Problem, Reply, Step
from warraq.teachers.remote.schema import asking, envelope, json_schema, portable
from warraq.teachers.remote.transport import client, proved_local, timeout_s
from warraq.teachers.safety.clearance import Clearance, Cleared

ENDPOINT = "http://127.0.0.1:8000/v1"  # vLLM's


class Parameters(Section):
    model: str
    max_output_tokens: Annotated[int, Field(ge=256, le=65536)]
    private_network: bool


class Local:
    name = "local"
    reference: Reference = "silver"
    cloud = False
    second: str | None = None

    def __init__(self, task: Task, parameters: Parameters) -> None:
        self.task = task
        self.parameters = parameters
        self.schema = json_schema(portable(envelope(task.answer)))
        self.first = Step(parameters.model, parameters.max_output_tokens)
        self._http: Any = None
        self._url = ""

    def identity(self) -> dict[str, Any]:
        prompt = asking(self.task.prompt, "")
        asked = {"prompt": prompt, "instruction": self.task.instruction, "schema": self.schema}
        return asked | self.parameters.model_dump(include={"model", "max_output_tokens"})

    def tokens(self) -> tuple[int, int]:
        return 0, 0

    def lane(self, pages: int) -> Lane:
        return "standard"

    @contextmanager
    def session(self, clearance: Clearance, pages: int) -> Iterator[None]:
        named = os.environ.get("WARRAQ_LOCAL_URL") or ENDPOINT
        self._url, host = proved_local("WARRAQ_LOCAL_URL", named, self.parameters.private_network)
        with client(self._url, clearance, host=host) as self._http:
            yield

    def send(self, page: Cleared, tag: str, step: Step) -> str:
        import httpx2

        prompt, instruction = asking(self.task.prompt, tag), self.task.instruction
        body = build_request(step.model, prompt, [page.image], step.max_output_tokens, instruction=instruction)
        body["response_format"] = build_format(self.task.name, self.schema)
        try:
            response = self._http.post(f"{self._url}/chat/completions", json=body, timeout=timeout_s())
        except httpx2.ConnectError as error:
            raise Problem("unreachable", f"{self._url} ({error}); start the server or set WARRAQ_LOCAL_URL") from None
        except httpx2.RequestError as error:
            raise Problem("server_error", f"{type(error).__name__}: {error}") from None
        if response.status_code == 200:
            return response.text
        message = f"{response.status_code} {response.text[:200]}"
        if response.status_code == 429:
            raise Problem("rate_limited", message)
        if response.status_code == 503:
            raise Problem("overloaded", message)
        if response.status_code == 408 or response.status_code >= 500:
            raise Problem("server_error", message)
        stops = f"the local teacher refuses the request ({message}): check label.local in params.yaml."
        raise Problem("bad_request" if response.status_code == 400 else "refused", message, stops=stops)

    def read(self, body: str) -> Reply:
        response = parse_response(body)
        word = response.finish_reason or "no finish reason"
        finish: Literal["stop", "truncated", "blocked"] = "blocked"
        if word in {"stop", "length"}:
            finish = "stop" if word == "stop" else "truncated"
        return Reply(finish, word, response.text, response.model, response.input_tokens, response.output_tokens)

    def serves(self, asked: str, served: str) -> bool:
        """A local server names its model as it likes: by a path, or by an alias."""
        return True

"""A model behind an OpenAI-compatible server on this machine (vLLM, Ollama, llama.cpp), asked as a student is: the same
image, prompt and limit, greedily.

The folder holds a config.json alone: `{"runtime": "endpoint", "url": "http://127.0.0.1:8000/v1", "model": "…"}`. Only a
server of this machine is asked, because test pages may be such that must not leave it.
"""

import base64
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from warraq.errors import InputError
from warraq.files import read_json
from warraq.runtimes import Answer, ImageError, Request

TIMEOUT_S = 600


class EndpointRuntime:
    """Raises InputError for a server elsewhere, and where it cannot be reached or refuses."""

    def __init__(self, folder: Path) -> None:
        path = folder / "config.json"
        config = read_json(path)
        self.url: str = config["url"].rstrip("/")
        self.model: str = config["model"]
        if urlsplit(self.url).hostname not in ("127.0.0.1", "::1", "localhost"):
            raise InputError(f"{path}: {self.url} is not on this machine; pages may not be sent there.")

    def answer(self, requests: Sequence[Request], max_new_tokens: int) -> list[Answer]:
        return [self._ask(request, max_new_tokens) for request in requests]

    def _ask(self, request: Request, max_new_tokens: int) -> Answer:
        import httpx2

        content: list[dict[str, Any]] = [
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{_encoded(image)}"}}
            for image in request.images
        ]
        content.append({"type": "text", "text": request.prompt})
        turns = [{"role": "user", "content": content}]
        body: dict[str, Any] = {
            "model": self.model, "messages": turns, "temperature": 0, "max_tokens": max_new_tokens, "logprobs": True,
        }  # fmt: skip
        if request.schema:
            form = {"name": "answer", "schema": json.loads(request.schema), "strict": True}
            body["response_format"] = {"type": "json_schema", "json_schema": form}
        try:
            reply = httpx2.post(f"{self.url}/chat/completions", json=body, timeout=TIMEOUT_S, trust_env=False)
        except httpx2.RequestError as error:
            raise InputError(f"{self.url} cannot be asked ({error}); start the server and run again.") from None
        if reply.status_code != 200:
            raise InputError(f"{self.url} refuses: {reply.status_code} {reply.text[:200]}")
        choice = reply.json()["choices"][0]
        tokens = (reply.json().get("usage") or {}).get("completion_tokens", 0)
        cut = choice.get("finish_reason") == "length"
        text = choice["message"]["content"] or ""
        logprobs = told(choice)
        confidence = math.exp(sum(one for _, one in logprobs) / len(logprobs)) if logprobs else None
        return Answer(text, "length" if cut else "stop", tokens, False, confidence, logprobs)


def told(choice: dict[str, Any]) -> tuple[tuple[int, float], ...]:
    """Where each token ends, and its log-probability, where the server tells them; not all do, or know the option."""
    end, found = 0, []
    for token in (choice.get("logprobs") or {}).get("content") or ():
        end += len(token["token"])
        found.append((end, float(token["logprob"])))
    return tuple(found)


def _encoded(image: Path) -> str:
    try:
        return base64.b64encode(image.read_bytes()).decode("ascii")
    except OSError as error:
        raise ImageError(image, error) from error

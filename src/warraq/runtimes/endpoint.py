"""A model behind an OpenAI-compatible server on this machine (vLLM, Ollama, llama.cpp), asked as a student is: the same
views of a page, prompt and limit, greedily.

The folder holds a config.json alone: `{"runtime": "endpoint", "url": "http://127.0.0.1:8000/v1", "model": "…"}`, with
the `views` of a student that was trained with others than `page`. Only a server of this machine is asked, because test
pages may be such that must not leave it.
"""

import asyncio
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from warraq.chat_completions import build_format, build_request, find_forwarding, parse_response
from warraq.errors import InputError
from warraq.files import read_json
from warraq.loopback import LOOPBACK
from warraq.runtimes import Answer, ImageError, Request, open_image
from warraq.views import PAGE, cut_bands, encode_png

if TYPE_CHECKING:
    import httpx2

TIMEOUT_S = 600
PAUSE_S = 0.1  # after which a listener is asked whether anybody waits yet
SHOW_S = 30  # for what a server says of a model


class EndpointRuntime:
    """Raises InputError for a server elsewhere, and where it cannot be reached or refuses."""

    def __init__(self, folder: Path) -> None:
        path = folder / "config.json"
        config = read_json(path)
        self.url: str = config["url"].rstrip("/")
        self.model: str = config["model"]
        if urlsplit(self.url).hostname not in LOOPBACK:
            raise InputError(f"{path}: {self.url} is not on this machine; pages may not be sent there.")
        self._is_near = False

    def answer(self, requests: Sequence[Request], max_new_tokens: int) -> list[Answer]:
        """Ask the server, one request after another; once, whether it hands on what it is asked.

        Raises:
            InputError: it does, or cannot be asked.
        """
        if not self._is_near:
            why = find_forwarding(self.model, self._show_model())
            if why:
                raise InputError(f"{self.model} is not on this machine, as {why}; pages may not be sent there.")
            self._is_near = True
        return [self._ask(request, max_new_tokens) for request in requests]

    def _show_model(self) -> object:
        """What Ollama says of the model; None of another server, which has no list of its kind."""
        import httpx2

        place = f"{self.url.removesuffix('/v1')}/api"
        try:
            if httpx2.head(f"{place}/tags", timeout=SHOW_S, trust_env=False).status_code != 200:
                return None
            return httpx2.post(f"{place}/show", json={"model": self.model}, timeout=SHOW_S, trust_env=False).json()
        except (httpx2.RequestError, ValueError):
            return None

    def _ask(self, request: Request, max_new_tokens: int) -> Answer:
        import httpx2

        images = _read_views(request)
        body = build_request(
            self.model, request.prompt, images, max_new_tokens, instruction=request.instruction, logprobs=True
        )
        if request.schema:
            body["response_format"] = build_format("answer", json.loads(request.schema))
        try:
            reply = asyncio.run(_post(f"{self.url}/chat/completions", body, request.listener))
        except httpx2.RequestError as error:
            raise InputError(f"{self.url} cannot be asked ({error}); start the server and run again.") from None
        if reply.status_code != 200:
            raise InputError(f"{self.url} refuses: {reply.status_code} {reply.text[:200]}")
        try:
            response = parse_response(reply.text)
        except ValueError as error:
            raise InputError(f"{self.url} answers what is {error}; name another server.") from None
        logprobs = response.logprobs
        confidence = math.exp(sum(one for _, one in logprobs) / len(logprobs)) if logprobs else None
        finish: Literal["length", "stop"] = "length" if response.finish_reason == "length" else "stop"
        if request.listener:
            request.listener(response.text)
        tokens = response.output_tokens or 0
        return Answer(response.text, finish, tokens, False, confidence, logprobs, response.input_tokens)


async def _post(url: str, body: Mapping[str, object], listener: Callable[[str], None] | None) -> "httpx2.Response":
    """The reply; a listener that raises ends the request, and so the other server's work, by closing the connection."""
    import httpx2

    async with httpx2.AsyncClient(timeout=TIMEOUT_S, trust_env=False) as client:
        asked = asyncio.create_task(client.post(url, json=body))
        try:
            while not (await asyncio.wait({asked}, timeout=PAUSE_S))[0]:
                if listener:
                    listener("")
            return asked.result()
        finally:
            asked.cancel()


def _read_views(request: Request) -> Iterator[bytes]:
    """The file of each image as it is, and after it its bands as PNG."""
    for path in request.images:
        try:
            yield path.read_bytes()
        except OSError as error:
            raise ImageError(path, error) from error
        if request.views != PAGE:
            yield from map(encode_png, cut_bands(open_image(path), request.views))

"""A model behind an OpenAI-compatible server on this machine (vLLM, Ollama, llama.cpp), asked as a student is: the same
views of a page, prompt and limit, greedily.

The folder holds a config.json alone: `{"runtime": "endpoint", "url": "http://127.0.0.1:8000/v1", "model": "…"}`, with
the `views` of a student that was trained with others than `page`. Beside them `merged` names the folder of the model
that is served: pages are then sent in the px that its processor makes of them, since servers shrink otherwise, and with
the line breaks that it puts around an image, where the server leaves them out. Only a server of this machine is asked,
because test pages may be such that must not leave it.
"""

import asyncio
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from warraq.chat_completions import (
    ChatRequest,
    ChatResponse,
    build_format,
    build_request,
    find_forwarding,
    parse_response,
)
from warraq.errors import InputError
from warraq.files import read_json
from warraq.loopback import LOOPBACK
from warraq.runtimes import Answer, ImageError, Request, open_image, open_views
from warraq.views import PAGE, cut_bands, encode_png

if TYPE_CHECKING:
    import httpx2

    from warraq.runtimes.processor import Processor

TIMEOUT_S = 600
PAUSE_S = 0.1  # after which a listener is asked whether anybody waits yet
SHOW_S = 30  # for what a server says of a model


def find_merged(folder: Path) -> Path | None:
    """The folder of the model that an endpoint serves, where its config.json names one, from its own folder on."""
    named = read_json(folder / "config.json").get("merged")
    return folder / named if named else None


def drop_special(merged: Path, text: str) -> str:
    """An answer of the model in `merged` as servers write it, which leave out its special tokens."""
    from tokenizers import Tokenizer

    for token in Tokenizer.from_file(str(merged / "tokenizer.json")).get_added_tokens_decoder().values():
        text = text.replace(token.content, "") if token.special else text
    return text


def check_near(url: str, named_by: object) -> None:
    """Raises InputError for a server elsewhere, which `named_by` names."""
    if urlsplit(url).hostname not in LOOPBACK:
        raise InputError(f"{named_by}: {url} is not on this machine; pages may not be sent there.")


def find_served_model(url: str) -> str:
    """The first model that the server at `url`, on this machine, lists.

    Raises:
        InputError: it cannot be asked, or lists none.
    """
    import httpx2

    check_near(url, "URL")
    try:
        reply = httpx2.get(f"{url.rstrip('/')}/models", timeout=SHOW_S, trust_env=False)
        return str(reply.json()["data"][0]["id"])
    except httpx2.RequestError as error:
        raise InputError(f"{url} cannot be asked ({error}); start the server and run again.") from None
    except (LookupError, TypeError, ValueError):
        raise InputError(f"{url} lists no model; name it with --served.") from None


class ServedModel:
    """A model that a server of this machine answers for.

    Args:
        url: of its interface, as a rule with `/v1` at its end.
        model: as the server names it.
        merged: the folder of the same model, by which pages are prepared; None sends them as they are.
        key: that the server wants, if any.

    Raises InputError, when it is asked, where the server cannot be reached or refuses.
    """

    def __init__(self, url: str, model: str, merged: Path | None, key: str = "") -> None:
        self.url, self.model = url.rstrip("/"), model
        self.headers = {"Authorization": f"Bearer {key}"} if key else {}
        self.processor = _load_processor(merged) if merged else None
        self._is_near = False
        self._padding: str | None = None  # that the server leaves out; None: not known yet

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
        body = self._build_body(request, max_new_tokens)
        if request.schema:
            body["response_format"] = build_format("answer", json.loads(request.schema))
        response = self._complete(body, request.listener)
        logprobs = response.logprobs
        confidence = math.exp(sum(one for _, one in logprobs) / len(logprobs)) if logprobs else None
        finish: Literal["length", "stop"] = "length" if response.finish_reason == "length" else "stop"
        if request.listener:
            request.listener(response.text)
        tokens = response.output_tokens or 0
        return Answer(response.text, finish, tokens, False, confidence, logprobs, response.input_tokens)

    def _build_body(self, request: Request, max_new_tokens: int) -> ChatRequest:
        images = list(_read_views(request, self.processor))
        padding = self._find_padding(request, images) if images else ""
        return build_request(
            self.model, request.prompt, images, max_new_tokens, instruction=request.instruction, logprobs=True,
            padding=padding,
        )  # fmt: skip

    def _find_padding(self, request: Request, images: Sequence[bytes]) -> str:
        """What the processor puts around an image, where the server counts as many tokens as without it."""
        if self._padding is None and self.processor and self.processor.padding:
            body = build_request(self.model, request.prompt, images, 1, instruction=request.instruction)
            told = self._complete(body, request.listener).input_tokens
            bare, whole = (len(self.processor.encode_prompt(request, text)) for text in ("", None))
            self._padding = self.processor.padding if told == bare != whole else ""
        return self._padding or ""

    def _complete(self, body: ChatRequest, listener: Callable[[str], None] | None) -> ChatResponse:
        import httpx2

        try:
            reply = asyncio.run(_post(f"{self.url}/chat/completions", body, self.headers, listener))
        except httpx2.RequestError as error:
            raise InputError(f"{self.url} cannot be asked ({error}); start the server and run again.") from None
        if reply.status_code != 200:
            raise InputError(f"{self.url} refuses: {reply.status_code} {reply.text[:200]}")
        try:
            return parse_response(reply.text)
        except ValueError as error:
            raise InputError(f"{self.url} answers what is {error}; name another server.") from None


class EndpointRuntime(ServedModel):
    """What the config.json of a folder names. Raises InputError for a server elsewhere."""

    def __init__(self, folder: Path) -> None:
        config = read_json(folder / "config.json")
        check_near(config["url"], folder / "config.json")
        super().__init__(config["url"], config["model"], find_merged(folder))


async def _post(
    url: str, body: ChatRequest, headers: Mapping[str, str], listener: Callable[[str], None] | None
) -> "httpx2.Response":
    """The reply; a listener that raises ends the request, and so the other server's work, by closing the connection."""
    import httpx2

    async with httpx2.AsyncClient(timeout=TIMEOUT_S, trust_env=False, headers=headers) as client:
        asked = asyncio.create_task(client.post(url, json=body))
        try:
            while not (await asyncio.wait({asked}, timeout=PAUSE_S))[0]:
                if listener:
                    listener("")
            return asked.result()
        finally:
            asked.cancel()


def _load_processor(merged: Path) -> "Processor | None":
    """None for a family whose pages are not prepared here; its server has them as they are."""
    from warraq.runtimes.processor import FAMILIES, load_processor

    return load_processor(merged) if read_json(merged / "config.json").get("model_type") in FAMILIES else None


def _read_views(request: Request, processor: "Processor | None") -> Iterator[bytes]:
    """A PNG of each view, in px as the model sees it; where that is not known, the file of each image as it is, and
    after it its bands."""
    if processor:
        yield from (encode_png(processor.resize(view)) for view in open_views(request))
        return
    for path in request.images:
        try:
            yield path.read_bytes()
        except OSError as error:
            raise ImageError(path, error) from error
        if request.views != PAGE:
            yield from map(encode_png, cut_bands(open_image(path), request.views))

"""A chat completion's request, in the form of OpenAI's API -> images on disk, instruction, prompt, schema and limits.

What the model cannot do is refused by name and never ignored: answers are greedy, of one turn and one choice.
"""

import base64
import binascii
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError

from warraq.errors import InputError
from warraq.files import JsonObject

GREEDY = [
    (name,)
    for name in ("n", "temperature", "top_p", "frequency_penalty", "presence_penalty", "top_logprobs", "stop", "tools",
                 "tool_choice", "store")
]  # fmt: skip


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class TextPart(_Part):
    """Text of a message."""

    type: Literal["text"]
    text: str


class ImageUrl(_Part):
    """An image, or a document of one page, as a `data:` URL in base64; nothing is fetched."""

    url: str
    detail: Literal["auto"] | None = None


class ImagePart(_Part):
    """An image of a message; all of them stand before its text, as in training."""

    type: Literal["image_url"]
    image_url: ImageUrl


ContentPart = Annotated[TextPart | ImagePart, Field(discriminator="type")]
Content = Annotated[
    Annotated[str, Tag("text")] | Annotated[list[ContentPart], Tag("parts")],
    Discriminator(lambda content: "parts" if isinstance(content, list) else "text"),
]


class Message(_Part):
    """A message: at most one of the system, then one of the user."""

    role: Literal["system", "developer", "user"]
    content: Content
    name: None = None


class JsonSchema(_Part):
    """A schema that the answer has to fit; it is always strict."""

    name: str
    schema_: JsonObject = Field(alias="schema")
    strict: bool | None = None
    description: str | None = None


class TextFormat(_Part):
    """Any text."""

    type: Literal["text"]


class ObjectFormat(_Part):
    """Any JSON object."""

    type: Literal["json_object"]


class SchemaFormat(_Part):
    """JSON of a schema."""

    type: Literal["json_schema"]
    json_schema: JsonSchema


class StreamOptions(_Part):
    """What a stream tells at its end."""

    include_usage: bool = False


class ChatBody(_Part):
    """The body of a request; what is not named here is refused."""

    messages: Annotated[list[Message], Field(min_length=1, max_length=2)]
    model: str | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    response_format: Annotated[TextFormat | ObjectFormat | SchemaFormat, Field(discriminator="type")] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    logprobs: bool | None = None
    # Only what a greedy answer of one choice is anyway:
    n: Literal[1] | None = None
    temperature: Annotated[float, Field(ge=0, le=0)] | None = None
    top_p: Annotated[float, Field(ge=1, le=1)] | None = None
    frequency_penalty: Annotated[float, Field(ge=0, le=0)] | None = None
    presence_penalty: Annotated[float, Field(ge=0, le=0)] | None = None
    top_logprobs: Literal[0] | None = None
    stop: Annotated[list[str], Field(max_length=0)] | None = None
    tools: Annotated[list[JsonObject], Field(max_length=0)] | None = None
    tool_choice: Literal["none"] | None = None
    store: Literal[False] | None = None
    seed: int | None = None  # greedy answers are the same for all
    user: str | None = None
    metadata: dict[str, str] | None = None


@dataclass(frozen=True)
class ChatRequest:
    """What is asked of the model."""

    images: tuple[Path, ...]
    instruction: str
    prompt: str
    schema: str | None  # JSON Schema of the answer, as JSON
    max_new_tokens: int | None
    stream: bool
    include_usage: bool
    logprobs: bool


class UnknownModelError(InputError):
    """Another model is asked for."""


def refuse_other_model(asked: str, model: str) -> None:
    """Raises UnknownModelError where another model than this server's is asked for."""
    if asked != model:
        raise UnknownModelError(f"There is no model {asked!r}; this server's is {model!r}.")


def parse_chat_request(body: bytes, folder: Path, model: str, max_images: int) -> ChatRequest:
    """A request as OpenAI's API has it; its images are written to `folder`.

    Raises:
        UnknownModelError: it is for another model than `model`.
        InputError: it is no such request, or asks for what is not done here.
    """
    try:
        chat = ChatBody.model_validate_json(body)
    except ValidationError as error:
        raise InputError(_explain(error)) from None
    if chat.model is not None:
        refuse_other_model(chat.model, model)
    if chat.stream_options and not chat.stream:
        raise InputError("stream_options go with stream alone; leave them out.")
    instruction, question = _split_messages(chat.messages)
    parts = _list_parts(question)
    urls = [part.image_url.url for part in parts if isinstance(part, ImagePart)]
    if len(urls) > max_images:
        raise InputError(f"There are {len(urls)} images and {max_images} are allowed; ask about fewer at once.")
    limits = {chat.max_tokens, chat.max_completion_tokens} - {None}
    if len(limits) > 1:
        raise InputError("max_tokens and max_completion_tokens differ; send one of them.")
    return ChatRequest(
        images=tuple(_write_image(url, folder / f"image{place}") for place, url in enumerate(urls)),
        instruction=instruction,
        prompt="".join(part.text for part in parts if isinstance(part, TextPart)),
        schema=_choose_schema(chat),
        max_new_tokens=next(iter(limits), None),
        stream=bool(chat.stream),
        include_usage=bool(chat.stream_options and chat.stream_options.include_usage),
        logprobs=bool(chat.logprobs),
    )


def _explain(error: ValidationError) -> str:
    """The first problem, in a sentence that names where."""
    first: Any = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"{where} is not supported; leave it out."
    if first["loc"][:1] in GREEDY:
        return f"{where}: {first['msg']}. Answers are greedy, of one choice, without tools and stops; leave it out."
    return f"{where}: {first['msg']}." if where else f"The body is no JSON of a request: {first['msg']}."


def _split_messages(messages: list[Message]) -> tuple[str, Message]:
    """The system's text, and the question."""
    *before, question = messages
    if question.role != "user" or any(message.role == "user" for message in before):
        raise InputError("Send one message of the role user, after at most one of the system: the model was trained to "
                         "answer one question.")  # fmt: skip
    parts = [part for message in before for part in _list_parts(message)]
    if any(isinstance(part, ImagePart) for part in parts):
        raise InputError("A system message has no images; put them into the user's.")
    return "".join(part.text for part in parts if isinstance(part, TextPart)), question


def _list_parts(message: Message) -> list[TextPart | ImagePart]:
    content = message.content
    return [TextPart(type="text", text=content)] if isinstance(content, str) else list(content)


def _choose_schema(chat: ChatBody) -> str | None:
    if isinstance(chat.response_format, SchemaFormat):
        return json.dumps(chat.response_format.json_schema.schema_)
    return '{"type": "object"}' if isinstance(chat.response_format, ObjectFormat) else None


def _write_image(url: str, path: Path) -> Path:
    """Write the bytes of a data URL."""
    head, mark, data = url.partition(";base64,")
    if not head.startswith("data:") or not mark:
        raise InputError("image_url must be a data: URL in base64; this server fetches nothing.")
    try:
        path.write_bytes(base64.b64decode(data, validate=True))
    except (binascii.Error, ValueError):
        raise InputError("image_url is not base64.") from None
    return path

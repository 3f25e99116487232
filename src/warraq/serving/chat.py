"""A chat completion's request -> images on disk, prompt, schema and limit."""

import base64
import binascii
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from warraq.errors import InputError


@dataclass(frozen=True)
class ChatRequest:
    """What is asked of the model."""

    images: list[Path]
    prompt: str
    schema: str | None  # JSON Schema of the answer, as JSON
    max_new_tokens: int | None


def parse_chat_request(body: Any, folder: Path) -> ChatRequest:
    """A request as OpenAI's API has it; its images are written to `folder`.

    Raises:
        InputError, ValueError, KeyError, AttributeError, TypeError: it is anything else.
    """
    if not isinstance(body, dict) or body.get("stream"):
        raise InputError("Send a JSON object, without stream.")
    images, prompt = _read_messages(body.get("messages"), folder)
    response_format = body.get("response_format") or {}
    schema = None
    if response_format.get("type") == "json_schema":
        schema = json.dumps(response_format["json_schema"]["schema"])
    return ChatRequest(images, prompt, schema, body.get("max_completion_tokens") or body.get("max_tokens"))


def _read_messages(messages: Any, folder: Path) -> tuple[list[Path], str]:
    """The images of one user's turn, and its text."""
    if not isinstance(messages, list) or len(messages) != 1 or messages[0].get("role") != "user":
        raise InputError("messages must be one message of the role user: the model was trained to answer one question.")
    content = messages[0].get("content")
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    images: list[Path] = []
    texts: list[str] = []
    for part in parts if isinstance(parts, list) else []:
        if part.get("type") == "text":
            texts.append(str(part.get("text", "")))
            continue
        path = folder / f"image{len(images)}"
        path.write_bytes(_decode_url((part.get("image_url") or {}).get("url", "")))
        images.append(path)
    return images, "".join(texts)


def _decode_url(url: str) -> bytes:
    """The bytes of a data URL."""
    if not url.startswith("data:") or ";base64," not in url:
        raise InputError("image_url must be a data: URL in base64; this server fetches nothing.")
    try:
        return base64.b64decode(url.split(";base64,", 1)[1], validate=True)
    except binascii.Error:
        raise InputError("image_url is not base64.") from None

"""What leaves this process: the second lock, which trusts nothing that happened above it.

A request goes to the teacher's own host or nowhere, and each image in it must be one whose hash was cleared.
"""

import base64
import binascii
import hashlib
import io
import ipaddress
import json
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from warraq.environment import read_seconds
from warraq.errors import InputError
from warraq.teachers.safety.clearance import Clearance

if TYPE_CHECKING:
    import httpx2

LONGEST_TEXT = 50_000  # characters of a string that is no image: the schema and the prompts are far shorter


class LeakError(RuntimeError):
    """A request would carry what was not cleared, or go elsewhere. A fault of the program: the run ends."""


def find_images(value: object) -> Iterator[bytes]:
    """Every image in a request's body, in the dialect of Gemini or of OpenAI.

    Raises:
        LeakError: a string that is neither an image nor short enough to be a prompt, or a reference to a file as image.
    """
    if isinstance(value, dict):
        if "fileData" in value or "file_data" in value:
            raise LeakError("a request refers to an uploaded file")
        for key, item in value.items():
            if key == "data" and isinstance(item, str):
                yield _decode_image(item)
            else:
                yield from find_images(item)
    elif isinstance(value, list):
        for item in value:
            yield from find_images(item)
    elif isinstance(value, str):
        if value.startswith("data:"):
            yield _decode_image(value.partition(",")[2])
        elif len(value) > LONGEST_TEXT:
            raise LeakError("a request holds a string too long for a prompt")


def _decode_image(text: str) -> bytes:
    try:
        return base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True)
    except binascii.Error as error:
        raise LeakError(f"an image that cannot be read: {error}") from None


def check_body(body: bytes, clearance: Clearance) -> None:
    """Let a body pass, or end the run.

    Raises:
        LeakError: a line of it is not JSON, or holds an image that was not cleared.
    """
    for text in io.BytesIO(body):  # one line, but for an uploaded file of requests
        try:
            value = json.loads(text)
        except ValueError:
            raise LeakError("a request is not JSON") from None
        for image in find_images(value):
            digest = hashlib.sha256(image).hexdigest()
            if digest not in clearance.hashes or digest in clearance.denied:
                raise LeakError(f"an image that was not cleared ({digest[:12]}) was about to be sent")


def build_client(url: str, clearance: Clearance, **headers: str) -> "httpx2.Client":
    """An HTTP client that reaches `url`'s host alone: no proxy, no redirect, no retry of its own."""
    import httpx2

    own = urlsplit(url)
    port = own.port or (443 if own.scheme == "https" else 80)

    class Guard(httpx2.BaseTransport):
        def __init__(self) -> None:
            limits = httpx2.Limits(max_connections=None, max_keepalive_connections=None)
            self.inner = httpx2.HTTPTransport(trust_env=False, retries=0, limits=limits)

        def handle_request(self, request: httpx2.Request) -> httpx2.Response:
            target = request.url
            target_port = target.port or (443 if target.scheme == "https" else 80)
            if (target.scheme, target.host, target_port) != (own.scheme, own.hostname, port):
                raise LeakError(f"a request was about to go to {target.host}")
            check_body(request.read(), clearance)
            return self.inner.handle_request(request)

        def close(self) -> None:
            self.inner.close()

    return httpx2.Client(transport=Guard(), trust_env=False, follow_redirects=False, headers=headers)


def resolve_local_url(variable: str, url: str, private: bool) -> tuple[str, str]:
    """Prove that a server is near, so that nothing can be resolved to another machine later.

    Returns:
        (`url` with the host's address in place of its name, the host as named).

    Raises:
        InputError: an address of the host is not of this machine, nor of a private network where that is allowed.
    """
    parts = urlsplit(url)
    complaint = f"{variable} is {url!r}"
    if parts.scheme != "http" or not parts.hostname or parts.username is not None:
        raise InputError(f"{complaint}; it must be http://HOST:PORT/v1.")
    try:
        entries = socket.getaddrinfo(parts.hostname, parts.port, type=socket.SOCK_STREAM)
    except (OSError, ValueError) as error:
        raise InputError(f"{complaint}; its host is not found ({error}).") from None
    addresses = [ipaddress.ip_address(entry[4][0]) for entry in entries]
    for address in addresses:
        near = private and address.is_private and not (address.is_link_local or address.is_unspecified)
        if not (address.is_loopback or near):
            raise InputError(
                f"{complaint}, which is at {address}: not on this machine"
                + (
                    " or in a private network."
                    if private
                    else "; label.local.private_network allows a private network."
                )
            )
    first = addresses[0]
    literal = f"[{first}]" if first.version == 6 else str(first)
    place = literal if parts.port is None else f"{literal}:{parts.port}"
    return urlunsplit(parts._replace(netloc=place)).rstrip("/"), parts.netloc


def read_timeout_s() -> float:
    """`WARRAQ_TIMEOUT`, seconds a request may take; the cheap lane may wait a quarter of an hour for its turn."""
    return read_seconds("WARRAQ_TIMEOUT", 900)

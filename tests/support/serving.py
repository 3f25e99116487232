"""A `warraq serve` in a process of its own, and what it is asked over real HTTP."""

import base64
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx2

from support.waiting import LONGEST_S, wait_until

Start = Callable[..., str]


def start_server(model: Path, *options: str, **environment: str) -> tuple[subprocess.Popen[bytes], str]:
    """The running server, and its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "warraq", "serve", "--model", str(model), "--port", str(port), *options]
    process = subprocess.Popen(command, env=os.environ | environment, start_new_session=True)
    url = f"http://127.0.0.1:{port}"
    wait_until(lambda: process.poll() is not None or is_healthy(url))
    assert process.poll() is None
    return process, url


def _get(url: str) -> httpx2.Response:
    """Often asked: without the certificates of the world, which take 30 ms to read, for an address without TLS."""
    return httpx2.get(url, timeout=LONGEST_S, trust_env=False, verify=False)


def is_healthy(url: str) -> bool:
    """Whether a server answers there."""
    with suppress(httpx2.TransportError):
        return _get(f"{url}/healthz").status_code == 200
    return False


def send(url: str, data: bytes, name: str = "letter.pdf", query: str = "", **headers: str) -> httpx2.Response:
    """A file to be read."""
    return httpx2.post(
        f"{url}/v1/read{query}", files={"file": (name, data)}, headers=headers, timeout=LONGEST_S, trust_env=False
    )


def ask(url: str, content: object, **more: object) -> httpx2.Response:
    """A question of one turn."""
    body = {"messages": [{"role": "user", "content": content}], **more}
    return httpx2.post(f"{url}/v1/chat/completions", json=body, timeout=LONGEST_S, trust_env=False)


def write_parts(text: str, *images: bytes) -> list[dict[str, Any]]:
    """The content of a message."""
    urls = [f"data:image/png;base64,{base64.b64encode(image).decode()}" for image in images]
    return [*({"type": "image_url", "image_url": {"url": url}} for url in urls), {"type": "text", "text": text}]


def read_metric(url: str, name: str) -> float:
    """A line of /metrics."""
    lines = _get(f"{url}/metrics").text.splitlines()
    return next(float(line.split()[-1]) for line in lines if line.startswith(name))

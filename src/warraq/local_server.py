"""What the servers of this machine share: who may call, what their page may load, how they are started."""

import asyncio
import base64
import hashlib
import hmac
import re
import socket
from dataclasses import dataclass
from typing import ClassVar

import uvicorn
from fastapi import FastAPI, Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from uvicorn.protocols.http.h11_impl import H11Protocol

from warraq.errors import InputError
from warraq.loopback import LOOPBACK

MOST_IDLE = 256  # connections


def hash_policy(page: str) -> str:
    """The Content-Security-Policy: the page's own script and style by their hashes, and nothing else."""

    def hashes(tag: str) -> str:
        texts = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.S)
        return " ".join(
            f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in texts
        )

    return (
        f"default-src 'none'; script-src {hashes('script')}; style-src {hashes('style')}; img-src data: blob:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def make_page_response(page: str, shown: str) -> Response:
    """The page for people: `shown` is `page` with its placeholders, which stand outside scripts and styles, filled."""
    headers = {
        "Content-Security-Policy": hash_policy(page),
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }
    return HTMLResponse(shown, headers=headers)


def make_error_response(status: int, code: str, message: str, **headers: str) -> Response:
    """Why there is no answer; the connection is closed, as a body may not have been read."""
    body = {"error": {"code": code, "message": message}}
    return JSONResponse(body, status, headers={"Connection": "close", **headers})


@dataclass(frozen=True)
class Guard:
    """Refuses early: a foreign host or origin, no token where one is set, a body without or beyond a length."""

    host: str
    token: str | None
    max_mib: int

    def refuse(self, request: Request) -> Response | None:
        """Why a request may not come in; None where it may."""
        return self._refuse_caller(request) or self._refuse_body(request)

    def _refuse_caller(self, request: Request) -> Response | None:
        host = request.headers.get("host", "")
        if (host.rpartition(":")[0] or host).strip("[]") not in {*LOOPBACK, self.host} and self.token is None:
            return make_error_response(421, "host", "This server answers under its own address only.")
        origin = request.headers.get("origin")
        if origin and origin.split("://", 1)[-1] != request.headers.get("host"):
            return make_error_response(403, "origin", "Another site may not use this server.")
        if self.token and request.url.path.startswith(("/v1/", "/metrics")):
            scheme, _, token = request.headers.get("authorization", "").partition(" ")
            if scheme.lower() != "bearer" or not hmac.compare_digest(token.strip().encode(), self.token.encode()):
                headers = {"WWW-Authenticate": "Bearer"}
                return make_error_response(401, "token", "Send the token as Authorization: Bearer …", **headers)
        return None

    def _refuse_body(self, request: Request) -> Response | None:
        if request.method != "POST":
            return None
        length = request.headers.get("content-length", "")
        if not length.isdigit():
            return make_error_response(411, "length", "Send a Content-Length.")
        if int(length) > self.max_mib * 2**20:
            return make_error_response(413, "too_large", f"A request may have {self.max_mib} MiB.")
        return None


def refuse_open_host(host: str, token: str | None) -> None:
    """Raises InputError where others could reach the server, and there is no token."""
    if host not in LOOPBACK and not token:
        raise InputError(f"{host} can be reached by others; set WARRAQ_TOKEN to a secret that clients must send.")


class Connection(H11Protocol):
    """uvicorn's, but what asks nothing, or not yet all of it, makes room for what comes new."""

    idle: ClassVar[dict["Connection", None]] = {}  # connections without a request, the one that is so longest first

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client came."""
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """A client went."""
        self.idle.pop(self, None)
        super().connection_lost(exc)

    def handle_events(self) -> None:
        """Something came, perhaps the end of a request's head."""
        super().handle_events()
        if self.cycle and not self.cycle.response_complete:
            self.idle.pop(self, None)

    def on_response_complete(self) -> None:
        """A request is answered."""
        super().on_response_complete()
        if not self.transport.is_closing():
            self._wait()

    def _wait(self) -> None:
        self.idle.pop(self, None)
        self.idle[self] = None
        if len(self.idle) > MOST_IDLE:
            oldest = next(iter(self.idle))
            del self.idle[oldest]
            oldest.transport.close()


def refuse_taken_port(host: str, port: int) -> None:
    """Refuse a port on which another program listens, before anything is loaded.

    Raises:
        InputError: it is taken, or this machine has no such address; names the next port that is free.
    """
    if fault := _find_fault(host, port):
        others = range(port + 1, min(port + 100, 65536))
        free = next((other for other in others if not _find_fault(host, other)), None)
        advice = f"port {free} is free: --port {free}" if free else "name another one with --host and --port"
        raise InputError(f"nothing can listen on {host}, port {port} ({fault}); {advice}.")


def _find_fault(host: str, port: int) -> str | None:
    """Why nothing can listen there, in the system's words."""
    try:
        (family, kind, protocol, _, address), *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        with socket.socket(family, kind, protocol) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
    except OSError as error:
        return error.strerror
    return None


def serve_app(app: FastAPI, host: str, port: int) -> None:
    """Serve until interrupted."""
    uvicorn.run(app, host=host, port=port, log_level="warning", http=Connection)

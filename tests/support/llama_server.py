"""llama.cpp behind HTTP, as a user starts it, and a server between that changes what it is asked."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2
import xllamacpp


@contextmanager
def serve_files(folder: Path) -> Iterator[str]:
    """The address of llama.cpp's own server of the two files in `folder`."""
    parameters = xllamacpp.CommonParams()
    parameters.model.path, parameters.mmproj.path = str(folder / "model.gguf"), str(folder / "mmproj.gguf")
    parameters.n_ctx, parameters.n_ubatch, parameters.verbosity, parameters.flash_attn_type = 2048, 2048, 0, 0
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = 1
    parameters.warmup = False
    server = xllamacpp.Server(parameters)
    yield f"{server.listening_address}/v1"
    del server


@contextmanager
def serve_wrongly(url: str, change: Callable[[list[Any]], list[Any]]) -> Iterator[str]:
    """The address of a server that hands on to `url`, of each question what `change` makes of its parts."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.respond(httpx2.get(url + self.path.removeprefix("/v1")))

        def do_HEAD(self) -> None:
            self.send_error(404)

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            body["messages"][-1]["content"] = change(body["messages"][-1]["content"])
            self.respond(httpx2.post(url + self.path.removeprefix("/v1"), json=body, timeout=600))

        def respond(self, reply: httpx2.Response) -> None:
            self.send_response(reply.status_code)
            self.send_header("Content-Length", str(len(reply.content)))
            self.end_headers()
            self.wfile.write(reply.content)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as served:
        threading.Thread(target=served.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{served.server_port}/v1"
        served.shutdown()

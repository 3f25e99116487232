"""A server on loopback that speaks Gemini's REST dialect and plays the cases it is told.

`script` names the case of each request in order of arrival; after its end, and for `ok`, the answer is made by `reply`
from the image's hash. `requests` is the log. `hold()` keeps requests from being answered until `release()`.
"""

import base64
import hashlib
import json
import sys
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

USAGE = {"promptTokenCount": 2000, "candidatesTokenCount": 400, "thoughtsTokenCount": 100}
RETRY = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "0.01s"}
QUOTA = {
    "@type": "type.googleapis.com/google.rpc.QuotaFailure",
    "violations": [{"quotaId": "GenerateRequestsPerDayPerProjectPerModel"}],
}
KEY = "a-key-for-tests"


@dataclass(frozen=True)
class Request:
    path: str
    headers: dict[str, str]  # names in lower case
    body: dict[str, Any]
    images: tuple[str, ...]  # SHA-256 of each image's bytes
    case: str


def candidate(finish: str, text: str | None) -> dict[str, Any]:
    one: dict[str, Any] = {"finishReason": finish, "index": 0}
    if text is not None:
        one["content"] = {"role": "model", "parts": [{"text": text}]}
    return {"candidates": [one], "usageMetadata": USAGE}


def failure(code: int, status: str, *details: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    return code, {"error": {"code": code, "message": status.lower(), "status": status, "details": list(details)}}


class GeminiServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, reply: Callable[[str], Any], script: Iterable[str] = ()) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.reply = reply
        self.script = list(script)
        self.requests: list[Request] = []
        self.faults: list[BaseException | None] = []
        self._arrived = threading.Condition()
        self._open_until: int | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
        self.shutdown()
        self._thread.join()
        self.server_close()
        assert not self.faults, self.faults

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed is part of the play; anything else is a fault of the server."""
        error = sys.exception()
        if not isinstance(error, ConnectionError):
            self.faults.append(error)

    def hold(self, after: int) -> None:
        """Answer the first `after` requests, and let the others wait."""
        self._open_until = after

    def release(self) -> None:
        with self._arrived:
            self._open_until = None
            self._arrived.notify_all()

    def await_requests(self, count: int, seconds: float = 60) -> None:
        with self._arrived:
            assert self._arrived.wait_for(lambda: len(self.requests) >= count, seconds), (
                f"{len(self.requests)} requests"
            )

    def receive(self, path: str, headers: dict[str, str], body: dict[str, Any]) -> Request:
        """Log the request, name its case, and come back when it may be answered."""
        parts = [part for content in body.get("contents", []) for part in content["parts"]]
        data = [base64.urlsafe_b64decode(part["inlineData"]["data"]) for part in parts if "inlineData" in part]
        images = tuple(hashlib.sha256(image).hexdigest() for image in data)
        with self._arrived:
            number = len(self.requests)
            case = self.script[number] if number < len(self.script) else "ok"
            request = Request(path, headers, body, images, case)
            self.requests.append(request)
            self._arrived.notify_all()
            self._arrived.wait_for(lambda: self._open_until is None or number < self._open_until)
        return request

    def play(self, request: Request) -> tuple[int, dict[str, Any] | str]:
        model = request.path.rsplit("/", 1)[-1].split(":")[0]
        whole = json.dumps(self.reply(request.images[0]), ensure_ascii=False)
        cases: dict[str, tuple[int, dict[str, Any] | str]] = {
            "ok": (200, candidate("STOP", whole) | {"modelVersion": model}),
            "dated": (200, candidate("STOP", whole) | {"modelVersion": f"{model}-001"}),
            "rerouted": (200, candidate("STOP", whole) | {"modelVersion": "gemini-9-other"}),
            "truncated": (200, candidate("MAX_TOKENS", whole[: len(whole) // 2])),
            "thinking_only": (200, candidate("MAX_TOKENS", None)),
            "continuation": (200, candidate("CONTINUATION", whole[: len(whole) // 2])),
            "recitation": (200, candidate("RECITATION", None)),
            "safety": (200, candidate("SAFETY", None)),
            "prompt_blocked": (200, {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": USAGE}),
            "empty": (200, candidate("STOP", None)),
            "not_json": (200, candidate("STOP", whole[:-1])),
            "wrong_schema": (200, candidate("STOP", json.dumps({"title": "x"}))),
            "no_usage": (200, {"candidates": candidate("STOP", whole)["candidates"]}),
            "rate_limited": failure(429, "RESOURCE_EXHAUSTED", RETRY),
            "day_quota": failure(
                429,
                "RESOURCE_EXHAUSTED",
                RETRY,
                {"@type": QUOTA, "violations": [{"quotaId": "RequestsPerDayPerProject"}]},
            ),
            "error_500": failure(500, "INTERNAL", RETRY),
            "html_503": (503, "<html><body>Service Unavailable</body></html>"),
            "bad_request": failure(400, "INVALID_ARGUMENT"),
            "bad_key": failure(400, "INVALID_ARGUMENT", {"reason": "API_KEY_INVALID"}),
            "forbidden": failure(403, "PERMISSION_DENIED"),
            "retired": failure(404, "NOT_FOUND"),
        }
        return cases[request.case]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: GeminiServer

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        request = self.server.receive(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
        if request.case == "reset":
            self.close_connection = True
            return
        code, answer = self.server.play(request)
        data = (answer if isinstance(answer, str) else json.dumps(answer)).encode()
        self.send_response(code)
        self.send_header("Content-Type", "text/html" if isinstance(answer, str) else "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *arguments: Any) -> None:
        """`requests` is the log."""

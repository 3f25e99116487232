"""A server on loopback that speaks Gemini's REST dialect, and that of chat completions, and plays what it is told.

`script` names the case of each request in order of arrival; after its end, and for `ok`, the answer is made by `reply`
from the image's hash. `requests` is the log. `hold()` keeps requests from being answered until `release()`; with
`rate`, more requests a second are refused; with `latency_s` each answer takes so long.
"""

import base64
import hashlib
import json
import re
import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

USAGE: dict[str, Any] = {"promptTokenCount": 2000, "candidatesTokenCount": 400, "thoughtsTokenCount": 100}
RETRY = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "0.01s"}
KEY = "a-key-for-tests"
LOOP = "تكرر هذه الجملة نفسها " * 12
MANY = {"promptTokenCount": 2000, "candidatesTokenCount": 10**12}
HEADERS = {"retry_after": {"Retry-After": "1"}, "redirect": {"Location": "http://127.0.0.1:9/"}}
CYRILLIC = "Уважаемые господа, просим рассмотреть наше предложение"


def build_quota(name: str) -> dict[str, Any]:
    return {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId": name}]}


@dataclass(frozen=True)
class Request:
    path: str
    headers: dict[str, str]  # names in lower case
    body: dict[str, Any]
    images: tuple[str, ...]  # SHA-256 of each image's bytes
    tag: str
    case: str


def build_block(text: str) -> dict[str, Any]:
    return {"blocks": [{"kind": "paragraph", "text": text, "level": None, "language": None}]}


def build_candidate(finish: str, text: str | None) -> dict[str, Any]:
    one: dict[str, Any] = {"finishReason": finish, "index": 0}
    if text is not None:
        one["content"] = {"role": "model", "parts": [{"text": text}]}
    return {"candidates": [one], "usageMetadata": USAGE}


def build_failure(code: int, status: str, *details: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    return code, {"error": {"code": code, "message": status.lower(), "status": status, "details": list(details)}}


def build_delay(delay: Any) -> tuple[int, dict[str, Any]]:
    return build_failure(429, "RESOURCE_EXHAUSTED", RETRY | {"retryDelay": delay})


class GeminiServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512

    def __init__(
        self,
        reply: Callable[[str], Any],
        script: Iterable[str] = (),
        rate: float = 0,
        latency_s: float = 0,
        usage: Callable[[], dict[str, Any]] = lambda: USAGE,
    ) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.reply = reply
        self.script = list(script)
        self.rate = rate
        self.latency_s = latency_s
        self.usage = usage
        self.requests: list[Request] = []
        self.times: list[float] = []
        self.faults: list[BaseException | None] = []
        self.ended = threading.Event()
        self._arrived = threading.Condition()
        self._open_until: int | None = None
        self.files: dict[str, list[dict[str, Any]]] = {}  # lines of each uploaded file, by its name
        self.most_files = 0  # at once
        self.full = False  # takes no file
        self.shown: dict[str, Any] = {}  # what Ollama says of a model
        self.sends_on = ""  # where each request is redirected to
        self.written: str | None = None  # in place of every answer
        self.seen: set[str] = set()  # SHA-256 of every image that came, in whatever way
        self.jobs: list[tuple[str, list[tuple[Any, Request]]]] = []  # display name; key and request of each page
        self.jobs_over = True
        self.job_state = "SUCCEEDED"  # of those that are over
        self.results_code = 200
        self.listed: Any = None  # in place of the list of jobs
        self.headers = HEADERS | {}
        self.unlisted: set[str] = set()
        self._tokens, self._filled = rate, time.monotonic()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.release()
        self.shutdown()
        self._thread.join()
        self.server_close()
        assert not self.faults, self.faults

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed, or gave up waiting, is part of the play; anything else is a fault of the server."""
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

    def await_requests(self, count: int, seconds: float = 300) -> None:
        with self._arrived:
            assert self._arrived.wait_for(lambda: len(self.requests) >= count, seconds), (
                f"{len(self.requests)} requests"
            )

    def receive(self, path: str, headers: dict[str, str], body: dict[str, Any]) -> Request:
        """Log the request, name its case, and come back when it may be answered."""
        words, data = read_parts(body)
        images = tuple(hashlib.sha256(image).hexdigest() for image in data)
        tag = ["", *re.findall(r"page_tag is (\w+)", words)][-1]  # a model that only reads is told none
        with self._arrived:
            number = len(self.requests)
            case = self.script[number] if number < len(self.script) else "ok"
            if self.rate and not self._admits():
                case = "rate_limited"
            request = Request(path, headers, body, images, tag, case)
            self.requests.append(request)
            self.seen.update(images)
            self.times.append(time.monotonic())
            self._arrived.notify_all()
            self._arrived.wait_for(lambda: self._open_until is None or number < self._open_until)
        return request

    def _admits(self) -> bool:
        now = time.monotonic()
        self._tokens = min(self.rate, self._tokens + (now - self._filled) * self.rate)
        self._filled = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def text(self, request: Request) -> str:
        """What the model writes in this case."""
        if self.written is not None:
            return self.written
        answer = self.reply(request.images[0])
        whole = {"page_tag": request.tag, "answer": answer, "addresses_the_reader_as_ai": False}
        texts: dict[str, Any] = {
            "other_page": whole | {"page_tag": hashlib.sha256(b"another page").hexdigest()[:8]},
            "no_tag": whole | {"page_tag": ""},
            "loop": whole | {"answer": build_block(LOOP)},
            "foreign": whole | {"answer": build_block(CYRILLIC)},
            "odd": whole | {"answer": build_block("\u202bنص\u200f\u0000 \U0001f4c4 e\u0301 ﷽")},
            "wrong_schema": {"title": "x"},
            "spoken_to": whole | {"addresses_the_reader_as_ai": True},
            "blank": whole | {"answer": {"blocks": []}},
            "hollow": whole | {"answer": build_block(" \n")},
            "declined": whole | {"answer": build_block("I’m sorry, but I can't assist with that request.")},
            "declined_in_arabic": whole | {"answer": build_block("عذراً، لا أستطيع قراءة هذا المستند.")},
            "marked": whole | {"answer": build_block("وزارة المالية\nسري للغاية\nإلى المدير")},
        }
        text = json.dumps(texts.get(request.case, whole), ensure_ascii=False)
        if request.case == "duplicate":
            return text.replace('"answer":', '"answer": {"blocks": []}, "answer":', 1)
        return text[:-1] if request.case == "not_json" else text

    def answer_request(self, request: Request) -> tuple[int, Any]:
        model = request.path.rsplit("/", 1)[-1].split(":")[0]
        whole = self.text(request)
        version = {"modelVersion": model}
        cases: dict[str, tuple[int, Any]] = {
            "dated": (200, build_candidate("STOP", whole) | {"modelVersion": f"{model}-001"}),
            "rerouted": (200, build_candidate("STOP", whole) | {"modelVersion": "gemini-9-other"}),
            "truncated": (200, build_candidate("MAX_TOKENS", whole[: len(whole) // 2])),
            "thinking_only": (200, build_candidate("MAX_TOKENS", None)),
            "continuation": (200, build_candidate("CONTINUATION", whole[: len(whole) // 2])),
            "recitation": (200, build_candidate("RECITATION", None)),
            "safety": (200, build_candidate("SAFETY", None)),
            "new_reason": (200, build_candidate("A_REASON_OF_NEXT_YEAR", None)),
            "prompt_blocked": (200, {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": USAGE}),
            "empty": (200, build_candidate("STOP", None)),
            "no_usage": (200, {"candidates": build_candidate("STOP", whole)["candidates"]}),
            "no_response": (200, {"candidates": "none"}),
            "html_200": (200, "<html><body>Sign in to the network</body></html>"),
            "blank_200": (200, ""),
            "list_200": (200, [build_candidate("STOP", whole)]),
            "deep_200": (200, "[" * 100_000),
            "no_candidates": (200, {"candidates": [], "usageMetadata": USAGE}),
            "no_reason": (200, {"candidates": [{"index": 0}], "usageMetadata": USAGE}),
            "odd_content": (200, {"candidates": [{"finishReason": "STOP", "content": [{"text": whole}]}]}),
            "odd_parts": (200, {"candidates": [{"finishReason": "STOP", "content": {"parts": whole}}]}),
            "other": (200, build_candidate("OTHER", None)),
            "endless": (200, build_candidate("MAX_TOKENS", whole[: len(whole) // 2] + LOOP * 50)),
            "negative_usage": (
                200,
                build_candidate("STOP", whole) | {"usageMetadata": USAGE | {"promptTokenCount": -1}},
            ),
            "absurd_usage": (200, build_candidate("STOP", whole) | {"usageMetadata": MANY}),
            "cached_too_much": (
                200,
                build_candidate("STOP", whole) | {"usageMetadata": USAGE | {"cachedContentTokenCount": 9000}},
            ),
            "rate_bare": build_failure(429, "RESOURCE_EXHAUSTED"),
            "null_details": (429, {"error": {"code": 429, "message": None, "status": 8, "details": None}}),
            "odd_details": build_failure(429, "RESOURCE_EXHAUSTED", "x", {"violations": [1]}),  # type: ignore[arg-type]
            "retry_after": build_failure(429, "RESOURCE_EXHAUSTED"),
            "delay_ms": build_delay("1500ms"),
            "delay_number": build_delay(2),
            "long_delay": build_delay("3600s"),
            "aborted": build_failure(409, "ABORTED"),
            "cancelled": build_failure(499, "CANCELLED"),
            "string_500": (500, "out of order"),
            "list_500": (500, [{"error": "one"}, {"error": "two"}]),
            "no_billing": build_failure(400, "FAILED_PRECONDITION"),
            "string_400": (400, {"error": "billing is disabled"}),
            "html_400": (400, "<html><body>Bad Request</body></html>"),
            "unpaid": build_failure(402, "PAYMENT_REQUIRED"),
            "redirect": (307, ""),
            "rate_limited": build_failure(429, "RESOURCE_EXHAUSTED", RETRY, build_quota("RequestsPerMinutePerProject")),
            "day_quota": build_failure(429, "RESOURCE_EXHAUSTED", RETRY, build_quota("RequestsPerDayPerProject")),
            "error_500": build_failure(500, "INTERNAL", RETRY),
            "full": build_failure(503, "UNAVAILABLE", RETRY),
            "html_503": (503, "<html><body>Service Unavailable</body></html>"),
            "bad_request": build_failure(400, "INVALID_ARGUMENT"),
            "bad_key": build_failure(400, "INVALID_ARGUMENT", {"reason": "API_KEY_INVALID"}),
            "unknown_key": build_failure(401, "UNAUTHENTICATED"),
            "forbidden": build_failure(403, "PERMISSION_DENIED"),
            "retired": build_failure(404, "NOT_FOUND"),
        }
        good = build_candidate("STOP", whole) | {"usageMetadata": self.usage()} | version
        if request.path.endswith("/chat/completions"):
            return self.completion(request, whole)
        return cases.get(request.case, (200, good))

    def upload(self, name: str, data: bytes) -> dict[str, Any]:
        """A file of requests; its pages are in the log when a job names it."""
        self.files[name] = [json.loads(text) for text in data.split(b"\n")]
        self.most_files = max(self.most_files, len(self.files))
        for one in self.files[name]:
            self.seen.update(hashlib.sha256(image).hexdigest() for image in read_parts(one["request"])[1])
        return {"file": {"name": name, "state": "ACTIVE"}}

    def begin_job(self, path: str, headers: dict[str, str], body: dict[str, Any]) -> dict[str, Any]:
        """A batch: each of its pages is a request of the log."""
        listed = self.files[body["batch"]["inputConfig"]["fileName"]]
        pages = [(one["key"], self.receive(path, headers, one["request"])) for one in listed]
        self.jobs.append((body["batch"]["displayName"], pages))
        return self.job(len(self.jobs) - 1)

    def job(self, number: int) -> dict[str, Any]:
        state = f"BATCH_STATE_{self.job_state if self.jobs_over else 'RUNNING'}"
        job: dict[str, Any] = {"state": state, "displayName": self.jobs[number][0]}
        if self.jobs_over and self.job_state == "SUCCEEDED":
            job["output"] = {"responsesFile": f"files/results-{number}"}
        return {"name": f"batches/{number}", "metadata": job}

    def results(self, number: int) -> str:
        """In another order than they were asked."""
        asked = [(key, request) for key, request in reversed(self.jobs[number][1]) if request.case != "lost"]
        return "\n".join(json.dumps(self.result(key, request), ensure_ascii=False) for key, request in asked)

    def result(self, key: str, request: Request) -> dict[str, Any]:
        if request.case == "error_500":
            return {"key": key, "error": {"code": 13, "message": "internal"}}
        answer = self.answer_request(request)[1]
        return {"response": answer} if request.case == "no_key" else {"key": key, "response": answer}

    def describe_jobs(self, path: str) -> dict[str, Any]:
        """The list of jobs, or one of them."""
        if path.endswith("/batches") and self.listed is not None:
            return {"operations": self.listed}
        if path.endswith("/batches"):
            shown = [number for number, (name, _) in enumerate(self.jobs) if name not in self.unlisted]
            return {"operations": [self.job(number) for number in shown]}
        return self.job(int(path.rpartition("/")[2]))

    def completion(self, request: Request, whole: str) -> tuple[int, Any]:
        """The same in the dialect of chat completions."""
        codes = {"error_500": 500, "aborted": 409, "cancelled": 499, "full": 503, "retry_after": 429, "retired": 404}
        if request.case in codes:
            return codes[request.case], '{"error": "no"}'
        cut = request.case == "truncated"
        message: dict[str, Any] = {"role": "assistant", "content": whole[:-20] if cut else whole}
        usage = {"prompt_tokens": 2000, "completion_tokens": 400}
        choice: dict[str, Any] = {"index": 0, "message": message, "finish_reason": "length" if cut else "stop"}
        good = {"model": "served-name", "choices": [choice], "usage": usage}
        if request.case == "odd_content":
            message["content"] = ["a", "list"]
        if request.case == "half_a_letter":
            good["model"] = "\ud800"
        if request.case == "odd_usage":
            good["usage"] = {"prompt_tokens": {}, "completion_tokens": 10**30}
        if request.case == "no_reason":
            choice["finish_reason"] = None
        cases = {"html_200": "<html></html>", "list_200": [good], "no_candidates": good | {"choices": []}}
        return 200, cases.get(request.case, good)


def read_parts(body: dict[str, Any]) -> tuple[str, list[bytes]]:
    """The words and images of a request."""
    parts = [part for content in body.get("contents", []) for part in content["parts"]]
    parts += [part for message in body.get("messages", []) if isinstance(message["content"], list)
              for part in message["content"]]  # fmt: skip
    data = [base64.urlsafe_b64decode(part["inlineData"]["data"]) for part in parts if "inlineData" in part]
    urls = [part["image_url"]["url"] for part in parts if "image_url" in part]
    data += [base64.b64decode(url.partition(",")[2]) for url in urls]
    return "\n".join(part["text"] for part in parts if "text" in part), data


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: GeminiServer

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        data = self.rfile.read(length)
        if len(data) < length:
            raise ConnectionResetError("The client was killed while it sent.")
        headers = {name.lower(): value for name, value in self.headers.items()}
        if self.path.startswith("/upload/"):
            self.upload(headers, data)
            return
        body = json.loads(data or "{}")
        if self.path == "/api/show":
            self.respond(200 if self.server.shown else 404, self.server.shown)
            return
        if self.server.sends_on:
            self.respond(307, {}, {"Location": self.server.sends_on})
            return
        if self.path.endswith(":batchGenerateContent"):
            self.respond(200, self.server.begin_job(self.path, headers, body))
            return
        if self.path.endswith(":cancel"):
            self.respond(200, {})
            return
        request = self.server.receive(self.path, headers, body)
        if request.case == "hang":
            self.server.ended.wait()
        if request.case in {"reset", "hang"}:
            self.close_connection = True
            return
        code, answer = self.server.answer_request(request)
        latency_s = 0.2 if request.case == "slow" else self.server.latency_s
        if code == 200 and latency_s:
            self.server.ended.wait(latency_s)
        self.respond(code, answer, self.server.headers.get(request.case))

    def upload(self, headers: dict[str, str], data: bytes) -> None:
        """In two steps: the first tells where the bytes go."""
        if self.server.full:
            self.respond(*build_failure(503, "UNAVAILABLE"))
            return
        if headers["x-goog-upload-command"] == "start":
            name = json.loads(data)["file"]["name"]
            version = self.path.split("/")[2]
            self.respond(200, {}, {"X-Goog-Upload-URL": f"{self.server.url}/upload/{version}/{name}"})
            return
        assert headers["x-goog-upload-command"] == "upload, finalize"
        name = re.sub("^/upload/v[^/]+/", "", self.path)
        self.respond(200, self.server.upload(name, data), {"X-Goog-Upload-Status": "final"})

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        results = re.search(r"/files/results-(\d+):download$", path)
        if results and self.server.results_code != 200:
            self.respond(*build_failure(self.server.results_code, "NO_RESULTS"))
            return
        self.respond(200, self.server.results(int(results[1])) if results else self.server.describe_jobs(path))

    def do_DELETE(self) -> None:
        del self.server.files[re.sub("^/v[^/]+/", "", self.path)]
        self.respond(200, {})

    def respond(self, code: int, answer: Any, more: dict[str, str] | None = None) -> None:
        data = (answer if isinstance(answer, str) else json.dumps(answer)).encode()
        self.send_response(code)
        self.send_header("Content-Type", "text/html" if isinstance(answer, str) else "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, value in (more or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *arguments: Any) -> None:
        """`requests` is the log."""

"""HTTP over a model: `POST /v1/read`, `POST /v1/chat/completions`, `/healthz`, `/metrics`, and one page at `/`.

Refused early: a foreign host or origin, no token where one is set, a body without or beyond a length, a full queue. The
page loads nothing from elsewhere, which its Content-Security-Policy enforces.
"""

import asyncio
import json
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path

from fastapi import FastAPI, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse

from warraq.errors import InputError
from warraq.files import short_hash
from warraq.local_server import Guard, make_error_response, make_page_response, refuse_open_host, serve_app
from warraq.runtimes import Answer
from warraq.serving.chat import parse_chat_request
from warraq.serving.events import DocumentEvent, FailedEvent, ReadEvent, RejectedEvent
from warraq.serving.files import parse_page_ranges
from warraq.serving.queue import QueueFullError, ReadJob, ReadService

PAGE = Path(__file__).with_name("page.html")
PATHS = ("/", "/healthz", "/metrics", "/v1/read", "/v1/chat/completions")


class Api:
    """The routes over one service."""

    def __init__(self, service: ReadService, host: str, token: str | None) -> None:
        self.service = service
        self._guard = Guard(host, token, service.limits.max_mib)
        self.page = PAGE.read_text(encoding="utf-8")
        self.requests: Counter[tuple[str, int]] = Counter()  # by path and status
        folder = service.model.folder
        self.name = folder.resolve().parent.name + "-" + folder.name

    def build_app(self) -> FastAPI:
        """The application for uvicorn."""
        app = FastAPI(title="warraq", docs_url=None, redoc_url=None, openapi_url=None)
        app.middleware("http")(self.guard)
        app.get("/")(self.show_page)
        app.get("/healthz")(self.show_health)
        app.get("/metrics")(self.show_metrics)
        app.post("/v1/read")(self.read)
        app.post("/v1/chat/completions")(self.chat)
        return app

    async def guard(self, request: Request, follow: Callable[[Request], Awaitable[Response]]) -> Response:
        """Refuse what may not come in, and count what came."""
        response = self._guard.refuse(request) or await follow(request)
        path = request.url.path if request.url.path in PATHS else "other"
        self.requests[path, response.status_code] += 1
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    def _refuse_full_queue(self, error: QueueFullError) -> Response:
        message = f"{self.service.limits.queue} requests wait already; try again in {error.retry_s} s."
        return make_error_response(429, "queue_full", message, **{"Retry-After": str(error.retry_s)})

    async def show_page(self) -> Response:
        """`/`: the page for people."""
        return make_page_response(self.page, self.page.replace("{{tasks}}", ",".join(self.service.model.tasks)))

    async def show_health(self) -> Response:
        """`/healthz`: which model answers."""
        model = self.service.model
        return JSONResponse({"status": "ok", "model": self.name, "sha256": model.key, "tasks": list(model.tasks)})

    async def show_metrics(self) -> Response:
        """`/metrics`: counts in Prometheus' text format."""
        service = self.service
        lines = [f'warraq_requests_total{{path="{p}",status="{s}"}} {n}' for (p, s), n in sorted(self.requests.items())]
        lines += [f"warraq_{key}_total {value}" for key, value in service.totals.items()]
        lines += [f"warraq_queue {service.waiting}", f"warraq_queue_limit {service.limits.queue}"]
        return PlainTextResponse("\n".join(lines) + "\n", media_type="text/plain; version=0.0.4")

    async def read(self, request: Request, task: str = "", pages: str = "", stream: bool = False) -> Response:
        """`/v1/read`: one file of a form; its document, or with `stream` its events, a line each."""
        stack = ExitStack()  # the place in the queue and the file, until the job's end
        try:
            stack.enter_context(self.service.reserve_place())
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            job = await self._receive(request, folder, task, pages, stream)
        except QueueFullError as error:
            stack.close()
            return self._refuse_full_queue(error)
        except InputError as error:
            stack.close()
            return make_error_response(400, "bad_request", str(error))
        except BaseException:
            stack.close()
            raise
        events = run_job(self.service, job, stack)
        if stream:
            lines = (json.dumps(event.model_dump(mode="json"), ensure_ascii=False) + "\n" async for event in events)
            return StreamingResponse(lines, media_type="application/x-ndjson", headers={"X-Accel-Buffering": "no"})
        return make_final_response([event async for event in events][-1])

    async def _receive(self, request: Request, folder: Path, task: str, pages: str, stream: bool) -> ReadJob:
        """The job that a request asks for, its file in `folder`. Raises InputError."""
        tasks = tuple(one for one in task.split(",") if one)
        if unknown := set(tasks) - set(self.service.model.tasks):
            names = ", ".join(self.service.model.tasks)
            raise InputError(f"There is no task {min(unknown)}; the model knows {names}.")
        is_wanted = parse_page_ranges(pages or None)
        async with request.form(max_files=1, max_fields=0) as form:
            upload = form.get("file")
            if upload is None or isinstance(upload, str):
                raise InputError("Send one file in the field `file` of a form.")
            path = folder / (Path(upload.filename or "").name.lstrip(".")[:200] or "file")
            with path.open("wb") as copy:
                while piece := await upload.read(2**20):
                    copy.write(piece)
        return ReadJob(path, tasks, is_wanted, with_images=stream)

    async def chat(self, request: Request) -> Response:
        """`/v1/chat/completions`: the model's own answer to images and a prompt, as OpenAI's API has it."""
        try:
            with self.service.reserve_place(), tempfile.TemporaryDirectory() as folder:
                body = json.loads(await request.body())
                chat = parse_chat_request(body, Path(folder))
                answer = await asyncio.to_thread(
                    self.service.complete, chat.images, chat.prompt, chat.schema, chat.max_new_tokens
                )
        except QueueFullError as error:
            return self._refuse_full_queue(error)
        except (InputError, ValueError, KeyError, AttributeError, TypeError) as error:
            return make_error_response(400, "bad_request", str(error))
        return make_chat_response(self.name, answer)


def make_final_response(event: ReadEvent) -> Response:
    """The response to whoever waits for the end of a job alone."""
    if isinstance(event, DocumentEvent):
        return JSONResponse(event.document.to_json())
    if isinstance(event, RejectedEvent):
        rejected = [row.model_dump(mode="json") for row in event.rejected]
        error = {"code": "rejected", "message": "No page can be read."}
        return JSONResponse({"error": error, "rejected": rejected}, 422)
    if isinstance(event, FailedEvent):
        return make_error_response(500, "failed", event.message)
    raise AssertionError(event)


def make_chat_response(model: str, answer: Answer) -> Response:
    """An answer as a chat completion."""
    message = {"role": "assistant", "content": answer.text}
    return JSONResponse(
        {
            "id": "chatcmpl-" + short_hash(str(time.time_ns())),
            "object": "chat.completion",
            "created": int(time.time()),
            "model": model,
            "choices": [{"index": 0, "finish_reason": answer.finish_reason, "message": message}],
            "usage": {"completion_tokens": answer.tokens},
        }
    )


async def run_job(service: ReadService, job: ReadJob, stack: ExitStack) -> AsyncIterator[ReadEvent]:
    """The events of a job, which runs in a thread to its end or until nobody listens; then `stack` is closed."""
    loop, queue = asyncio.get_running_loop(), asyncio.Queue[ReadEvent | None]()

    def work() -> None:
        try:
            for event in service.read(job):
                loop.call_soon_threadsafe(queue.put_nowait, event)
        except Exception as error:  # the job's end, told to whoever waits, and not the server's
            failure = FailedEvent(message=f"The job failed: {type(error).__name__}")
            loop.call_soon_threadsafe(queue.put_nowait, failure)
            raise
        finally:
            stack.close()
            loop.call_soon_threadsafe(queue.put_nowait, None)

    thread = asyncio.create_task(asyncio.to_thread(work))
    try:
        while (event := await queue.get()) is not None:
            yield event
        await asyncio.gather(thread, return_exceptions=True)
    finally:
        job.cancelled.set()


def serve(service: ReadService, host: str, port: int, token: str | None) -> None:
    """Serve until interrupted.

    Raises:
        InputError: others could reach the server, and there is no token.
    """
    refuse_open_host(host, token)
    service.start()
    serve_app(Api(service, host, token).build_app(), host, port)

"""HTTP over a model: `POST /v1/read`, `POST /v1/chat/completions`, `GET /v1/models`, `/healthz`, `/metrics`, and one
page at `/`, which has routes of its own (corrections.py); `/openapi.json` describes the others.

Refused early: a foreign host or origin, no token where one is set, a body without or beyond a length, a full queue. A
place in the queue is taken when the body is there, so that who sends slowly keeps nobody waiting.
"""

import asyncio
import json
import logging
import tempfile
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, aclosing
from pathlib import Path
from typing import Any, TypeVar

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse

from warraq.editor.page import load_page
from warraq.errors import InputError
from warraq.local_server import Guard, make_error_response, make_page_response, refuse_open_host, serve_app
from warraq.runtimes import Answer
from warraq.serving.bodies import Bodies, BodiesFullError, SlowBodyError, finish_unless_left, receive_file
from warraq.serving.chat import ChatRequest, UnknownModelError, parse_chat_request, refuse_other_model
from warraq.serving.completions import make_chunks, make_completion
from warraq.serving.context import ContextError
from warraq.serving.corrections import CorrectionFolder, Corrections
from warraq.serving.description import CHAT, READ, add_schemas
from warraq.serving.events import DocumentEvent, FailedEvent, ReadEvent, RejectedEvent
from warraq.serving.files import parse_page_ranges
from warraq.serving.queue import ReadJob, ReadService
from warraq.serving.turns import JobLimit, QueueFullError, TimeOverError, Turns
from warraq.views import count_views

logger = logging.getLogger(__name__)
T = TypeVar("T")
PAGE = Path(__file__).with_name("page.html")
PATHS = ("/", "/healthz", "/metrics", "/openapi.json", "/v1/read", "/v1/models", "/v1/chat/completions")
LEFT = 499  # status of whom nobody hears, for /metrics


class Api:
    """The routes over one service."""

    def __init__(self, service: ReadService, host: str, token: str | None, folder: CorrectionFolder | None) -> None:
        self.service = service
        self.turns = Turns(service.limits.queue, service.limits.max_seconds)
        self.bodies = Bodies()
        self._parsing = asyncio.Lock()  # one body at a time is held in memory as a whole
        self._guard = Guard(host, token, service.limits.max_mib)
        self.corrections = Corrections(service.model, self.bodies, folder)
        self.page = load_page(PAGE)
        self.requests: Counter[tuple[str, int]] = Counter()  # by path and status
        model = service.model.folder
        self.name = model.resolve().parent.name + "-" + model.name

    def build_app(self) -> FastAPI:
        """The application for uvicorn."""
        app = FastAPI(title="warraq", docs_url=None, redoc_url=None)
        app.middleware("http")(self.guard)
        for kind in (HTTPException, RequestValidationError):
            app.exception_handler(kind)(self.explain_error)
        app.get("/", include_in_schema=False)(self.show_page)
        app.get("/healthz")(self.show_health)
        app.get("/metrics", response_class=PlainTextResponse)(self.show_metrics)
        app.get("/v1/models")(self.list_models)
        app.get("/v1/models/{name}")(self.show_model)
        app.post("/v1/read", **READ)(self.read)
        app.post("/v1/chat/completions", **CHAT)(self.chat)
        self.corrections.add_routes(app)
        add_schemas(app)
        return app

    async def guard(self, request: Request, follow: Callable[[Request], Awaitable[Response]]) -> Response:
        """Refuse what may not come in, and count what came."""
        try:
            response = self._guard.refuse(request) or await follow(request)
        except Exception as error:
            response = await self.explain_error(request, error)
        path = request.url.path if request.url.path in PATHS else "other"
        self.requests[path, response.status_code] += 1
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    async def explain_error(self, request: Request, error: Exception) -> Response:
        """Why there is no answer, whatever it was."""
        limits = self.service.limits
        if isinstance(error, QueueFullError):
            message = f"{limits.queue} requests wait already; try again in {error.retry_s} s."
            return make_error_response(429, "queue_full", message, **{"Retry-After": str(error.retry_s)})
        if isinstance(error, BodiesFullError):
            message = "Too many requests are being received; try again in 5 s."
            return make_error_response(429, "busy", message, **{"Retry-After": "5"})
        if isinstance(error, SlowBodyError):
            return make_error_response(408, "slow_body", "The request's body did not come in time; send it faster.")
        if isinstance(error, ClientDisconnect):
            return Response(status_code=LEFT)
        if isinstance(error, TimeOverError):
            message = f"The time for one request, {limits.max_seconds} s, was over; ask for less."
            return make_error_response(503, "timeout", message)
        if isinstance(error, RequestValidationError):
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"][1:])
            return make_error_response(400, "bad_request", f"{where}: {first['msg']}.")
        if isinstance(error, HTTPException):
            return make_error_response(error.status_code, "http", f"{error.detail}.", **(error.headers or {}))
        if isinstance(error, UnknownModelError):
            return make_error_response(404, "model_not_found", str(error))
        if isinstance(error, InputError):
            code = "context_length_exceeded" if isinstance(error, ContextError) else "bad_request"
            return make_error_response(400, code, str(error))
        logger.error("%s failed", request.url.path, exc_info=error)
        return make_error_response(500, "failed", f"The job failed: {type(error).__name__}")

    async def show_page(self) -> Response:
        """`/`: the page for people."""
        return make_page_response(self.page, self.page)

    async def show_health(self) -> dict[str, Any]:
        """Which model answers."""
        model = self.service.model
        return {"status": "ok", "model": self.name, "sha256": model.key, "tasks": list(model.tasks)}

    async def show_metrics(self) -> Response:
        """Counts in Prometheus' text format."""
        totals = self.turns.totals | self.service.totals
        lines = [f'warraq_requests_total{{path="{p}",status="{s}"}} {n}' for (p, s), n in sorted(self.requests.items())]
        lines += [f"warraq_{key}_total {value}" for key, value in totals.items()]
        lines += [f"warraq_queue {self.turns.waiting}", f"warraq_queue_limit {self.turns.places}"]
        return PlainTextResponse("\n".join(lines) + "\n", media_type="text/plain; version=0.0.4")

    async def list_models(self) -> dict[str, Any]:
        """The one model, in the form of OpenAI's API."""
        return {"object": "list", "data": [await self.show_model(self.name)]}

    async def show_model(self, name: str) -> dict[str, Any]:
        """The one model, in the form of OpenAI's API."""
        refuse_other_model(name, self.name)
        created = int(self.service.model.folder.stat().st_mtime)
        return {"id": self.name, "object": "model", "created": created, "owned_by": "warraq"}

    async def read(self, request: Request, task: str = "", pages: str = "", stream: bool = False) -> Response:
        """One file of a form: its document, or with `stream` its events, a line each."""
        wanted = parse_page_ranges(pages or None)
        tasks = tuple(one for one in task.split(",") if one)
        if unknown := set(tasks) - set(self.service.model.tasks):
            names = ", ".join(self.service.model.tasks)
            raise InputError(f"There is no task {min(unknown)}; the model knows {names}.")
        self.turns.refuse_if_full()
        with ExitStack() as own:
            folder = Path(own.enter_context(tempfile.TemporaryDirectory()))
            upload = await receive_file(request, self.bodies, folder / "file")
            own.enter_context(self.turns.reserve_place())
            job = ReadJob(folder / "file", upload.name, tasks, wanted, with_images=stream, password=upload.password)
            events = self.turns.run(lambda: self.service.read(job), job.limit, own.pop_all())
        if stream:
            return StreamingResponse(
                write_events(events), media_type="application/x-ndjson", headers={"X-Accel-Buffering": "no"}
            )
        return make_final_response(await finish_unless_left(request, find_last(events)))

    async def chat(self, request: Request) -> Response:
        """The model's own answer to images and a prompt, whole or as server-sent events."""
        self.turns.refuse_if_full()
        with ExitStack() as own:
            folder = Path(own.enter_context(tempfile.TemporaryDirectory()))
            with (folder / "body").open("wb") as file:
                async for piece in self.bodies.receive(request):
                    file.write(piece)
            own.enter_context(self.turns.reserve_place())
            async with self._parsing:
                chat = await asyncio.to_thread(self._parse, folder)
            limit = JobLimit()
            parts = self.turns.run(lambda: self.service.complete(chat, limit), limit, own.pop_all())
        if not chat.stream:
            answer = await finish_unless_left(request, find_last(parts))
            assert isinstance(answer, Answer)
            return JSONResponse(make_completion(self.name, chat, answer).model_dump())
        first = await finish_unless_left(request, _take(parts))  # what cannot be asked is told before the stream begins
        return StreamingResponse(
            self._write_chunks(chat, first, parts), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"}
        )

    def _parse(self, folder: Path) -> ChatRequest:
        body = folder / "body"
        chat = parse_chat_request(body.read_bytes(), folder, self.name, self.service.limits.max_images)
        body.unlink()
        count = len(chat.images) * count_views(self.service.model.views)
        self.service.context.check_text(chat.instruction, chat.prompt, count)
        return chat

    async def _write_chunks(
        self, chat: ChatRequest, first: str | Answer, parts: AsyncGenerator[str | Answer, None]
    ) -> AsyncIterator[str]:
        async def join() -> AsyncIterator[str | Answer]:
            yield first
            async for part in parts:
                yield part

        async with aclosing(parts):
            try:
                async for chunk in make_chunks(self.name, chat, join()):
                    yield f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n"
                yield "data: [DONE]\n\n"
            except TimeOverError:
                message = f"The time for one request, {self.service.limits.max_seconds} s, was over; ask for less."
                yield f"data: {json.dumps({'error': {'code': 'timeout', 'message': message}})}\n\n"


async def write_events(events: AsyncGenerator[ReadEvent, None]) -> AsyncIterator[str]:
    """The events of a reading as lines."""
    async with aclosing(events):
        try:
            async for event in events:
                yield json.dumps(event.model_dump(mode="json"), ensure_ascii=False) + "\n"
        except Exception as error:  # the job's end, told to whoever waits, and not the server's
            logger.error("a reading failed", exc_info=error)
            yield FailedEvent(message=f"The job failed: {type(error).__name__}").model_dump_json() + "\n"


async def find_last(items: AsyncGenerator[T, None]) -> T:
    """The last of at least one of `items`."""
    async with aclosing(items):
        return [item async for item in items][-1]


async def _take(items: AsyncGenerator[T, None]) -> T:
    return await anext(items)


def make_final_response(event: ReadEvent) -> Response:
    """The response to whoever waits for the end of a job alone."""
    if isinstance(event, DocumentEvent):
        return JSONResponse(event.document.to_json())
    if isinstance(event, RejectedEvent):
        rejected = [row.model_dump(mode="json") for row in event.rejected]
        error = {"code": "rejected", "message": "No page can be read."}
        return JSONResponse({"error": error, "rejected": rejected}, 422)
    raise AssertionError(event)


def serve(service: ReadService, host: str, port: int, token: str | None, folder: CorrectionFolder | None) -> None:
    """Serve until interrupted; corrected answers are saved to `folder`, if there is one.

    Raises:
        InputError: others could reach the server, and there is no token.
    """
    refuse_open_host(host, token)
    service.start()
    serve_app(Api(service, host, token, folder).build_app(), host, port)

"""HTTP over a model: `POST /v1/read`, `POST /v1/chat/completions`, `/healthz`, `/metrics`, and one page at `/`.

Refused early: a foreign host or origin, no token where one is set, a body without or beyond a length, a full queue. The
page loads nothing from elsewhere, which its Content-Security-Policy enforces.
"""

import asyncio
import base64
import binascii
import hashlib
import hmac
import json
import re
import tempfile
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse

from warraq.errors import InputError
from warraq.files import short_hash
from warraq.serving.files import numbers
from warraq.serving.queue import Desk, Full

LOOPBACK = ("127.0.0.1", "localhost", "::1")
PAGE = Path(__file__).with_name("page.html")


def policy(page: str) -> str:
    """The page's own script and style by their hashes, and nothing else."""

    def hashes(tag: str) -> str:
        found = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.S)
        return " ".join(
            f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in found
        )

    return (
        f"default-src 'none'; script-src {hashes('script')}; style-src {hashes('style')}; img-src data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def images(messages: Any, folder: Path) -> tuple[list[Path], str]:
    """The images of one user's turn, written to `folder`, and its text.

    Raises:
        InputError: the messages are anything else.
    """
    if not isinstance(messages, list) or len(messages) != 1 or messages[0].get("role") != "user":
        raise InputError("messages must be one message of the role user: the model was trained to answer one question.")
    content = messages[0].get("content")
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    paths: list[Path] = []
    texts: list[str] = []
    for part in parts if isinstance(parts, list) else []:
        if part.get("type") == "text":
            texts.append(str(part.get("text", "")))
            continue
        url = (part.get("image_url") or {}).get("url", "")
        if not url.startswith("data:") or ";base64," not in url:
            raise InputError("image_url must be a data: URL in base64; this server fetches nothing.")
        try:
            data = base64.b64decode(url.split(";base64,", 1)[1], validate=True)
        except binascii.Error:
            raise InputError("image_url is not base64.") from None
        path = folder / f"image{len(paths)}"
        path.write_bytes(data)
        paths.append(path)
    return paths, "".join(texts)


def app(desk: Desk, host: str, token: str | None) -> FastAPI:
    server = FastAPI(title="warraq", docs_url=None, redoc_url=None, openapi_url=None)
    page = PAGE.read_text(encoding="utf-8")
    headers = {"Content-Security-Policy": policy(page), "Referrer-Policy": "no-referrer", "Cache-Control": "no-store"}
    requests: Counter[tuple[str, int]] = Counter()
    name = desk.model.folder.resolve().parent.name + "-" + desk.model.folder.name

    def problem(status: int, code: str, message: str, **extra: str) -> Response:
        body = {"error": {"code": code, "message": message}}
        return JSONResponse(body, status, headers={"Connection": "close", **extra})

    def refused(request: Request) -> Response | None:
        asked = request.headers.get("host", "").rpartition(":")[0] or request.headers.get("host", "")
        if asked.strip("[]") not in {*LOOPBACK, host} and token is None:
            return problem(421, "host", "This server answers under its own address only.")
        origin = request.headers.get("origin")
        if origin and origin.split("://", 1)[-1] != request.headers.get("host"):
            return problem(403, "origin", "Another site may not use this server.")
        if token and request.url.path.startswith(("/v1/", "/metrics")):
            given = request.headers.get("authorization", "").removeprefix("Bearer ")
            if not hmac.compare_digest(given.encode(), token.encode()):
                return problem(
                    401, "token", "Send the token as Authorization: Bearer …", **{"WWW-Authenticate": "Bearer"}
                )
        if request.method == "POST":
            length = request.headers.get("content-length", "")
            if not length.isdigit():
                return problem(411, "length", "Send a Content-Length.")
            if int(length) > desk.limits.max_mib * 2**20:
                return problem(413, "too_large", f"A request may have {desk.limits.max_mib} MiB.")
        return None

    @server.middleware("http")
    async def guard(request: Request, follow: Any) -> Response:
        response = refused(request) or await follow(request)
        known = request.url.path if request.url.path in PATHS else "other"
        requests[known, response.status_code] += 1
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    @server.get("/")
    async def root() -> Response:
        return HTMLResponse(page.replace("{{tasks}}", ",".join(desk.model.tasks)), headers=headers)

    @server.get("/healthz")
    async def health() -> Response:
        return JSONResponse({"status": "ok", "model": name, "sha256": desk.model.key, "tasks": list(desk.model.tasks)})

    @server.get("/metrics")
    async def metrics() -> Response:
        lines = [f'warraq_requests_total{{path="{p}",status="{s}"}} {n}' for (p, s), n in sorted(requests.items())]
        lines += [f"warraq_{key}_total {value}" for key, value in desk.done.items()]
        lines += [f"warraq_queue {desk.waiting}", f"warraq_queue_limit {desk.limits.queue}"]
        return PlainTextResponse("\n".join(lines) + "\n", media_type="text/plain; version=0.0.4")

    def full(error: Full) -> Response:
        message = f"{desk.limits.queue} requests wait already; try again in {error.retry_s} s."
        return problem(429, "queue_full", message, **{"Retry-After": str(error.retry_s)})

    @server.post("/v1/read")
    async def read(request: Request, task: str = "", pages: str = "", stream: bool = False) -> Response:
        stack, left = ExitStack(), threading.Event()
        try:
            stack.enter_context(desk.place())
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            tasks = [one for one in task.split(",") if one]
            if unknown := set(tasks) - set(desk.model.tasks):
                raise InputError(f"There is no task {min(unknown)}; the model knows {', '.join(desk.model.tasks)}.")
            wanted = numbers(pages) if pages else lambda _: True
            async with request.form(max_files=1, max_fields=0) as form:
                upload = form.get("file")
                if upload is None or isinstance(upload, str):
                    raise InputError("Send one file in the field `file` of a form.")
                path = folder / (Path(upload.filename or "").name.lstrip(".")[:200] or "file")
                with path.open("wb") as copy:
                    while piece := await upload.read(2**20):
                        copy.write(piece)
        except Full as error:
            stack.close()
            return full(error)
        except InputError as error:
            stack.close()
            return problem(400, "bad_request", str(error))
        except BaseException:
            stack.close()
            raise
        events = _events(desk.read(path, tasks, wanted, left), stack, left)
        if stream:
            lines = (json.dumps(event, ensure_ascii=False) + "\n" async for event in events)
            return StreamingResponse(lines, media_type="application/x-ndjson", headers={"X-Accel-Buffering": "no"})
        last: dict[str, Any] = {}
        async for event in events:
            last = event
        if last["event"] == "document":
            return JSONResponse(last["document"])
        if last["event"] == "rejected":
            body = {"error": {"code": "rejected", "message": "No page can be read."}, "rejected": last["rejected"]}
            return JSONResponse(body, 422)
        return problem(500, "failed", last["message"])

    @server.post("/v1/chat/completions")
    async def chat(request: Request) -> Response:
        try:
            with desk.place(), tempfile.TemporaryDirectory() as folder:
                body = json.loads(await request.body())
                if not isinstance(body, dict) or body.get("stream"):
                    raise InputError("Send a JSON object, without stream.")
                paths, prompt = images(body.get("messages"), Path(folder))
                form = body.get("response_format") or {}
                schema = json.dumps(form["json_schema"]["schema"]) if form.get("type") == "json_schema" else None
                most = body.get("max_completion_tokens") or body.get("max_tokens")
                answer = await asyncio.to_thread(desk.complete, paths, prompt, schema, most)
        except Full as error:
            return full(error)
        except (InputError, ValueError, KeyError, AttributeError, TypeError) as error:
            return problem(400, "bad_request", str(error))
        choice = {
            "index": 0, "finish_reason": answer.finish_reason, "message": {"role": "assistant", "content": answer.text}
        }  # fmt: skip
        return JSONResponse(
            {"id": "chatcmpl-" + short_hash(f"{time.time_ns()}"),
             "object": "chat.completion", "created": int(time.time()), "model": name, "choices": [choice],
             "usage": {"completion_tokens": answer.tokens}}
        )  # fmt: skip

    return server


PATHS = ("/", "/healthz", "/metrics", "/v1/read", "/v1/chat/completions")


async def _events(
    events: Iterator[dict[str, Any]], stack: ExitStack, left: threading.Event
) -> AsyncIterator[dict[str, Any]]:
    """The events of a job, which runs in a thread to its end or until nobody listens; then its place is free."""
    loop, queue = asyncio.get_running_loop(), asyncio.Queue[dict[str, Any] | None]()

    def work() -> None:
        try:
            for event in events:
                loop.call_soon_threadsafe(queue.put_nowait, event)
        except Exception as error:  # the job's end, told to whoever waits, and not the server's
            message = f"The job failed: {type(error).__name__}"
            loop.call_soon_threadsafe(queue.put_nowait, {"event": "failed", "message": message})
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
        left.set()


def serve(desk: Desk, host: str, port: int, token: str | None) -> None:
    """Serve until interrupted.

    Raises:
        InputError: others could reach the server, and there is no token.
    """
    if host not in LOOPBACK and not token:
        raise InputError(f"{host} can be reached by others; set WARRAQ_TOKEN to a secret that clients must send.")
    desk.warm()
    uvicorn.run(app(desk, host, token), host=host, port=port, log_level="warning", limit_concurrency=512)

"""HTTP over a project: one page at `/`, what it asks for under `/v1/`; one request at a time touches the files."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path

from fastapi import FastAPI, Request
from pydantic import ValidationError
from starlette.responses import FileResponse, JSONResponse, Response

from warraq.editor.log import hash_review
from warraq.editor.page import load_page
from warraq.editor.saving import SaveRequest, add_review, check_review, parse_request, refuse_answer, undo_review
from warraq.errors import InputError
from warraq.files import JsonObject
from warraq.local_server import Guard, make_error_response, make_page_response, refuse_open_host, serve_app
from warraq.records import Page
from warraq.reviewing.candidates import Candidate, collect_candidates, read_page_text
from warraq.reviewing.drafts import Claims, Drafts
from warraq.reviewing.machine import MachineReaders
from warraq.reviewing.progress import Wanted, compare_people, compare_teacher, count_gold, measure_pace
from warraq.reviewing.project import ReviewProject
from warraq.reviewing.queues import QUEUES, Filters, Item, Queue, Shares, fill_queue, list_items
from warraq.tasks import Task

PAGE = Path(__file__).with_name("page.html")
MAX_ITEMS = 5000  # of a queue that the page lists at once; the others come when these are done
MAX_MIB = 16  # of a request: an answer


class NoPageError(LookupError):
    """There is no such page or task."""


class DraftRequest(SaveRequest):
    """The same of what is not saved yet."""

    draft: JsonObject | None = None
    closing: bool = False  # the tab is about to go


class Api:
    """The routes over one project."""

    def __init__(self, project: ReviewProject, shares: Shares, wanted: Wanted, reviewer: str, guard: Guard) -> None:
        self.project, self.shares, self.wanted, self.reviewer, self._guard = project, shares, wanted, reviewer, guard
        self.drafts, self.claims, self.machine = Drafts(project.folders.drafts), Claims(), MachineReaders(project)
        self.page = load_page(PAGE)

    def build_app(self) -> FastAPI:
        """The application for uvicorn."""
        app = FastAPI(title="warraq review", docs_url=None, redoc_url=None, openapi_url=None)
        app.middleware("http")(self.guard)
        app.get("/")(self.show_page)
        app.get("/healthz")(self.show_health)
        app.get("/v1/start")(self.start)
        app.get("/v1/queue")(self.list_queue)
        app.get("/v1/progress")(self.tell_progress)
        app.get("/v1/page/{task}/{page_id}")(self.open_page)
        app.get("/v1/machine/{task}/{page_id}")(self.ask_machine)
        app.get("/v1/image/{page_id}")(self.send_image)
        for path, answer in (("draft", self.keep_draft), ("save", self.save), ("undo", self.undo)):
            app.post(f"/v1/{path}")(answer)
        app.post("/v1/release")(self.release)
        return app

    async def guard(self, request: Request, follow: Callable[[Request], Awaitable[Response]]) -> Response:
        """Refuse what may not come in; tell what is wrong with what did."""
        response = self._guard.refuse(request)
        if response is None:
            try:
                response = await follow(request)
            except NoPageError as error:
                response = make_error_response(404, "no_page", str(error.args[0]))
            except InputError as error:  # of a file that has changed
                response = make_error_response(503, "bad_file", str(error))
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
        response.headers.setdefault("Cache-Control", "no-store")
        return response

    async def show_page(self) -> Response:
        """`/`: the page; it holds nothing of the project."""
        return make_page_response(self.page, self.page)

    async def show_health(self) -> Response:
        """`/healthz`."""
        return JSONResponse({"status": "ok"})

    async def start(self) -> Response:
        """The tasks with their forms, and what the lists can be filtered by."""
        project = self.project
        documents = {page.document: page.files[0] for page in project.pages.values()}
        schemas = {name: (task.label or task.answer).model_json_schema() for name, task in project.tasks.items()}
        return JSONResponse({
            "reviewer": self.reviewer, "tasks": schemas, "machine": self.machine.list_tasks(),
            "documents": sorted(documents.items(), key=lambda one: one[1]),
            "sensitivities": sorted({one for one in project.sensitivity.values() if one}),
            "queues": [one for one in QUEUES if one != "second" or self.shares.second > 0],
        })  # fmt: skip

    async def list_queue(
        self, queue: Queue = "todo", task: str = "", document: str = "", reason: str = "", sensitivity: str = "",
        reviewer: str = "", limit: int = MAX_ITEMS,
    ) -> Response:  # fmt: skip
        """The next of a queue in its order, how many each queue has, and how long the rest will take."""
        items = list_items(self.project)
        wanted = [one for one in items if Filters(task, document, "", sensitivity).accept(one)]
        queues = {name: fill_queue(name, wanted, self.project, self.shares, reviewer) for name in QUEUES}
        reasons = sorted({one.reason for one in wanted if one.reason})
        chosen = [one for one in queues[queue] if not reason or one.reason == reason]
        pace = measure_pace(self.project, reviewer, task)
        return JSONResponse({
            "items": [_show_item(one) for one in chosen[:limit]], "left": len(chosen),
            "counts": {name: len(part) for name, part in queues.items()},
            "reasons": reasons, "version": self.project.version,
            "pace_s": pace, "left_s": None if pace is None else pace * len(chosen),
        })  # fmt: skip

    async def tell_progress(self) -> Response:
        """What is gold, how good the teacher was found, how well people agree, what comes next."""
        items = list_items(self.project)
        comparisons = {"teacher": compare_teacher(self.project, items), "people": compare_people(self.project)}
        return JSONResponse(
            count_gold(self.project, items, self.wanted)
            | {name: [asdict(one) for one in part] for name, part in comparisons.items()}
            | {"statuses": Counter(one.status for one in items if one.status)}
        )

    def _find(self, task: str, page_id: str) -> tuple[Page, Task]:
        if page_id not in self.project.pages or task not in self.project.tasks:
            raise NoPageError(f"There is no page {page_id} with a task {task}.")
        return self.project.pages[page_id], self.project.tasks[task]

    async def open_page(
        self, task: str, page_id: str, tab: str = "", reviewer: str = "", second: bool = False
    ) -> Response:
        """All that is known of a page, its draft, and whether another tab has it open."""
        self.project.refresh()
        page, definition = self._find(task, page_id)
        holder = self.claims.take(task, page_id, tab, reviewer)
        candidates = collect_candidates(self.project, page, definition, blind=second)
        last = self.project.logs[task].find_last(page_id, "second" if second else "answered")
        label = self.project.labels.get((page_id, task))
        draft = self.drafts.read(task, page_id, reviewer)
        return JSONResponse({
            "page_id": page_id, "task": task, "file": page.files[0], "files": page.files, "page": page.page,
            "width_px": page.width_px, "height_px": page.height_px, "ink": page.ink, "holder": holder,
            "sensitivity": self.project.sensitivity[page.document], "base": hash_review(last),
            "status": last.status if last else "", "reviewer": last.reviewer if last else "",
            "reason": (last.reason if last and last.reason else None) or (label.reason if label else None),
            "message": label.message if label and label.answer is None else None,
            "candidates": [_show_candidate(one) for one in candidates],
            "draft": draft and draft | {"answer": definition.upgrade(draft["answer"])},
            "text": "" if task == "content" else read_page_text(self.project, page),
        })  # fmt: skip

    async def ask_machine(self, task: str, page_id: str) -> Response:
        """What the student and Tesseract read of a page, and its text to be copied from where it has none itself."""
        page, definition = self._find(task, page_id)
        candidates = await asyncio.to_thread(self.machine.read, page, definition)
        known = task == "content" or read_page_text(self.project, page)
        text = "" if known else await asyncio.to_thread(self.machine.read_text, page)
        return JSONResponse({"candidates": [_show_candidate(one) for one in candidates], "text": text})

    async def send_image(self, page_id: str) -> Response:
        """The page as it was rendered."""
        page, _ = self._find(self.project.task_names[0], page_id)
        return FileResponse(self.project.folders.pages / page.image, media_type="image/png")

    async def keep_draft(self, request: Request) -> Response:
        """What a form holds before it is saved."""
        said = await _parse_body(request)
        if isinstance(said, Response):
            return said
        self._find(said.task, said.page_id)
        holder = self.claims.take(said.task, said.page_id, said.tab, said.reviewer)
        self.drafts.write(said.task, said.page_id, said.reviewer, said.draft)
        if said.closing:
            self.claims.release(said.tab)
        return JSONResponse({"holder": holder})

    async def save(self, request: Request) -> Response:
        """Append a row, or say where it does not fit, or that somebody else was there first."""
        said = await _parse_body(request)
        if isinstance(said, Response):
            return said
        _, task = self._find(said.task, said.page_id)
        try:
            row = check_review(task, said)
        except ValidationError as error:
            return refuse_answer(error)
        response = add_review(self.project.logs[said.task], row, said.base)
        if response.status_code == 200:
            self.drafts.write(said.task, said.page_id, said.reviewer, None)
        return response

    async def undo(self, request: Request) -> Response:
        """Take back the last row of a page, by another one."""
        said = await _parse_body(request)
        if isinstance(said, Response):
            return said
        self._find(said.task, said.page_id)
        return undo_review(self.project.logs[said.task], said)

    async def release(self, request: Request) -> Response:
        """A tab is closed."""
        said = await _parse_body(request)
        if not isinstance(said, Response):
            self.claims.release(said.tab)
        return JSONResponse({})


def _show_item(item: Item) -> JsonObject:
    names = ("page_id", "task", "file", "page", "status", "reason")
    return {name: getattr(item, name) for name in names}


def _show_candidate(candidate: Candidate) -> JsonObject:
    return candidate.model_dump(mode="json") | {"seen": candidate.seen}


async def _parse_body(request: Request) -> DraftRequest | Response:
    return parse_request(await request.body(), DraftRequest)


def serve(
    project: ReviewProject, shares: Shares, wanted: Wanted, *, reviewer: str, host: str, port: int, token: str | None
) -> None:
    """Serve until interrupted.

    Raises:
        InputError: others could reach the server, and there is no token; or there are no pages.
    """
    refuse_open_host(host, token)
    list_items(project)
    serve_app(Api(project, shares, wanted, reviewer, Guard(host, token, MAX_MIB)).build_app(), host, port)

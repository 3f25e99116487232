"""What a person makes of an answer -> a review, and the file that it is of; before that nothing of an upload is kept.

A review is a label only where the project has its page, so the first one of a document puts the file into `raw/served`.
Its name begins with its hash, so that no line of documents.csv was written for it: what is not named there goes to no
cloud. A password is kept nowhere.
"""

import asyncio
import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from pydantic import ValidationError
from starlette.responses import JSONResponse, PlainTextResponse, Response

from warraq.editor.log import ReviewLog, describe_seen, hash_review
from warraq.editor.saving import SaveRequest, add_review, check_review, parse_request, refuse_answer, undo_review
from warraq.errors import InputError, first_problem
from warraq.local_server import make_error_response
from warraq.records import Rejected
from warraq.rendering.folder import SourceDocument, identify, is_unchanged
from warraq.serving.bodies import Bodies, receive_file
from warraq.serving.finished_model import FinishedModel
from warraq.serving.markdown import render_markdown
from warraq.serving.output import DocumentAnswers
from warraq.tasks import Task

PAGE_ID = re.compile(r"([0-9a-f]{12})-p\d{4,}(-\d+)?")
LONGEST_NAME = 255  # bytes


@dataclass(frozen=True)
class CorrectionFolder:
    """A project's `raw` and `reviews`, as far as corrected answers are saved there."""

    data: Path

    def __post_init__(self) -> None:
        """Raises InputError where nothing can be written."""
        if not os.access(self.data, os.W_OK | os.X_OK):
            raise InputError(f"{self.data} cannot be written; name the data folder of a project of yours with --data.")

    @property
    def served(self) -> Path:
        """Files of which an answer was saved."""
        return self.data / "raw/served"

    def has_document(self, document: str) -> bool:
        """Whether `render` has made, or will make, the pages of a document."""
        return (self.data / "pages" / document).is_dir() or any(self.served.glob(f"{document}-*"))

    def keep_file(self, path: Path, name: str) -> None:
        """Put a file at `path` among the raw ones, unless one of them has the same bytes.

        Raises:
            InputError: it is no document.
        """
        source = identify(path, name)
        if isinstance(source, Rejected):
            raise InputError(f"{name!r} is not kept: {source.message}")
        if self.has_document(source.document) or self._find_copy(source):
            return
        self.served.mkdir(parents=True, exist_ok=True)
        safe = re.sub(r"[^\w.() -]", "_", name)
        room = LONGEST_NAME - len(source.document) - 1
        ending = Path(safe).suffix[:10]
        begin = safe.removesuffix(ending).encode()[: room - len(ending.encode())].decode(errors="ignore")
        path.replace(self.served / f"{source.document}-{begin}{ending}")

    def _find_copy(self, source: SourceDocument) -> bool:
        size = source.path.stat().st_size
        found = (path for path in (self.data / "raw").rglob("*") if path.is_file() and path.stat().st_size == size)
        return any(is_unchanged(SourceDocument(source.document, source.kind, path, ())) for path in found)


@dataclass
class Corrections:
    """The routes by which the page corrects what was read; without a folder it checks, and saves nothing."""

    model: FinishedModel
    bodies: Bodies
    folder: CorrectionFolder | None
    logs: dict[str, ReviewLog] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.folder:
            self.logs = {name: ReviewLog(self.folder.data / "reviews", task) for name, task in self.tasks.items()}

    @property
    def tasks(self) -> Mapping[str, Task]:
        """By name."""
        return {name: one.task for name, one in self.model.tasks.items()}

    def add_routes(self, app: FastAPI) -> None:
        """They are the page's own and stand in no description."""
        app.get("/v1/start", include_in_schema=False)(self.start)
        app.get("/v1/page/{task}/{page_id}", include_in_schema=False)(self.open_page)
        for name, answer in (("save", self.save), ("undo", self.undo), ("keep", self.keep), ("markdown", self.write)):
            app.post(f"/v1/{name}", include_in_schema=False)(answer)

    async def start(self) -> dict[str, Any]:
        """The tasks with their forms, and whether answers can be saved."""
        schemas = {name: (task.label or task.answer).model_json_schema() for name, task in self.tasks.items()}
        return {"tasks": schemas, "saves": self.folder is not None, "model": self.model.folder.resolve().parent.name}

    async def open_page(self, task: str, page_id: str) -> dict[str, Any]:
        """What people have said of a page."""
        _check_place(self.tasks, task, page_id)
        if not self.folder:
            return {"base": "", "status": "", "candidates": []}
        log = self.logs[task]
        log.refresh()
        last, review = log.last.get(page_id), log.current.get(page_id)
        candidates = []
        if review and review.answer is not None:
            answer = self.tasks[task].upgrade(review.answer)
            told = {"source": "review", "name": review.reviewer, "answer": answer, "doubts": [], "confidence": {}}
            candidates.append(told | {"seen": describe_seen("review", answer)})
        return {"base": hash_review(last), "status": last.status if last else "", "candidates": candidates}

    async def save(self, request: Request) -> Response:
        """Append a row, or say why not: it does not fit, somebody else was first, or the file is not there yet."""
        said = await self._receive(request)
        if isinstance(said, Response):
            return said
        try:
            row = check_review(self.tasks[said.task], said)
        except ValidationError as error:
            return refuse_answer(error)
        if not self.folder:
            return JSONResponse({"base": "", "status": row.status, "row": row.model_dump(mode="json")})
        if not self.folder.has_document(said.page_id.partition("-")[0]):
            return make_error_response(428, "not_kept", "The file is not among the project's yet; send it to /v1/keep.")
        return add_review(self.logs[said.task], row, said.base)

    async def undo(self, request: Request) -> Response:
        """Take back the last row of a page, by another one."""
        said = await self._receive(request)
        if isinstance(said, Response):
            return said
        return undo_review(self.logs[said.task], said) if self.folder else JSONResponse({"base": "", "status": ""})

    async def keep(self, request: Request) -> Response:
        """Take a file in, of which an answer is about to be saved."""
        if not self.folder:
            raise InputError("This server saves nothing; start it with --data.")
        with tempfile.TemporaryDirectory(dir=self.folder.data, prefix=".kept-") as own:
            path = Path(own) / "file"
            upload = await receive_file(request, self.bodies, path)
            await asyncio.to_thread(self.folder.keep_file, path, upload.name)
        return JSONResponse({})

    async def write(self, request: Request) -> Response:
        """A document's answers, as they were corrected, as Markdown."""
        try:
            document = DocumentAnswers.model_validate_json(await self._collect(request))
        except ValidationError as error:
            raise InputError(first_problem(error)) from None
        for page in document.pages:
            for name, checked in page.answers.items():
                if name not in self.tasks:
                    raise InputError(f"There is no task {name}.")
                try:
                    self.tasks[name].validate(checked.answer)
                except ValidationError as error:
                    raise InputError(f"Page {page.page}, {name}: {first_problem(error)}") from None
        return PlainTextResponse(render_markdown(document))

    async def _receive(self, request: Request) -> SaveRequest | Response:
        said = parse_request(await self._collect(request), SaveRequest)
        if not isinstance(said, Response):
            _check_place(self.tasks, said.task, said.page_id)
        return said

    async def _collect(self, request: Request) -> bytes:
        return b"".join([piece async for piece in self.bodies.receive(request)])


def _check_place(tasks: Mapping[str, Task], task: str, page_id: str) -> None:
    if task not in tasks or not PAGE_ID.fullmatch(page_id):
        raise InputError(f"There is no page {page_id[:100]} with a task {task[:100]}.")

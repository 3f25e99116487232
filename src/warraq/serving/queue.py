"""An uploaded file -> its pages and answers, one job after another: what stands behind `warraq serve`.

Files are parsed in processes forked from a server of their own, which holds no model and no thread: what kills one
takes nothing else with it. A job beyond the queue is refused before its bytes are read.
"""

import base64
import multiprocessing
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from multiprocessing.connection import Connection
from pathlib import Path

from warraq import runtimes
from warraq.errors import InputError
from warraq.records import Rejected
from warraq.rendering.document_cache import DocumentResult
from warraq.rendering.document_loop import render_documents
from warraq.rendering.folder import SourceDocument, escape_name, identify
from warraq.rendering.settings import RenderLimits, RenderSettings
from warraq.runtimes import Answer, Request
from warraq.serving.answers import PageAnswer, PageQuery, answer_queries
from warraq.serving.events import AnswerEvent, DocumentEvent, PageEvent, PagesEvent, ReadEvent, RejectedEvent
from warraq.serving.files import PageFilter, RenderedDocument, select_pages
from warraq.serving.finished_model import LIMITS, FinishedModel
from warraq.serving.output import collect_answers, render_markdown, shorten_rejection

SHOWN_PX = 1200  # longer side of a page as it is shown beside its answer
_CONTEXT = multiprocessing.get_context("forkserver")


@dataclass(frozen=True)
class ServiceLimits:
    """What a server takes on."""

    queue: int  # jobs that wait or run
    max_mib: int  # MiB of a request
    max_pages: int  # pages a document
    max_seconds: int  # s of a job, from its turn on; what is not read then is left out and said so


class QueueFullError(Exception):
    """The queue is full; `retry_s` is when there should be room."""

    def __init__(self, retry_s: int) -> None:
        super().__init__(retry_s)
        self.retry_s = retry_s


@dataclass(frozen=True)
class ReadJob:
    """An uploaded file, and what is asked of it."""

    path: Path
    tasks: tuple[str, ...]  # empty: all that the model knows
    is_wanted: PageFilter
    with_images: bool  # whether the events show the pages
    cancelled: threading.Event = field(default_factory=threading.Event)  # nobody waits for the rest


@dataclass
class ReadService:
    """The one model, and the jobs that wait for it."""

    model: FinishedModel
    limits: ServiceLimits
    waiting: int = 0
    totals: dict[str, float] = field(default_factory=lambda: {"jobs": 0, "pages": 0, "answers": 0, "seconds": 0.0})
    _turn: threading.Lock = field(default_factory=threading.Lock)
    _count: threading.Lock = field(default_factory=threading.Lock)

    def start(self) -> None:
        """Load the weights and start the server that forks the readers of files."""
        _CONTEXT.set_forkserver_preload(["warraq.serving.queue", "pymupdf", "PIL.Image", "numpy"])
        process = _CONTEXT.Process(target=time.monotonic)
        process.start()
        process.join()
        self.model.runtime  # noqa: B018  # loads it

    @contextmanager
    def reserve_place(self) -> Iterator[None]:
        """A place in the queue. Raises QueueFullError."""
        with self._count:
            if self.waiting >= self.limits.queue:
                mean_s = self.totals["seconds"] / max(self.totals["jobs"], 1)
                raise QueueFullError(max(1, round(mean_s * self.waiting)))
            self.waiting += 1
        try:
            yield
        finally:
            with self._count:
                self.waiting -= 1

    @contextmanager
    def take_turn(self) -> Iterator[float]:
        """The model for oneself; yields the deadline, by the monotonic clock."""
        with self._turn:
            began = time.monotonic()
            try:
                yield began + self.limits.max_seconds
            finally:
                self.totals["jobs"] += 1
                self.totals["seconds"] += time.monotonic() - began

    def read(self, job: ReadJob) -> Iterator[ReadEvent]:
        """Read one file: events `pages`, `page`, `answer`, at the end `document` or `rejected`."""
        with self.take_turn() as deadline, tempfile.TemporaryDirectory() as folder:
            document, rejected = self._render(job.path, Path(folder), job.is_wanted)
            if document is None or not document.pages:
                yield RejectedEvent(rejected=tuple(map(shorten_rejection, rejected)))
                return
            yield PagesEvent(pages=tuple(page.page for page in document.pages), rejected=len(rejected))
            yield from self._read_pages(job, document, Path(folder), deadline)

    def _read_pages(
        self, job: ReadJob, document: RenderedDocument, folder: Path, deadline: float
    ) -> Iterator[ReadEvent]:
        tasks = [self.model.tasks[name] for name in job.tasks or self.model.tasks]
        answers: list[PageAnswer] = []
        rejected = list(document.rejected)
        for page in document.pages:
            if job.cancelled.is_set():
                return
            if time.monotonic() > deadline:
                message = f"The time for one document, {self.limits.max_seconds} s, was over; ask for fewer pages."
                rejected.append(
                    Rejected(file="", document=page.document, page=page.page, reason="timeout", message=message)
                )
                continue
            image = folder / page.image
            if job.with_images:
                yield PageEvent(page=page.page, image=encode_image(image))
            queries = [PageQuery(page.document, page.page, image, task) for task in tasks]
            for answer in answer_queries(self.model, queries, len(queries)):
                answers.append(answer)
                self.totals["answers"] += 1
                yield AnswerEvent(**answer.model_dump(exclude={"document"}))
            self.totals["pages"] += 1
        answered = {answer.page for answer in answers}
        pages = [page for page in document.pages if page.page in answered]
        read = collect_answers(self.model, document.document, document.names, pages, answers, rejected)
        yield DocumentEvent(document=read, markdown=render_markdown(self.model, read))

    def complete(self, images: Sequence[Path], prompt: str, schema: str | None, max_new_tokens: int | None) -> Answer:
        """The model's answer to images and a prompt as they are.

        Raises:
            InputError: an image cannot be read.
        """
        with self.take_turn(), tempfile.TemporaryDirectory() as folder:
            pages = []
            for number, image in enumerate(images, start=1):
                document, rejected = self._render(image, Path(folder), lambda page: True)
                if document is None or len(document.pages) != 1:
                    reasons = " ".join(row.message for row in rejected)
                    raise InputError(f"Image {number} is no image of one page. {reasons}".strip())
                pages.append(Path(folder) / document.pages[0].image)
            limit = min(max_new_tokens or self.model.max_new_tokens, self.model.max_new_tokens)
            (answer,) = self.model.runtime.answer([Request(tuple(pages), prompt, schema, stop_loops=True)], limit)
            self.totals["answers"] += 1
            return answer

    def _render(
        self, path: Path, out: Path, is_wanted: PageFilter
    ) -> tuple[RenderedDocument | None, Sequence[Rejected]]:
        """An uploaded file's pages, drawn in a process of their own, and what is rejected; None where that dies."""
        source = identify(path, escape_name(path.name))
        if isinstance(source, Rejected):
            return None, (source,)
        limits = LIMITS.model_copy(update={"max_pages": self.limits.max_pages})
        receiver, sender = _CONTEXT.Pipe(duplex=False)
        process = _CONTEXT.Process(target=_render_and_send, args=(source, out, self.model.settings, limits, sender))
        process.start()
        sender.close()  # the child's is then the only one, and its death is an end of file
        try:
            result: DocumentResult = receiver.recv()
        except (EOFError, OSError):  # it died, perhaps amid the result
            return None, ()
        finally:
            process.join()
            receiver.close()
        document = select_pages(source, result, is_wanted)
        return document, document.rejected


def _render_and_send(
    source: SourceDocument, out: Path, settings: RenderSettings, limits: RenderLimits, sender: Connection
) -> None:
    results, _ = render_documents([source], {}, out, settings, limits)
    sender.send(results[source.document])


def encode_image(path: Path) -> str:
    """A page small enough to be shown, as a data URL."""
    image = runtimes.open_image(path)
    image.thumbnail((SHOWN_PX, SHOWN_PX))
    stream = BytesIO()
    image.save(stream, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(stream.getvalue()).decode()}"

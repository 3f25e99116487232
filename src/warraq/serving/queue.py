"""An uploaded file -> its pages and answers, one job after another: what stands behind `warraq serve`.

Files are parsed in processes forked from a server of their own, which holds no model and no thread: what kills one
takes nothing else with it. A job beyond the queue is refused before its bytes are read.
"""

import base64
import multiprocessing
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

from warraq import runtimes
from warraq.errors import InputError
from warraq.records import Rejected
from warraq.rendering.document_cache import Outcome, load
from warraq.rendering.folder import Source
from warraq.runtimes import Answer, Request
from warraq.serving.answers import Question, Reading, ask
from warraq.serving.files import described, gathered, rendered
from warraq.serving.finished_model import Model
from warraq.serving.output import as_json, as_markdown
from warraq.stages.render import Render

SHOWN_PX = 1200  # longer side of a page as it is shown beside its answer
_CONTEXT = multiprocessing.get_context("forkserver")


@dataclass(frozen=True)
class Limits:
    queue: int  # jobs that wait or run
    max_mib: int  # MiB of a request
    max_pages: int  # pages a document
    max_seconds: int  # s of a job, from its turn on; what is not read then is left out and said so


class Full(Exception):
    """The queue is full; `retry_s` is when there should be room."""

    def __init__(self, retry_s: int) -> None:
        super().__init__(retry_s)
        self.retry_s = retry_s


@dataclass
class Desk:
    """The one model, and the jobs that wait for it."""

    model: Model
    limits: Limits
    waiting: int = 0
    done: dict[str, float] = field(default_factory=lambda: {"jobs": 0, "pages": 0, "answers": 0, "seconds": 0.0})
    _turn: threading.Lock = field(default_factory=threading.Lock)
    _count: threading.Lock = field(default_factory=threading.Lock)

    def warm(self) -> None:
        """Load the weights and start the server that forks the readers of files."""
        _CONTEXT.set_forkserver_preload(["warraq.serving.queue", "pymupdf", "PIL.Image", "numpy"])
        process = _CONTEXT.Process(target=time.monotonic)
        process.start()
        process.join()
        self.model.runtime  # noqa: B018

    @contextmanager
    def place(self) -> Iterator[None]:
        """A place in the queue. Raises Full."""
        with self._count:
            if self.waiting >= self.limits.queue:
                mean = self.done["seconds"] / max(self.done["jobs"], 1)
                raise Full(max(1, round(mean * self.waiting)))
            self.waiting += 1
        try:
            yield
        finally:
            with self._count:
                self.waiting -= 1

    @contextmanager
    def turn(self) -> Iterator[float]:
        """The model for oneself; yields the deadline."""
        with self._turn:
            began = time.monotonic()
            try:
                yield began + self.limits.max_seconds
            finally:
                self.done["jobs"] += 1
                self.done["seconds"] += time.monotonic() - began

    def read(
        self, path: Path, tasks: Sequence[str], wanted: Callable[[int], bool], left: threading.Event
    ) -> Iterator[dict[str, Any]]:
        """Read one file: events `pages`, `page` with its image, `answer`, at the end `document` or `rejected`.

        `left` says that nobody waits for the rest.
        """
        with self.turn() as deadline, tempfile.TemporaryDirectory() as folder:
            work = Path(folder)
            sources, rejected, names = gathered([path], work / "raw")
            outcome = self._rendered(sources, work / "pages").get(sources[0].document) if sources else None
            document = described(sources[0], outcome, names, wanted) if outcome else None
            if document is None or not document.pages:
                reasons = [*rejected, *(document.rejected if document else [])]
                yield {"event": "rejected", "rejected": [_why(row) for row in reasons]}
                return
            yield {
                "event": "pages",
                "pages": [page.page for page in document.pages],
                "rejected": len(document.rejected),
            }
            asked = [self.model.tasks[name] for name in tasks or self.model.tasks]
            readings: list[Reading] = []
            lost = list(document.rejected)
            for page in document.pages:
                if left.is_set():
                    return
                if time.monotonic() > deadline:
                    message = f"The time for one document, {self.limits.max_seconds} s, was over; ask for fewer pages."
                    row = {"document": document.document, "page": page.page, "reason": "timeout", "message": message}
                    lost.append(Rejected.model_validate({"file": "", **row}))
                    continue
                image = work / "pages" / page.image
                yield {"event": "page", "page": page.page, "image": shown(image)}
                for answer in ask(
                    self.model, [Question(document.document, page.page, image, one) for one in asked], len(asked)
                ):
                    readings.append(answer)
                    self.done["answers"] += 1
                    yield {"event": "answer", "page": page.page, **answer.model_dump(mode="json", exclude={"document"})}
                self.done["pages"] += 1
            read = [page for page in document.pages if page.page in {one.page for one in readings}]
            held = as_json(self.model, document.document, document.names, read, readings, lost)
            yield {"event": "document", "document": held, "markdown": as_markdown(self.model, held)}

    def complete(self, images: Sequence[Path], prompt: str, schema: str | None, max_new_tokens: int | None) -> Answer:
        """The model's answer to images and a prompt as they are.

        Raises:
            InputError: an image cannot be read.
        """
        with self.turn(), tempfile.TemporaryDirectory() as folder:
            work = Path(folder)
            pages = []
            for place, image in enumerate(images):
                sources, rejected, _ = gathered([image], work / f"{place}/raw")
                done = self._rendered(sources, work / f"{place}/pages")
                drawn = [page.image for outcome in done.values() for page in outcome.pages]
                if len(drawn) != 1:
                    reasons = [row.message for row in (*rejected, *(r for one in done.values() for r in one.rejected))]
                    raise InputError(f"Image {place + 1} is no image of one page. {' '.join(reasons)}".strip())
                pages.append(work / f"{place}/pages" / drawn[0])
            limit = min(max_new_tokens or self.model.max_new_tokens, self.model.max_new_tokens)
            (answer,) = self.model.runtime.answer([Request(tuple(pages), prompt, schema, stop_loops=True)], limit)
            self.done["answers"] += 1
            return answer

    def _rendered(self, sources: Sequence[Source], out: Path) -> dict[str, Outcome]:
        """As `rendered`, in a process of its own; a document of which that dies is absent."""
        look = self.model.render.model_copy(update={"max_pages": self.limits.max_pages})
        out.mkdir(parents=True)
        process = _CONTEXT.Process(target=_child, args=(list(sources), look, out))
        process.start()
        process.join()
        held = {source.document: load(out / source.document) for source in sources}
        return {document: outcome for document, outcome in held.items() if outcome}


def _child(sources: list[Source], look: Render, out: Path) -> None:
    rendered(sources, look, out)


def _why(row: Rejected) -> dict[str, Any]:
    return row.model_dump(mode="json", include={"page", "reason", "message"})


def shown(path: Path) -> str:
    """A page small enough to be shown, as a data URL."""
    image = runtimes.open_image(path)
    image.thumbnail((SHOWN_PX, SHOWN_PX))
    stream = BytesIO()
    image.save(stream, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(stream.getvalue()).decode()}"

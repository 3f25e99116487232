"""An uploaded file -> its pages and answers; a question -> its answer: what stands behind `warraq serve`.

Files are parsed in processes forked from a server of their own, which holds no model and no thread: what kills one
takes nothing else with it. A job ends within a token, or a tenth of a second, once nobody waits for it.
"""

import base64
import logging
import multiprocessing
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from io import BytesIO
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue

from warraq import runtimes
from warraq.editor.log import describe_seen
from warraq.errors import InputError
from warraq.memory import share_memory
from warraq.records import Rejected
from warraq.rendering.document_cache import DocumentResult
from warraq.rendering.document_loop import render_documents
from warraq.rendering.folder import SourceDocument, escape_name, identify
from warraq.rendering.page_ranges import ALL_PAGES, PageRanges
from warraq.rendering.readers import list_engine_modules
from warraq.rendering.settings import RenderLimits, RenderSettings
from warraq.runtimes import Answer, ImageError, Request
from warraq.serving.answers import PageAnswer, PageQuery, answer_batch
from warraq.serving.chat import ChatRequest
from warraq.serving.context import Context, load_context
from warraq.serving.events import AnswerEvent, DocumentEvent, PageEvent, PagesEvent, ReadEvent, RejectedEvent
from warraq.serving.files import RenderedDocument, leave_out_too_small, select_pages
from warraq.serving.finished_model import LIMITS, FinishedModel
from warraq.serving.markdown import render_markdown
from warraq.serving.output import collect_answers, shorten_rejection
from warraq.serving.sight import TOO_SMALL
from warraq.serving.turns import ClientLeftError, JobLimit, TimeOverError

logger = logging.getLogger(__name__)

PAUSE_S = 0.1  # after which a job that draws asks whether it is to end
SHOWN_PX = 2000  # longer side of a page as it is shown beside its answer
_CONTEXT = multiprocessing.get_context("forkserver")


@dataclass(frozen=True)
class ServiceLimits:
    """What a server takes on."""

    queue: int  # jobs that wait or run
    max_mib: int  # MiB of a request
    max_pages: int  # pages read of a document
    max_seconds: int  # s of a job, from its turn on; what is not read then is left out and said so
    max_images: int  # of a chat completion
    max_prompt_tokens: int  # of a chat completion with its images


@dataclass(frozen=True)
class ReadJob:
    """An uploaded file, and what is asked of it."""

    path: Path
    name: str  # as the client calls it
    tasks: tuple[str, ...]  # empty: all that the model knows
    pages: PageRanges
    with_images: bool  # whether the events show the pages
    password: str | None = field(default=None, repr=False)  # of an encrypted file
    limit: JobLimit = field(default_factory=JobLimit)


@dataclass
class ReadService:
    """The one model, asked for one job at a time."""

    model: FinishedModel
    limits: ServiceLimits
    totals: dict[str, int] = field(default_factory=lambda: {"pages": 0, "answers": 0})

    @cached_property
    def context(self) -> Context:
        """How long a question may be."""
        return load_context(self.model.folder, self.limits.max_prompt_tokens)

    def start(self) -> None:
        """Load the weights, say what is to be known of all answers, and start the server that forks the readers."""
        for note in self.model.notes:
            logger.info("%s", note)
        share_memory()
        _CONTEXT.set_forkserver_preload(["warraq.serving.queue", "pymupdf", *list_engine_modules()])
        process = _CONTEXT.Process(target=time.monotonic)
        process.start()
        process.join()
        self.model.runtime, self.context  # noqa: B018  # loads them

    def read(self, job: ReadJob) -> Iterator[ReadEvent]:
        """Read one file: events `pages`, `page`, `answer`, at the end `document` or `rejected`.

        Raises:
            ClientLeftError: nobody waits for it any more.
        """
        with tempfile.TemporaryDirectory() as folder:
            try:
                document, rejected = self._render(job.path, job.name, Path(folder), job.pages, job.limit, job.password)
                if document is not None:
                    document = leave_out_too_small(self.model, document, Path(folder), job.limit.check)
                    rejected = document.rejected
            except TimeOverError:
                document, rejected = None, (self._explain_time(None, None),)
            if document is None or not document.pages:
                yield RejectedEvent(rejected=tuple(map(shorten_rejection, rejected)))
                return
            yield PagesEvent(pages=tuple(page.page for page in document.pages), rejected=len(rejected))
            yield from self._read_pages(job, document, Path(folder))

    def _read_pages(self, job: ReadJob, document: RenderedDocument, folder: Path) -> Iterator[ReadEvent]:
        tasks = [self.model.tasks[name] for name in job.tasks or self.model.tasks]
        answers: list[PageAnswer] = []
        rejected = list(document.rejected)
        for page in document.pages:
            image = folder / page.image
            sight = document.sights.get((page.page, page.part))
            damaged = page.damage is not None
            queries = [PageQuery(page.document, page.page, page.part, image, task, sight, damaged) for task in tasks]
            try:
                job.limit.check()
                if job.with_images:
                    yield PageEvent(page=page.page, part=page.part, page_id=page.page_id, image=encode_image(image))
                new = answer_batch(self.model, queries, lambda _: job.limit.check())
            except TimeOverError:
                rejected.append(self._explain_time(page.document, page.page))
                continue
            for answer in new:
                seen = describe_seen("student", answer.answer)
                yield AnswerEvent(**answer.model_dump(exclude={"document"}), seen=seen)
            answers += new
            self.totals["answers"] += len(new)
            self.totals["pages"] += 1
        answered = {(answer.page, answer.part) for answer in answers}
        pages = [page for page in document.pages if (page.page, page.part) in answered]
        read = collect_answers(self.model, document.document, document.names, pages, answers, rejected)
        yield DocumentEvent(document=read, markdown=render_markdown(read))

    def _explain_time(self, document: str | None, page: int | None) -> Rejected:
        message = f"The time for one document, {self.limits.max_seconds} s, was over; ask for fewer pages."
        return Rejected(file="", document=document, page=page, reason="timeout", message=message)

    def complete(self, chat: ChatRequest, limit: JobLimit) -> Iterator[str | Answer]:
        """The model's answer to images and a prompt as they are: its text as it grows, then all of it.

        Raises:
            InputError: an image cannot be read, or question and answer are too long.
            ClientLeftError, TimeOverError: the job is to end.
        """
        with tempfile.TemporaryDirectory() as folder:
            pages = []
            for number, image in enumerate(chat.images, start=1):
                document, rejected = self._render(image, image.name, Path(folder), ALL_PAGES, limit)
                if document is None or len(document.pages) != 1:
                    reasons = " ".join(row.message for row in rejected)
                    raise InputError(f"Image {number} is no image of one page. {reasons}".strip())
                pages.append(Path(folder) / document.pages[0].image)
                self._refuse_too_small(pages[-1], number)
            request = Request(
                tuple(pages), chat.prompt, chat.schema, stop_loops=True, instruction=chat.instruction,
                views=self.model.views,
            )  # fmt: skip
            try:
                most = self.context.fit_answer(request, chat.max_new_tokens, self.model.max_new_tokens)
                yield from self._follow_answer(request, most, limit)
            except ImageError as error:
                raise InputError(str(error)) from None
        self.totals["answers"] += 1

    def _refuse_too_small(self, image: Path, number: int) -> None:
        if self.model.eyesight is None or self.model.ask_too_small:
            return
        sight = self.model.eyesight.look_at(image)
        if sight.is_too_small:
            raise InputError(f"Image {number} is not read ({TOO_SMALL}). {sight.explain()}")

    def _follow_answer(self, request: Request, max_new_tokens: int, limit: JobLimit) -> Iterator[str | Answer]:
        """The pieces of an answer while it is written in a thread, then the answer."""
        pieces = SimpleQueue[str | None]()

        def hear(piece: str) -> None:
            limit.check()
            pieces.put(piece)

        with ThreadPoolExecutor(1) as pool:
            asked = replace(request, listener=hear)
            job = pool.submit(self.model.runtime.answer, [asked], max_new_tokens)
            job.add_done_callback(lambda _: pieces.put(None))
            while (piece := pieces.get()) is not None:
                if piece:
                    yield piece
            yield from job.result()

    def _render(
        self, path: Path, name: str, out: Path, pages: PageRanges, limit: JobLimit, password: str | None = None
    ) -> tuple[RenderedDocument | None, Sequence[Rejected]]:
        """An uploaded file's pages, drawn in a process of their own, and what is rejected; None where that dies.

        Raises:
            ClientLeftError, TimeOverError: the job is to end.
        """
        source = identify(path, escape_name(name))
        if isinstance(source, Rejected):
            return None, (source,)
        source = replace(source, pages=pages)
        limits = LIMITS.model_copy(update={"max_pages": self.limits.max_pages})
        receiver, sender = _CONTEXT.Pipe(duplex=False)
        passwords = {} if password is None else {source.names[0]: password}
        arguments = (source, passwords, out, self.model.settings, limits, sender)
        process = _CONTEXT.Process(target=_render_and_send, args=arguments)
        process.start()
        sender.close()  # the child's is then the only one, and its death is an end of file
        try:
            while not receiver.poll(PAUSE_S):
                limit.check()
            result: DocumentResult = receiver.recv()
        except (EOFError, OSError):  # it died, perhaps amid the result
            return None, ()
        except (ClientLeftError, TimeOverError):
            process.kill()  # what it started ends with it
            raise
        finally:
            process.join()
            receiver.close()
        document = select_pages(source, result)
        return document, document.rejected


def _render_and_send(
    source: SourceDocument, passwords: Mapping[str, str], out: Path, settings: RenderSettings, limits: RenderLimits,
    sender: Connection,
) -> None:  # fmt: skip
    results, _ = render_documents([source], passwords, out, settings, limits)
    sender.send(results[source.document])


def encode_image(path: Path) -> str:
    """A page small enough to be shown, as a data URL."""
    image = runtimes.open_image(path)
    image.thumbnail((SHOWN_PX, SHOWN_PX))
    stream = BytesIO()
    image.save(stream, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(stream.getvalue()).decode()}"

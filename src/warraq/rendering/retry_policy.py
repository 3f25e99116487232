"""How a document is read that may kill its reader: in attempts, each in a process of its own.

One rule: a page is drawn by the first engine that has not died of it, and by the next where that one refuses. An
attempt that dies tells of what, and the next goes on from there; a page that no engine survives is left out, and the
pages before and after it are kept.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from warraq.records import Engine, Page, Rejected
from warraq.rendering.folder import FileKind, SourceDocument
from warraq.rendering.raster import RenderError
from warraq.workers import Failure

ENGINES: dict[FileKind, tuple[Engine, ...]] = {"pdf": ("mupdf", "pdfium"), "image": ("pillow",)}
MAX_ATTEMPTS = 6  # attempts at the same pages: each may last as long as the limits allow
BATCH = 24  # pages of a document that a process draws, while others draw the next
FEW = 2  # of a longer document, after which others learn how long it is


@dataclass(frozen=True)
class PageStart:
    """What a reader is about to do: open the document (page 0) or draw a page."""

    page: int
    engine: Engine


@dataclass(frozen=True)
class RenderedPage:
    """A page that was drawn, or a part of it: its row, its image and text being written."""

    row: Page
    sha256: dict[str, str]  # of its files, by name
    bytes: int  # of its files


Message = PageStart | RenderedPage | Rejected | int
"""What an attempt yields while it lasts; an int is the number of pages."""


@dataclass(frozen=True)
class Attempt:
    """One process's try at some pages of a document."""

    source: SourceDocument
    password: str | None
    first: int = 1  # page
    last: int = BATCH  # page, or less where the document ends before
    deaths: tuple[tuple[PageStart, Failure], ...] = ()  # of the attempts before at these pages
    number: int = 1

    def list_pages(self, count: int) -> list[int]:
        """The pages to draw of a document of `count`."""
        last = self.find_last(count)
        return [page for page in self.source.pages.list_pages(count) if self.first <= page <= last]

    def find_last(self, count: int) -> int:
        """The last page to draw of a document of `count`."""
        return FEW if self.last == BATCH < count else min(self.last, count)

    def list_engines(self, page: int) -> list[Engine]:
        """Who may draw a page, in order of preference; page 0 is opening the document."""
        dead = {start.engine for start, _ in self.deaths if start.page in (0, page)}
        return [engine for engine in ENGINES[self.source.kind] if engine not in dead]

    def find_failure(self, page: int) -> Failure | None:
        """Why the first engine died of a page, or of opening the document."""
        return next((failure for start, failure in self.deaths if start.page in (0, page)), None)


def plan_next_attempt(attempt: Attempt, last: PageStart, failure: Failure) -> tuple[Attempt | None, Failure | None]:
    """The attempt that follows one that died of what it began last, and why that page (or document) is left out, if so.

    No attempt follows where the document could not be opened, or its pages have had their number of attempts: what is
    left of them is then left out for the same reason.
    """
    dead = [last]
    if failure.reason == "memory":  # PDFium would go on without the picture that does not fit, and not say so
        dead = [PageStart(last.page, engine) for engine in attempt.list_engines(last.page)]
    following = replace(
        attempt,
        first=max(attempt.first, last.page),
        deaths=(*attempt.deaths, *((start, failure) for start in dead)),
        number=attempt.number + 1,
    )
    reason = following.find_failure(last.page)
    if attempt.number == MAX_ATTEMPTS:
        return None, reason
    if following.list_engines(last.page):
        return following, None
    return (replace(following, first=last.page + 1) if last.page else None), reason


@dataclass
class PartialResult:
    """What the attempts at a document have given so far."""

    document: str
    count: int = 0
    pages: dict[tuple[int, int], RenderedPage] = field(default_factory=dict)  # by page and part
    rejected: dict[int, Rejected] = field(default_factory=dict)  # 0 is the document as a whole
    pending: int = 1  # batches that have not come to an end

    def add(self, messages: Iterable[Message]) -> PageStart:
        """Keep what an attempt yielded. Returns what it began last."""
        last = PageStart(0, "pillow")
        for message in messages:
            if isinstance(message, PageStart):
                last = message
            elif isinstance(message, RenderedPage):
                self.pages[message.row.page, message.row.part] = message
            elif isinstance(message, Rejected):
                self.rejected[message.page or 0] = message
            else:
                self.count = message
        return last

    def leave_out(self, attempt: Attempt, last: PageStart, following: Attempt | None, error: RenderError) -> None:
        """Leave out what `attempt` died of, and all of its pages that would follow where there is no other."""
        start = last.page or (attempt.first if self.count else 0)
        end = start if following else max(start, attempt.find_last(self.count))
        for page in range(start, 1 + end):
            self.rejected[page] = make_rejection(self.document, page, error)

    def find_full(self, max_bytes: int) -> int | None:
        """The first page with which images and texts are more than so many bytes."""
        used = 0
        for (page, _), rendered in sorted(self.pages.items()):
            used += rendered.bytes
            if used > max_bytes:
                return page
        return None

    def cut_off(self, page: int, error: RenderError) -> None:
        """Leave out a page and all after it."""
        self.pages = {place: rendered for place, rendered in self.pages.items() if place[0] < page}
        for beyond in range(page, self.count + 1):
            self.rejected[beyond] = make_rejection(self.document, beyond, error)


def list_further_batches(attempt: Attempt, count: int) -> Iterator[Attempt]:
    """The batches of pages behind the first one."""
    for first in range(attempt.find_last(count) + 1, count + 1, BATCH):
        yield Attempt(attempt.source, attempt.password, first, first + BATCH - 1)


def make_rejection(document: str, page: int, error: RenderError) -> Rejected:
    """The row of a page that is left out; page 0 is the document as a whole."""
    return Rejected(file="", document=document, page=page or None, reason=error.reason, message=error.message)

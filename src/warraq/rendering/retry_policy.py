"""How a document is read that may kill its reader: in attempts, each in a process of its own.

An attempt that dies tells where, and the next goes on from there: MuPDF's victims get PDFium's second opinion, a page
that no engine survives is left out, and the pages before and after it are kept.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from warraq.records import Engine, Page, Rejected
from warraq.rendering.folder import SourceDocument
from warraq.rendering.raster import RenderError
from warraq.workers import Failure

MAX_ATTEMPTS = 6  # attempts at a document: each may last as long as the limits allow


@dataclass(frozen=True)
class PageStart:
    """What a reader is about to do: open the document (page 0) or draw a page."""

    page: int
    engine: Engine


@dataclass(frozen=True)
class RenderedPage:
    """A page that was drawn: its row, its image and text being written."""

    row: Page
    sha256: dict[str, str]  # of its files, by name


Message = PageStart | RenderedPage | Rejected | int
"""What an attempt yields while it lasts; an int is the number of pages."""


@dataclass(frozen=True)
class Attempt:
    """One process's try at a document."""

    source: SourceDocument
    password: str | None
    engine: Engine  # that opens the document
    first: int = 1  # page to go on from
    alone: Engine | None = None  # the only engine for page `first`, since the other died of it
    failure: Failure | None = None  # what the other died of
    number: int = 1


def make_first_attempt(source: SourceDocument, password: str | None) -> Attempt:
    """By MuPDF for a PDF, by Pillow for an image."""
    return Attempt(source, password, "mupdf" if source.kind == "pdf" else "pillow")


def plan_next_attempt(attempt: Attempt, last: PageStart, failure: Failure) -> tuple[Attempt | None, Failure | None]:
    """The attempt that follows one that died of what it began last, and why that page (or document) is left out, if so.

    No attempt follows where the document could not be opened, or has had its number of attempts: what is left of it is
    then left out for the same reason.
    """
    alone = attempt.alone if last.page == attempt.first else None
    following = replace(attempt, number=attempt.number + 1, first=max(1, last.page), alone=None, failure=failure)
    fallen_back = attempt.engine == "pdfium" or alone == "pdfium"
    reason = attempt.failure if attempt.failure and fallen_back else failure
    if attempt.number == MAX_ATTEMPTS:
        return None, reason
    # Not where memory was short: PDFium goes on without the picture that does not fit, and does not say so.
    if last.engine == "mupdf" and not alone and failure.reason != "memory":
        return (replace(following, alone="pdfium") if last.page else replace(following, engine="pdfium")), None
    if last.engine == "pdfium" and not fallen_back:
        return replace(following, alone="mupdf"), None
    if last.page == 0:
        return None, reason
    return replace(
        following, first=last.page + 1, failure=attempt.failure if attempt.engine == "pdfium" else None
    ), reason


@dataclass
class PartialResult:
    """What the attempts at a document have given so far."""

    document: str
    count: int = 0
    pages: dict[int, RenderedPage] = field(default_factory=dict)
    rejected: dict[int, Rejected] = field(default_factory=dict)  # 0 is the document as a whole

    def add(self, messages: Iterable[Message]) -> PageStart:
        """Keep what an attempt yielded. Returns what it began last."""
        last = PageStart(0, "pillow")
        for message in messages:
            if isinstance(message, PageStart):
                last = message
            elif isinstance(message, RenderedPage):
                self.pages[message.row.page] = message
            elif isinstance(message, Rejected):
                self.rejected[message.page or 0] = message
            else:
                self.count = message
        return last

    def leave_out(self, attempt: Attempt, last: PageStart, following: Attempt | None, error: RenderError) -> None:
        """Leave out what `attempt` died of, and all that would follow where there is no other."""
        start = last.page or (attempt.first if self.count else 0)
        for page in range(start, 1 + (start if following else max(start, self.count))):
            self.rejected[page] = make_rejection(self.document, page, error)


def make_rejection(document: str, page: int, error: RenderError) -> Rejected:
    """The row of a page that is left out; page 0 is the document as a whole."""
    return Rejected(file="", document=document, page=page or None, reason=error.reason, message=error.message)

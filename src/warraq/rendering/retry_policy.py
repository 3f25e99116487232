"""How a document is read that may kill its reader: in attempts, each in a process of its own.

An attempt that dies tells where, and the next goes on from there: MuPDF's victims get PDFium's second opinion, a page
that no engine survives is left out, and the pages before and after it are kept.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from warraq.records import Engine, Page, Rejected
from warraq.rendering.folder import Source
from warraq.rendering.raster import Refused
from warraq.workers import Failure

MOST = 6  # attempts at a document: each may last as long as the limits allow


@dataclass(frozen=True)
class Begun:
    """What a reader is about to do: open the document (page 0) or draw a page."""

    page: int
    engine: Engine


@dataclass(frozen=True)
class Drawn:
    page: Page
    sha256: dict[str, str]  # of its files, by name


Message = Begun | Drawn | Rejected | int  # what an attempt tells while it lasts; an int is the number of pages


@dataclass(frozen=True)
class Attempt:
    source: Source
    password: str | None
    engine: Engine  # that opens the document
    first: int = 1  # page to go on from
    alone: Engine | None = None  # the only engine for page `first`, since the other died of it
    failure: Failure | None = None  # what the other died of
    number: int = 1


def first(source: Source, password: str | None) -> Attempt:
    return Attempt(source, password, "mupdf" if source.kind == "pdf" else "pillow")


def after(attempt: Attempt, begun: Begun, failure: Failure) -> tuple[Attempt | None, Failure | None]:
    """The attempt that follows one that died of what it had begun, and why that page (or document) is left out, if so.

    No attempt follows where the document could not be opened, or has had its number of attempts: what is left of it is
    then left out for the same reason.
    """
    alone = attempt.alone if begun.page == attempt.first else None
    again = replace(attempt, number=attempt.number + 1, first=max(1, begun.page), alone=None, failure=failure)
    fallen_back = attempt.engine == "pdfium" or alone == "pdfium"
    reason = attempt.failure if attempt.failure and fallen_back else failure
    if attempt.number == MOST:
        return None, reason
    # Not where memory was short: PDFium goes on without the picture that does not fit, and does not say so.
    if begun.engine == "mupdf" and not alone and failure.reason != "memory":
        return (replace(again, alone="pdfium") if begun.page else replace(again, engine="pdfium")), None
    if begun.engine == "pdfium" and not fallen_back:
        return replace(again, alone="mupdf"), None
    if begun.page == 0:
        return None, reason
    return replace(again, first=begun.page + 1, failure=attempt.failure if attempt.engine == "pdfium" else None), reason


@dataclass
class Reading:
    """What the attempts at a document have given so far."""

    document: str
    count: int = 0
    drawn: dict[int, Drawn] = field(default_factory=dict)
    rejected: dict[int, Rejected] = field(default_factory=dict)  # 0 is the document as a whole

    def add(self, messages: Iterable[Message]) -> Begun:
        """Returns what was begun last."""
        begun = Begun(0, "pillow")
        for message in messages:
            if isinstance(message, Begun):
                begun = message
            elif isinstance(message, Drawn):
                self.drawn[message.page.page] = message
            elif isinstance(message, Rejected):
                self.rejected[message.page or 0] = message
            else:
                self.count = message
        return begun

    def lose(self, attempt: Attempt, begun: Begun, again: Attempt | None, refusal: Refused) -> None:
        """Leave out what `attempt` died of, and all that would follow where there is no other."""
        start = begun.page or (attempt.first if self.count else 0)
        for page in range(start, 1 + (start if again else max(start, self.count))):
            self.rejected[page] = rejection(self.document, page, refusal)


def rejection(document: str, page: int, refusal: Refused) -> Rejected:
    return Rejected(file="", document=document, page=page or None, reason=refusal.reason, message=refusal.message)

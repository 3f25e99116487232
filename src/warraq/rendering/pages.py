"""An attempt at a document -> its pages as PNG and text in `<doc>.part`, their rows, and what is being done meanwhile.

Runs in a process of its own, which may die at any line: who hears what it yields knows what it died of.
"""

import hashlib
import re
from collections.abc import Generator, Iterator
from dataclasses import replace
from pathlib import Path

from warraq.records import Engine, Page, Rejected
from warraq.rendering import enhance
from warraq.rendering.annotations import are_different, surround
from warraq.rendering.document_cache import prepare_part
from warraq.rendering.pdfium import PdfiumReader
from warraq.rendering.raster import Raster, RenderError, explain_lost_page
from warraq.rendering.readers import PageReader, open_reader
from warraq.rendering.retry_policy import ENGINES, Attempt, Message, PageStart, RenderedPage, make_rejection
from warraq.rendering.settings import RenderLimits, RenderSettings, recipe_of
from warraq.workers import Failure

ARABIC = re.compile("[\u0620-\u064a\u0671-\u06d3\u0750-\u077f\u08a0-\u08ff\ufb50-\ufdff\ufe70-\ufefc]+")
ASKED_AGAIN = ("damaged", "no_pages", "page_failed", "page_lost")  # what another engine may see otherwise
LATIN = re.compile("[A-Za-z\u00c0-\u024f]+")
_kept: list["Readers"] = []  # of this process's last attempt, if they may go on with the document


def render_attempt(
    out: Path, settings: RenderSettings, limits: RenderLimits, attempt: Attempt
) -> Generator[Message, None, bool]:
    """Draw the pages of `attempt`, and write each to `<out>/<document>.part`.

    Returns:
        whether nothing was wrong with the document, so that its process may read another.
    """
    document = attempt.source.document
    part = prepare_part(out / document) if attempt.number == attempt.first == 1 else out / f"{document}.part"
    readers = _take_readers(attempt)
    try:
        count = yield from readers.open_first()
        wanted = len(attempt.source.pages.list_pages(count))
        if wanted > limits.max_pages:
            raise explain_page_limit(wanted, count, limits)
    except OSError as error:
        unreadable = RenderError("unreadable", f"It cannot be read ({error.strerror}); allow reading it.")
        yield make_rejection(document, 0, unreadable)
        return False
    except RenderError as error:
        failure = attempt.find_failure(0)
        yield make_rejection(document, 0, explain_failure(failure, limits) if failure else error)
        return False
    yield count
    yield from _reject_beside(attempt, readers, count)
    is_sound = not readers.refusals
    used_bytes = 0
    for number in attempt.list_pages(count):
        engine, page = yield from _draw(attempt, number, readers, settings, limits)
        if isinstance(page, RenderError):
            is_sound = False
            yield make_rejection(document, number, page)
            continue
        is_sound = is_sound and not page.repaired and not page.damage
        for index, piece in enumerate((page, *page.rest)):
            written = write_page(part, (number, index + 1 if page.rest else 0), piece, engine, settings)
            used_bytes += written.bytes
            yield written
        del page  # so that the next is drawn into the same memory
        if used_bytes > limits.max_output_mib * 2**20:  # who hears it leaves out all that follows
            return False
    if is_sound and attempt.find_last(count) < count:
        _kept.append(readers)
    return is_sound


def _take_readers(attempt: Attempt) -> "Readers":
    """Those of the process's last attempt, if it was at this document: what they have loaded is not loaded anew."""
    kept = _kept.pop() if _kept else None
    return kept if kept and kept.go_on(attempt) else Readers(attempt)


def _reject_beside(attempt: Attempt, readers: "Readers", count: int) -> Iterator[Rejected]:
    """What is not drawn: files that the document carries, and pages that are wanted and are none."""
    document = attempt.source.document
    if attempt.first == 1 and (attached := readers.list_attached()):
        yield make_rejection(document, 0, explain_attached(attached))
    for number in attempt.source.pages.find_missing(count) if attempt.first == 1 else ():
        error = RenderError("no_such_page", f"There is no page {number}, the last is {count}; ask for others.")
        yield make_rejection(document, number, error)


def _draw(
    attempt: Attempt, number: int, readers: "Readers", settings: RenderSettings, limits: RenderLimits
) -> Generator[Message, None, tuple[Engine, Raster | RenderError]]:
    """Returns the page and its engine: the next is asked where one refuses or sees nothing, and about annotations."""
    answers: list[tuple[Engine, Raster | RenderError]] = []
    for engine in readers.list_engines(number):
        yield PageStart(number, engine)
        answer = readers.draw_page(engine, number, settings)
        if isinstance(answer, Raster) and answer.annotated and not (answer.is_blank or answer.damage):
            yield PageStart(number, "pdfium")
            if readers.draw_differently(number, answer, settings):
                answer = replace(answer, damage="a stamp, signature or field looks different to another reader")
        answers.append((engine, answer))
        if _is_final(answer):
            break
    failure = attempt.find_failure(number)
    refusal = readers.refusals.get(ENGINES[attempt.source.kind][0])
    unseen = explain_failure(failure, limits) if failure else refusal  # to which a blank page is no answer
    return _choose(answers, unseen, refusal) if answers else (attempt.list_engines(number)[0], _need(unseen))


def _is_final(answer: Raster | RenderError) -> bool:
    if isinstance(answer, RenderError):
        return answer.reason not in ASKED_AGAIN
    return not answer.is_blank


def _choose(
    answers: list[tuple[Engine, Raster | RenderError]], unseen: RenderError | None, refusal: RenderError | None
) -> tuple[Engine, Raster | RenderError]:
    """Of the engines' answers the first that shows something, with what another has to say against it."""
    (engine, first), (second, other) = answers[0], answers[1] if len(answers) > 1 else (None, None)
    if isinstance(first, Raster) and not first.is_blank:
        return engine, _add_damage(first, refusal)
    if second and isinstance(other, Raster) and not other.is_blank:
        return second, _add_damage(other, first)
    if unseen:
        return engine, unseen
    return engine, explain_lost_page() if isinstance(first, Raster) and first.missing else first


def _need(error: RenderError | None) -> RenderError:
    assert error  # one engine died of the page, the other does not open the file
    return error


def _add_damage(page: Raster, refusal: Raster | RenderError | None) -> Raster:
    """A page with what another engine had to say against it."""
    told = refusal.message if isinstance(refusal, RenderError) else refusal and refusal.damage
    return replace(page, damage=page.damage or told or None)


def explain_failure(failure: Failure, limits: RenderLimits) -> RenderError:
    """Why a page or document that no engine survived is left out."""
    why = {
        "timeout": f"It took more than {limits.max_seconds} s of processor time; raise max_seconds",
        "memory": f"It needed more than {limits.max_memory_mib} MiB; raise max_memory_mib",
        "crashed": f"The reader died of it ({failure.detail}); leave it out",
    }
    return RenderError(failure.reason, f"{why[failure.reason]} or print it to a new PDF.")


def explain_output_limit(limits: RenderLimits) -> RenderError:
    """Why a page beyond `max_output_mib` is left out."""
    return RenderError(
        "output",
        f"The document's pages take more than {limits.max_output_mib} MiB; raise max_output_mib or split the file.",
    )


def explain_attached(names: tuple[str, ...]) -> RenderError:
    """What of a document is on none of its pages."""
    shown = ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
    return RenderError(
        "container", f"The file carries {shown}, which are on no page; take them out and put them beside it."
    )


def explain_page_limit(wanted: int, count: int, limits: RenderLimits) -> RenderError:
    """Why a document of which more than `max_pages` are wanted is left out."""
    asked = f", of which {wanted} are asked for," if wanted < count else ""
    return RenderError(
        "too_many_pages",
        f"It has {count} pages{asked} and {limits.max_pages} are allowed; raise max_pages or split the file.",
    )


class Readers:
    """A document as its engines read it, each of which opens it once, at the first page that asks for it."""

    def __init__(self, attempt: Attempt) -> None:
        """Open nothing yet."""
        self._attempt = attempt
        self._opened: dict[Engine, PageReader] = {}
        self.refusals: dict[Engine, RenderError] = {}  # why an engine does not open it

    def go_on(self, attempt: Attempt) -> bool:
        """Whether what is open serves another attempt, which it then does."""
        before = self._attempt
        self._attempt = attempt
        return not attempt.deaths and (attempt.source, attempt.password) == (before.source, before.password)

    def open_first(self) -> Generator[Message, None, int]:
        """Open the document by the first engine that can. Returns its number of pages; raises as the first did."""
        for engine in self._attempt.list_engines(0):
            yield PageStart(0, engine)
            reader = self._open(engine)
            if reader:
                return reader.count
            if self.refusals[engine].reason not in ASKED_AGAIN:
                break
        raise next(iter(self.refusals.values()))

    def list_attached(self) -> tuple[str, ...]:
        """Names of the files in the document."""
        return next(iter(self._opened.values())).attached

    def list_engines(self, number: int) -> list[Engine]:
        """Who may draw a page, and has not refused the document."""
        return [engine for engine in self._attempt.list_engines(number) if engine not in self.refusals]

    def draw_page(self, engine: Engine, number: int, settings: RenderSettings) -> Raster | RenderError:
        """As PageReader.draw_page; why the document cannot be opened, if so."""
        reader = self._open(engine)
        if reader is None:
            return self.refusals[engine]
        if number > reader.count:
            return explain_lost_page()
        return reader.draw_page(number, settings.long_side_px, settings.colour)

    def draw_differently(self, number: int, page: Raster, settings: RenderSettings) -> bool:
        """Whether PDFium, unless it has died of the page or refuses it, draws its annotations otherwise."""
        reader = self._open("pdfium") if "pdfium" in self.list_engines(number) else None
        left, top, right, bottom = around = surround(page.annotated, page.samples.shape)
        if not isinstance(reader, PdfiumReader) or number > reader.count or left >= right or top >= bottom:
            return False
        other = reader.draw_box(number, settings.long_side_px, settings.colour, around)
        boxes = [(x0 - left, y0 - top, x1 - left, y1 - top) for x0, y0, x1, y1 in page.annotated]
        return other is not None and are_different(page.samples[top:bottom, left:right], other, boxes)

    def _open(self, engine: Engine) -> PageReader | None:
        if engine not in self._opened and engine not in self.refusals:
            try:
                self._opened[engine] = open_reader(engine, self._attempt.source.path, self._attempt.password)
            except RenderError as refusal:
                self.refusals[engine] = refusal
        return self._opened.get(engine)


def write_page(
    part: Path, place: tuple[int, int], page: Raster, engine: Engine, settings: RenderSettings
) -> RenderedPage:
    """Write the PNG and text of a page, or of a part of it; `place` is both their numbers, part 0 is the whole page."""
    number, piece = place
    name = f"{number:04d}-{piece}" if piece else f"{number:04d}"
    document = part.name.removesuffix(".part")
    samples = page.samples
    skew_deg = enhance.estimate_skew_deg(samples) if settings.deskew and page.origin != "born_digital" else 0.0
    samples, scale = enhance.straighten(samples, skew_deg) if skew_deg else (samples, 1.0)
    left, top, right, bottom = enhance.measure_margins(samples) if settings.crop else (0, 0, 0, 0)
    height, width = samples.shape[:2]
    samples = samples[top : height - bottom, left : width - right]
    samples = enhance.adjust_contrast(samples, settings.contrast, settings.autocontrast_cutoff_percent)
    sha256: dict[str, str] = {}
    sizes: list[int] = []

    def write(name: str, data: bytes) -> str:
        sizes.append((part / name).write_bytes(data))
        sha256[name] = hashlib.sha256(data).hexdigest()
        return f"{document}/{name}"

    image = f"{name}.png"
    row = Page(
        page_id=f"{document}-p{name}",
        document=document,
        page=number,
        part=piece,
        files=(),
        image=write(image, replace(page, samples=samples).encode_png()),
        image_sha256=sha256[image],
        width_px=samples.shape[1],
        height_px=samples.shape[0],
        px_per_pt=page.px_per_pt and round(page.px_per_pt * scale, 6),
        text=write(f"{name}.txt", page.text.encode()) if page.text else None,
        repaired=page.repaired,
        recipe=recipe_of(settings),
        engine=engine,
        origin=page.origin,
        rotation_deg=page.rotation_deg,
        skew_deg=skew_deg,
        crop_px=(left, top, right, bottom),
        ink=page.measure_ink(),
        script=detect_script(page.text or ""),
        codecs=page.codecs,
        damage=page.damage,
        text_fault=page.text_fault,
    )
    return RenderedPage(row, sha256, sum(sizes))


def detect_script(text: str) -> str | None:
    """What most letters of a text belong to; None where it has none."""
    arabic, latin = (sum(map(len, letters.findall(text))) for letters in (ARABIC, LATIN))
    counts = {"arabic": arabic, "latin": latin, "other": sum(map(str.isalpha, text)) - arabic - latin}
    most = max(counts, key=lambda name: counts[name])
    return most if counts[most] > 0 else None

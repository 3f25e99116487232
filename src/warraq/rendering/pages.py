"""An attempt at a document -> its pages as PNG and text in `<doc>.part`, their rows, and what is being done meanwhile.

Runs in a process of its own, which may die at any line: who hears what it yields knows what it died of.
"""

import hashlib
import re
from collections.abc import Generator
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from warraq.records import Engine, Page
from warraq.rendering import enhance
from warraq.rendering.annotations import are_different
from warraq.rendering.document_cache import prepare_part
from warraq.rendering.raster import Colour, Raster, RenderError, explain_lost_page
from warraq.rendering.readers import PageReader, open_reader
from warraq.rendering.retry_policy import Attempt, Message, PageStart, RenderedPage, make_rejection
from warraq.rendering.settings import RenderLimits, RenderSettings, recipe_of
from warraq.workers import Failure

ARABIC = re.compile("[\u0620-\u064a\u0671-\u06d3\u0750-\u077f\u08a0-\u08ff\ufb50-\ufdff\ufe70-\ufefc]")
LATIN = re.compile("[A-Za-z\u00c0-\u024f]")


def render_attempt(
    out: Path, settings: RenderSettings, limits: RenderLimits, attempt: Attempt
) -> Generator[Message, None, bool]:
    """Draw a document's pages from `attempt.first` on, and write each to `<out>/<document>.part`.

    Returns:
        whether nothing was wrong with the document, so that its process may read another.
    """
    document = attempt.source.document
    part = prepare_part(out / document) if attempt.number == 1 else out / f"{document}.part"
    yield PageStart(0, attempt.engine)
    try:
        opened = _open_document(attempt, limits)
    except RenderError as error:
        yield make_rejection(document, 0, error)
        return False
    yield opened.count
    second = SecondOpinion(attempt)
    free_bytes = limits.max_output_mib * 2**20 - sum(path.stat().st_size for path in part.iterdir())
    is_sound = attempt.engine != "pdfium"
    for number in range(attempt.first, opened.count + 1):
        engine, page = yield from _draw(attempt, number, opened, second, settings, limits)
        if isinstance(page, RenderError):
            is_sound = False
            yield make_rejection(document, number, page)
            continue
        is_sound = is_sound and not page.repaired and not page.damage
        written = write_page(part, number, page, engine, settings)
        free_bytes -= sum((part / name).stat().st_size for name in written.sha256)
        if free_bytes < 0:
            for beyond in range(number, opened.count + 1):
                yield make_rejection(document, beyond, explain_output_limit(limits))
            return False
        yield written
        del page  # so that the next is drawn into the same memory
    return is_sound


def _open_document(attempt: Attempt, limits: RenderLimits) -> PageReader:
    """Raises RenderError; of a document that killed an engine before, for that reason."""
    try:
        opened = open_reader(attempt.engine, attempt.source.path, attempt.password)
        if opened.count > limits.max_pages:
            message = (
                f"It has {opened.count} pages and {limits.max_pages} are allowed; raise max_pages or split the file."
            )
            raise RenderError("too_many_pages", message)
    except OSError as error:
        raise RenderError("unreadable", f"It cannot be read ({error.strerror}); allow reading it.") from error
    except RenderError as error:
        if attempt.failure:
            raise explain_failure(attempt.failure, limits) from error
        raise
    return opened


def _draw(
    attempt: Attempt, number: int, opened: PageReader, second: "SecondOpinion", settings: RenderSettings,
    limits: RenderLimits,
) -> Generator[Message, None, tuple[Engine, Raster | RenderError]]:  # fmt: skip
    """Returns the page and its engine: PDFium is asked of what kills MuPDF, is blank to it or has annotations."""
    alone = attempt.alone if number == attempt.first else None
    engine = alone or attempt.engine
    yield PageStart(number, engine)
    reader = opened if engine == attempt.engine else second
    page = reader.draw_page(number, settings.long_side_px, settings.colour)
    is_blank = isinstance(page, Raster) and page.is_blank
    if engine == "pdfium" and attempt.failure and (is_blank or isinstance(page, RenderError)):
        return engine, explain_failure(attempt.failure, limits)  # a blank page is no answer to a death
    if isinstance(page, Raster) and is_blank and engine == "mupdf" and not alone:
        yield PageStart(number, "pdfium")
        other = second.draw_page(number, settings.long_side_px, settings.colour)
        if isinstance(other, Raster) and not other.is_blank:
            return "pdfium", replace(other, damage=page.damage)
        if page.missing:
            return engine, explain_lost_page()
    elif isinstance(page, Raster) and page.annotated and engine == "mupdf" and not alone and not page.damage:
        yield PageStart(number, "pdfium")
        other = second.draw_page(number, settings.long_side_px, settings.colour)
        if isinstance(other, Raster) and are_different(page.samples, other.samples, page.annotated):
            page = replace(page, damage="a stamp, signature or field looks different to another reader")
    return engine, page


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


class SecondOpinion:
    """PDFium as a PageReader of a document, which is opened once, at the first page that asks for it."""

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt

    def draw_page(self, number: int, long_side_px: int, colour: Colour) -> Raster | RenderError:
        """As PageReader.draw_page; why the document cannot be opened, if so."""
        opened = self._reader
        return opened if isinstance(opened, RenderError) else opened.draw_page(number, long_side_px, colour)

    @cached_property
    def _reader(self) -> PageReader | RenderError:
        try:
            return open_reader("pdfium", self._attempt.source.path, self._attempt.password)
        except RenderError as refusal:
            return refusal


def write_page(part: Path, number: int, page: Raster, engine: Engine, settings: RenderSettings) -> RenderedPage:
    """Write a page's PNG and text."""
    document = part.name.removesuffix(".part")
    samples = page.samples
    skew_deg = enhance.estimate_skew_deg(samples) if settings.deskew and page.origin != "born_digital" else 0.0
    samples, scale = enhance.straighten(samples, skew_deg) if skew_deg else (samples, 1.0)
    left, top, right, bottom = enhance.measure_margins(samples) if settings.crop else (0, 0, 0, 0)
    height, width = samples.shape[:2]
    samples = samples[top : height - bottom, left : width - right]
    samples = enhance.adjust_contrast(samples, settings.contrast, settings.autocontrast_cutoff_percent)
    sha256: dict[str, str] = {}

    def write(name: str, data: bytes) -> str:
        (part / name).write_bytes(data)
        sha256[name] = hashlib.sha256(data).hexdigest()
        return f"{document}/{name}"

    image = f"{number:04d}.png"
    row = Page(
        page_id=f"{document}-p{number:04d}",
        document=document,
        page=number,
        files=(),
        image=write(image, replace(page, samples=samples).encode_png()),
        image_sha256=sha256[image],
        width_px=samples.shape[1],
        height_px=samples.shape[0],
        px_per_pt=page.px_per_pt and round(page.px_per_pt * scale, 6),
        text=write(f"{number:04d}.txt", page.text.encode()) if page.text else None,
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
    return RenderedPage(row, sha256)


def detect_script(text: str) -> str | None:
    """What most letters of a text belong to; None where it has none."""
    arabic, latin = len(ARABIC.findall(text)), len(LATIN.findall(text))
    counts = {"arabic": arabic, "latin": latin, "other": sum(map(str.isalpha, text)) - arabic - latin}
    most = max(counts, key=lambda name: counts[name])
    return most if counts[most] > 0 else None

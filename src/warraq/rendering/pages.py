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
from warraq.rendering.document_cache import work
from warraq.rendering.raster import Raster, Refused, lost
from warraq.rendering.readers import Reader, reader
from warraq.rendering.retry_policy import Attempt, Begun, Drawn, Message, rejection
from warraq.rendering.settings import RenderLimits, RenderSettings, recipe_of
from warraq.workers import Failure

ARABIC = re.compile("[\u0620-\u064a\u0671-\u06d3\u0750-\u077f\u08a0-\u08ff\ufb50-\ufdff\ufe70-\ufefc]")
LATIN = re.compile("[A-Za-z\u00c0-\u024f]")


def read(out: Path, look: RenderSettings, limits: RenderLimits, attempt: Attempt) -> Generator[Message, None, bool]:
    """Returns whether nothing was wrong with the document, so that its process may read another."""
    document = attempt.source.document
    part = work(out / document) if attempt.number == 1 else out / f"{document}.part"
    yield Begun(0, attempt.engine)
    try:
        opened = reader(attempt.engine, attempt.source.path, attempt.password)
        if opened.count > limits.max_pages:
            message = (
                f"It has {opened.count} pages and {limits.max_pages} are allowed; raise max_pages or split the file."
            )
            raise Refused("too_many_pages", message)
    except OSError as error:
        yield rejection(document, 0, Refused("unreadable", f"It cannot be read ({error.strerror}); allow reading it."))
        return False
    except Refused as refusal:
        yield rejection(document, 0, refused(attempt.failure, limits) if attempt.failure else refusal)
        return False
    yield opened.count
    second = Second(attempt)
    room = limits.max_output_mib * 2**20 - sum(path.stat().st_size for path in part.iterdir())
    sound = attempt.engine != "pdfium"
    for number in range(attempt.first, opened.count + 1):
        alone = attempt.alone if number == attempt.first else None
        engine = alone or attempt.engine
        yield Begun(number, engine)
        if engine == attempt.engine:
            page = opened.page(number, look.long_side_px, look.colour)
        else:
            page = second.page(number, look)
        blank = isinstance(page, Raster) and page.blank
        if engine == "pdfium" and attempt.failure and (blank or isinstance(page, Refused)):
            page = refused(attempt.failure, limits)  # a blank page is no answer to a death
        elif isinstance(page, Raster) and blank and engine == "mupdf" and not alone:
            yield Begun(number, "pdfium")
            other = second.page(number, look)
            if isinstance(other, Raster) and not other.blank:
                engine, page = "pdfium", replace(other, damage=page.damage)
            elif page.missing:
                page = lost()
        if isinstance(page, Refused):
            sound = False
            yield rejection(document, number, page)
        else:
            sound = sound and not page.repaired and not page.damage
            made = drawn(part, number, page, engine, look)
            room -= sum((part / name).stat().st_size for name in made.sha256)
            if room < 0:
                for left_out in range(number, opened.count + 1):
                    yield rejection(document, left_out, too_much(limits))
                return False
            yield made
        del page  # so that the next is drawn into the same memory
    return sound


def refused(failure: Failure, limits: RenderLimits) -> Refused:
    """What a person is told of a page or document that no engine survived."""
    why = {
        "timeout": f"It took more than {limits.max_seconds} s of processor time; raise max_seconds",
        "memory": f"It needed more than {limits.max_memory_mib} MiB; raise max_memory_mib",
        "crashed": f"The reader died of it ({failure.detail}); leave it out",
    }
    return Refused(failure.reason, f"{why[failure.reason]} or print it to a new PDF.")


def too_much(limits: RenderLimits) -> Refused:
    return Refused(
        "output",
        f"The document's pages take more than {limits.max_output_mib} MiB; raise max_output_mib or split the file.",
    )


class Second:
    """PDFium's opinion of a document, which is opened once, at the first page that asks for it."""

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt

    def page(self, number: int, look: RenderSettings) -> Raster | Refused:
        opened = self._opened
        return opened if isinstance(opened, Refused) else opened.page(number, look.long_side_px, look.colour)

    @cached_property
    def _opened(self) -> Reader | Refused:
        try:
            return reader("pdfium", self._attempt.source.path, self._attempt.password)
        except Refused as refusal:
            return refusal


def drawn(part: Path, number: int, page: Raster, engine: Engine, look: RenderSettings) -> Drawn:
    """Write a page's PNG and text."""
    document = part.name.removesuffix(".part")
    samples = page.samples
    skew_deg = enhance.skew_deg(samples) if look.deskew and page.origin != "born_digital" else 0.0
    samples, scale = enhance.straightened(samples, skew_deg) if skew_deg else (samples, 1.0)
    left, top, right, bottom = enhance.margins(samples) if look.crop else (0, 0, 0, 0)
    height, width = samples.shape[:2]
    samples = samples[top : height - bottom, left : width - right]
    samples = enhance.contrasted(samples, look.contrast, look.autocontrast_cutoff_percent)
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
        image=write(image, replace(page, samples=samples).png()),
        image_sha256=sha256[image],
        width_px=samples.shape[1],
        height_px=samples.shape[0],
        px_per_pt=page.px_per_pt and round(page.px_per_pt * scale, 6),
        text=write(f"{number:04d}.txt", page.text.encode()) if page.text else None,
        repaired=page.repaired,
        recipe=recipe_of(look),
        engine=engine,
        origin=page.origin,
        rotation_deg=page.rotation_deg,
        skew_deg=skew_deg,
        crop_px=(left, top, right, bottom),
        ink=page.ink(),
        script=script(page.text or ""),
        codecs=page.codecs,
        damage=page.damage,
    )
    return Drawn(row, sha256)


def script(text: str) -> str | None:
    """What most letters of a text belong to; None where it has none."""
    arabic, latin = len(ARABIC.findall(text)), len(LATIN.findall(text))
    counts = {"arabic": arabic, "latin": latin, "other": sum(map(str.isalpha, text)) - arabic - latin}
    most = max(counts, key=lambda name: counts[name])
    return most if counts[most] > 0 else None

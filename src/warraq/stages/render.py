"""data/raw -> page images, pages.jsonl, rejected.jsonl.

A document is named by its bytes and read in a process of its own. What came of it stands in `<doc>/outcome.json` beside
its images, so that a rerun, also of a killed run, reads only what was not read before: by content, never by time.
"""

import hashlib
import logging
import re
import shutil
import zlib
from collections import Counter
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from warraq import engines, workers
from warraq.engines.folder import Source, found
from warraq.engines.outcome import Outcome, load, save, work
from warraq.records import InputError, Page, Rejected, write_rows
from warraq.section import Section

logger = logging.getLogger(__name__)


class Render(Section):
    long_side_px: Annotated[int, Field(ge=64, le=16384)]
    colour: Literal["rgb", "grey"]
    contrast: Literal["none", "autocontrast"]
    max_pages: Annotated[int, Field(ge=1, le=100_000)]
    max_seconds: Annotated[int, Field(ge=1, le=3600)]
    max_memory_mib: Annotated[int, Field(ge=256, le=65536)]


def recipe_of(parameters: Render) -> str:
    """Hash of all that decides images and texts: parameters, code, libraries."""
    code = [Path(__file__), *sorted(Path(engines.__file__).parent.glob("*.py"))]
    parts = [
        f"{parameters.long_side_px} {parameters.colour} {parameters.contrast}",
        *(hashlib.sha256(path.read_bytes()).hexdigest() for path in code),
        *(version(library) for library in ("pymupdf", "pillow")),
        zlib.ZLIB_RUNTIME_VERSION,
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def limits_of(parameters: Render) -> str:
    return f"{parameters.max_pages} pages, {parameters.max_seconds} s, {parameters.max_memory_mib} MiB"


def holds(outcome: Outcome, parameters: Render, recipe: str) -> bool:
    """Whether reading the document again would give `outcome` again."""
    # What passed under other limits of time and memory stays; what failed may not fail now.
    passed = not outcome.rejected and len(outcome.pages) <= parameters.max_pages
    return outcome.recipe == recipe and (outcome.limits == limits_of(parameters) or passed)


def read(out: Path, parameters: Render, recipe: str, source: Source) -> Outcome:
    """A document to images and texts in `<doc>.part`. Runs in a process of its own."""
    from warraq.engines import images, mupdf

    engine = mupdf if source.kind == "pdf" else images
    part = work(out / source.document)
    pages: list[Page] = []
    rejected: list[Rejected] = []
    sha256: dict[str, str] = {}

    def write(name: str, data: bytes) -> str:
        (part / name).write_bytes(data)
        sha256[name] = hashlib.sha256(data).hexdigest()
        return f"{source.document}/{name}"

    try:
        for number, page in engine.pages(source.path, parameters.long_side_px, parameters.colour, parameters.max_pages):
            if isinstance(page, engines.Refused):
                rejected.append(refusal(source.document, page.reason, page.message, number))
                continue
            if parameters.contrast == "autocontrast":
                page = images.stretched(page)
            name = f"{number:04d}.png"
            row = Page(
                page_id=f"{source.document}-p{number:04d}",
                document=source.document,
                page=number,
                files=(),
                image=write(name, page.png()),
                image_sha256=sha256[name],
                width_px=page.width_px,
                height_px=page.height_px,
                px_per_pt=page.px_per_pt,
                text=write(f"{number:04d}.txt", page.text.encode()) if page.text else None,
                repaired=page.repaired,
                recipe=recipe,
            )
            pages.append(row)
    except engines.Refused as refused:
        rejected.append(refusal(source.document, refused.reason, refused.message))
    if any(page.repaired for page in pages):  # the damage may show on a later page only
        pages = [page.model_copy(update={"repaired": True}) for page in pages]
    return Outcome(
        recipe=recipe, limits=limits_of(parameters), pages=tuple(pages), rejected=tuple(rejected), sha256=sha256
    )


def refusal(document: str, reason: str, message: str, page: int | None = None) -> Rejected:
    return Rejected(file="", document=document, page=page, reason=reason, message=message)


def given_up(document: str, failure: workers.Failure, parameters: Render, recipe: str) -> Outcome:
    why = {
        "timeout": f"It took more than {parameters.max_seconds} s of processor time; raise max_seconds",
        "memory": f"It needed more than {parameters.max_memory_mib} MiB; raise max_memory_mib",
        "crashed": f"The reader died of it ({failure.detail}); leave it out",
    }
    row = refusal(document, failure.reason, f"{why[failure.reason]} or print it to a new PDF.")
    return Outcome(recipe=recipe, limits=limits_of(parameters), pages=(), rejected=(row,), sha256={})


def run(raw: Path, out: Path, parameters: Render) -> None:
    """Raises InputError where there is nothing to render."""
    if not raw.is_dir():
        raise InputError(f"{raw} is not a folder; create it and put PDF, PNG, JPEG or TIFF files there.")
    if out.resolve().is_relative_to(raw.resolve()):
        raise InputError(f"{out} lies in {raw} and would be read as input; choose another folder for --out.")
    recipe = recipe_of(parameters)
    sources, rejected = found(raw)
    outcomes = {
        source.document: outcome
        for source in sources
        if (outcome := load(out / source.document)) and holds(outcome, parameters, recipe)
    }
    todo = [source for source in sources if source.document not in outcomes]
    reused = sum(len(outcome.pages) for outcome in outcomes.values())
    if todo:
        engines.warm()
        function = partial(read, out, parameters, recipe)
        results = workers.isolated(function, todo, parameters.max_seconds, parameters.max_memory_mib)
        for source, result in workers.progress(results, len(todo), "render", "documents"):
            if isinstance(result, workers.Failure):
                work(out / source.document)
                result = given_up(source.document, result, parameters, recipe)
            save(out / source.document, result)
            outcomes[source.document] = result
    pages = []
    for source in sources:
        outcome = outcomes[source.document]
        pages += [page.model_copy(update={"files": source.names}) for page in outcome.pages]
        rejected += [row.model_copy(update={"file": name}) for row in outcome.rejected for name in source.names]
    write_rows(out / "pages.jsonl", pages, key=lambda row: (row.document, row.page))
    write_rows(out / "rejected.jsonl", rejected, key=lambda row: (row.file, row.page or 0))
    for entry in out.iterdir():
        if re.fullmatch(r"[0-9a-f]{12}(\.part)?", entry.name) and entry.name not in outcomes:
            shutil.rmtree(entry)
    reasons = ", ".join(f"{reason} {n}" for reason, n in sorted(Counter(row.reason for row in rejected).items()))
    left_out = f"{len(rejected)} rejected ({reasons})" if rejected else "0 rejected"
    if not pages:
        raise InputError(f"{raw} has no page to render, {left_out}; put PDF, PNG, JPEG or TIFF files there.")
    logger.info(
        "render: %d documents, %d pages (%d rendered, %d reused), %s",
        len({page.document for page in pages}), len(pages), len(pages) - reused, reused, left_out,
    )  # fmt: skip

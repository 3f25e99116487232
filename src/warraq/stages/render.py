"""data/raw -> page images, pages.jsonl, rejected.jsonl, summary.json.

A document is named by its bytes and read in processes of its own. What came of it stands in `<doc>/outcome.json` beside
its images, so that a rerun, also of a killed run, reads only what was not read before: by content, never by time.
"""

import hashlib
import logging
import re
import shutil
from collections import Counter, deque
from collections.abc import Iterator
from functools import partial
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from warraq import rendering, workers
from warraq.errors import InputError
from warraq.files import short_hash, write_json
from warraq.records import Page, Rejected, read_rows, write_rows
from warraq.rendering.document_cache import Outcome, load, save
from warraq.rendering.folder import Source, found, passwords, unchanged
from warraq.rendering.pages import read, refused
from warraq.rendering.raster import Refused
from warraq.rendering.readers import warm
from warraq.rendering.retry_policy import Reading, after, first, rejection
from warraq.rendering.settings import RenderLimits, RenderSettings, write_recipe

logger = logging.getLogger(__name__)

PASSING = ("encrypted", "wrong_password", "changed")  # a password may have come, or the whole file


class Render(RenderSettings, RenderLimits):
    """What decides the pixels, and what decides whether a page is given up."""


def build_of(parameters: Render) -> str:
    """Hash of parameters, code and libraries: with another a document is read again, mostly to the same bytes."""
    code = [Path(__file__), *sorted(Path(rendering.__file__).parent.glob("*.py"))]
    parts = [
        *(f"{name} {getattr(parameters, name)}" for name in RenderSettings.model_fields),
        *(hashlib.sha256(path.read_bytes()).hexdigest() for path in code),
        *(version(library) for library in ("pymupdf", "pypdfium2", "pillow", "numpy", "isal")),
    ]
    return short_hash("\n".join(parts))


def limits_of(parameters: Render) -> str:
    return ", ".join(f"{name} {getattr(parameters, name)}" for name in RenderLimits.model_fields)


def holds(outcome: Outcome, parameters: Render, build: str) -> bool:
    """Whether reading the document again would give `outcome` again."""
    # What passed under other limits of time and memory stays; what failed may not fail now.
    passed = not outcome.rejected and len(outcome.pages) <= parameters.max_pages
    passing = any(row.reason in PASSING for row in outcome.rejected)
    return outcome.build == build and not passing and (outcome.limits == limits_of(parameters) or passed)


def outcomes(
    todo: list[Source], secrets: dict[str, str], out: Path, parameters: Render, build: str
) -> Iterator[tuple[Source, Outcome]]:
    """Read each document, in as many attempts as it takes, and keep what came of it."""
    readings = {source.document: Reading(source.document) for source in todo}
    queue = deque(first(source, next((secrets[n] for n in source.names if n in secrets), None)) for source in todo)
    function = partial(read, out, parameters, parameters)
    for attempt, messages, failure in workers.isolated(
        function, queue, parameters.max_seconds, parameters.max_memory_mib, warm
    ):
        source, reading = attempt.source, readings[attempt.source.document]
        begun = reading.add(messages)
        if failure:
            again, lost = after(attempt, begun, failure)
            if lost:
                reading.lose(attempt, begun, again, refused(lost, parameters))
            if again:
                queue.append(again)
                continue
        yield source, settled(source, reading, out / source.document, parameters, build)


def settled(source: Source, reading: Reading, place: Path, parameters: Render, build: str) -> Outcome:
    if not unchanged(source):
        refusal = Refused("changed", "The file changed while it was read; run again when it is whole.")
        reading = Reading(source.document, rejected={0: rejection(source.document, 0, refusal)})
    drawn = [reading.drawn[number] for number in sorted(reading.drawn)]
    repaired = any(page.page.repaired for page in drawn)  # the damage may show on a later page only
    outcome = Outcome(
        build=build,
        limits=limits_of(parameters),
        pages=tuple(page.page.model_copy(update={"repaired": repaired}) for page in drawn),
        rejected=tuple(reading.rejected[number] for number in sorted(reading.rejected)),
        sha256={name: value for page in drawn for name, value in page.sha256.items()},
    )
    save(place, outcome)
    return outcome


def summary(pages: list[Page], rejected: list[Rejected]) -> dict[str, Any]:
    """Counts for `dvc metrics`; `pages_<what>` of the pages, `rejected_<reason>` of the rest."""
    counts = Counter(
        name
        for page in pages
        for name in (f"pages_{page.origin}", f"pages_by_{page.engine}", f"pages_script_{page.script or 'none'}")
    )
    counts["pages_blank"] = sum(page.ink == 0 for page in pages)
    counts["pages_with_text_layer"] = sum(page.text is not None for page in pages)
    counts["pages_damaged"] = sum(page.damage is not None for page in pages)
    counts["pages_repaired"] = sum(page.repaired for page in pages)
    counts.update(f"rejected_{row.reason}" for row in rejected)
    return {"documents": len({page.document for page in pages}), "pages": len(pages)} | dict(sorted(counts.items()))


def check(raw: Path, parameters: Render) -> str:
    """What `run` would reject, a line each: all is read and drawn, and nothing is kept. Raises what `run` does."""
    with TemporaryDirectory() as place:
        out = Path(place)
        run(raw, out, parameters)
        rows = read_rows(out / "rejected.jsonl", Rejected)
    return "\n".join(
        f"{row.file}{f', page {row.page}' if row.page else ''}: {row.reason}: {row.message}" for row in rows
    )


def run(raw: Path, out: Path, parameters: Render) -> None:
    """Raises InputError where there is nothing to render, RuntimeError where `out` cannot be written."""
    if not raw.is_dir():
        raise InputError(f"{raw} is not a folder; create it and put PDF, PNG, JPEG or TIFF files there.")
    if out.resolve().is_relative_to(raw.resolve()):
        raise InputError(f"{out} lies in {raw} and would be read as input; choose another folder for --out.")
    secrets = passwords(raw)
    sources, rejected = found(raw)
    try:
        pages, rendered = _write(sources, rejected, secrets, out, parameters)
    except OSError as error:
        raise RuntimeError(
            f"{out} cannot be written ({error.strerror}); make room there and run again: what is rendered stays."
        ) from error
    reasons = ", ".join(f"{reason} {n}" for reason, n in sorted(Counter(row.reason for row in rejected).items()))
    left_out = f"{len(rejected)} rejected ({reasons})" if rejected else "0 rejected"
    if not pages:
        raise InputError(f"{raw} has no page to render, {left_out}; put PDF, PNG, JPEG or TIFF files there.")
    logger.info(
        "render: %d documents, %d pages (%d rendered, %d reused), %s",
        len({page.document for page in pages}), len(pages), rendered, len(pages) - rendered, left_out,
    )  # fmt: skip


def _write(
    sources: list[Source], rejected: list[Rejected], secrets: dict[str, str], out: Path, parameters: Render
) -> tuple[list[Page], int]:
    """Bring `out` up to date, and `rejected` with it. Returns its pages, and how many of them are new."""
    build = build_of(parameters)
    held = {
        source.document: outcome
        for source in sources
        if (outcome := load(out / source.document)) and holds(outcome, parameters, build)
    }
    todo = [source for source in sources if source.document not in held]
    rendered = 0
    if todo:
        results = outcomes(todo, secrets, out, parameters, build)
        for source, outcome in workers.progress(results, len(todo), "render", "documents"):
            held[source.document] = outcome
            rendered += len(outcome.pages)
    pages = []
    for source in sources:
        outcome = held[source.document]
        pages += [page.model_copy(update={"files": source.names}) for page in outcome.pages]
        rejected += [row.model_copy(update={"file": name}) for row in outcome.rejected for name in source.names]
    write_rows(out / "pages.jsonl", pages, key=lambda row: (row.document, row.page))
    write_rows(out / "rejected.jsonl", rejected, key=lambda row: (row.file, row.page or 0))
    write_recipe(out, parameters)
    write_json(out / "summary.json", summary(pages, rejected))
    for entry in out.iterdir():
        if re.fullmatch(r"[0-9a-f]{12}(\.part)?", entry.name) and entry.name not in held:
            shutil.rmtree(entry)
    return pages, rendered

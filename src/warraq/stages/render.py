"""data/raw -> page images, pages.jsonl, rejected.jsonl, settings.json, summary.json."""

import logging
import re
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from warraq.errors import InputError
from warraq.files import write_json
from warraq.records import Page, Rejected, read_rows, write_rows
from warraq.rendering.attachments import render_with_attachments
from warraq.rendering.folder import SourceDocument, find_documents, read_passwords
from warraq.rendering.settings import RenderLimits, RenderSettings, write_recipe

logger = logging.getLogger(__name__)


class Render(RenderSettings, RenderLimits):
    """What decides the pixels, and what decides whether a page is given up."""


def count_pages(pages: Sequence[Page], rejected: Sequence[Rejected]) -> dict[str, int]:
    """Counts for `dvc metrics`; `pages_<what>` of the pages, `rejected_<reason>` of the rest."""
    counts = Counter(
        name
        for page in pages
        for name in (f"pages_{page.origin}", f"pages_by_{page.engine}", f"pages_script_{page.script or 'none'}")
    )
    counts["pages_blank"] = sum(page.ink == 0 for page in pages)
    counts["pages_with_text_layer"] = sum(page.text is not None for page in pages)
    counts["pages_damaged"] = sum(page.damage is not None for page in pages)
    counts["pages_text_unproved"] = sum(page.text_fault is not None for page in pages)
    counts["pages_repaired"] = sum(page.repaired for page in pages)
    counts.update(f"rejected_{row.reason}" for row in rejected)
    return {"documents": len({page.document for page in pages}), "pages": len(pages)} | dict(sorted(counts.items()))


def check(*, raw: Path, parameters: Render) -> str:
    """What `run` would reject or find damaged, a line each; nothing is kept. Raises what `run` does."""
    with TemporaryDirectory() as folder:
        out = Path(folder)
        run(raw=raw, out=out, parameters=parameters)
        rejected = read_rows(out / "rejected.jsonl", Rejected)
        pages = read_rows(out / "pages.jsonl", Page)
    lines = [(row.file, row.page or 0, f"{row.reason}: {row.message}") for row in rejected]
    lines += [(page.files[0], page.page, f"damage: {page.damage}") for page in pages if page.damage]
    return "\n".join(f"{file}{f', page {page}' if page else ''}: {why}" for file, page, why in sorted(lines))


def run(*, raw: Path, out: Path, parameters: Render) -> None:
    """Bring `out` up to date with the files in `raw`.

    Raises:
        InputError: there is nothing to render.
        RuntimeError: `out` cannot be written.
    """
    if not raw.is_dir():
        raise InputError(f"{raw} is not a folder; create it and put PDF, PNG, JPEG or TIFF files there.")
    if out.resolve().is_relative_to(raw.resolve()):
        raise InputError(f"{out} lies in {raw} and would be read as input; choose another folder for --out.")
    passwords = read_passwords(raw)
    sources, rejected = find_documents(raw)
    try:
        pages, new_pages = _write(sources, rejected, passwords, out, parameters)
    except OSError as error:
        raise RuntimeError(
            f"{out} cannot be written ({error.strerror}); make room there and run again: what is rendered stays."
        ) from error
    reasons = ", ".join(f"{reason} {n}" for reason, n in sorted(Counter(row.reason for row in rejected).items()))
    left_out = f"{len(rejected)} rejected ({reasons})" if rejected else "0 rejected"
    if not pages:
        raise InputError(f"{raw} has no page to render, {left_out}; put PDF, PNG, JPEG or TIFF files there.")
    logger.info(
        "render: %d documents, %d pages (%d rendered, %d reused), %d damaged, %s",
        len({page.document for page in pages}), len(pages), new_pages, len(pages) - new_pages,
        sum(page.damage is not None for page in pages), left_out,
    )  # fmt: skip


def _write(
    sources: Sequence[SourceDocument], rejected: list[Rejected], passwords: Mapping[str, str], out: Path,
    parameters: Render,
) -> tuple[list[Page], int]:  # fmt: skip
    """Bring `out` up to date, and `rejected` with it. Returns its pages, and how many of them were drawn now."""
    sources, results, left_out, new_pages = render_with_attachments(sources, passwords, out, parameters, parameters)
    rejected += left_out
    pages = []
    for source in sources:
        result = results[source.document]
        known = {"files": source.names, "containers": source.containers}
        pages += [page.model_copy(update=known) for page in result.pages]
        rejected += [row.model_copy(update={"file": name}) for row in result.rejected for name in source.names]
    write_rows(out / "pages.jsonl", pages, key=lambda row: (row.document, row.page, row.part))
    write_rows(out / "rejected.jsonl", rejected, key=lambda row: (row.file, row.page or 0))
    write_recipe(out, parameters)
    write_json(out / "summary.json", count_pages(pages, rejected))
    for entry in out.iterdir():
        if re.fullmatch(r"[0-9a-f]{12}(\.part)?", entry.name) and entry.name not in results:
            shutil.rmtree(entry)
    return pages, new_pages

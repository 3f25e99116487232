"""Documents -> their page images under `<out>/<document>/`, each drawn again only where that could give another result.

A document is named by its bytes and read in processes of its own. What came of it stands beside its images, so that
another run, also after a killed one, reads only what was not read before: by content, never by time.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from types import CodeType

from warraq import workers
from warraq.files import short_hash
from warraq.rendering.document_cache import Build, DocumentResult, load_result, save_result
from warraq.rendering.folder import SourceDocument, is_unchanged
from warraq.rendering.pages import explain_failure, explain_output_limit, render_attempt
from warraq.rendering.raster import RenderError
from warraq.rendering.readers import import_engines
from warraq.rendering.retry_policy import (
    BATCH,
    Attempt,
    PartialResult,
    list_further_batches,
    make_rejection,
    plan_next_attempt,
)
from warraq.rendering.settings import RenderLimits, RenderSettings

PASSING = ("encrypted", "wrong_password", "changed")  # a password may have come, or the whole file
LIBRARIES = ("pymupdf", "pypdfium2", "pillow", "pi-heif", "simplejpeg", "numpy", "isal")


def describe_build(settings: RenderSettings, limits: RenderLimits) -> Build:
    """Settings, code and libraries: with others a document is drawn again, mostly to the same bytes.

    What was given up under the limits may not be under others.
    """
    parts = [
        *(f"{name} {getattr(settings, name)}" for name in RenderSettings.model_fields),
        *(_describe_code(path) for path in sorted(Path(__file__).parent.glob("*.py"))),
        *(version(library) for library in LIBRARIES),
    ]
    return Build(
        code=short_hash("\n".join(parts)),
        limits=", ".join(f"{name} {getattr(limits, name)}" for name in RenderLimits.model_fields),
    )


def _describe_code(path: Path) -> str:
    """A module as Python runs it, without comments, docstrings and layout: its syntax takes four times as long."""

    def list_parts(code: CodeType) -> list[object]:
        constants = [list_parts(part) if isinstance(part, CodeType) else _spell(part) for part in code.co_consts]
        return [code.co_code, code.co_names, code.co_varnames, code.co_freevars, code.co_flags, constants]

    return repr(list_parts(compile(path.read_bytes(), "", "exec", dont_inherit=True, optimize=2)))


def _spell(constant: object) -> str:
    """The same in every process: a set has no order."""
    return repr(sorted(map(repr, constant)) if isinstance(constant, frozenset) else constant)


def load_current(folder: Path, limits: RenderLimits, build: Build) -> DocumentResult | None:
    """What came of a document, unless reading it again may give another result."""
    found = load_result(folder)
    if not found or found[1].code != build.code:
        return None
    result = found[0]
    # What passed under other limits of time and memory stays; what failed may not fail now.
    passed = not result.rejected and len(result.pages) <= limits.max_pages
    passing = any(row.reason in PASSING for row in result.rejected)
    return result if not passing and (found[1].limits == build.limits or passed) else None


def render_documents(
    sources: Sequence[SourceDocument], passwords: Mapping[str, str], out: Path, settings: RenderSettings,
    limits: RenderLimits,
) -> tuple[dict[str, DocumentResult], int]:  # fmt: skip
    """Bring `<out>/<document>` up to date for each of `sources`; `passwords` are by file name.

    Returns:
        what came of each document, by its name, and how many pages were drawn now.

    Raises:
        OSError: `out` cannot be written.
    """
    build = describe_build(settings, limits)
    results = {
        source.document: result for source in sources if (result := load_current(out / source.document, limits, build))
    }
    todo = [source for source in sources if source.document not in results]
    drawn_pages = 0
    if todo:
        new = _render(todo, passwords, out, settings, limits, build)
        for document, result in workers.log_progress(new, len(todo), "render", "documents"):
            results[document] = result
            drawn_pages += len(result.pages)
    return results, drawn_pages


def _render(
    sources: Sequence[SourceDocument], passwords: Mapping[str, str], out: Path, settings: RenderSettings,
    limits: RenderLimits, build: Build,
) -> Iterator[tuple[str, DocumentResult]]:  # fmt: skip
    """Read each document, in as many attempts as it takes, and keep what came of it."""
    partial_results = {source.document: PartialResult(source.document) for source in sources}
    queue = deque(
        Attempt(source, next((passwords[name] for name in source.names if name in passwords), None))
        for source in sources
    )
    function = partial(render_attempt, out, settings, limits)
    for attempt, messages, failure in workers.run_isolated(
        function, queue, limits.max_seconds, limits.max_memory_mib, import_engines
    ):
        source, result = attempt.source, partial_results[attempt.source.document]
        start = result.add(messages)
        if failure:
            following, reason = plan_next_attempt(attempt, start, failure)
            if reason:
                result.leave_out(attempt, start, following, explain_failure(reason, limits))
            if following and following.first <= following.find_last(result.count or following.last):
                queue.append(following)
                continue
        further = list(list_further_batches(attempt, result.count)) if attempt.last == BATCH else []
        queue.extend(further)
        result.pending += len(further) - 1
        if full := result.find_full(limits.max_output_mib * 2**20):
            beyond = [waiting for waiting in queue if waiting.source == source and waiting.first > full]
            for waiting in beyond:
                queue.remove(waiting)
            result.pending -= len(beyond)
            result.cut_off(full, explain_output_limit(limits))
        if not result.pending:
            yield source.document, _finish(source, result, out / source.document, build)


def _finish(source: SourceDocument, partial_result: PartialResult, folder: Path, build: Build) -> DocumentResult:
    """Save what the attempts at a document gave, unless its file is another by now."""
    if not is_unchanged(source):
        error = RenderError("changed", "The file changed while it was read; run again when it is whole.")
        partial_result = PartialResult(source.document, rejected={0: make_rejection(source.document, 0, error)})
    rendered = [page for _, page in sorted(partial_result.pages.items())]
    repaired = any(page.row.repaired for page in rendered)  # the damage may show on a later page only
    result = DocumentResult(
        pages=tuple(page.row.model_copy(update={"repaired": repaired}) for page in rendered),
        rejected=tuple(row for _, row in sorted(partial_result.rejected.items())),
        sha256={name: value for page in rendered for name, value in page.sha256.items()},
    )
    save_result(folder, result, build)
    return result

"""A PDF -> the files that it carries, each of which is a document of its own: portfolios, letters with enclosures.

They are taken out in a process of their own, under the limits of the document that carries them, as deep as three of
them lie in each other. Their names are anybody's, and no path is made of them.
"""

import hashlib
import shutil
from collections import Counter, deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from warraq import workers
from warraq.records import Rejected
from warraq.rendering.document_cache import DocumentResult
from warraq.rendering.document_loop import render_documents
from warraq.rendering.folder import SourceDocument, group_by_content, identify
from warraq.rendering.mupdf import import_mupdf, unlock
from warraq.rendering.page_object import find_files
from warraq.rendering.pages import explain_failure
from warraq.rendering.raster import RenderError
from warraq.rendering.readers import import_engines
from warraq.rendering.settings import RenderLimits, RenderSettings

DEEPEST = 3  # files in files in files
MOST_FILES = 200  # of a document, with those in them
LONGEST_NAME = 120  # letters


def render_with_attachments(
    sources: Sequence[SourceDocument], passwords: Mapping[str, str], out: Path, settings: RenderSettings,
    limits: RenderLimits,
) -> tuple[list[SourceDocument], dict[str, DocumentResult], list[Rejected], int]:  # fmt: skip
    """As `render_documents`, of the documents and of those that they carry.

    Returns:
        all documents, what came of each, why files in them are none, and how many pages were drawn now.
    """
    results, drawn_pages = render_documents(sources, passwords, out, settings, limits)
    carriers = [
        source for source in sources if any(row.reason == "container" for row in results[source.document].rejected)
    ]
    if not carriers:
        return list(sources), results, [], drawn_pages
    folder = out / "attached.part"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        found = take_out_all(carriers, passwords, folder, limits)
        both, rejected = group_by_content([*sources, *found])
        new = [source for source in both if source.document not in results]
        more, drawn_now = render_documents(new, passwords, out, settings, limits)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    results |= more
    # Who was opened has a row for each file that is no document; of others the row stays that names all of them.
    names = {name for file in found for name in (file.names if isinstance(file, SourceDocument) else (file.file,))}
    opened = names | {name.rpartition("/")[0] for name in names}
    for source in both:
        if not opened.isdisjoint(source.names):
            result = results[source.document]
            kept = tuple(row for row in result.rejected if row.reason != "container")
            results[source.document] = result.model_copy(update={"rejected": kept})
    return both, results, rejected, drawn_pages + drawn_now


def take_out_all(
    carriers: Sequence[SourceDocument], passwords: Mapping[str, str], folder: Path, limits: RenderLimits
) -> list[SourceDocument | Rejected]:
    """Write what `carriers` carry to `folder`: the documents, and why what is none is left out."""
    found: list[SourceDocument | Rejected] = []
    function = partial(_take_out, passwords, folder, limits.max_output_mib * 2**20)
    for source, files, failure in workers.run_isolated(
        function, deque(carriers), limits.max_seconds, limits.max_memory_mib, import_engines
    ):
        found += files
        if failure:
            found += (_reject(name, explain_failure(failure, limits), source.document) for name in source.names)
    return found


def _take_out(
    passwords: Mapping[str, str], folder: Path, max_bytes: int, source: SourceDocument
) -> Generator[SourceDocument | Rejected, None, bool]:
    yield from _Unpacker(passwords, folder, max_bytes).unpack(source, DEEPEST)
    return True


class _Unpacker:
    """Takes files out until a document has had its share."""

    def __init__(self, passwords: Mapping[str, str], folder: Path, max_bytes: int) -> None:
        self._passwords, self._folder = passwords, folder
        self._bytes_left, self._files_left = max_bytes, MOST_FILES

    def unpack(self, source: SourceDocument, depth: int) -> Iterator[SourceDocument | Rejected]:
        """What a document carries, and what that carries; nothing where it cannot be opened, as its pages tell."""
        pymupdf = import_mupdf()
        try:
            document = pymupdf.open(stream=source.path.read_bytes(), filetype="pdf")
            unlock(document, next((self._passwords[name] for name in source.names if name in self._passwords), None))
            files = list(find_files(pymupdf, document))
        except MemoryError:
            raise
        except Exception:  # as in mupdf
            return
        left_out: Counter[str] = Counter()
        used: Counter[str] = Counter()
        for name, stream in files:
            short = clean_name(name)
            used[short] += 1
            names = tuple(f"{carrier}/{_number(short, used[short])}" for carrier in source.names)
            if not depth or not self._files_left:
                left_out["more files than are taken out of one document, or deeper in each other"] += 1
                continue
            self._files_left -= 1
            try:
                pymupdf.TOOLS.reset_mupdf_warnings()
                data: bytes | None = pymupdf.JM_BinFromBuffer(pymupdf.mupdf.pdf_load_stream(stream))
            except Exception:  # as in mupdf; also for want of memory, of which there is enough again
                data = None
            if data is None or pymupdf.TOOLS.mupdf_warnings():
                how = "cannot be taken out" if data is None else "is damaged"
                error = RenderError("damaged", f"The attached file {how}; copy it again from its source.")
                yield from (_reject(name, error) for name in names)
            if data is None:
                continue
            self._bytes_left -= len(data)
            if self._bytes_left < 0:
                left_out["more bytes than max_output_mib allows"] += 1
                continue
            yield from self._open(data, names, source, depth)
        for why, count in left_out.items():
            error = RenderError("container", f"It carries {why}; {count} are left out: put them beside it.")
            yield from (_reject(name, error, source.document) for name in source.names)

    def _open(
        self, data: bytes, names: tuple[str, ...], carrier: SourceDocument, depth: int
    ) -> Iterator[SourceDocument | Rejected]:
        path = self._folder / hashlib.sha256(data).hexdigest()
        path.write_bytes(data)
        file = identify(path, names[0])
        if isinstance(file, Rejected):
            yield from (file.model_copy(update={"file": name}) for name in names)
            return
        file = replace(file, names=names, containers=(*carrier.containers, carrier.document))
        yield file
        if file.kind == "pdf":
            yield from self.unpack(file, depth - 1)


def _reject(name: str, error: RenderError, document: str | None = None) -> Rejected:
    return Rejected(file=name, document=document, page=None, reason=error.reason, message=error.message)


def clean_name(name: str) -> str:
    """The last part of a name, in signs that can be seen."""
    last = name.replace("\\", "/").rstrip("/").rpartition("/")[2].strip()
    shown = "".join(sign if sign.isprintable() else f"\\u{ord(sign):04x}" for sign in last)
    return shown[-LONGEST_NAME:] if shown.strip(".") else "attachment"


def _number(name: str, count: int) -> str:
    """The same for the first of a name; another for those after it."""
    if count == 1:
        return name
    stem, dot, ending = name.rpartition(".")
    return f"{stem} ({count}).{ending}" if stem and dot else f"{name} ({count})"

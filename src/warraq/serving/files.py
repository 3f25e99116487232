"""FILES -> OUT/<file>.json and OUT/<file>.md, rejected.jsonl: `warraq read`.

Pages are rendered as those of training were. Work in progress is `OUT/.part/<key>`, where `key` is of the model and of
what it is asked; each batch of answers is on disk before the next is asked, so that a killed run asks again only what
was in flight.
"""

import itertools
import json
import logging
import re
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import ValidationError

from warraq import workers
from warraq.errors import InputError
from warraq.files import read_json, short_hash, write_json, write_text
from warraq.records import Journal, Page, Rejected, Row, write_rows
from warraq.rendering.document_cache import DocumentResult
from warraq.rendering.document_loop import render_documents
from warraq.rendering.folder import SourceDocument, escape_name, group_by_content, identify
from warraq.rendering.page_ranges import ALL_PAGES, PageRanges
from warraq.serving.answers import PageAnswer, PageQuery, answer_queries
from warraq.serving.finished_model import LIMITS, FinishedModel, Thresholds
from warraq.serving.output import DocumentAnswers, collect_answers, render_markdown

logger = logging.getLogger(__name__)

LONGEST_NAME = 255 - len(".json.part")  # bytes


class ReadOptions(Row):
    """What was asked of a document."""

    pages: str | None  # ranges; None: all
    tasks: Thresholds


class WrittenDocument(DocumentAnswers):
    """What OUT/<file>.json holds: with what was asked, by which another run knows whether it holds for it too."""

    asked: ReadOptions


def parse_page_ranges(text: str | None) -> PageRanges:
    """The pages of `1-3,7,9-`; all where there is no text.

    Raises:
        InputError: the text is not of this form.
    """
    if text is None:
        return ALL_PAGES
    ranges = []
    for part in text.split(","):
        found = re.fullmatch(r"\s*([0-9]{1,9})(-([0-9]{1,9})?)?\s*", part)
        first = int(found[1]) if found else 0
        last = int(found[3]) if found and found[3] else None if found and found[2] else first
        if not first or (last is not None and last < first):
            raise InputError(f"--pages is {text[:100]!r}; write it like 1-3,7,9- with pages counted from 1.")
        ranges.append((first, last))
    return PageRanges(tuple(ranges))


def list_files(files: Sequence[Path]) -> list[Path]:
    """The files, and those in folders among them.

    Raises:
        InputError: there is no file.
    """
    inside = [sorted(path.rglob("*")) if path.is_dir() else [path] for path in files]
    paths = [path for paths in inside for path in paths if not path.is_dir()]
    if not paths:
        raise InputError(f"{', '.join(map(str, files))} holds no file; name PDF, PNG, JPEG or TIFF files.")
    return paths


@dataclass(frozen=True)
class RenderedDocument:
    """A document's wanted pages, and the rejections among them."""

    document: str
    names: tuple[str, ...]
    pages: tuple[Page, ...]
    rejected: tuple[Rejected, ...]


def select_pages(source: SourceDocument, result: DocumentResult) -> RenderedDocument:
    """What is wanted of a document that was rendered."""
    rejected = (row for row in result.rejected if not row.page or row.page in source.pages)
    return RenderedDocument(
        source.document,
        source.names,
        tuple(page for page in result.pages if page.page in source.pages),
        tuple(row.model_copy(update={"file": source.names[0]}) for row in rejected),
    )


def name_outputs(sources: Sequence[SourceDocument], out: Path) -> dict[str, Path]:
    """Document -> its files in OUT without their endings: its own name, after its hash where another has the same or
    where it is too long for the endings; then its beginning."""
    names: dict[str, str] = {}
    for source in sources:
        name = source.names[0]
        if name in names.values() or len(name.encode()) > LONGEST_NAME:
            room = LONGEST_NAME - len(source.document) - 1
            name = f"{source.document}-{name.encode()[:room].decode(errors='ignore')}"
        names[source.document] = name
    return {document: out / name for document, name in names.items()}


def run(
    *, files: Sequence[Path], out: Path, model: FinishedModel, pages: str | None, batch_size: int
) -> Iterator[WrittenDocument]:
    """Read the documents and yield each as it stands in its JSON file, first those that are there already.

    Raises:
        InputError: `pages` or `files` cannot be used, or no document has a page.
    """
    wanted = parse_page_ranges(pages or None)
    options = ReadOptions(pages=pages, tasks={name: task.threshold for name, task in model.tasks.items()})
    part = out / ".part" / short_hash(f"{model.key} {json.dumps(options.model_dump())}")
    paths = list_files(files)
    sources, rejected = group_by_content(identify(path, escape_name(path.name)) for path in paths)
    sources = [replace(source, pages=wanted) for source in sources]
    places = name_outputs(sources, out)
    entries = {document: load_written(place, document, model, options) for document, place in places.items()}
    written = {document: entry for document, entry in entries.items() if entry}
    todo = [source for source in sources if source.document not in written]
    results, _ = render_documents(todo, {}, part / "pages", model.settings, LIMITS)
    documents = [select_pages(source, results[source.document]) for source in todo]
    rejected += [row for document in documents for row in document.rejected]
    rejected += [
        Rejected(file=entry.files[0], document=entry.document, **row.model_dump())
        for entry in written.values()
        for row in entry.rejected
    ]
    _report_rejections(rejected, out)
    documents = [document for document in documents if document.pages]
    if not documents and not written:
        raise InputError(f"None of {len(paths)} files has a page to read; {out / 'rejected.jsonl'} says why.")
    counts: Counter[str] = Counter()
    with Journal(part / "readings.jsonl", PageAnswer) as journal:
        new = _answer_documents(documents, places, model, options, journal, part / "pages", batch_size)
        for entry in itertools.chain(written.values(), new):
            counts["review"] += sum(any(one.needs_review for one in page.answers.values()) for page in entry.pages)
            counts["pages"] += len(entry.pages)
            yield entry
    shutil.rmtree(out / ".part")
    logger.info(
        "read: %d documents (%d were there before), %d pages, %d rejected, %d pages need review",
        len(documents) + len(written), len(written), counts["pages"], len(rejected), counts["review"],
    )  # fmt: skip


def _report_rejections(rejected: Sequence[Rejected], out: Path) -> None:
    write_rows(out / "rejected.jsonl", rejected, key=lambda row: (row.file, row.document or "", row.page or 0))
    for row in rejected:
        logger.warning("%s%s: %s: %s", row.file, f", page {row.page}" if row.page else "", row.reason, row.message)


def _answer_documents(
    documents: Sequence[RenderedDocument], places: Mapping[str, Path], model: FinishedModel, options: ReadOptions,
    journal: Journal[PageAnswer], images: Path, batch_size: int,
) -> Iterator[WrittenDocument]:  # fmt: skip
    """Ask what is not in the journal, in the documents' order, and write a document when all of it is answered."""
    answers: dict[str, list[PageAnswer]] = {document.document: [] for document in documents}
    for row in journal.rows:
        answers.setdefault(row.document, []).append(row)
    answered = {row.key for row in journal.rows}
    queries = [
        query
        for document in documents
        for page in document.pages
        for task in model.tasks.values()
        if (query := PageQuery(document.document, page.page, page.part, images / page.image, task)).key not in answered
    ]
    missing = Counter(query.document for query in queries)
    new = workers.log_progress(answer_queries(model, queries, batch_size), len(queries), "read", "answers")
    for document in documents:
        rows = answers[document.document]
        for answer in itertools.islice(new, missing[document.document]):
            journal.append(answer)
            rows.append(answer)
        read = collect_answers(model, document.document, document.names, document.pages, rows, document.rejected)
        entry = WrittenDocument(**dict(read), asked=options)
        place = places[document.document]
        write_text(place.with_name(f"{place.name}.md"), render_markdown(model, entry))
        write_json(place.with_name(f"{place.name}.json"), entry.to_json())
        yield entry


def load_written(place: Path, document: str, model: FinishedModel, options: ReadOptions) -> WrittenDocument | None:
    """What an earlier run wrote for the same bytes, model and question.

    Raises:
        InputError: the file is not JSON.
    """
    path = place.with_name(f"{place.name}.json")
    if not path.is_file():
        return None
    try:
        entry = WrittenDocument.model_validate(read_json(path))
    except ValidationError:
        return None
    is_same = (entry.document, entry.model.sha256, entry.asked) == (document, model.key, options)
    return entry if is_same else None

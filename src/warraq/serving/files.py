"""FILES -> OUT/<file>.json, rejected.jsonl, and the other forms of the answers (`forms.py`): `warraq read`.

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
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydantic import ValidationError

from warraq import workers
from warraq.errors import InputError
from warraq.files import read_json, short_hash, write_json
from warraq.records import Journal, Page, Rejected, Row, write_rows
from warraq.rendering.document_cache import DocumentResult
from warraq.rendering.document_loop import render_documents
from warraq.rendering.folder import SourceDocument, escape_name, group_by_content, identify
from warraq.rendering.page_ranges import ALL_PAGES, PageRanges
from warraq.serving.answers import PageAnswer, PageQuery, answer_queries
from warraq.serving.finished_model import LIMITS, FinishedModel, Thresholds
from warraq.serving.forms import (
    DocumentOutcome,
    Form,
    Forms,
    count_marked,
    name_form,
    name_outputs,
    refuse_overwriting,
)
from warraq.serving.output import DocumentAnswers, collect_answers
from warraq.serving.searchable import write_searchable_pdf
from warraq.serving.sight import TOO_SMALL, PageSight
from warraq.serving.word_boxes import LayerRequest, has_layer, write_layers
from warraq.serving.words import Headers, load_words

logger = logging.getLogger(__name__)


class ReadOptions(Row):
    """What was asked of a document."""

    pages: str | None  # ranges; None: all
    tasks: Thresholds
    ask_too_small: bool = False


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


def list_files(files: Sequence[Path], out: Path) -> list[Path]:
    """The files, and those in folders among them but for what stands in `out`.

    Raises:
        InputError: there is no file, or `out` is a folder that is read.
    """
    if out.exists() and any(path.samefile(out) for path in files):
        raise InputError(f"--out is {out}, which is read itself; name another folder.")
    written = out.resolve()
    inside = [
        [one for one in sorted(path.rglob("*")) if written not in one.absolute().parents] if path.is_dir() else [path]
        for path in files
    ]
    paths = [path for paths in inside for path in paths if not path.is_dir()]
    if not paths:
        raise InputError(f"{', '.join(map(str, files))} holds no file; name PDF, PNG, JPEG or TIFF files.")
    return paths


@dataclass(frozen=True)
class RenderedDocument:
    """A document's wanted pages, and the rejections among them."""

    document: str
    names: tuple[str, ...]
    pages: tuple[Page, ...]  # to be read
    rejected: tuple[Rejected, ...]
    drawn: tuple[Page, ...]
    sights: Mapping[tuple[int, int], PageSight] = field(default_factory=dict)  # by page and part, where it is known


def select_pages(source: SourceDocument, result: DocumentResult) -> RenderedDocument:
    """What is wanted of a document that was rendered."""
    rejected = (row for row in result.rejected if not row.page or row.page in source.pages)
    pages = tuple(page for page in result.pages if page.page in source.pages)
    return RenderedDocument(
        source.document,
        source.names,
        pages,
        tuple(row.model_copy(update={"file": source.names[0]}) for row in rejected),
        pages,
    )


def leave_out_too_small(
    model: FinishedModel, document: RenderedDocument, images: Path, check: Callable[[], None] = lambda: None
) -> RenderedDocument:
    """The document with what the model sees of each page, and without those of which it sees too little, unless they
    are to be asked about; `check` is called before each page, and what it raises is raised."""
    if model.eyesight is None:
        return document
    kept, rejected, sights = [], list(document.rejected), dict[tuple[int, int], PageSight]()
    for page in document.pages:
        check()
        sight = sights[page.page, page.part] = model.eyesight.look_at(images / page.image)
        if sight.is_too_small and not model.ask_too_small:
            file, message = document.names[0], sight.explain(page.part)
            rejected.append(
                Rejected(file=file, document=document.document, page=page.page, reason=TOO_SMALL, message=message)
            )
        else:
            kept.append(page)
    return replace(document, pages=tuple(kept), rejected=tuple(rejected), sights=sights)


def run(
    *, files: Sequence[Path], out: Path, model: FinishedModel, pages: str | None, batch_size: int,
    forms: frozenset[Form] = frozenset(), headers: Headers = "en",
) -> Iterator[WrittenDocument]:  # fmt: skip
    """Read the documents and yield each as it stands in its JSON file, first those that are there already; then write
    the forms of all together.

    Raises:
        InputError: `pages` or `files` cannot be used, or no document has a page.
    """
    wanted = parse_page_ranges(pages or None)
    thresholds = {name: task.threshold for name, task in model.tasks.items()}
    options = ReadOptions(pages=pages, tasks=thresholds, ask_too_small=model.ask_too_small)
    part = out / ".part" / short_hash(f"{model.key} {json.dumps(options.model_dump())}")
    paths = list_files(files, out)
    sources, rejected = group_by_content(identify(path, escape_name(path.name)) for path in paths)
    sources = [replace(source, pages=wanted) for source in sources]
    places = name_outputs(sources, out)
    refuse_overwriting(paths, places.values())
    known = {document: load_written(place, document, model, options) for document, place in places.items()}
    entries = {document: entry for document, entry in known.items() if entry}
    shape = Forms(out, forms, load_words(headers))
    shape.remove_old()
    done = [document for document in entries if "pdf" not in forms or name_form(places[document], "pdf").exists()]
    todo = [source for source in sources if source.document not in done]
    results, _ = render_documents(todo, {}, part / "pages", model.settings, LIMITS)
    documents = [
        leave_out_too_small(model, select_pages(source, results[source.document]), part / "pages") for source in todo
    ]
    rejected += [row for document in documents if document.document not in entries for row in document.rejected]
    rejected += [
        Rejected(file=entry.files[0], document=entry.document, **row.model_dump())
        for entry in entries.values()
        for row in entry.rejected
    ]
    _report_rejections(rejected, out)
    _report_damage(documents)
    if "pdf" in forms:
        layers = zip(todo, documents, strict=True)
        write_layers(
            [LayerRequest(source, tuple(filter(has_layer, one.drawn))) for source, one in layers], part / "words"
        )
    documents = [document for document in documents if document.drawn or document.document in entries]
    if not documents and not done:
        raise InputError(f"None of {len(paths)} files has a page to read; {out / 'rejected.jsonl'} says why.")
    reading = Reading(model, options, shape, places, part)
    counts: Counter[str] = Counter()
    outcomes: dict[str, DocumentOutcome] = {}
    with Journal(part / "readings.jsonl", PageAnswer) as journal:
        new = reading.answer(documents, entries, journal, batch_size)
        for entry in itertools.chain((entries[document] for document in done), new):
            shape.write_markdown(places[entry.document], entry)
            outcomes[entry.document] = shape.describe_outcome(places[entry.document], entry)
            counts["marked"] += count_marked(entry)
            counts["pages"] += len(entry.pages)
            yield entry
    shutil.rmtree(out / ".part")
    if forms:
        shape.write_all(model, places, outcomes, rejected)
    logger.info(
        "read: %d documents (%d were there before), %d pages, %d rejected, %d pages are marked for review%s",
        len(outcomes), len(done), counts["pages"], len(rejected), counts["marked"],
        "".join(f"; {note}" for note in model.notes),
    )  # fmt: skip


def _report_rejections(rejected: Sequence[Rejected], out: Path) -> None:
    write_rows(out / "rejected.jsonl", rejected, key=lambda row: (row.file, row.document or "", row.page or 0))
    for row in rejected:
        logger.warning("%s%s: %s: %s", row.file, f", page {row.page}" if row.page else "", row.reason, row.message)


def _report_damage(documents: Iterable[RenderedDocument]) -> None:
    for document in documents:
        for page in document.pages:
            if page.damage is not None:
                logger.warning("%s, page %d: damage: %s", document.names[0], page.page, page.damage)


@dataclass(frozen=True)
class Reading:
    """What documents are read with and written by."""

    model: FinishedModel
    options: ReadOptions
    forms: Forms
    places: Mapping[str, Path]
    part: Path  # work in progress

    def answer(
        self, documents: Sequence[RenderedDocument], entries: Mapping[str, WrittenDocument],
        journal: Journal[PageAnswer], batch_size: int,
    ) -> Iterator[WrittenDocument]:  # fmt: skip
        """Ask what is not in the journal, in the documents' order, and write a document when all of it is answered.

        Of a document that has an entry only the forms are made.
        """
        answers: dict[str, list[PageAnswer]] = {document.document: [] for document in documents}
        for row in journal.rows:
            answers.setdefault(row.document, []).append(row)
        answered = {row.key for row in journal.rows}
        new_ones = [document for document in documents if document.document not in entries]
        queries = [query for document in new_ones for query in self._ask(document) if query.key not in answered]
        missing = Counter(query.document for query in queries)
        new = workers.log_progress(answer_queries(self.model, queries, batch_size), len(queries), "read", "answers")
        for document in documents:
            rows = answers[document.document]
            for answer in itertools.islice(new, missing[document.document]):
                journal.append(answer)
                rows.append(answer)
            yield self._write(document, rows, entries.get(document.document))

    def _ask(self, document: RenderedDocument) -> Iterator[PageQuery]:
        for page, task in itertools.product(document.pages, self.model.tasks.values()):
            sight = document.sights.get((page.page, page.part))
            image = self.part / "pages" / page.image
            yield PageQuery(document.document, page.page, page.part, image, task, sight, page.damage is not None)

    def _write(
        self, document: RenderedDocument, rows: Sequence[PageAnswer], entry: WrittenDocument | None
    ) -> WrittenDocument:
        """The document's PDF, where it is wanted, and its JSON, which is there only once all is."""
        place = self.places[document.document]
        if entry is None:
            read = collect_answers(
                self.model, document.document, document.names, document.pages, rows, document.rejected
            )
            entry = WrittenDocument(**dict(read), asked=self.options)
            if name_form(place, "json").exists():
                for ending in ("md", "pdf"):  # of other answers
                    name_form(place, ending).unlink(missing_ok=True)
        if "pdf" in self.forms.wanted:
            pages, words = self.part / "pages", self.part / "words"
            gaps = write_searchable_pdf(name_form(place, "pdf"), entry, document.drawn, pages, words)
            entry = entry.model_copy(update={"pdf_gaps": gaps})
        write_json(name_form(place, "json"), entry.to_json())
        return entry


def load_written(place: Path, document: str, model: FinishedModel, options: ReadOptions) -> WrittenDocument | None:
    """What an earlier run wrote for the same bytes, model and question.

    Raises:
        InputError: the file is not JSON.
    """
    path = name_form(place, "json")
    if not path.is_file():
        return None
    try:
        entry = WrittenDocument.model_validate(read_json(path))
    except ValidationError:
        return None
    is_same = (entry.document, entry.model.sha256, entry.asked) == (document, model.key, options)
    return entry if is_same else None

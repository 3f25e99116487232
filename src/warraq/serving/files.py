"""FILES -> OUT/<file>.json and OUT/<file>.md, rejected.jsonl: `warraq read`.

Pages are rendered by the stage that rendered the pages of training. Work in progress is `OUT/.part/<key>`, where `key`
is of the model and of what it is asked; each batch of answers is on disk before the next is asked, so that a killed run
asks again only what was in flight.
"""

import itertools
import json
import logging
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from warraq import workers
from warraq.errors import InputError
from warraq.files import read_json, short_hash, write_json, write_text
from warraq.records import Journal, Page, Rejected, write_rows
from warraq.rendering.document_cache import Outcome, load
from warraq.rendering.folder import Source, found
from warraq.rendering.readers import warm
from warraq.serving.answers import Question, Reading, ask
from warraq.serving.finished_model import Model
from warraq.serving.output import as_json, as_markdown
from warraq.stages import render
from warraq.stages.render import Render

logger = logging.getLogger(__name__)


def numbers(text: str) -> Callable[[int], bool]:
    """Whether a page is among `1-3,7,9-`.

    Raises:
        InputError: the text is not of this form.
    """
    ranges = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdigit() or (last and not last.isdigit()):
            raise InputError(f"--pages is {text!r}; write it like 1-3,7,9- with pages counted from 1.")
        ranges.append((int(first), int(last) if last else None if dash else int(first)))
    return lambda page: any(first <= page and (last is None or page <= last) for first, last in ranges)


def gathered(files: Sequence[Path], folder: Path) -> tuple[list[Source], list[Rejected], dict[str, str]]:
    """The files, and those in folders among them, as documents by content; a copy or link of each is in `folder`.

    Returns:
        documents, what is none, and the file's own name for each name that these have.
    """
    shutil.rmtree(folder, ignore_errors=True)
    given: dict[str, str] = {}
    inside = [sorted(path.rglob("*")) if path.is_dir() else [path] for path in files]
    for place, path in enumerate(path for paths in inside for path in paths if not path.is_dir()):
        copy = folder / f"{place:06d}" / (path.name.lstrip(".") or "file")
        copy.parent.mkdir(parents=True)
        given[copy.relative_to(folder).as_posix()] = path.name
        try:
            os.link(path.resolve(), copy)
        except OSError:  # another file system
            shutil.copyfile(path, copy)
    if not given:
        raise InputError(f"{', '.join(map(str, files))} holds no file; name PDF, PNG, JPEG or TIFF files.")
    sources, rejected = found(folder)
    return sources, rejected, given


def rendered(sources: Sequence[Source], look: Render, out: Path) -> dict[str, Outcome]:
    """The pages of each document, by the code, parameters and limits of the stage."""
    build = render.build_of(look)
    held = {source.document: load(out / source.document) for source in sources}
    done = {document: one for document, one in held.items() if one and render.holds(one, look, build)}
    todo = [source for source in sources if source.document not in done]
    if todo:
        warm()
        results = render.outcomes(todo, {}, out, look, build)
        for source, outcome in workers.progress(results, len(todo), "render", "documents"):
            done[source.document] = outcome
    return done


@dataclass(frozen=True)
class Document:
    document: str
    names: tuple[str, ...]
    pages: tuple[Page, ...]
    rejected: tuple[Rejected, ...]


def described(source: Source, outcome: Outcome, names: Mapping[str, str], wanted: Callable[[int], bool]) -> Document:
    own = tuple(sorted({names[name] for name in source.names}))
    rejected = [row.model_copy(update={"file": own[0]}) for row in outcome.rejected if not row.page or wanted(row.page)]
    return Document(source.document, own, tuple(page for page in outcome.pages if wanted(page.page)), tuple(rejected))


def stems(sources: Sequence[Source], names: Mapping[str, str]) -> dict[str, str]:
    """Document -> the name of its files in OUT: its own, with the document before it where another has the same."""
    found: dict[str, str] = {}
    for source in sources:
        name = min(names[one] for one in source.names)
        found[source.document] = f"{source.document}-{name}" if name in found.values() else name
    return found


def run(files: Sequence[Path], out: Path, model: Model, pages: str | None, at_once: int) -> Iterator[dict[str, Any]]:
    """Read the documents and yield each as it stands in its JSON file, first those that are there already.

    Raises:
        InputError: `pages` or `files` cannot be used, or no document has a page.
    """
    wanted = numbers(pages) if pages else lambda _: True
    asked = {"pages": pages, "tasks": {name: task.threshold for name, task in model.tasks.items()}}
    part = out / ".part" / short_hash(f"{model.key} {json.dumps(asked)}")
    sources, rejected, names = gathered(files, part / "raw")
    places = {document: out / stem for document, stem in stems(sources, names).items()}
    known = {document: written(place, document, model, asked) for document, place in places.items()}
    held = {document: one for document, one in known.items() if one}
    todo = [source for source in sources if source.document not in held]
    outcomes = rendered(todo, model.render, part / "pages")
    documents = [described(source, outcomes[source.document], names, wanted) for source in todo]
    lost = [row.model_copy(update={"file": names[row.file]}) for row in rejected]
    lost += [row for one in documents for row in one.rejected]
    lost += [
        Rejected.model_validate({"file": one["files"][0], "document": document, **row})
        for document, one in held.items()
        for row in one["rejected"]
    ]
    write_rows(out / "rejected.jsonl", lost, key=lambda row: (row.file, row.document or "", row.page or 0))
    for row in lost:
        logger.warning("%s%s: %s: %s", row.file, f", page {row.page}" if row.page else "", row.reason, row.message)
    documents = [one for one in documents if one.pages]
    if not documents and not held:
        raise InputError(f"None of {len(names)} files has a page to read; {out / 'rejected.jsonl'} says why.")
    counts: Counter[str] = Counter()
    with Journal(part / "readings.jsonl", Reading) as journal:
        new = _answered(documents, places, model, asked, journal, part / "pages", at_once)
        for document in itertools.chain(held.values(), new):
            answers = [page["answers"].values() for page in document["pages"]]
            counts["review"] += sum(any(one["needs_review"] for one in page) for page in answers)
            counts["pages"] += len(answers)
            yield document
    shutil.rmtree(out / ".part")
    logger.info(
        "read: %d documents (%d were there before), %d pages, %d rejected, %d pages need review",
        len(documents) + len(held), len(held), counts["pages"], len(lost), counts["review"],
    )  # fmt: skip


def _answered(
    documents: Sequence[Document], places: Mapping[str, Path], model: Model, asked: dict[str, Any],
    journal: Journal[Reading], images: Path, at_once: int,
) -> Iterator[dict[str, Any]]:  # fmt: skip
    """Ask what is not in the journal, in the documents' order, and write a document when all of it is answered."""
    known = {(row.document, row.page, row.task) for row in journal.rows}
    held: dict[str, list[Reading]] = {}
    for row in journal.rows:
        held.setdefault(row.document, []).append(row)
    questions = [
        Question(one.document, page.page, images / page.image, task)
        for one in documents
        for page in one.pages
        for task in model.tasks.values()
        if (one.document, page.page, task.name) not in known
    ]
    missing = Counter(question.document for question in questions)
    answers = workers.progress(ask(model, questions, at_once), len(questions), "read", "answers")
    for one in documents:
        rows = held.get(one.document, [])
        for answer in itertools.islice(answers, missing[one.document]):
            journal.append(answer)
            rows.append(answer)
        document = as_json(model, one.document, one.names, one.pages, rows, one.rejected) | {"asked": asked}
        place = places[one.document]
        write_text(place.with_name(f"{place.name}.md"), as_markdown(model, document))
        write_json(place.with_name(f"{place.name}.json"), document)
        yield document


def written(place: Path, document: str, model: Model, asked: dict[str, Any]) -> dict[str, Any] | None:
    """What an earlier run wrote for the same bytes, model and question."""
    path = place.with_name(f"{place.name}.json")
    held = read_json(path) if path.is_file() else {}
    same = held.get("document") == document and held.get("asked") == asked
    return held if same and held["model"]["sha256"] == model.key else None

"""Pages with a gold text -> how well a reader reads them: a row of a table for each kind of document.

    python benchmarks/pages.py FOLDER textlayer
    python benchmarks/pages.py FOLDER tesseract --languages ara+eng
    python benchmarks/pages.py FOLDER models/gemma3_4b/merged
    python benchmarks/pages.py FOLDER models/dots --answers layout --prompt prompt.txt

FOLDER holds files as `data/raw` does, and under `gt/` the gold of some, named `letter.pdf.md` (Markdown, tables HTML or
between bars) or `letter.pdf.txt`: of all its pages, in their order. A reader is the files' own text, Tesseract, or a
folder that `warraq predict` takes: a student, or the `config.json` of an endpoint (docs/running.md, Baselines), which
brings a model that only reads with `--answers`.

A document's scores are those of `warraq evaluate` for the task `content`, of all its pages together; a page that was
not read counts as one without a word. Means and 95 % intervals are over documents. TEDS is of the documents whose gold
has tables. Gold in which stand the words of the file's own text and no others may have been made of it: such documents
are counted, since that reader is flattered by them.
"""

import argparse
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import get_args

from warraq import params, tasks
from warraq.errors import InputError
from warraq.files import hash_file, read_json
from warraq.metrics.statistics import Weighings, bound_score
from warraq.metrics.structure import Element, join_elements
from warraq.metrics.text import score_text
from warraq.records import Page, read_rows
from warraq.runtimes import Request
from warraq.runtimes.loading import load_runtime, read_token_limit
from warraq.runtimes.manifest import choose_views
from warraq.runtimes.tesseract import read_page
from warraq.stages import render
from warraq.tasks import content
from warraq.tasks.scoring import list_read_elements, score_answer
from warraq.teachers.textlayer import fold_letters, read_whole_layer
from warraq.teachers.transcripts import PROMPTS, Notation, read_transcript

SCORES = {"CER": "cer", "words found": "words_found", "words true": "words_true", "TEDS": "teds"}
SAME = 0.98  # of the words of gold and of the file's own text, from which on the one may be made of the other
DRAWINGS = 10_000

Read = Callable[[Page], str]
"""A page -> its text, or an answer to the task as JSON. Raises ValueError where what was written is no page."""


@dataclass(frozen=True)
class Document:
    """A file with gold."""

    pages: list[Page]
    gold: tasks.JsonObject
    has_layer: bool
    is_of_layer: bool  # its gold


def list_gold(folder: Path) -> dict[str, Path]:
    """The gold of each file of a folder."""
    paths = sorted(path for path in (folder / "gt").glob("*") if path.suffix in {".md", ".txt"})
    return {path.stem: path for path in paths if (folder / path.stem).is_file()}


def parse_gold(path: Path) -> tasks.JsonObject:
    """The gold of a document as an answer."""
    try:
        return content.TASK.validate(read_transcript(path.read_text(encoding="utf-8"), "markdown"))
    except ValueError as error:
        raise InputError(f"{path}: {error}.") from None


def list_documents(folder: Path, pages: Path) -> list[Document]:
    """The documents of `folder` that have gold, with their `pages`; one that has none was not to be opened."""
    found: dict[str, list[Page]] = {name: [] for name in list_gold(folder)}
    for page in read_rows(pages / "pages.jsonl", Page):
        found[page.files[0]].append(page)
    documents = []
    for name, path in list_gold(folder).items():
        gold = parse_gold(path)
        layer = "\n".join(fold_letters(read_whole_layer(pages, page)) for page in found[name])
        sums = score_text(join_elements(content.list_elements(gold)), layer)
        same = all((bound_score(*sums[score]) or 0) >= SAME for score in ("words_found", "words_true"))
        documents.append(Document(found[name], gold, any(map(str.isalnum, layer)), same))
    return documents


def join_answers(raw: Sequence[str]) -> str:
    """What was written of a document's pages as one answer; what is no JSON of the task is read as `evaluate` does."""
    elements: list[Element] = []
    for text in raw:
        elements += list_read_elements(content.TASK, content.TASK.parse(text)[0], text)
    blocks = [{"kind": kind, "text": text, "level": None, "language": language} for kind, text, language in elements]
    return tasks.dumps({"blocks": blocks})


def open_reader(options: argparse.Namespace, pages: Path) -> tuple[str, str, Read]:
    """The name of a reader, its version and settings, and the reader."""
    if options.reader == "textlayer":
        return "text layer", f"PyMuPDF {version('pymupdf')}", lambda page: fold_letters(read_whole_layer(pages, page))
    if options.reader == "tesseract":
        told = subprocess.run(["tesseract", "--version"], capture_output=True, text=True, check=True).stdout.split()[1]
        return (
            "Tesseract",
            f"{told}, {options.languages}",
            lambda page: read_page(pages / page.image, options.languages),
        )
    folder = Path(options.reader)
    runtime, views, limit = load_runtime(folder), choose_views(folder, None), read_token_limit(folder, options.tokens)
    notation: Notation | None = options.answers
    prompt = content.PROMPT if notation is None else PROMPTS[notation]
    prompt = options.prompt.read_text(encoding="utf-8") if options.prompt else prompt

    def ask(page: Page) -> str:
        (answer,) = runtime.answer([Request((pages / page.image,), prompt, views=views)], limit)
        return answer.text if notation is None else tasks.dumps(read_transcript(answer.text, notation))

    weights = sorted(folder.glob("*.onnx_data")) or sorted(folder.glob("*.safetensors"))
    name = read_json(folder / "config.json").get("model") or folder.as_posix()
    own = f"{hash_file(weights[0])[:8]}, " if weights else ""
    return name, f"{own}{views}, {limit} tokens" + (f", {notation}" if notation else ""), ask


def describe_row(
    titles: Sequence[str], documents: Sequence[Document], scores: Sequence[dict[str, float | None]]
) -> str:
    """A row of the table."""
    weighings = Weighings({name: [one[name] for one in scores] for name in SCORES.values()}, DRAWINGS, seed=1)
    cells = []
    for name in SCORES.values():
        found = weighings.estimate(name)
        interval = "" if found.lo is None else f" [{found.lo:.3f}, {found.hi:.3f}]"
        cells.append("–" if found.value is None else f"{found.value:.3f}{interval}")
        if name == "teds" and found.documents:
            cells[-1] += f", {found.documents} documents"
    count = f"{len(documents)}, {sum(len(one.pages) for one in documents)}"
    return f"| {' | '.join([*titles[:2], count, *cells, *titles[2:]])} |"


def read_document(document: Document, read: Read) -> tuple[list[str], int]:
    """What was written of each page that was read, and how many were not."""
    raw = list[str]()
    for page in document.pages:
        with suppress(ValueError):
            raw.append(read(page))
    return raw, len(document.pages) - len(raw)


def score_document(document: Document, raw: Sequence[str]) -> dict[str, float | None]:
    """The scores of a document, 0 to 1."""
    sums = score_answer(content.TASK, document.gold, join_answers(raw)).sums
    return {name: bound_score(*sums[name]) for name in SCORES.values()}


def print_rows(documents: Sequence[Document], name: str, settings: str, read: Read) -> None:
    """All documents, those with a text of their own, and those without."""
    start = time.monotonic()
    written = [read_document(document, read) for document in documents]
    seconds = (time.monotonic() - start) / max(sum(len(document.pages) for document in documents), 1)
    if lost := sum(count for _, count in written):
        settings += f"; {lost} pages not read"
    scores = [score_document(document, raw) for document, (raw, _) in zip(documents, written, strict=True)]
    for kind, wanted in (("all", {True, False}), ("with a text of their own", {True}), ("pictures alone", {False})):
        part = [place for place, document in enumerate(documents) if document.has_layer in wanted]
        if part and (kind == "all" or len(part) < len(documents)):
            titles = (name, kind, f"{seconds:.1f}", settings)
            print(describe_row(titles, [documents[place] for place in part], [scores[place] for place in part]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("reader", help="textlayer, tesseract, or the folder of a model or endpoint")
    parser.add_argument("--languages", default="ara+eng", help="of Tesseract")
    parser.add_argument("--answers", choices=get_args(Notation), help="the form of a model that only reads")
    parser.add_argument("--prompt", type=Path, help="a file with its prompt")
    parser.add_argument("--tokens", type=int, default=8192, help="of a page's answer at most")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="how pages are drawn")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        raw, pages = Path(work) / "raw", Path(work) / "pages"
        raw.mkdir()
        for name in list_gold(options.folder):
            shutil.copy(options.folder / name, raw / name)
        drawn = params.load(options.params).render
        render.run(raw=raw, out=pages, parameters=drawn)
        documents = list_documents(options.folder, pages)
        name, settings, read = open_reader(options, pages)
        flattered = sum(document.is_of_layer for document in documents)
        print(f"Of {len(documents)} golds {flattered} have the words of the file's own text and no others.\n")
        print(f"| reader | documents | documents, pages | {' | '.join(SCORES)} | s a page | version, settings |")
        print("|---|---|---|" + "---|" * (len(SCORES) + 2))
        print_rows(documents, name, f"{settings}; {drawn.long_side_px} px", read)


if __name__ == "__main__":
    main()

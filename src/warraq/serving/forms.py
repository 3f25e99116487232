"""The JSON of documents -> the forms in which people work with them, made again from it whenever they are not there.

Of each document Markdown and, where it is asked for, a searchable PDF; of all together tables (CSV, XLSX), one answer a
line (answers.jsonl), and what became of each file (outcome.jsonl), which is written last.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from warraq.errors import InputError
from warraq.files import JsonObject, read_json, replace_file, write_text
from warraq.records import Rejected, Row, dump_row
from warraq.rendering.folder import SourceDocument
from warraq.serving.answers import CheckedAnswer
from warraq.serving.finished_model import FinishedModel
from warraq.serving.markdown import render_markdown
from warraq.serving.output import DocumentAnswers, ModelName, PdfGap, RejectedPage, shorten_rejection
from warraq.serving.tables import build_sheets, write_csv, write_xlsx
from warraq.serving.words import Words

Form = Literal["json", "markdown", "csv", "xlsx", "jsonl", "pdf"]
FORMS: tuple[Form, ...] = get_args(Form)

ENDINGS: dict[Form, str] = {"json": "json", "markdown": "md", "pdf": "pdf"}  # of one document
OUTCOME, ANSWERS, WORKBOOK = "outcome.jsonl", "answers.jsonl", "fields.xlsx"

LONGEST_NAME = 255 - len(".json.part")  # bytes


class AnswerLine(Row):
    """A line of answers.jsonl: an answer, or a page that was not read and why."""

    document: str
    files: tuple[str, ...]
    page: int | None
    part: int = 0
    task: str | None = None
    answer: CheckedAnswer | None = None
    reason: str | None = None
    message: str | None = None


class NotRead(Row):
    """A page that was not read; without a number the file, or what it carries."""

    page: int | None
    reason: str


class DocumentOutcome(Row):
    """What became of a file."""

    files: tuple[str, ...]
    document: str  # empty where the file is none
    pages_read: int
    pages_marked: int  # with an answer that needs a person for a reason of its own
    not_read: tuple[NotRead, ...]
    forms: dict[Form, str]  # files of this document alone
    pdf_gaps: tuple[PdfGap, ...]  # pages that lack text in its PDF, of which there is none where all do


class OutcomeHead(Row):
    """The first line of outcome.jsonl; a DocumentOutcome a line follows."""

    model: ModelName
    notes: tuple[str, ...]  # what is to be known of all answers
    forms: tuple[str, ...]  # files of all documents together


def parse_forms(text: str) -> frozenset[Form]:
    """The forms of a list with commas; JSON is always one of them.

    Raises:
        InputError: it names a form that there is not.
    """
    wanted = {one.strip() for one in text.split(",") if one.strip()}
    if unknown := wanted - set(FORMS):
        raise InputError(f"--forms has no {min(unknown)!r}; there are {', '.join(FORMS)}.")
    return frozenset(form for form in FORMS if form in wanted or form == "json")


@dataclass(frozen=True)
class Forms:
    """The forms that are wanted in a folder."""

    out: Path
    wanted: frozenset[Form]
    words: Words

    def remove_old(self) -> None:
        """Remove what an earlier run made of all documents together: it holds until this one has ended."""
        path = self.out / OUTCOME
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        earlier = json.loads(lines[0])["forms"] if lines else [WORKBOOK, ANSWERS]
        for name in (*earlier, OUTCOME):
            (self.out / name).unlink(missing_ok=True)

    def write_markdown(self, place: Path, document: DocumentAnswers) -> None:
        """Of one document, where it is wanted."""
        if "markdown" in self.wanted:
            write_text(name_form(place, "md"), render_markdown(document, self.words))

    def write_all(
        self, model: FinishedModel, places: Mapping[str, Path], outcomes: Mapping[str, DocumentOutcome],
        rejected: Sequence[Rejected],
    ) -> None:  # fmt: skip
        """Of all documents together, read again from their JSON, and what became of each file."""
        name = ModelName(name=model.folder.name, sha256=model.key)
        read = [document for document in places if document in outcomes]
        lost = group_lost(name, rejected, read)

        def list_documents() -> Iterator[DocumentAnswers]:
            yield from (load_document(places[document]) for document in read)
            yield from lost

        written = []
        sheets = build_sheets({task: one.threshold for task, one in model.tasks.items()}, self.words, list_documents)
        for sheet in sheets if "csv" in self.wanted else ():
            write_csv(self.out / f"{sheet.name}.csv", sheet)
            written.append(f"{sheet.name}.csv")
        if "xlsx" in self.wanted:
            write_xlsx(self.out / WORKBOOK, sheets, model.notes, self.words)
            written.append(WORKBOOK)
        if "jsonl" in self.wanted:
            with replace_file(self.out / ANSWERS) as part, part.open("w", encoding="utf-8", newline="\n") as stream:
                stream.writelines(map(dump_row, list_lines(list_documents())))
            written.append(ANSWERS)
        ends = [*(outcomes[document] for document in read), *(self.describe_outcome(None, one) for one in lost)]
        head = OutcomeHead(model=name, notes=model.notes, forms=tuple(written))
        write_text(self.out / OUTCOME, "".join(map(dump_row, (head, *ends))))

    def describe_outcome(self, place: Path | None, document: DocumentAnswers) -> DocumentOutcome:
        """What became of a document."""
        return DocumentOutcome(
            files=document.files, document=document.document, pages_read=len({page.page for page in document.pages}),
            pages_marked=count_marked(document),
            not_read=tuple(NotRead(page=row.page, reason=row.reason) for row in document.rejected),
            forms={
                form: name_form(place, ending).name
                for form, ending in ENDINGS.items()
                if place and form in self.wanted and name_form(place, ending).exists()
            },
            pdf_gaps=document.pdf_gaps if "pdf" in self.wanted else (),
        )  # fmt: skip


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


def refuse_overwriting(files: Sequence[Path], places: Iterable[Path]) -> None:
    """Raises InputError where a document's form would take the place of a file that is read."""
    read = {path.resolve() for path in files}
    for place in places:
        for ending in ENDINGS.values():
            if (path := name_form(place, ending)).resolve() in read:
                raise InputError(f"--out would write over {path}, which is read itself; name another folder.")


def name_form(place: Path, ending: str) -> Path:
    """The file of a document's form."""
    return place.with_name(f"{place.name}.{ending}")


def load_document(place: Path) -> DocumentAnswers:
    """The answers of a document that were written."""
    value = read_json(name_form(place, "json"))
    return DocumentAnswers.model_validate({key: value[key] for key in value if key in DocumentAnswers.model_fields})


def count_marked(document: DocumentAnswers) -> int:
    """Pages with an answer that needs a person for a reason of its own."""
    return len({page.page for page in document.pages if any(one.marks for one in page.answers.values())})


def list_lines(documents: Iterator[DocumentAnswers]) -> Iterator[AnswerLine]:
    """Each answer, and each page and file that was not read."""
    for document in documents:
        head: JsonObject = {"document": document.document, "files": document.files}
        for page in document.pages:
            for task, one in page.answers.items():
                answer = CheckedAnswer(**{name: getattr(one, name) for name in CheckedAnswer.model_fields})
                yield AnswerLine(**head, page=page.page, part=page.part, task=task, answer=answer)
        for row in document.rejected:
            yield AnswerLine(**head, page=row.page, reason=row.reason, message=row.message)


def group_lost(model: ModelName, rejected: Sequence[Rejected], read: Collection[str]) -> list[DocumentAnswers]:
    """Files of which nothing was read, each as a document without a page; `read` are the documents that are none."""
    lost: dict[tuple[str, str], list[RejectedPage]] = {}
    for row in rejected:
        if row.document not in read:
            lost.setdefault((row.file, row.document or ""), []).append(shorten_rejection(row))
    return [
        DocumentAnswers(document=document, files=(file,), model=model, pages=(), rejected=tuple(rows))
        for (file, document), rows in sorted(lost.items())
    ]

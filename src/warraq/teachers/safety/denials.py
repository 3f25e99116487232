"""denied.csv, and all that is known here of pages -> the documents and images that no cloud may see, for good.

A document is denied, with what is attached to it, by the first mark of secrecy in the text of one of its pages, in a
person's review or in any teacher's answer, of whatever task. It is denied by its id, since a page can be drawn in many
ways, and its images are denied besides, since a page can be in many documents. The list only takes away: who may be
sent is for documents.csv alone to say. A denial is lifted by another line alone; a line taken out comes back.
"""

import csv
import io
import logging
import re
import threading
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from pydantic import ConfigDict

from warraq.errors import InputError
from warraq.files import JsonObject, write_text
from warraq.records import Page, Row, read_rows
from warraq.reviews import count_second_reading, read_review_rows, select_reviews
from warraq.teachers.safety.marks import find_mark, find_mark_in, hash_reader
from warraq.teachers.textlayer import read_text_layer

logger = logging.getLogger(__name__)

COLUMNS = ("id", "why")
LIFTED = "lifted"  # begins the `why` of a line by which a person takes a denial back
_ID = re.compile(r"[0-9a-f]{12}|[0-9a-f]{64}")


class AnswerRow(Row):
    """Of a label what may carry a mark."""

    model_config = ConfigDict(extra="ignore")

    page_id: str
    key: str
    teacher: str
    answer: JsonObject | None = None
    reason: str | None = None
    message: str | None = None


@dataclass(frozen=True)
class DenialList:
    """What denied.csv says: why each id is denied, and of which that counts no more."""

    reasons: Mapping[str, str] = field(default_factory=dict)
    lifted: Collection[str] = ()


def read_denials(path: Path) -> DenialList:
    """The lines of denied.csv, which may be absent; the last of an id says whether it is lifted.

    Raises:
        InputError: it is not CSV in UTF-8 with these columns, or an id is neither a document's nor an image's.
    """
    if not path.exists():
        return DenialList()
    try:
        rows = list(csv.reader(path.read_text(encoding="utf-8-sig").splitlines(), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read as CSV in UTF-8 ({error}); save it so.") from None
    if not rows or tuple(rows[0][:2]) != COLUMNS:
        raise InputError(f"{path}: its first line must be {','.join(COLUMNS)}.")
    reasons: dict[str, str] = {}
    lifted: set[str] = set()
    for number, row in enumerate(rows[1:], start=2):
        if row and not _ID.fullmatch(row[0]):
            raise InputError(
                f"{path}, line {number}: {row[0]!r} is neither a document (12 hex digits, the folder of its pages) nor "
                "an image (its SHA-256); correct it, or call the file secret in documents.csv."
            )
        if row and (why := " ".join(row[1:]).strip()).startswith(LIFTED):
            lifted.add(row[0])
        elif row:
            reasons[row[0]] = why
            lifted.discard(row[0])
    return DenialList(reasons, lifted)


class Memory(Protocol):
    """What the ledger keeps of secrecy."""

    writes: bool

    def denied(self) -> dict[str, str]:
        """Id -> why it is denied."""

    def deny(self, denials: Mapping[str, str]) -> None:
        """Add to them."""

    def unscanned_responses(self, reader: str) -> Iterator[tuple[str, str]]:
        """(page_id, body) of the responses that the same reader has not read before."""

    def answered_keys(self) -> frozenset[str]:
        """Keys of which there are responses."""


class Denials:
    """What is denied, in this run and for every later one."""

    def __init__(self, path: Path, memory: Memory, pages: Sequence[Page]) -> None:
        """`path`: of denied.csv, which is written only where the memory is.

        Raises:
            InputError: denied.csv cannot be read.
        """
        earlier, listed = memory.denied(), read_denials(path)
        known = {**earlier, **listed.reasons}
        self.lifted = find_lifted(listed, known, pages)
        self.reasons = {key: why for key, why in known.items() if key not in self.lifted}  # of documents and images
        self.ids = set(self.reasons)  # every clearance for a cloud looks into it
        self.ids.update(page.image_sha256 for page in pages if {page.document, *page.containers} & self.ids)
        self._images: defaultdict[str, set[str]] = defaultdict(set)  # of a document and of what is attached to it
        self._documents: defaultdict[str, set[str]] = defaultdict(set)  # that have an image
        self._inked = {page.page_id: page.image_sha256 for page in pages if page.ink != 0}
        for page in pages:
            for document in (page.document, *page.containers):
                self._images[document].add(page.image_sha256)
            self._documents[page.image_sha256].add(page.document)
        self._path = path
        self._memory = memory
        self.pages = pages
        self._lock = threading.Lock()
        self._save({key: why for key, why in known.items() if key not in earlier or key not in listed.reasons})

    def deny(self, marks: Mapping[str, str]) -> None:
        """Deny every document that has one of these pages, by page_id with the mark that was found, for good."""
        with self._lock:
            fresh: dict[str, str] = {}
            for page_id, mark in marks.items():
                documents = {page_id.rpartition("-p")[0], *self._documents.get(self._inked.get(page_id, ""), ())}
                if new := {one for one in documents if _ID.fullmatch(one)} - self.reasons.keys() - self.lifted:
                    logger.warning("%s is marked as confidential (%s): its document is not sent to a cloud any more",
                                   page_id, mark)  # fmt: skip
                    images = (image for document in new for image in self._images.get(document, ()))
                    fresh |= dict.fromkeys((*sorted(new), *sorted(images)), f"{page_id}: {mark}")
                    self.reasons |= fresh
            self.ids.update(fresh)
            self._save(fresh)

    def search(self, folder: Path, reviews: Path, labels: Path) -> None:
        """Deny what carries a mark in anything that is known here: responses, pages in `folder`, reviews, labels."""
        for page_id, body in self._memory.unscanned_responses(hash_reader()):
            if mark := find_mark_in(body):
                self.deny({page_id: f"{mark} (earlier answer)"})
        self.deny(dict(find_marked_pages(self.pages, folder)))
        self.deny(dict(find_marked_reviews(reviews)))
        self.deny(dict(find_marked_labels(labels, self._memory.answered_keys())))

    def _save(self, denials: Mapping[str, str]) -> None:
        if denials and self._memory.writes:
            self._memory.deny(denials)
            add_denials(self._path, denials)


def find_lifted(listed: DenialList, known: Mapping[str, str], pages: Iterable[Page]) -> set[str]:
    """The ids that are denied no more: those that a person lifted, and the images that were denied for the same as
    their document, where none of the documents that have them is still denied."""
    lifted = set(listed.lifted)
    documents: defaultdict[str, set[str]] = defaultdict(set)
    for page in pages:
        documents[page.image_sha256].update((page.document, *page.containers))
    for image, owners in documents.items():
        if not owners & (known.keys() - lifted) and known.get(image) in {known.get(one) for one in owners & lifted}:
            lifted.add(image)
    if lifted:
        logger.warning("%d ids of denied.csv are lifted: documents.csv decides about them", len(listed.lifted))
    return lifted


def add_denials(path: Path, denials: Mapping[str, str]) -> None:
    """Add lines to denied.csv for the ids that it does not have; what stands there stays as it is."""
    known = read_denials(path).reasons
    stream = io.StringIO()
    rows = [(key, " ".join(why.split())) for key, why in denials.items() if key not in known]
    csv.writer(stream, lineterminator="\n").writerows(rows)
    before = path.read_text(encoding="utf-8-sig") if path.exists() else ",".join(COLUMNS)
    write_text(path, f"{before.rstrip()}\n{stream.getvalue()}")


def find_marked_pages(pages: Iterable[Page], folder: Path) -> Iterator[tuple[str, str]]:
    """(page_id, mark) of the pages of which the own text, in `folder`, carries a mark."""
    for page in pages:
        if mark := find_mark(read_text_layer(folder, page)):
            yield page.page_id, f"{mark} (text layer)"


def find_marked_reviews(folder: Path) -> Iterator[tuple[str, str]]:
    """(page_id, mark) of the marked reviews that count, of first and second readers and all tasks, in `folder`."""
    for path in sorted(folder.glob("*.jsonl")):
        rows = [row for row in read_review_rows(path, path.stem) if row.status != "invalid"]
        for row in (*select_reviews(rows).values(), *select_reviews(rows, count_second_reading).values()):
            if mark := find_mark_in(row.answer):
                yield row.page_id, f"{mark} (review)"


def find_marked_labels(folder: Path, known_keys: frozenset[str]) -> Iterator[tuple[str, str]]:
    """(page_id, mark) of the marked labels, of all tasks, in `folder`, which may be absent.

    Those with a key of `known_keys` are not looked at; nor are those of people, who may have reviewed the page since.
    """
    for path in sorted(folder.glob("*.jsonl")):
        for row in read_rows(path, AnswerRow):
            if row.teacher != "human" and row.key not in known_keys:
                mark = row.message if row.reason == "marked_confidential" else find_mark_in(row.answer)
                if mark:
                    yield row.page_id, f"{mark} ({row.teacher})"

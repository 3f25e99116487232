"""Who may see a page: documents.csv + the image's own bytes -> `ClearedPage`, the only thing that a teacher sends.

Unknown is not public. An image that is also a page of a file that is not public is not sendable, under whatever name;
nor is a page of a document that carries a mark of secrecy.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from warraq.documents import find_unmatched, list_carriers, read_documents
from warraq.errors import InputError
from warraq.records import Page, Rejected, read_rows


class NotClearedError(InputError):
    """The page may not be sent."""


@dataclass(frozen=True)
class ClearedPage:
    """A page whose bytes were proved to be what was cleared. Made by `Clearance.load` alone."""

    page: Page
    image: bytes


@dataclass
class Clearance:
    """`hashes`: of images that may be sent; `denied`: of those, and of documents, that may not, which wins."""

    hashes: frozenset[str]
    denied: set[str] = field(default_factory=set)

    def allows(self, page: Page) -> bool:
        """Whether a page's image may be sent."""
        ids = {page.image_sha256, page.document, *page.containers}
        return page.image_sha256 in self.hashes and self.denied.isdisjoint(ids)

    def load(self, page: Page, folder: Path) -> ClearedPage:
        """The page with its image from the pages' folder.

        Raises:
            NotClearedError: it may not be sent.
            InputError: its file is not the image that pages.jsonl names.
        """
        path = folder / page.image
        image = path.read_bytes() if path.is_file() else b""
        if hashlib.sha256(image).hexdigest() != page.image_sha256:
            raise InputError(f"{path} is not the image that pages.jsonl names; run render again.")
        if not self.allows(page):
            raise NotClearedError(f"{path} may not be sent; `warraq label --clearance` tells why.")
        return ClearedPage(page, image)


def clear_all(pages: Iterable[Page]) -> Clearance:
    """For a teacher on this machine, from which nothing leaves."""
    return Clearance(frozenset(page.image_sha256 for page in pages))


@dataclass(frozen=True)
class Manifest:
    """documents.csv, held to the files that there are."""

    sensitivities: dict[str, str]  # of each file that it names
    files: frozenset[str]  # that there are, those that are attached to others among them
    unmatched: list[str]  # of each line that names no file: where it stands and what to do

    @classmethod
    def read(cls, pages: Sequence[Page], folder: Path, raw: Path) -> Self:
        """Of `raw`, which need not be there; `folder` holds the pages and tells which files have none.

        Raises:
            InputError: it can be misunderstood; says where.
        """
        path = raw / "documents.csv"
        rows = read_documents(path, "file", "sensitivity")
        rejected = folder / "rejected.jsonl"
        files = {file for page in pages for file in page.files}
        files.update(row.file for row in (read_rows(rejected, Rejected) if rejected.exists() else ()))
        if any(row.file not in files for row in rows):  # what is not rendered yet
            files.update(file.relative_to(raw).as_posix() for file in raw.rglob("*") if file.is_file())
        sensitivities = {row.file: row.sensitivity for row in rows}
        return cls(sensitivities, frozenset(files), find_unmatched(path, rows, files))

    def find_objection(self, page: Page) -> str | None:
        """Why a page's document is not public; None where it is.

        What is attached to a file is what that is called, and a line of its own can only take away.
        """
        for file in page.files:
            outermost, *inner = (name for name in list_carriers(file) if name in self.files or name == file)
            said = [self.sensitivities.get(outermost), *(self.sensitivities.get(name, "public") for name in inner)]
            if (sensitivity := next((one for one in said if one != "public"), "public")) != "public":
                what = "does not name it" if sensitivity is None else f"calls it {sensitivity!r}"
                return f"documents.csv {what}" if len(page.files) == 1 else f"documents.csv {what} as {file}"
        return None if page.files else "it has no file"

    def clear(self, pages: Sequence[Page], denied: set[str]) -> Clearance:
        """For a cloud teacher: pages of public documents; `denied` wins, also by what is added to it later.

        Raises:
            InputError: a line matches no file, so that nobody knows what was meant by it.
        """
        if self.unmatched:
            more = f" ({len(self.unmatched) - 1} lines more match none.)" if len(self.unmatched) > 1 else ""
            raise InputError(self.unmatched[0] + more)
        objected = {page.image_sha256 for page in pages if self.find_objection(page)}
        return Clearance(frozenset({page.image_sha256 for page in pages} - objected), denied)

    def describe(self, pages: Sequence[Page], reasons: Mapping[str, str]) -> str:
        """A line for each document that a cloud teacher may see or not see, and why, for each line of the manifest that
        names no file, and for how many; `reasons`: of what is denied, by id.
        """
        objected = {page.image_sha256 for page in pages if self.find_objection(page)}
        verdicts: dict[str, set[str]] = {}
        for page in pages:
            denied = (page.document, *page.containers, page.image_sha256)
            why = self.find_objection(page) or next((reasons[key] for key in denied if reasons.get(key)), None)
            if why is None and page.image_sha256 in objected:
                why = "a page is also one of a document that is not public"
            verdicts.setdefault(", ".join(page.files), set()).update({why} if why else ())
        lines = [f"{'not sendable' if whys else 'sendable':14}{names}{': ' if whys else ''}{'; '.join(sorted(whys))}"
                 for names, whys in sorted(verdicts.items())]  # fmt: skip
        total = f"{sum(not whys for whys in verdicts.values())} of {len(verdicts)} documents may be sent"
        return "\n".join([*lines, *self.unmatched, total])

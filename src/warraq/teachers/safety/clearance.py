"""Who may see a page: documents.csv + the image's own bytes -> `Cleared`, the only thing that a teacher sends.

Unknown is not public. An image that is also a page of a file that is not public is not sendable, under whatever name;
nor is one of a document that an answer found marked as confidential.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from warraq.documents import read_documents
from warraq.errors import InputError
from warraq.records import Page


class NotCleared(InputError):
    """The page may not be sent."""


@dataclass(frozen=True)
class Cleared:
    """A page whose bytes were proved to be what was cleared. Made by `Clearance.page` alone."""

    page: Page
    image: bytes


@dataclass
class Clearance:
    """`hashes`: of images that may be sent; `denied`: of those that may not, which wins."""

    hashes: frozenset[str]
    denied: set[str] = field(default_factory=set)

    def allows(self, page: Page) -> bool:
        return page.image_sha256 in self.hashes and page.image_sha256 not in self.denied

    def page(self, page: Page, pages: Path) -> Cleared:
        """Raises NotCleared; InputError: its file is not the image that pages.jsonl names."""
        path = pages / page.image
        image = path.read_bytes() if path.is_file() else b""
        if hashlib.sha256(image).hexdigest() != page.image_sha256:
            raise InputError(f"{path} is not the image that pages.jsonl names; run render again.")
        if not self.allows(page):
            raise NotCleared(f"{path} may not be sent; documents.csv does not call each of its files public.")
        return Cleared(page, image)


def everything(pages: Iterable[Page]) -> Clearance:
    """For a teacher on this machine, from which nothing leaves."""
    return Clearance(frozenset(page.image_sha256 for page in pages))


def cleared(pages: Iterable[Page], manifest: Path) -> Clearance:
    """For a cloud teacher: pages of which each file is `public` in each of its rows.

    `manifest` (CSV: file, sensitivity) may be absent.

    Raises:
        InputError: the manifest lacks a column or is not UTF-8.
    """
    words: dict[str, set[str]] = {}
    for row in read_documents(manifest, "file", "sensitivity"):
        words.setdefault(row.file, set()).add(row.sensitivity.strip())
    seen: set[str] = set()
    denied: set[str] = set()
    for page in pages:
        public = bool(page.files) and all(words.get(file) == {"public"} for file in page.files)
        (seen if public else denied).add(page.image_sha256)
    return Clearance(frozenset(seen - denied), denied)

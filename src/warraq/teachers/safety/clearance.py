"""Who may see a page: documents.csv + the image's own bytes -> `ClearedPage`, the only thing that a teacher sends.

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


class NotClearedError(InputError):
    """The page may not be sent."""


@dataclass(frozen=True)
class ClearedPage:
    """A page whose bytes were proved to be what was cleared. Made by `Clearance.load` alone."""

    page: Page
    image: bytes


@dataclass
class Clearance:
    """`hashes`: of images that may be sent; `denied`: of those that may not, which wins."""

    hashes: frozenset[str]
    denied: set[str] = field(default_factory=set)

    def allows(self, page: Page) -> bool:
        """Whether a page's image may be sent."""
        return page.image_sha256 in self.hashes and page.image_sha256 not in self.denied

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
            raise NotClearedError(f"{path} may not be sent; documents.csv does not call each of its files public.")
        return ClearedPage(page, image)


def clear_all(pages: Iterable[Page]) -> Clearance:
    """For a teacher on this machine, from which nothing leaves."""
    return Clearance(frozenset(page.image_sha256 for page in pages))


def clear_public(pages: Iterable[Page], manifest: Path) -> Clearance:
    """For a cloud teacher: pages of which each file is `public` in each of its rows.

    `manifest` is documents.csv, which may be absent.

    Raises:
        InputError: the manifest lacks a column or is not UTF-8.
    """
    sensitivities: dict[str, set[str]] = {}
    for row in read_documents(manifest, "file", "sensitivity"):
        sensitivities.setdefault(row.file, set()).add(row.sensitivity.strip())
    public: set[str] = set()
    denied: set[str] = set()
    for page in pages:
        is_public = bool(page.files) and all(sensitivities.get(file) == {"public"} for file in page.files)
        (public if is_public else denied).add(page.image_sha256)
    return Clearance(frozenset(public - denied), denied)

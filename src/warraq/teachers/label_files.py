"""Where labelling reads and writes, and what no single teacher knows of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from warraq.records import Label, Page, read_rows
from warraq.teachers.remote.ledger import Ledger
from warraq.teachers.safety.clearance import Manifest
from warraq.teachers.safety.denials import Denials


@dataclass(frozen=True)
class LabelFiles:
    """The folders and files of a task."""

    raw: Path  # of it documents.csv alone is read
    pages: Path
    reviews: Path  # denied.csv among them
    ledger: Path
    out: Path  # labels/<task>.jsonl

    def read_labels(self) -> list[Label]:
        """The labels of the run before, if there was one."""
        return read_rows(self.out, Label) if self.out.exists() else []

    def read_manifest(self, pages: Sequence[Page]) -> Manifest:
        """What documents.csv says of the pages' files."""
        return Manifest.read(pages, self.pages, self.raw)

    def open_denials(self, pages: Sequence[Page], ledger: Ledger, *, search: bool) -> Denials:
        """What no cloud may see; with `search` by all that is known here of the pages."""
        denials = Denials(self.reviews / "denied.csv", ledger, pages)
        if search:
            denials.search(self.pages, self.reviews, self.out.parent)
        return denials

    def describe_clearance(self) -> str:
        """Which documents a cloud teacher may see and why not the others, for the terminal; how many in the last line.

        Raises:
            InputError: documents.csv or denied.csv can be misunderstood.
        """
        pages = read_rows(self.pages / "pages.jsonl", Page)
        with Ledger.open(self.ledger, write=False) as ledger:
            denials = self.open_denials(pages, ledger, search=True)
        return self.read_manifest(pages).describe(pages, denials.reasons)

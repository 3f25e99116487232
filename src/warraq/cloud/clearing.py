"""Which pages may travel to a machine that is not the owner's: those that a cloud teacher might see, and no others.

`documents.csv`, `denied.csv`, the ledger and every mark of secrecy decide, by the same code as for `label`.
"""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from warraq.records import Page, read_rows
from warraq.teachers.label_files import LabelFiles
from warraq.teachers.remote.ledger import Ledger


@dataclass(frozen=True)
class Consignment:
    """The pages that travel, and why others do not."""

    pages: list[Page]
    staying: dict[str, str]  # the names of a document: how many of its pages stay, and why

    @property
    def ids(self) -> set[str]:
        """Of the pages that travel."""
        return {page.page_id for page in self.pages}

    @property
    def documents(self) -> set[str]:
        """Of which a page travels."""
        return {page.document for page in self.pages}

    def describe(self) -> str:
        """What travels and what stays, for the terminal."""
        lines = [f"stays    {names}: {why}" for names, why in sorted(self.staying.items())]
        lines.append(
            f"travels  {len(self.pages)} pages of {len(self.documents)} documents, as images, with their labels"
        )
        lines.append("stays    every file of data/raw, text layers, drafts, the ledger, earlier models and reports")
        return "\n".join(lines)


def choose_pages(root: Path, *, own_host: bool) -> Consignment:
    """The pages of a project that may travel; to a machine of the owner's all of them.

    Raises:
        InputError: nothing is rendered, or documents.csv or denied.csv can be misunderstood.
    """
    data = root / "data"
    files = LabelFiles(data / "raw", data / "pages", data / "reviews", data / "ledger", data / "labels/all.jsonl")
    pages = read_rows(files.pages / "pages.jsonl", Page)
    if own_host:
        return Consignment(pages, {})
    with Ledger.open(files.ledger, write=False) as ledger:
        denials = files.open_denials(pages, ledger, search=True)
    manifest = files.read_manifest(pages)
    clearance = manifest.clear(pages, denials.ids)
    objections: defaultdict[str, list[str]] = defaultdict(list)
    for page in pages:
        if not clearance.allows(page):
            ids = (page.document, *page.containers, page.image_sha256)
            denied = next((denials.reasons[key] for key in ids if denials.reasons.get(key)), None)
            why = manifest.find_objection(page) or denied or "it is also a page of a document that stays"
            objections[", ".join(page.files)].append(why)
    staying = {names: f"{len(whys)} pages; {'; '.join(sorted(set(whys)))}" for names, whys in objections.items()}
    return Consignment([page for page in pages if clearance.allows(page)], staying)

"""Documents -> train, val and test: once and for all, by each document's own hash.

Those that are nearly the same go together. A side is written down when a document is first split, so that none moves
when others come, go or are labelled.
"""

import csv
import hashlib
import io
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from warraq.errors import InputError
from warraq.metrics import duplicates
from warraq.metrics.duplicates import ClosestPair, Fingerprint
from warraq.records import Page

SPLITS = ("train", "val", "test")
FEW_DOCUMENTS = 5
"""Below so many labelled documents no figure says anything: one is for validation and one for the test, at most."""


@dataclass(frozen=True)
class DocumentSplit:
    """The split of each document, the leader of each group of near-duplicates, and the closest pages of two splits."""

    splits: dict[str, str]  # document -> one of SPLITS
    leaders: dict[str, str]  # document -> the first by name of those that are nearly the same
    closest: ClosestPair | None


def hash_to_unit(name: str) -> float:
    """Where a document stands in [0, 1): the same for ever, whatever else is in the folder."""
    return int(hashlib.sha256(f"split {name}".encode()).hexdigest()[:13], 16) / 16**13


def find_documents(names: Iterable[str], pages: Sequence[Page], key: str) -> set[str]:
    """The documents of file names or document ids.

    Raises:
        InputError: a name is of no rendered document; `key` is where params.yaml has it.
    """
    all_documents: set[str] = set()
    for name in names:
        documents = {page.document for page in pages if name == page.document or name in page.files}
        if not documents:
            raise InputError(f"params.yaml: dataset.{key} names {name!r}, which is not among the rendered documents.")
        all_documents |= documents
    return all_documents


def read_splits(path: Path) -> dict[str, str]:
    """Document -> its side as it was written down; empty where nothing was.

    Raises:
        InputError: a row is no document with a side, or a document stands twice.
    """
    if not path.exists():
        return {}
    splits: dict[str, str] = {}
    with path.open(encoding="utf-8-sig", newline="") as stream:
        for row in csv.DictReader(stream):
            document, split = row.get("document"), row.get("split")
            if not document or split not in SPLITS or document in splits:
                raise InputError(
                    f"{path}: the row of {document!r} is no document with one of {', '.join(SPLITS)}, or stands twice; "
                    "mend it, or take the file as git has it."
                )
            splits[document] = split
    return splits


def format_splits(splits: Mapping[str, str]) -> str:
    """The file of the sides, sorted by document."""
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows([("document", "split"), *sorted(splits.items())])
    return stream.getvalue()


def assign_splits(
    leaders: Mapping[str, str], test: set[str], validation: set[str], known: Mapping[str, str],
    *, test_share: float, validation_share: float,
) -> dict[str, str]:  # fmt: skip
    """Document -> its split: as named by hand, else as written down; of the new ones the lowest by hash are test, the
    next val.

    A new document goes where one that it nearly is already is, or is named to go; else where the leader of all that are
    nearly the same goes. A split whose share is above zero and which has no document gets a new one while any other has
    two.

    Args:
        leaders: document -> the first of those that are nearly the same, for a document alone itself.
        test: documents named for test.
        validation: documents named for validation.
        known: document -> its side as it was written down.
        test_share: of the documents.
        validation_share: of the documents.
    """
    given = {document: split for document, split in known.items() if document in leaders}
    given |= dict.fromkeys(validation, "val") | dict.fromkeys(test, "test")
    of_group = {leaders.get(document, document): split for document, split in sorted(given.items(), reverse=True)}
    splits = given | {
        document: of_group[leader]
        for document, leader in leaders.items()
        if document not in given and leader in of_group
    }
    free = sorted({leader for document, leader in leaders.items() if document not in splits}, key=hash_to_unit)
    edge = test_share + validation_share
    by_hash = {
        leader: "test" if hash_to_unit(leader) < test_share else "val" if hash_to_unit(leader) < edge else "train"
        for leader in free
    }
    for split, share in {"test": test_share, "val": validation_share, "train": 1 - edge}.items():
        if share > 0 and split not in {*splits.values(), *by_hash.values()}:
            _give_one(by_hash, split)
    return splits | {document: by_hash[leader] for document, leader in leaders.items() if document not in splits}


def _give_one(splits: dict[str, str], split: str) -> None:
    """Move the first document of the largest split to `split`, unless it is that split's only one."""
    for largest, count in Counter(splits.values()).most_common(1):
        if count > 1:
            splits[next(document for document in splits if splits[document] == largest)] = split


def join_attached(leaders: Mapping[str, str], containers: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Document -> the first of its group, where also those go together that are attached to each other or to another.

    Args:
        leaders: document -> the first of those that are nearly the same.
        containers: document -> those that carry it, which need not be among the former.
    """
    groups = {leader: leader for leader in leaders.values()}

    def find_group(document: str) -> str:
        document = leaders.get(document, document)
        while groups.setdefault(document, document) != document:
            document = groups[document]
        return document

    for document in sorted(leaders):
        for container in containers.get(document, ()):
            groups[find_group(container)] = find_group(document)
    members: dict[str, list[str]] = {}
    for document in leaders:
        members.setdefault(find_group(document), []).append(document)
    return {document: min(group) for group in members.values() for document in group}


def fingerprint_page(page: Page, folder: Path, texts: Iterable[str]) -> Fingerprint:
    """What a page is compared by: its text layer, else what its answers say, and its image.

    Raises:
        InputError: the image cannot be read.
    """
    from PIL import Image

    layer = folder / page.text if page.text else None
    text = layer.read_text(encoding="utf-8") if layer is not None and layer.exists() else " ".join(texts)
    try:
        with Image.open(folder / page.image) as image:
            return Fingerprint(duplicates.hash_shingles(text), duplicates.hash_image(image))
    except OSError:
        raise InputError(f"{folder / page.image} is missing or no image; run `warraq render` again.") from None


def split_documents(
    fingerprints: Mapping[str, Fingerprint], documents: Mapping[str, str], test: set[str], validation: set[str],
    known: Mapping[str, str], containers: Mapping[str, Sequence[str]], *, test_share: float, validation_share: float,
) -> DocumentSplit:  # fmt: skip
    """Split the documents of all pages that have a fingerprint; `documents`: page -> its document, `containers`:
    document -> those that carry it.

    Raises:
        InputError: nearly the same pages are in two splits, because params.yaml names them for these or one of them was
            split before the other came; or a page could not be compared.
    """
    try:
        leaders = duplicates.cluster_documents(fingerprints, documents)
    except ValueError as error:
        raise InputError(
            f"page {error} cannot be told from near-duplicates: it has nothing but what hundreds of other pages have; "
            "take its document out of the labels."
        ) from None
    leaders = join_attached(leaders, containers)
    splits = assign_splits(leaders, test, validation, known, test_share=test_share, validation_share=validation_share)
    closest = duplicates.find_closest_pair(fingerprints, documents, splits)
    if closest and closest.duplicates:
        (one, other), (left, right) = closest.pages, closest.splits
        raise InputError(
            f"page {one} ({left}) and page {other} ({right}) are nearly the same (likeness of their texts "
            f"{closest.similarity}): name both documents for one side in params.yaml, dataset.test_documents or "
            "dataset.validation_documents."
        )
    return DocumentSplit(splits, leaders, closest)

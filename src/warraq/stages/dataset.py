"""labels + reviews -> ShareGPT train.json, val.json, test.json, dataset_info.json, audit.json, README.md.

A person's review beats a teacher's label. The split is by document and decided by the document's own hash, so that no
document is on two sides and none changes sides when others come; documents that say or show nearly the same go
together. What is left out is counted with its reason. Whether a sample fits a student is audited where a student is
trained.
"""

import hashlib
import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError

from warraq import tasks as room
from warraq.errors import InputError, first_problem
from warraq.files import write_json, write_text
from warraq.metrics import duplicates
from warraq.metrics.duplicates import Print
from warraq.records import Label, Page, Sample, Turn, read_reviews, read_rows
from warraq.reports import data_card
from warraq.section import Section

logger = logging.getLogger(__name__)
Split = dict[str, str]  # document -> train, val or test
Leaders = dict[str, str]  # document -> the first of those that are nearly the same
SIDES = ("train", "val", "test")


@dataclass(frozen=True)
class Lesson:
    """A sample, and the values of its answer without those that hold others."""

    sample: Sample
    values: list[Any]

    @property
    def texts(self) -> list[str]:
        return [value for value in self.values if isinstance(value, str)]

    @property
    def silent(self) -> bool:
        """Whether there is nothing to say."""
        return not any(text.strip() for text in self.texts)


class Dataset(Section):
    validation_share: Annotated[float, Field(ge=0, lt=1)]
    test_share: Annotated[float, Field(ge=0, lt=1)]
    validation_documents: list[str]
    test_documents: list[str]
    negative_share: Annotated[float, Field(ge=0, le=1)]


def position(document: str) -> float:
    """Where a document stands in [0, 1): the same for ever, whatever else is in the folder."""
    return int(hashlib.sha256(f"split {document}".encode()).hexdigest()[:13], 16) / 16**13


def split(
    documents: Iterable[str], test: set[str], validation: set[str], parameters: Dataset,
    leaders: Mapping[str, str] | None = None,
) -> Split:  # fmt: skip
    """Documents named by hand go where they are told; of the rest those lowest in `position` are test, the next val.

    `leaders`: document -> the first of those that are nearly the same, all of which go where it goes, or where one that
    is named goes. A side whose share is above zero gets a document while any other side has two.
    """
    leaders = leaders or {}
    documents = set(documents)
    led = {leaders.get(one, one): "val" for one in validation} | {leaders.get(one, one): "test" for one in test}
    sides = dict.fromkeys(validation, "val") | dict.fromkeys(test, "test")
    sides |= {one: led[leaders.get(one, one)] for one in documents - sides.keys() if leaders.get(one, one) in led}
    free = sorted({leaders.get(one, one) for one in documents - sides.keys()}, key=position)
    edges = parameters.test_share, parameters.test_share + parameters.validation_share
    chosen = {
        one: "test" if position(one) < edges[0] else "val" if position(one) < edges[1] else "train" for one in free
    }
    wanted = {"test": parameters.test_share, "val": parameters.validation_share, "train": 1 - edges[1]}
    for side, share in wanted.items():
        counts = Counter(chosen.values())
        there = {*sides.values(), *chosen.values()}
        if share > 0 and side not in there and counts and max(counts.values()) > 1:
            donor = max(counts, key=lambda name: counts[name])
            chosen[next(one for one in free if chosen[one] == donor)] = side
    return sides | {one: chosen[leaders.get(one, one)] for one in documents - sides.keys()}


def named(names: list[str], pages: list[Page], key: str) -> set[str]:
    """Documents of file names or document ids."""
    found = set()
    for name in names:
        documents = {page.document for page in pages if name == page.document or name in page.files}
        if not documents:
            raise InputError(f"params.yaml: dataset.{key} names {name!r}, which is not among the rendered documents.")
        found |= documents
    return found


def answers(task: str, labels: Path, reviews: Path) -> dict[str, Label]:
    """page_id -> its label, with the last review in its place where a person gave one."""
    rows = {row.page_id: row for row in read_rows(labels / f"{task}.jsonl", Label)}
    for page_id, review in read_reviews(reviews, task).items():
        rows[page_id] = Label(
            page_id=page_id, task=task, key="", teacher="human", model=None, reference="gold",
            answer=review.answer, reason=None, message=None,
        )  # fmt: skip
    return rows


def leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from leaves(part)
    else:
        yield value


def sample(page: Page, label: Label) -> Lesson | str:
    """A record to learn from, or the reason why there is none."""
    if label.answer is None:
        return label.reason or "no_answer"
    try:
        prompt, answer = room.load(label.task).pose(label.answer)
    except ValidationError as error:
        if label.teacher != "human":
            return "schema_invalid"
        raise InputError(
            f"the review of page {page.page_id} for task {label.task} does not fit the schema: {first_problem(error)}; "
            f"correct the last row of that page in {label.task}.jsonl of the reviews."
        ) from None
    turns = (Turn(role="user", content="<image>" + prompt), Turn(role="assistant", content=room.dumps(answer)))
    made = Sample(
        page_id=page.page_id, document=page.document, task=label.task, reference=label.reference, images=(page.image,),
        conversations=turns,
    )  # fmt: skip
    return Lesson(made, list(leaves(answer)))


def printed(page: Page, folder: Path, texts: list[str]) -> Print:
    """What a page is compared by: its text layer, else what its answers say, and its looks."""
    from PIL import Image

    layer = folder / page.text if page.text else None
    text = layer.read_text(encoding="utf-8") if layer is not None and layer.exists() else " ".join(texts)
    try:
        with Image.open(folder / page.image) as image:
            return Print(duplicates.shingles(text), duplicates.looks(image))
    except OSError:
        raise InputError(f"{folder / page.image} is missing or no image; run `warraq render` again.") from None


def info() -> dict[str, Any]:
    """dataset_info.json: how LLaMA-Factory reads the files; tags not named here it would take as absent."""
    tags = {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"}
    columns = {"messages": "conversations", "images": "images"}
    return {
        name: {"file_name": f"{name}.json", "formatting": "sharegpt", "columns": columns, "tags": tags}
        for name in SIDES
    }


def gathered(
    tasks: list[str], pages: list[Page], labels: Path, reviews: Path
) -> tuple[list[Lesson], dict[str, Counter[str]]]:
    """All that can be learned, task by task and in the order of the pages; of each task what is left out, by reason."""
    found: list[Lesson] = []
    left_out: dict[str, Counter[str]] = {}
    for task in tasks:
        known, reasons = answers(task, labels, reviews), left_out.setdefault(task, Counter())
        for page in pages:
            made = sample(page, known[page.page_id]) if page.page_id in known else "no_label"
            if isinstance(made, str):
                reasons[made] += 1
            else:
                found.append(made)
    return found, left_out


def divided(
    lessons: list[Lesson], pages: list[Page], folder: Path, test: set[str], validation: set[str], parameters: Dataset
) -> tuple[Split, Leaders, dict[str, Any] | None]:
    """The side of each document; of those with samples the leader; the closest pair of pages on two sides.

    Raises:
        InputError: nearly the same pages are on two sides, because params.yaml names them for these.
    """
    texts: dict[str, list[str]] = {}
    for lesson in lessons:
        texts.setdefault(lesson.sample.page_id, []).extend(lesson.texts)
    prints = {page.page_id: printed(page, folder, texts[page.page_id]) for page in pages if page.page_id in texts}
    documents = {page.page_id: page.document for page in pages if page.page_id in texts}
    leaders = duplicates.clusters(prints, documents)
    sides = split(leaders.keys(), test, validation, parameters, leaders)
    closest = duplicates.across(prints, documents, sides)
    if closest and duplicates.same(*(prints[name] for name in closest["pages"])):
        (one, left), (other, right) = ((name, sides[documents[name]]) for name in closest["pages"])
        raise InputError(
            f"page {one} ({left}) and page {other} ({right}) are nearly the same (likeness of their texts "
            f"{closest['likeness']}): name both documents for one side in params.yaml, dataset.test_documents or "
            "dataset.validation_documents."
        )
    return sides, leaders, closest


def surplus(lessons: list[Lesson], share: float) -> list[Lesson]:
    """The silent ones that are more than their share of what would be left, by `position`."""
    silent = [one for one in lessons if one.silent]
    most = int((len(lessons) - len(silent)) * share / (1 - share)) if share < 1 else len(silent)
    return sorted(silent, key=lambda one: position(f"{one.sample.page_id} {one.sample.task}"))[most:]


def summary(
    parts: dict[str, list[Lesson]], left_out: dict[str, Counter[str]], leaders: Leaders, closest: dict[str, Any] | None
) -> dict[str, Any]:
    """audit.json."""
    counts = {}
    for name, part in parts.items():
        samples = [one.sample for one in part]
        counts[name] = {
            "documents": len({one.document for one in samples}),
            "pages": len({one.page_id for one in samples}),
            "samples": dict(sorted(Counter(one.task for one in samples).items())),
            "references": dict(sorted(Counter(one.reference for one in samples).items())),
        }
    groups = [size for size in Counter(leaders.values()).values() if size > 1]
    learned = [value for one in parts["train"] for value in one.values]
    return {
        "splits": counts,
        "left_out": {task: dict(sorted(reasons.items())) for task, reasons in left_out.items()},
        "leaks": {"clusters": len(groups), "documents": sum(groups), "closest": closest},
        "negatives": {
            "samples": sum(one.silent for one in parts["train"]),
            "of": len(parts["train"]),
            "null_fields": round(sum(value is None for value in learned) / max(1, len(learned)), 3),
        },
    }


def run(pages: Path, labels: Path, reviews: Path, out: Path, tasks: list[str], parameters: Dataset) -> None:
    rows = read_rows(pages / "pages.jsonl", Page)
    test = named(parameters.test_documents, rows, "test_documents")
    validation = named(parameters.validation_documents, rows, "validation_documents")
    if test & validation:
        raise InputError(f"params.yaml: dataset names document {min(test & validation)} for test and for validation.")
    lessons, left_out = gathered(tasks, rows, labels, reviews)
    sides, leaders, closest = divided(lessons, rows, pages, test, validation, parameters)
    parts = {name: [one for one in lessons if sides[one.sample.document] == name] for name in SIDES}
    for one in surplus(parts["train"], parameters.negative_share):
        left_out[one.sample.task]["negative_surplus"] += 1
        parts["train"].remove(one)
    missing = sum(left_out.values(), Counter())
    for name, part in parts.items():
        if not part:
            raise InputError(
                f"{labels} gives no {name} sample ({len(lessons)} samples of {len(sides)} documents; left out: "
                f"{dict(sorted(missing.items()))}); label more documents or change the shares in params.yaml."
            )
    for name, part in parts.items():
        ordered = sorted((one.sample for one in part), key=lambda one: (one.page_id, one.task))
        write_json(out / f"{name}.json", [one.model_dump(mode="json") for one in ordered])
    write_json(out / "dataset_info.json", info())
    audit = summary(parts, left_out, leaders, closest)
    write_json(out / "audit.json", audit)
    write_text(out / "README.md", data_card.build(audit, parameters.test_share, parameters.validation_share))
    told = ", ".join(f"{name} {len(part)} samples of {audit['splits'][name]['documents']} documents"
                     for name, part in parts.items())  # fmt: skip
    logger.info("dataset: %s; left out %d", told, missing.total())

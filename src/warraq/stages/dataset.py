"""labels + reviews -> ShareGPT train.json, val.json, test.json, dataset_info.json, audit.json.

A person's review beats a teacher's label. The split is by document and decided by the document's own hash, so that no
document is on two sides and none changes sides when others come. What is left out is counted with its reason.
"""

import hashlib
import logging
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError

from warraq import tasks as room
from warraq.records import InputError, Label, Page, Sample, Turn, problem, read_reviews, read_rows, write_json
from warraq.section import Section

logger = logging.getLogger(__name__)
Split = dict[str, str]  # document -> train, val or test

# A target that holds one of these would be read as a command by the trainer's template.
CONTROL = (
    "<image>", "<video>", "<audio>", "<start_of_turn>", "<end_of_turn>", "<start_of_image>", "<|im_start|>",
    "<|im_end|>",
)  # fmt: skip


class Dataset(Section):
    validation_share: Annotated[float, Field(ge=0, lt=1)]
    test_share: Annotated[float, Field(ge=0, lt=1)]
    validation_documents: list[str]
    test_documents: list[str]


def position(document: str) -> float:
    """Where a document stands in [0, 1): the same for ever, whatever else is in the folder."""
    return int(hashlib.sha256(f"split {document}".encode()).hexdigest()[:13], 16) / 16**13


def split(documents: Iterable[str], test: set[str], validation: set[str], parameters: Dataset) -> Split:
    """Documents named by hand go where they are told; of the rest those lowest in `position` are test, the next val.

    A side whose share is above zero gets a document while any other side has two.
    """
    free = sorted(set(documents) - test - validation, key=position)
    sides = dict.fromkeys(test, "test") | dict.fromkeys(validation, "val")
    edges = parameters.test_share, parameters.test_share + parameters.validation_share
    for document in free:
        place = position(document)
        sides[document] = "test" if place < edges[0] else "val" if place < edges[1] else "train"
    wanted = {"test": parameters.test_share, "val": parameters.validation_share, "train": 1 - edges[1]}
    for side, share in wanted.items():
        counts = Counter(sides[document] for document in free)
        if share > 0 and side not in sides.values() and counts and max(counts.values()) > 1:
            donor = max(counts, key=lambda name: counts[name])
            sides[next(document for document in free if sides[document] == donor)] = side
    return sides


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


def sample(page: Page, label: Label) -> Sample | str:
    """A record to learn from, or the reason why there is none."""
    if label.answer is None:
        return label.reason or "no_answer"
    module = room.load(label.task)
    try:
        answer = module.Answer.model_validate(label.answer).model_dump(mode="json")
    except ValidationError as error:
        if label.teacher != "human":
            return "schema_invalid"
        raise InputError(
            f"the review of page {page.page_id} for task {label.task} does not fit the schema: {problem(error)}; "
            f"correct the last row of that page in {label.task}.jsonl of the reviews."
        ) from None
    text = room.dumps(answer)
    if any(word in text for word in CONTROL):
        return "control_text"
    return Sample(
        page_id=page.page_id, document=page.document, task=label.task, reference=label.reference, images=(page.image,),
        conversations=(Turn(role="user", content="<image>" + module.PROMPT), Turn(role="assistant", content=text)),
    )  # fmt: skip


def info() -> dict[str, Any]:
    """dataset_info.json: how LLaMA-Factory reads the files; tags not named here it would take as absent."""
    tags = {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"}
    columns = {"messages": "conversations", "images": "images"}
    return {
        name: {"file_name": f"{name}.json", "formatting": "sharegpt", "columns": columns, "tags": tags}
        for name in ("train", "val", "test")
    }


def run(pages: Path, labels: Path, reviews: Path, out: Path, tasks: list[str], parameters: Dataset) -> None:
    rows = read_rows(pages / "pages.jsonl", Page)
    test = named(parameters.test_documents, rows, "test_documents")
    validation = named(parameters.validation_documents, rows, "validation_documents")
    if test & validation:
        raise InputError(f"params.yaml: dataset names document {min(test & validation)} for test and for validation.")

    samples: list[Sample] = []
    left_out: dict[str, Counter[str]] = {}
    for task in tasks:
        known = answers(task, labels, reviews)
        reasons = left_out.setdefault(task, Counter())
        for page in rows:
            made = sample(page, known[page.page_id]) if page.page_id in known else "no_label"
            if isinstance(made, str):
                reasons[made] += 1
            else:
                samples.append(made)

    sides = split({one.document for one in samples}, test, validation, parameters)
    parts = {name: [one for one in samples if sides[one.document] == name] for name in ("train", "val", "test")}
    for name, part in parts.items():
        if not part:
            reasons = sum(left_out.values(), Counter())
            raise InputError(
                f"{labels} gives no {name} sample ({len(samples)} samples of {len(sides)} documents; left out: "
                f"{dict(sorted(reasons.items()))}); label more documents or change the shares in params.yaml."
            )
    seen = {name: {one.document for one in part} for name, part in parts.items()}
    if seen["train"] & seen["test"] or seen["train"] & seen["val"] or seen["val"] & seen["test"]:
        raise AssertionError("a document is on two sides of the split")

    for name, part in parts.items():
        ordered = sorted(part, key=lambda one: (one.page_id, one.task))
        write_json(out / f"{name}.json", [one.model_dump(mode="json") for one in ordered])
    write_json(out / "dataset_info.json", info())
    counts = {
        name: {
            "documents": len(seen[name]),
            "pages": len({one.page_id for one in part}),
            "samples": dict(sorted(Counter(one.task for one in part).items())),
            "references": dict(sorted(Counter(one.reference for one in part).items())),
        }
        for name, part in parts.items()
    }
    write_json(
        out / "audit.json",
        {"splits": counts, "left_out": {task: dict(sorted(reasons.items())) for task, reasons in left_out.items()}},
    )
    logger.info(
        "dataset: %s; left out %d",
        ", ".join(f"{name} {len(part)} samples of {len(seen[name])} documents" for name, part in parts.items()),
        sum(sum(reasons.values()) for reasons in left_out.values()),
    )

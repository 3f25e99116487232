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
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError

from warraq import tasks as room
from warraq.metrics import duplicates
from warraq.metrics.duplicates import Print
from warraq.records import (
    InputError,
    Label,
    Page,
    Sample,
    Turn,
    problem,
    read_reviews,
    read_rows,
    write_json,
    write_text,
)
from warraq.section import Section

logger = logging.getLogger(__name__)
Split = dict[str, str]  # document -> train, val or test
SIDES = ("train", "val", "test")


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


def sample(page: Page, label: Label) -> tuple[Sample, dict[str, Any]] | str:
    """A record to learn from and its answer, or the reason why there is none."""
    if label.answer is None:
        return label.reason or "no_answer"
    module = room.load(label.task)
    try:
        prompt, answer = module.asked(label.answer) if hasattr(module, "asked") else (module.PROMPT, label.answer)
        answer = module.Answer.model_validate(answer).model_dump(mode="json")
    except ValidationError as error:
        if label.teacher != "human":
            return "schema_invalid"
        raise InputError(
            f"the review of page {page.page_id} for task {label.task} does not fit the schema: {problem(error)}; "
            f"correct the last row of that page in {label.task}.jsonl of the reviews."
        ) from None
    turns = (Turn(role="user", content="<image>" + prompt), Turn(role="assistant", content=room.dumps(answer)))
    made = Sample(
        page_id=page.page_id, document=page.document, task=label.task, reference=label.reference, images=(page.image,),
        conversations=turns,
    )  # fmt: skip
    return made, answer


def leaves(value: Any) -> Iterator[Any]:
    """The values of an answer, without those that hold others."""
    if isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from leaves(part)
    else:
        yield value


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


def card(audit: dict[str, Any], parameters: Dataset) -> str:
    """README.md: what the dataset is, for whoever gets it."""

    def counted(counts: dict[str, int]) -> str:
        return ", ".join(f"{count} {name}" for name, count in counts.items())

    rows = "\n".join(
        f"| {side} | {one['documents']} | {one['pages']} | {counted(one['samples'])} | {counted(one['references'])} |"
        for side, one in audit["splits"].items()
    )
    left_out = "; ".join(f"{task}: {counted(reasons)}" for task, reasons in audit["left_out"].items() if reasons)
    leaks, negatives, closest = audit["leaks"], audit["negatives"], audit["leaks"]["closest"]
    near = f"{closest['likeness']} ({' and '.join(closest['pages'])})" if closest else "none"
    return f"""# Dataset

ShareGPT samples (`conversations`; `images` relative to the pages) of page images and their labels. The pages are
somebody's documents: check their rights before this folder leaves the house.

| side | documents | pages | samples | who vouches |
|---|---|---|---|---|
{rows}

* Split by document and by its hash: {parameters.test_share} test, {parameters.validation_share} validation.
* {leaks["clusters"]} groups of near-duplicates, {leaks["documents"]} documents, were kept on one side each.
* Likeness of the closest pair across sides: {near}; from {duplicates.TEXT} on, two pages are the same.
* {negatives["samples"]} of {negatives["of"]} training samples have nothing to say.
* {negatives["null_fields"]} of the training samples' values are null.
* Left out: {left_out or "nothing"}.
"""


def run(pages: Path, labels: Path, reviews: Path, out: Path, tasks: list[str], parameters: Dataset) -> None:
    rows = read_rows(pages / "pages.jsonl", Page)
    test = named(parameters.test_documents, rows, "test_documents")
    validation = named(parameters.validation_documents, rows, "validation_documents")
    if test & validation:
        raise InputError(f"params.yaml: dataset names document {min(test & validation)} for test and for validation.")

    samples: list[Sample] = []
    values: dict[tuple[str, str], list[Any]] = {}
    left_out: dict[str, Counter[str]] = {}
    for task in tasks:
        known = answers(task, labels, reviews)
        reasons = left_out.setdefault(task, Counter())
        for page in rows:
            made = sample(page, known[page.page_id]) if page.page_id in known else "no_label"
            if isinstance(made, str):
                reasons[made] += 1
            else:
                samples.append(made[0])
                values[made[0].page_id, task] = list(leaves(made[1]))

    shown = {one.page_id for one in samples}
    by_name = {page.page_id: page for page in rows if page.page_id in shown}
    texts: dict[str, list[str]] = {}
    for (page_id, _), found in values.items():
        texts.setdefault(page_id, []).extend(value for value in found if isinstance(value, str))
    prints = {name: printed(page, pages, texts[name]) for name, page in by_name.items()}
    documents = {name: page.document for name, page in by_name.items()}
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
    parts = {name: [one for one in samples if sides[one.document] == name] for name in SIDES}

    silent = {key for key, found in values.items() if not any(isinstance(v, str) and v.strip() for v in found)}
    negatives = [one for one in parts["train"] if (one.page_id, one.task) in silent]
    share = parameters.negative_share
    room_for = int((len(parts["train"]) - len(negatives)) * share / (1 - share)) if share < 1 else len(negatives)
    surplus = sorted(negatives, key=lambda one: position(f"{one.page_id} {one.task}"))[room_for:]
    for one in surplus:
        left_out[one.task]["negative_surplus"] += 1
        parts["train"].remove(one)
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
    learned = [value for one in parts["train"] for value in values[one.page_id, one.task]]
    sizes = Counter(leaders[document] for document in sides if document in leaders)
    audit = {
        "splits": counts,
        "left_out": {task: dict(sorted(reasons.items())) for task, reasons in left_out.items()},
        "leaks": {
            "clusters": sum(size > 1 for size in sizes.values()),
            "documents": sum(size for size in sizes.values() if size > 1),
            "closest": closest,
        },
        "negatives": {
            "samples": len(negatives) - len(surplus),
            "of": len(parts["train"]),
            "null_fields": round(sum(value is None for value in learned) / max(1, len(learned)), 3),
        },
    }
    write_json(out / "audit.json", audit)
    write_text(out / "README.md", card(audit, parameters))
    logger.info(
        "dataset: %s; left out %d",
        ", ".join(f"{name} {len(part)} samples of {len(seen[name])} documents" for name, part in parts.items()),
        sum(sum(reasons.values()) for reasons in left_out.values()),
    )

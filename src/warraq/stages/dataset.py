"""labels + reviews -> ShareGPT train.json, val.json, test.json, dataset_info.json, audit.json, README.md.

A person's review beats a teacher's label. The split is by document, decided once by the document's own hash and written
down, so that no document is in two splits and none moves when others come; those that say or show nearly the same go
together.
What is left out is counted with its reason. Whether a sample fits a student is audited where a student is trained.
"""

import logging
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field

from warraq.datasets.audit import summarize
from warraq.datasets.samples import LabelledSample, Reasons, collect_samples, excess_negatives
from warraq.datasets.splits import (
    SPLITS,
    DocumentSplit,
    find_documents,
    fingerprint_page,
    format_splits,
    read_splits,
    split_documents,
)
from warraq.errors import InputError
from warraq.files import JsonObject, write_json, write_text
from warraq.records import Page, read_rows
from warraq.reports import data_card
from warraq.section import Section

logger = logging.getLogger(__name__)


class Dataset(Section):
    """`dataset:` in params.yaml."""

    validation_share: Annotated[float, Field(ge=0, lt=1)]
    test_share: Annotated[float, Field(ge=0, lt=1)]
    validation_documents: list[str]
    test_documents: list[str]
    negative_share: Annotated[float, Field(ge=0, le=1)]


def dataset_info() -> JsonObject:
    """dataset_info.json: how LLaMA-Factory reads the files; tags not named here it would take as absent."""
    tags = {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"}
    columns = {"messages": "conversations", "images": "images"}
    return {
        name: {"file_name": f"{name}.json", "formatting": "sharegpt", "columns": columns, "tags": tags}
        for name in SPLITS
    }


def split_samples(
    samples: Sequence[LabelledSample], rows: Sequence[Page], pages: Path, known: Mapping[str, str], parameters: Dataset
) -> DocumentSplit:
    """Split the documents of the samples; `known` are the sides that were written down before.

    Raises:
        InputError: params.yaml names a document that is not there, one for two splits, or near-duplicates apart.
    """
    test = find_documents(parameters.test_documents, rows, "test_documents")
    validation = find_documents(parameters.validation_documents, rows, "validation_documents")
    if test & validation:
        raise InputError(f"params.yaml: dataset names document {min(test & validation)} for test and for validation.")
    texts: dict[str, list[str]] = defaultdict(list)
    for one in samples:
        texts[one.sample.page_id] += one.texts
    labelled = [page for page in rows if page.page_id in texts]
    return split_documents(
        {page.page_id: fingerprint_page(page, pages, texts[page.page_id]) for page in labelled},
        {page.page_id: page.document for page in labelled},
        test,
        validation,
        known,
        {page.document: page.containers for page in labelled},
        test_share=parameters.test_share,
        validation_share=parameters.validation_share,
    )


def write_samples(out: Path, parts: Mapping[str, Sequence[LabelledSample]]) -> None:
    """<out>/<split>.json, sorted by page and task."""
    for name, part in parts.items():
        samples = sorted((one.sample for one in part), key=lambda sample: (sample.page_id, sample.task))
        write_json(out / f"{name}.json", [sample.model_dump(mode="json") for sample in samples])


def run(
    *, pages: Path, labels: Path, reviews: Path, splits: Path, out: Path, tasks: Sequence[str], parameters: Dataset
) -> None:
    """Write the dataset, and the sides of new documents to `splits`, beside those that it has.

    Raises:
        InputError: see `collect_samples` and `split_samples`; or a split is left without samples.
    """
    rows = read_rows(pages / "pages.jsonl", Page)
    samples, left_out = collect_samples(tasks, rows, labels, reviews)
    known = read_splits(splits)
    split = split_samples(samples, rows, pages, known, parameters)
    parts = {name: [one for one in samples if split.splits[one.sample.document] == name] for name in SPLITS}
    for one in excess_negatives(parts["train"], parameters.negative_share):
        left_out[one.sample.task]["negative_surplus"] += 1
        parts["train"].remove(one)
    total: Reasons = sum(left_out.values(), Counter())
    reasons = ", ".join(f"{reason} {count}" for reason, count in sorted(total.items()))
    told = f"left out {total.total()}" + (f" ({reasons})" if reasons else "")
    for name, part in parts.items():
        if not part:
            raise InputError(
                f"{labels} gives no {name} sample ({len(samples)} samples of {len(split.splits)} documents; {told}); "
                "label more documents or change the shares in params.yaml."
            )
    write_text(splits, format_splits({**known, **split.splits}))
    write_samples(out, parts)
    write_json(out / "dataset_info.json", dataset_info())
    audit = summarize(parts, left_out, split)
    write_json(out / "audit.json", audit)
    write_text(out / "README.md", data_card.render_data_card(audit, parameters.test_share, parameters.validation_share))
    counts = ", ".join(
        f"{name} {len(part)} samples of {audit['splits'][name]['documents']} documents" for name, part in parts.items()
    )
    logger.info("dataset: %s; %s", counts, told)

"""A document's pages, answers and rejections -> its JSON and its Markdown."""

from collections.abc import Sequence
from typing import Any

from warraq.records import Page, Rejected
from warraq.serving.answers import Reading
from warraq.serving.finished_model import Model

SAID = {
    "schema_invalid": "the answer did not fit its schema and was asked for again",
    "truncated": "the answer was longer than the limit and is cut",
    "loop": "the answer went round in circles and is cut",
    "low_confidence": "the model is less sure than the threshold",
}


def as_json(
    model: Model, document: str, names: Sequence[str], pages: Sequence[Page], readings: Sequence[Reading],
    rejected: Sequence[Rejected],
) -> dict[str, Any]:  # fmt: skip
    """The document with its pages in order, each with its answers by task."""
    by_page: dict[int, dict[str, Any]] = {page.page: {} for page in pages}
    for one in sorted(readings, key=lambda one: (one.page, one.task)):
        by_page[one.page][one.task] = one.model_dump(mode="json", exclude={"document", "page", "task"})
    return {
        "document": document,
        "files": list(names),
        "model": {"name": model.folder.name, "sha256": model.key},
        "pages": [
            {"page": page.page, "width_px": page.width_px, "height_px": page.height_px, "answers": by_page[page.page]}
            for page in pages
        ],
        "rejected": [row.model_dump(mode="json", include={"page", "reason", "message"}) for row in rejected],
    }


def as_markdown(model: Model, document: dict[str, Any]) -> str:
    """The text of each page, then what else was asked as JSON; what needs a person says so."""
    parts = []
    for page in document["pages"]:
        parts.append(f"<!-- page {page['page']} -->")
        for name, held in page["answers"].items():
            if held["needs_review"]:
                parts.append(f"> **Needs review** ({name}): {'; '.join(SAID[reason] for reason in held['reasons'])}.")
            parts.append(model.tasks[name].task.write_markdown(held["answer"]))
    for row in document["rejected"]:
        where = f"Page {row['page']}" if row["page"] else "The file"
        parts.append(f"> **{where} was not read** ({row['reason']}): {row['message']}")
    return "\n\n".join(part for part in parts if part) + "\n"

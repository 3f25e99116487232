"""audit.json of a dataset -> its README.md: what it is, for whoever gets it."""

from collections.abc import Mapping

from warraq.files import JsonObject
from warraq.metrics import duplicates


def render_data_card(audit: JsonObject, test_share: float, validation_share: float) -> str:
    """The card as Markdown."""
    rows = "\n".join(
        f"| {split} | {counts['documents']} | {counts['pages']} "
        f"| {_list_counts(counts['samples'])} | {_list_counts(counts['references'])} |"
        for split, counts in audit["splits"].items()
    )
    left_out = "; ".join(f"{task}: {_list_counts(reasons)}" for task, reasons in audit["left_out"].items() if reasons)
    leaks, negatives, closest = audit["leaks"], audit["negatives"], audit["leaks"]["closest"]
    near = f"{closest['likeness']} ({' and '.join(closest['pages'])})" if closest else "none"
    return f"""# Dataset

ShareGPT samples (`conversations`; `images` relative to the pages) of page images and their labels. The pages are
somebody's documents: check their rights before this folder leaves the house.

| side | documents | pages | samples | who vouches |
|---|---|---|---|---|
{rows}

* Split by document and by its hash: {test_share} test, {validation_share} validation.
* {leaks["clusters"]} groups of near-duplicates, {leaks["documents"]} documents, were kept on one side each.
* Likeness of the closest pair across sides: {near}; from {duplicates.TEXT} on, two pages are the same.
* {negatives["samples"]} of {negatives["of"]} training samples have nothing to say.
* {negatives["null_fields"]} of the training samples' values are null.
* Left out: {left_out or "nothing"}.
"""


def _list_counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items())

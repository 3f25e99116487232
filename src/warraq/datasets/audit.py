"""What a dataset holds and leaves out, in numbers: audit.json."""

from collections import Counter
from collections.abc import Mapping, Sequence

from warraq.datasets.samples import LabelledSample, Reasons
from warraq.datasets.splits import DocumentSplit
from warraq.files import JsonObject


def summarize(
    parts: Mapping[str, Sequence[LabelledSample]], left_out: Mapping[str, Reasons], split: DocumentSplit
) -> JsonObject:
    """audit.json, of the samples of each split."""
    groups = [size for size in Counter(split.leaders.values()).values() if size > 1]
    training = parts["train"]
    values = [value for one in training for value in one.values]
    return {
        "splits": {name: _count(part) for name, part in parts.items()},
        "left_out": {task: dict(sorted(reasons.items())) for task, reasons in left_out.items()},
        "leaks": {"clusters": len(groups), "documents": sum(groups), "closest": _closest(split)},
        "negatives": {
            "samples": sum(one.is_negative for one in training),
            "of": len(training),
            "null_fields": round(sum(value is None for value in values) / max(1, len(values)), 3),
        },
    }


def _count(part: Sequence[LabelledSample]) -> JsonObject:
    samples = [one.sample for one in part]
    return {
        "documents": len({sample.document for sample in samples}),
        "pages": len({sample.page_id for sample in samples}),
        "samples": dict(sorted(Counter(sample.task for sample in samples).items())),
        "references": dict(sorted(Counter(sample.reference for sample in samples).items())),
    }


def _closest(split: DocumentSplit) -> JsonObject | None:
    if split.closest is None:
        return None
    return {"pages": split.closest.pages, "likeness": split.closest.similarity, "sides": split.closest.splits}

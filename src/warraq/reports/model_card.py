"""metrics.json and the proof of merge -> the model card, Markdown with the header that the Hugging Face hub reads."""

from pathlib import Path
from typing import NotRequired, TypedDict

from warraq.files import read_json, short_hash
from warraq.metrics.catalogue import SCORES
from warraq.reports import comparison
from warraq.reports.comparison import HEADLINE
from warraq.reports.student_metrics import StudentMetrics
from warraq.views import PAGE, SHARED, Views


class Lineage(TypedDict):
    """What the proof of merge says of a model: its base and the revision of that; `lora` or `full` tuning."""

    base: str
    revision: str
    tuning: str
    views: NotRequired[Views]  # of a page; not in proofs of before there were others than `page`


def render_model_card(metrics: StudentMetrics, lineage: Lineage, dataset: Path, name: str) -> str:
    """The card of a student; `lineage` is merge's parity.json."""
    verdict = comparison.decide_verdict(metrics)
    columns = [variant for variant in comparison.VARIANTS if variant in metrics.variants]
    rows = []
    for score in HEADLINE:
        if metrics.has_score(score):
            cells = [comparison.format_score(metrics.get_score(variant, score)) for variant in columns]
            rows.append(f"| {SCORES[score].label} | {' | '.join(cells)} |")
    graphs = f"`models/{name}/onnx` with onnxruntime, or " * ("onnx" in columns)
    base, reference = lineage["base"], comparison.describe_reference(metrics)
    views = lineage.get("views", PAGE)
    bands = (
        f"\nShow each page as {views}: the whole page, then strips of it from top to bottom, as wide as it and all of\n"
        f"one height; neighbours share 1/{SHARED} of the page's. `warraq read` and `warraq serve` cut them.\n"
    )
    header = f"base_model: {base}\n" if "/" in base else ""
    limits = [
        *comparison.list_left_out(metrics),
        comparison.describe_losses(metrics),
        comparison.describe_lost(metrics),
    ]
    notes = "".join(f"* {line}\n" for line in limits if line)
    return f"""---
{header}pipeline_tag: image-text-to-text
language: [ar, en]
---

# {name}

{verdict.sentence}, {verdict.rest}.

## What it was trained on

| | |
|---|---|
| base | {base}, revision `{lineage["revision"]}` |
| tuning | {comparison.describe_tuning(metrics)} |
| a page is shown as | {views} |
| training set | {_describe_split(dataset, "train")} |
| validation set | {_describe_split(dataset, "val")} |
| test set | {comparison.describe_size(metrics)}; `test.json` {metrics.get_text("test_sha256")} |
| prompts | {metrics.get_text("prompts_sha256")} |
| images, preprocessing | {metrics.get_text("images_sha256")}, {metrics.get_text("preprocessing_sha256")} |

Hashes are the first 12 hex digits of SHA-256. No page of a test document was trained on.

## Scores

Against {reference}. Brackets are 95 % intervals over documents. {verdict.word.capitalize()}.

| | {" | ".join(columns)} |
|---|{"---|" * len(columns)}
{chr(10).join(rows)}

## Limits

* These scores hold for documents like those of the test set, and for its prompts; nothing else was measured.
{notes}* It may write what does not stand on the page: see the rates of added characters and invented fields above.

## Serving

{graphs}`models/{name}/merged` with transformers or any server that speaks OpenAI's
interface. Ask with the task's prompt, image first, greedily.
{bands * (views != PAGE)}"""


def _describe_split(dataset: Path, split: str) -> str:
    counts = read_json(dataset / "audit.json")["splits"][split]
    samples = ", ".join(f"{count} {task}" for task, count in counts["samples"].items())
    references = ", ".join(f"{count} {kind}" for kind, count in counts["references"].items())
    samples_file = dataset / f"{split}.json"
    digest = short_hash(samples_file.read_bytes()) if samples_file.exists() else "is not here"
    size = ", ".join(comparison.format_count(counts[f"{noun}s"], noun) for noun in ("document", "page"))
    return f"{size}; {samples}; {references}; `{split}.json` {digest}"

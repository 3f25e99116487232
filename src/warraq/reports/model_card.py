"""metrics.json and the proof of merge -> the model card, Markdown with the header that the Hugging Face hub reads."""

from pathlib import Path
from typing import Any

from warraq.files import read_json, short_hash
from warraq.metrics.catalogue import SCORES
from warraq.reports import comparison
from warraq.reports.comparison import HEADLINE, Metrics


def render_model_card(metrics: Metrics, lineage: dict[str, Any], dataset: Path, name: str) -> str:
    """The card of a student; `lineage` is merge's parity.json."""
    word, sentence, rest = comparison.decide_verdict(metrics)
    columns = [variant for variant in comparison.VARIANTS if variant in comparison.list_variants(metrics)]
    rows = [
        f"| {SCORES[score].label} | {' | '.join(_format_cell(metrics, variant, score) for variant in columns)} |"
        for score in HEADLINE
        if comparison.has_score(metrics, score)
    ]
    graphs = f"`models/{name}/onnx` with onnxruntime, or " * ("onnx" in columns)
    base = lineage["base"]
    header = f"base_model: {base}\n" if "/" in base else ""
    told = [*comparison.list_left_out(metrics), comparison.describe_losses(metrics)]
    notes = "".join(f"* {line}\n" for line in told if line)
    return f"""---
{header}pipeline_tag: image-text-to-text
language: [ar, en]
---

# {name}

{sentence}, {rest}.

## What it was trained on

| | |
|---|---|
| base | {base}, revision `{lineage["revision"]}` |
| tuning | {comparison.TUNED[metrics["tuning"]]} |
| training set | {_describe_split(dataset, "train")} |
| validation set | {_describe_split(dataset, "val")} |
| test set | {comparison.describe_size(metrics)}; `test.json` {metrics["test_sha256"]} |
| prompts | {metrics["prompts_sha256"]} |
| images, preprocessing | {metrics["images_sha256"]}, {metrics["preprocessing_sha256"]} |

Hashes are the first 12 hex digits of SHA-256. No page of a test document was trained on.

## Scores

Against {comparison.VOUCHED[metrics["reference"]]}. Brackets are 95 % intervals over documents. {word.capitalize()}.

| | {" | ".join(columns)} |
|---|{"---|" * len(columns)}
{chr(10).join(rows)}

## Limits

* These scores hold for documents like those of the test set, and for its prompts; nothing else was measured.
{notes}* It may write what does not stand on the page: see the rates of added characters and invented fields above.

## Serving

{graphs}`models/{name}/merged` with transformers or any server that speaks OpenAI's
interface. Ask with the task's prompt, image first, greedily.
"""


def _format_cell(metrics: Metrics, variant: str, score: str) -> str:
    key = f"{variant}_{score}"
    return f"{comparison.format_number(metrics[key])} {comparison.format_interval(metrics, key)}".strip()


def _describe_split(dataset: Path, side: str) -> str:
    counts = read_json(dataset / "audit.json")["splits"][side]
    samples = ", ".join(f"{count} {task}" for task, count in counts["samples"].items())
    vouched = ", ".join(f"{count} {kind}" for kind, count in counts["references"].items())
    digest = short_hash((dataset / f"{side}.json").read_bytes())
    size = ", ".join(comparison.format_count(counts[f"{noun}s"], noun) for noun in ("document", "page"))
    return f"{size}; {samples}; {vouched}; `{side}.json` {digest}"

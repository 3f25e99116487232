"""fp32 graphs + validation answers -> the precision that is shipped, and what each one costs.

A lower precision is not the same model: it is shipped only if it costs little enough.
"""

import logging
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from warraq import tasks
from warraq.exporters.onnx import quantize
from warraq.exporters.onnx.quantize import Block, Precision
from warraq.metrics.degradation import AnswerPair, measure_degradation
from warraq.records import Sample
from warraq.runtimes import Request

logger = logging.getLogger(__name__)

BATCH = 8
Questions = Sequence[tuple[Sample, Request]]
Cost = dict[str, Any]
"""What `measure_degradation` gives, whether it `passed`, and the `bytes` of the graphs."""


def answer_all(folder: Path, questions: Questions, limit: int, mapped: bool = False) -> tuple[list[str], float]:
    """The raw answers of the graphs in `folder`, of at most `limit` tokens, and the seconds that they took."""
    from warraq.runtimes.onnx import OnnxRuntime

    runtime, began = OnnxRuntime(folder, mapped), time.monotonic()
    texts = []
    for start in range(0, len(questions), BATCH):
        batch = [request for _, request in questions[start : start + BATCH]]
        texts += [answer.text for answer in runtime.answer(batch, limit)]
    return texts, time.monotonic() - began


def graph_bytes(folder: Path) -> int:
    """Bytes of the graphs and their weights."""
    return sum(path.stat().st_size for path in folder.glob("*.onnx*"))


def pair_answers(sample: Sample, exact: str, coarse: str) -> AnswerPair:
    """The answers of two precisions to a sample, beside its label."""
    task, label = tasks.load(sample.task), sample.conversations[-1].content
    gold, exact_fields, coarse_fields = (task.parse(raw)[0] for raw in (label, exact, coarse))
    return AnswerPair(sample.document, label, exact, coarse, gold or {}, exact_fields, coarse_fields, task.kinds)


def select_precision(
    part: Path,
    questions: Questions,
    precisions: Sequence[Precision],
    *,
    block: Block,
    answers: int,
    answer_tokens: int,
    cer_bound: float,
) -> tuple[Precision, dict[str, Cost]]:
    """Leave in `part`, where the fp32 graphs are, those of the first precision whose cost is within the bound.

    Args:
        part: the folder of the graphs.
        questions: validation samples, of which some are answered, evenly spread.
        precisions: best first.
        block: weights that share a scale.
        answers: how many are answered.
        answer_tokens: of each at most.
        cer_bound: the largest CER that a lower precision may add.

    Returns:
        (the precision, what each lower one costs).

    Raises:
        RuntimeError: none is within the bound.
    """
    wanted = list(dict.fromkeys(precisions))
    costs: dict[str, Cost] = {}
    if wanted == ["fp32"]:
        return "fp32", costs
    count = min(answers, len(questions))
    chosen = [questions[place * len(questions) // count] for place in range(count)]
    exact, seconds = answer_all(part, chosen, answer_tokens, mapped=True)
    logger.info(
        "export: fp32 %.0f MB, %.2f answers/s with its weights in the file", graph_bytes(part) / 1e6, count / seconds
    )
    shipped: Precision | None = None
    for kind in wanted:
        if kind == "fp32":
            shipped = shipped or kind
            continue
        folder = part / kind
        shutil.copytree(part, folder, ignore=shutil.ignore_patterns("*.onnx", "*.onnx_data", *wanted))
        quantize.quantize_graphs(part, folder, kind, block)
        coarse, seconds = answer_all(folder, chosen, answer_tokens)
        row: Cost = dict(
            measure_degradation(
                [pair_answers(sample, *texts) for (sample, _), *texts in zip(chosen, exact, coarse, strict=True)]
            )
        )
        row["passed"] = (row["cer_added"] or 0.0) <= cer_bound
        row["bytes"] = graph_bytes(folder)
        costs[kind] = row
        logger.info(
            "export: %s %.0f MB, CER %+.4f, field F1 %+.4f, %.2f answers/s",
            kind, row["bytes"] / 1e6, row["cer_added"] or 0.0, -(row["field_f1_lost"] or 0.0), count / seconds,
        )  # fmt: skip
        shipped = shipped or (kind if row["passed"] else None)
    if shipped is None:
        raise RuntimeError(f"No precision of export.precisions costs less than export.cer_bound: {costs}; add fp32.")
    if shipped != "fp32":
        for path in (part / shipped).glob("*.onnx*"):
            path.replace(part / path.name)
    for name in costs:
        shutil.rmtree(part / name)
    return shipped, costs

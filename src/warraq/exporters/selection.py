"""Exact files + validation answers -> the precision that is shipped, and what each one costs.

A lower precision is not the same model: it is shipped only if it costs little enough.
"""

import logging
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from warraq import tasks
from warraq.metrics.degradation import AnswerPair, measure_degradation
from warraq.records import Sample
from warraq.runtimes import Request, Runtime

logger = logging.getLogger(__name__)

BATCH = 8
Questions = Sequence[tuple[Sample, Request]]
Cost = dict[str, Any]
"""What `measure_degradation` gives, whether it `passed`, and the `bytes` of the files."""


@dataclass(frozen=True)
class FileFormat:
    """How a model is written in a precision, and asked."""

    exact: str  # the precision in which it is the model
    weights: str  # pattern of its files
    write: Callable[[Path, Path, str], None]  # from the folder of the exact files, to another, in a precision
    load: Callable[[Path, bool], Runtime]  # a folder, and whether its files are the exact ones

    def count_bytes(self, folder: Path) -> int:
        """Bytes of the files in `folder`."""
        return sum(path.stat().st_size for path in folder.glob(self.weights))


def answer_all(runtime: Runtime, questions: Questions, limit: int) -> tuple[list[str], float]:
    """The raw answers, of at most `limit` tokens, and the seconds that they took."""
    began, texts = time.monotonic(), []
    for start in range(0, len(questions), BATCH):
        batch = [request for _, request in questions[start : start + BATCH]]
        texts += [answer.text for answer in runtime.answer(batch, limit)]
    return texts, time.monotonic() - began


def pair_answers(sample: Sample, exact: str, coarse: str) -> AnswerPair:
    """The answers of two precisions to a sample, beside its label."""
    task, label = tasks.load(sample.task), sample.conversations[-1].content
    gold, exact_fields, coarse_fields = (task.parse(raw)[0] for raw in (label, exact, coarse))
    return AnswerPair(sample.document, label, exact, coarse, gold or {}, exact_fields, coarse_fields, task.kinds)


def select_precision(
    form: FileFormat,
    part: Path,
    questions: Questions,
    precisions: Sequence[str],
    *,
    answers: int,
    answer_tokens: int,
    cer_bound: float,
) -> tuple[str, dict[str, Cost]]:
    """Leave in `part`, where the exact files are, those of the first precision whose cost is within the bound.

    Args:
        form: how the files are written and asked.
        part: the folder of the files.
        questions: validation samples, of which some are answered, evenly spread.
        precisions: best first.
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
    if wanted == [form.exact]:
        return form.exact, costs
    count = min(answers, len(questions))
    chosen = [questions[place * len(questions) // count] for place in range(count)]
    exact, seconds = answer_all(form.load(part, True), chosen, answer_tokens)
    logger.info("export: %s %.0f MB, %.2f answers/s", form.exact, form.count_bytes(part) / 1e6, count / seconds)
    shipped: str | None = None
    for kind in wanted:
        if kind == form.exact:
            shipped = shipped or kind
            continue
        folder = part / kind
        shutil.copytree(part, folder, ignore=shutil.ignore_patterns(form.weights, *wanted))
        form.write(part, folder, kind)
        coarse, seconds = answer_all(form.load(folder, False), chosen, answer_tokens)
        row: Cost = dict(
            measure_degradation(
                [pair_answers(sample, *texts) for (sample, _), *texts in zip(chosen, exact, coarse, strict=True)]
            )
        )
        row["passed"] = (row["cer_added"] or 0.0) <= cer_bound
        row["bytes"] = form.count_bytes(folder)
        costs[kind] = row
        logger.info(
            "export: %s %.0f MB, CER %+.4f, field F1 %+.4f, %.2f answers/s",
            kind, row["bytes"] / 1e6, row["cer_added"] or 0.0, -(row["field_f1_lost"] or 0.0), count / seconds,
        )  # fmt: skip
        shipped = shipped or (kind if row["passed"] else None)
    if shipped is None:
        raise RuntimeError(f"No precision of those wanted costs less than cer_bound: {costs}; add {form.exact}.")
    if shipped != form.exact:
        for path in (part / shipped).glob(form.weights):
            path.replace(part / path.name)
    for name in costs:
        shutil.rmtree(part / name)
    return shipped, costs

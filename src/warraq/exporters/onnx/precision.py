"""fp32 graphs + validation answers -> the precision that is shipped, and what each one costs."""

from collections.abc import Sequence
from pathlib import Path
from typing import cast

from warraq.exporters.onnx import quantize
from warraq.exporters.onnx.quantize import Block, Precision
from warraq.exporters.selection import Cost, FileFormat, Questions
from warraq.exporters.selection import select_precision as select
from warraq.runtimes import Runtime


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
    """As `selection.select_precision`; `block` weights share a scale."""

    def write(exact: Path, folder: Path, kind: str) -> None:
        quantize.quantize_graphs(exact, folder, cast(Precision, kind), block)

    def load(folder: Path, is_exact: bool) -> Runtime:
        from warraq.runtimes.onnx import OnnxRuntime

        return OnnxRuntime(folder, mapped=is_exact)

    shipped, costs = select(
        FileFormat("fp32", "*.onnx*", write, load), part, questions, precisions,
        answers=answers, answer_tokens=answer_tokens, cer_bound=cer_bound,
    )  # fmt: skip
    return cast(Precision, shipped), costs

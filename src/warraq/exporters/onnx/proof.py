"""merged model + graphs -> the proof that the graphs are the model."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from warraq.files import read_json, write_json
from warraq.records import Sample
from warraq.runtimes import Request, parity


def prove_parity(
    merged: Path,
    part: Path,
    questions: Sequence[tuple[Sample, Request]],
    window: int | None,
    context: int,
    *,
    pages: int,
    max_new_tokens: int,
    logit_bound: float,
) -> dict[str, Any]:
    """parity.json of the graphs in `part`, which get the stop tokens of `merged`: their numbers, then what they say.

    Both are in fp32, and neither is in memory: their weights stay in files, which the system reads as they are used.

    Args:
        merged: the folder of the model.
        part: the folder of the graphs.
        questions: validation samples.
        window: tokens that a sliding layer looks back.
        context: tokens that a prompt and its answer may have.
        pages: how many samples are asked.
        max_new_tokens: that are compared of each answer.
        logit_bound: the largest difference of a logit.
    """
    from warraq.exporters.onnx import graphs
    from warraq.exporters.onnx.constants import compare_constants, find_fault
    from warraq.runtimes import processor as processors
    from warraq.runtimes.onnx import OnnxRuntime
    from warraq.runtimes.torch import TorchRuntime

    processor = processors.load_processor(part)
    asked = parity.build_cases(questions, pages, processor, window, context - max_new_tokens)
    graphs.copy_float32(merged, part / "exact")
    torch = TorchRuntime(part / "exact", dtype="float32")
    constants = compare_constants(merged, part, torch.model)
    truths, stops = parity.trace_reference(torch, asked, processor, max_new_tokens), torch.stops
    del torch
    shutil.rmtree(part / "exact")
    settings = read_json(merged / "generation_config.json") | {"eos_token_id": stops}
    write_json(part / "generation_config.json", settings)
    proof = parity.prove_graphs(OnnxRuntime(part, mapped=True), asked, truths, stops, logit_bound)
    return {**proof, "passed": proof["passed"] and find_fault(constants) is None, "constants": constants}

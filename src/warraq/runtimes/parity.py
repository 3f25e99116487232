"""Prompts -> whether transformers and onnxruntime are the same model: prompts, pixels, tokens and logits.

Among the cases are those where exports go wrong: image blocks, the sliding window, padding. Equal tokens alone prove
little: most faults leave them as they are.
"""

import importlib.metadata
import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypedDict

from warraq.records import Sample
from warraq.runtimes import Request, Trace

if TYPE_CHECKING:
    from warraq.runtimes.onnx import OnnxRuntime
    from warraq.runtimes.processor import Processor
    from warraq.runtimes.torch import TorchRuntime

PLACES = 256  # of a prompt, where logits are compared: with 262,144 tokens in the vocabulary 256 MiB a row
PIXEL_BOUND = 1e-6
TYPICAL = 0.1  # of the bound of a logit: what half of the places stay within; rounding is far off in few places alone

Case = tuple[str, list[Request]]
"""A batch of requests, and what it is called in parity.json."""


class TraceComparison(TypedDict):
    """How far two traces of one batch are apart; differences are infinite where a value is not a number."""

    prompt_tokens: int
    compared_steps: int
    prompts_equal: bool
    tokens_equal: bool
    pixel_difference: float
    prompt_logit_difference: float
    step_logit_difference: float
    typical_logit_difference: float  # median over the places of the largest difference in each


class CaseProof(TraceComparison):
    """A case, and whether the runtimes agree in it."""

    case: str
    passed: bool


class GraphProof(TypedDict):
    """parity.json, but for the precisions."""

    passed: bool
    logit_bound: float
    largest_logit_difference: float
    typical_logit_difference: float
    versions: dict[str, str]
    cases: list[CaseProof]


def build_cases(
    questions: Sequence[tuple[Sample, Request]],
    count: int,
    processor: "Processor",
    window: int | None,
    longest_prompt: int,
) -> list[Case]:
    """`count` validation samples, evenly spread, and the fixed cases made of the first and the last of them.

    A model without sliding layers has no `window`, and no case beyond it; `longest_prompt`, in tokens, leaves room for
    an answer in the model's context.
    """
    count = min(count, len(questions))
    chosen = [questions[place * len(questions) // count] for place in range(count)]
    first, last = chosen[0][1], questions[-1][1]
    beyond = [_repeat_prompt(first, processor, min(2 * window, longest_prompt))] if window else None
    return [
        *((f"{sample.page_id} {sample.task}", [request]) for sample, request in chosen),
        ("text only", [Request((), first.prompt)]),
        ("two images", [replace(first, images=first.images + last.images)]),
        *([("beyond the window", beyond)] if beyond else []),
        ("left-padded batch", [first, replace(last, prompt=f"{last.prompt} {last.prompt}")]),
    ]


def _repeat_prompt(request: Request, processor: "Processor", tokens: int) -> Request:
    """The request with its prompt as often as it has room in so many tokens."""

    def repeat(times: int) -> Request:
        return replace(request, prompt=" ".join([request.prompt] * times))

    def count_tokens(times: int) -> int:
        return len(processor.encode_prompt(repeat(times)))

    return repeat(max(1, bisect_right(range(1, tokens), tokens, key=count_tokens)))  # each has one token at least


def compare_traces(truth: Trace, ours: Trace, places: Sequence[int], stops: Sequence[int]) -> TraceComparison:
    """How far `ours` is from `truth`.

    Differences are the largest of all compared places but padding, and of an answer's steps up to its stop token:
    transformers pads what ends before others of its batch.
    """
    import numpy as np

    stopped = np.isin(truth.tokens, list(stops))
    going = stopped.cumsum(axis=1) - stopped == 0
    prompts = np.array_equal(truth.input_ids, ours.input_ids)
    prompts = prompts and np.array_equal(truth.attention_mask, ours.attention_mask)
    real = truth.attention_mask[:, list(places)] == 1
    pixels = np.ones(truth.pixel_values.shape[:1], dtype=bool)
    comparable = not truth.pixel_values.size or truth.pixel_values.shape == ours.pixel_values.shape
    prompt_logits = _list_differences(truth.prompt_logits, ours.prompt_logits, real)
    step_logits = _list_differences(truth.step_logits, ours.step_logits, going)
    return {
        "prompt_tokens": int(truth.attention_mask.sum(axis=1).max()),
        "compared_steps": truth.tokens.shape[1],
        "prompts_equal": prompts,
        "tokens_equal": np.array_equal(truth.tokens[going], ours.tokens[going]),
        "pixel_difference": (
            _find_largest(_list_differences(truth.pixel_values, ours.pixel_values, pixels))
            if comparable
            else float("inf")
        ),
        "prompt_logit_difference": _find_largest(prompt_logits),
        "step_logit_difference": _find_largest(step_logits),
        "typical_logit_difference": _round(float(np.median([*prompt_logits, *step_logits]))),
    }


def _list_differences(truth: Any, ours: Any, where: Any) -> list[float]:
    """The largest difference in each place; infinite where a value is not a number.

    Place by place, since the logits of a large vocabulary are a gigabyte, and copies of them four.
    """
    import numpy as np

    largest = [float(np.abs(truth[place] - ours[place]).max()) for place in map(tuple, np.argwhere(where))]
    return [difference if math.isfinite(difference) else math.inf for difference in largest]


def _find_largest(differences: Sequence[float]) -> float:
    return _round(max(differences, default=0.0))


def _round(difference: float) -> float:
    """Two digits, as more would differ from machine to machine."""
    return float(f"{difference:.1e}")


def trace_reference(
    torch: "TorchRuntime", cases: Sequence[Case], processor: "Processor", max_new_tokens: int
) -> list[tuple[list[int], Trace]]:
    """What the reference says in each case, and the places of the prompt where its logits were kept."""
    traces = []
    for _, requests in cases:
        length = max(len(processor.encode_prompt(request)) for request in requests)
        places = sorted({place * length // PLACES for place in range(PLACES)} | {length - 1})
        traces.append((places, torch.trace(requests, places, max_new_tokens)))
    return traces


def prove_graphs(
    onnx: "OnnxRuntime",
    cases: Sequence[Case],
    truths: Sequence[tuple[list[int], Trace]],
    stops: Sequence[int],
    logit_bound: float,
) -> GraphProof:
    """Lead the graphs along the reference's tokens, so that each step compares like with like."""
    rows: list[CaseProof] = []
    for (name, requests), (places, truth) in zip(cases, truths, strict=True):
        row = compare_traces(truth, onnx.trace(requests, places, truth.tokens), places, stops)
        equal = row["prompts_equal"] and row["tokens_equal"] and row["pixel_difference"] <= PIXEL_BOUND
        logits = max(row["prompt_logit_difference"], row["step_logit_difference"])
        near = logits <= logit_bound and row["typical_logit_difference"] <= TYPICAL * logit_bound
        rows.append({"case": name, "passed": equal and near, **row})
    return {
        "passed": all(row["passed"] for row in rows),
        "logit_bound": logit_bound,
        "largest_logit_difference": max(
            max(row["prompt_logit_difference"], row["step_logit_difference"]) for row in rows
        ),
        "typical_logit_difference": max(row["typical_logit_difference"] for row in rows),
        "versions": {
            name: importlib.metadata.version(name) for name in ("torch", "transformers", "onnx", "onnxruntime")
        },
        "cases": rows,
    }

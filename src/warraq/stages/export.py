"""merged model -> ONNX graphs, processor and parity.json.

The graphs take their name only after transformers and onnxruntime gave the same prompts, pixels, tokens and logits for
validation pages and for the cases where exports go wrong: image blocks, the sliding window, padding. Work in progress
is `<out>.part`; a refused export stays there with its parity.json.
"""

import importlib.metadata
import importlib.util
import logging
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from warraq import runtimes, students
from warraq.records import InputError, Sample, read_json, write_json
from warraq.runtimes import Request, Trace
from warraq.section import Section
from warraq.students import Student

if TYPE_CHECKING:
    from warraq.runtimes.onnx import OnnxRuntime
    from warraq.runtimes.torch import TorchRuntime

logger = logging.getLogger(__name__)

COPIED = (
    "config.json", "tokenizer.json", "tokenizer_config.json", "preprocessor_config.json", "processor_config.json",
    "chat_template.jinja",
)  # fmt: skip
PLACES = 256  # of a prompt, where logits are compared: with 262,144 tokens in the vocabulary 256 MiB a row
PIXEL_BOUND = 1e-6


class Export(Section):
    pages: Annotated[int, Field(ge=1, le=100)]
    max_new_tokens: Annotated[int, Field(ge=1, le=4096)]
    logit_bound: Annotated[float, Field(gt=0)]


def cases(
    questions: Sequence[tuple[Sample, Request]], count: int, onnx: "OnnxRuntime", window: int
) -> list[tuple[str, list[Request]]]:
    """`count` validation samples, evenly spread, and the fixed cases made of the first and the last of them."""
    count = min(count, len(questions))
    chosen = [questions[place * len(questions) // count] for place in range(count)]
    first, last = chosen[0][1], questions[-1][1]
    longer = first
    while len(onnx.processor.ids(longer)) <= 2 * window:
        longer = Request(longer.images, f"{longer.prompt} {first.prompt}")
    return [
        *((f"{sample.page_id} {sample.task}", [request]) for sample, request in chosen),
        ("text only", [Request((), first.prompt)]),
        ("two images", [Request(first.images + last.images, first.prompt)]),
        ("beyond the window", [longer]),
        ("left-padded batch", [first, Request(last.images, f"{last.prompt} {last.prompt}")]),
    ]


def compare(truth: Trace, ours: Trace, places: Sequence[int]) -> dict[str, Any]:
    """One row of parity.json; differences are the largest of all compared places but padding."""
    import numpy as np

    prompts = np.array_equal(truth.input_ids, ours.input_ids)
    prompts = prompts and np.array_equal(truth.attention_mask, ours.attention_mask)
    real = truth.attention_mask[:, list(places)] == 1
    return {
        "prompt_tokens": int(truth.attention_mask.sum(axis=1).max()),
        "compared_steps": truth.tokens.shape[1],
        "prompts_equal": prompts,
        "tokens_equal": np.array_equal(truth.tokens, ours.tokens),
        "pixel_difference": _largest(truth.pixel_values, ours.pixel_values),
        "prompt_logit_difference": _largest(truth.prompt_logits[real], ours.prompt_logits[real]),
        "step_logit_difference": _largest(truth.step_logits, ours.step_logits),
    }


def _largest(truth: Any, ours: Any) -> float:
    """Two digits, as more would differ from machine to machine; infinite where a value is not a number."""
    import numpy as np

    if not truth.size:
        return 0.0
    largest = float(np.abs(truth - ours).max())
    return float(f"{largest:.1e}") if np.isfinite(largest) else float("inf")


def prove(
    torch: "TorchRuntime", onnx: "OnnxRuntime", asked: Sequence[tuple[str, list[Request]]], parameters: Export
) -> dict[str, Any]:
    """Ask both runtimes; the second is led along the first one's tokens, so that each step compares like with like."""
    rows = []
    for name, requests in asked:
        length = max(len(onnx.processor.ids(request)) for request in requests)
        places = sorted({place * length // PLACES for place in range(PLACES)} | {length - 1})
        truth = torch.trace(requests, places, parameters.max_new_tokens)
        row = compare(truth, onnx.trace(requests, places, truth.tokens), places)
        equal = row["prompts_equal"] and row["tokens_equal"] and row["pixel_difference"] <= PIXEL_BOUND
        logits = max(row["prompt_logit_difference"], row["step_logit_difference"])
        rows.append({"case": name, "passed": equal and logits <= parameters.logit_bound, **row})
    return {
        "passed": all(row["passed"] for row in rows),
        "logit_bound": parameters.logit_bound,
        "largest_logit_difference": max(
            max(row["prompt_logit_difference"], row["step_logit_difference"]) for row in rows
        ),
        "versions": {
            name: importlib.metadata.version(name) for name in ("torch", "transformers", "onnx", "onnxruntime")
        },
        "cases": rows,
    }


def run(merged: Path, dataset: Path, pages: Path, out: Path, student: Student, parameters: Export) -> None:
    if importlib.util.find_spec(f"warraq.students.{student.family}_onnx") is None:
        raise InputError(f"No way to ONNX is proved right for the family {student.family}; use {merged} as it is.")
    questions = runtimes.questions(dataset / "val.json", pages)
    for name in (*COPIED, "generation_config.json"):
        if not (merged / name).is_file():
            raise InputError(f"{merged / name} is missing; run `warraq merge` again.")
    window = read_json(merged / "config.json")["text_config"]["sliding_window"]

    part = out.with_name(out.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    logger.info("export: tracing %s", merged)
    students.family(f"{student.family}_onnx").write(merged, part)
    for name in COPIED:
        shutil.copyfile(merged / name, part / name)

    from warraq.runtimes.onnx import OnnxRuntime
    from warraq.runtimes.torch import TorchRuntime

    torch = TorchRuntime(merged, dtype="float32")
    write_json(
        part / "generation_config.json", read_json(merged / "generation_config.json") | {"eos_token_id": torch.stops}
    )
    onnx = OnnxRuntime(part)
    proof = prove(torch, onnx, cases(questions, parameters.pages, onnx, window), parameters)
    write_json(part / "parity.json", proof)
    for row in proof["cases"]:
        if not row["passed"]:
            raise RuntimeError(
                f"The ONNX graphs are not {merged}: case {row['case']!r} of {part / 'parity.json'} failed."
            )
    shutil.rmtree(out, ignore_errors=True)
    part.rename(out)
    logger.info(
        "export: %d cases equal token for token, largest difference of a logit %.1e",
        len(proof["cases"]), proof["largest_logit_difference"],
    )  # fmt: skip

"""base + adapters and the merged model are asked alike -> the proof that they answer alike, or its refusal."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

from warraq.records import Sample
from warraq.runtimes import Request, Trace

Asked = Sequence[tuple[Sample, Request]]


class Rounding(TypedDict):
    """What rounding the weights does to the answers."""

    answers_equal: bool
    largest_logit_difference: float


class AnswerProof(TypedDict):
    """How near the answers of base + adapters and of the merged model are."""

    pages: list[str]
    task: str
    tokens: int  # compared
    answers_equal: bool
    largest_logit_difference: float
    logit_bound: float
    rounding: Rounding


def trace_answers(folder: Path, adapters: Sequence[Path], asked: Asked, tokens: int) -> Trace:
    """Ask a model in float32 for so many tokens, with the adapters beside its weights where there are any."""
    from warraq.runtimes.torch import TorchRuntime

    runtime = TorchRuntime(folder, "float32")
    if adapters:
        logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # it would advise a package that fetches code
        from peft import PeftModel
        from peft.tuners.tuners_utils import BaseTunerLayer
        from peft.utils import ModulesToSaveWrapper

        tuned = PeftModel.from_pretrained(runtime.model, str(adapters[0]), "1")  # layers go into the runtime's model
        for number, adapter in enumerate(adapters[1:], start=2):
            tuned.load_adapter(str(adapter), str(number))
        for part in tuned.modules():  # changes add up, of what is trained whole the last counts
            if isinstance(part, ModulesToSaveWrapper):
                part.set_adapter(max(part.modules_to_save))
            elif isinstance(part, BaseTunerLayer):
                part.set_adapter([str(number) for number in range(1, len(adapters) + 1)])
        tuned.eval()
    return runtime.trace([request for _, request in asked], [-1], tokens)


def compare_answers(one: Trace, other: Trace) -> tuple[list[int], float]:
    """Which answers differ, and the largest difference of a logit up to where they part, to two digits.

    A run ends where all its answers have, so that other answers may make it longer.
    """
    import numpy as np

    steps = min(one.tokens.shape[1], other.tokens.shape[1])
    equal = one.tokens[:, :steps] == other.tokens[:, :steps]
    together = np.concatenate((np.ones_like(equal[:, :1]), equal[:, :-1]), axis=1).cumprod(axis=1) == 1
    largest = float(np.abs(one.step_logits[:, :steps] - other.step_logits[:, :steps]).max(axis=-1)[together].max())
    differing: list[int] = np.flatnonzero(~equal.all(axis=1)).tolist()
    return differing, float(f"{largest:.1e}") if np.isfinite(largest) else float("inf")


def prove_answers(
    base: Path,
    adapters: Sequence[Path],
    exact: Path,
    merged: Path,
    asked: Asked,
    *,
    tokens: int,
    logit_bound: float,
) -> AnswerProof:
    """Hold base + adapters against `exact`, the float32 model: the proof; and against `merged`, its rounding, which
    is only measured.

    Raises:
        RuntimeError: an answer differs, or a logit by more than the bound; names the page.
    """
    is_lora = (adapters[0] / "adapter_model.safetensors").exists()
    truth = trace_answers(base, adapters, asked, tokens) if is_lora else trace_answers(adapters[0], [], asked, tokens)
    differing, largest = compare_answers(truth, trace_answers(exact, [], asked, tokens))
    if differing:
        page = asked[differing[0]][0].page_id
        raise RuntimeError(f"base with adapter and merged model answer page {page} differently")
    if largest > logit_bound:
        pages = ", ".join(sample.page_id for sample, _ in asked)
        raise RuntimeError(f"a logit on {pages} differs by {largest}, more than merge.logit_bound allows")
    differing, rounding = compare_answers(truth, trace_answers(merged, [], asked, tokens))
    return {
        "pages": [sample.page_id for sample, _ in asked],
        "task": asked[0][0].task,
        "tokens": int(truth.tokens.size),
        "answers_equal": True,
        "largest_logit_difference": largest,
        "logit_bound": logit_bound,
        "rounding": {"answers_equal": not differing, "largest_logit_difference": rounding},
    }

"""base + adapter -> merged model and <out>.parity.json, the proof that the two are one and the same.

LLaMA-Factory merges in float32, which is what the proof is about: same answers, same logits. Then each tensor is
rounded once to the type that the base stores, in the base's own files beside the base's own configuration and
processor, so that nothing differs from the base but the tensors that were to change. What the rounding does is measured
and told. A model tuned in full goes the same way, as an "adapter" that changes every tensor. Without the proof there is
no output.
"""

import logging
import shutil
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from warraq import runtimes
from warraq.records import InputError, Sample, read_json, write_json
from warraq.runtimes import Request, Trace
from warraq.section import Section
from warraq.students import Student, family, llamafactory
from warraq.students.weights import Weights, digest, rounded, sha256, targets, verify

logger = logging.getLogger(__name__)
Asked = list[tuple[Sample, Request]]


class Merge(Section):
    pages: Annotated[int, Field(ge=1, le=100)]
    max_new_tokens: Annotated[int, Field(ge=1, le=4096)]
    logit_bound: Annotated[float, Field(gt=0)]


def check(base: Path, adapter: Path, student: Student) -> dict[str, Any]:
    """Where the adapter comes from.

    Raises:
        InputError: the base is not the one that it was trained on, or it is of another kind than params.yaml says.
    """
    verify(student, base)
    lineage: dict[str, Any] = read_json(adapter / "lineage.json")
    if lineage["base_sha256"] != digest(base):
        raise InputError(
            f"{adapter} was trained on other weights of {lineage['base']} than {base} holds: restore or train anew."
        )
    if lineage["tuning"] != student.tuning:
        raise InputError(f"{adapter} is tuned as {lineage['tuning']}, params.yaml says {student.tuning}; train again.")
    return lineage


def questions(dataset: Path, pages: Path, count: int) -> Asked:
    """The first validation pages, all asked the task that is first by name on the first of them."""
    asked = runtimes.questions(dataset / "val.json", pages)
    task = asked[0][0].task
    return [(sample, request) for sample, request in asked if sample.task == task][:count]


def exact(base: Path, adapter: Path, part: Path, student: Student) -> Path:
    """LLaMA-Factory's merged model in float32."""
    log, lora = part / "export.log", student.tuning == "lora"
    llamafactory.shown(part / "base", base, base if lora else adapter)
    places = {"model_name_or_path": part / "base"} | ({"adapter_name_or_path": adapter} if lora else {})
    llamafactory.write(part / "export.yaml", llamafactory.merging(student), places)
    with llamafactory.running(["export", "export.yaml"], part, log) as child:
        child.wait()
    if child.returncode or not any((part / "export").glob("model*.safetensors")):
        raise RuntimeError(
            f"LLaMA-Factory exported nothing (exit code {child.returncode}): {llamafactory.complaint(log)}"
        )
    return part / "export"


def compare(base: Path, whole: Path, merged: Path, adapter: Path, student: Student) -> dict[str, Any]:
    """Each tensor that was trained changed in `whole`, the float32 model, and no other in `merged`, its rounding.

    Raises:
        RuntimeError: another one did, or one of them did not; names it.
    """
    old, exact, new = Weights(base), Weights(whole), Weights(merged)
    room = family(student.family)
    trained = set(old.names) if student.tuning == "full" else targets(old.names, Weights(adapter), room.MODULES)
    changed = {name: new.sha256(name) for name in sorted(old.names) if new.sha256(name) != old.sha256(name)}
    if changed.keys() - trained:
        raise RuntimeError(f"{min(changed.keys() - trained)} changed, although it was not trained")
    same = [name for name in sorted(trained) if exact[name].equal(old[name].to(exact[name].dtype))]
    if same:
        raise RuntimeError(f"{same[0]} did not change, although it was trained (so {len(same)} of {len(trained)})")
    return {
        "tensors": len(old.names),
        "changed": {part: sum(name.startswith(prefix) for name in changed) for part, prefix in room.COMPONENTS.items()},
        "changed_sha256": changed,
        "lost_in_rounding": sorted(trained - changed.keys()),
    }


def trace(folder: Path, adapter: Path | None, asked: Asked, count: int) -> Trace:
    """Ask a model in float32 for `count` tokens, with the adapter beside its weights where there is one."""
    from warraq.runtimes.torch import TorchRuntime

    runtime = TorchRuntime(folder, "float32")
    if adapter is not None:
        from peft import PeftModel

        PeftModel.from_pretrained(runtime.model, str(adapter)).eval()  # puts its layers into the runtime's model
    return runtime.trace([request for _, request in asked], [-1], count)


def difference(one: Trace, other: Trace) -> tuple[list[int], float]:
    """Which answers differ, and the largest difference of a logit up to where they part, to two digits."""
    import numpy as np

    equal = one.tokens == other.tokens
    together = np.concatenate((np.ones_like(equal[:, :1]), equal[:, :-1]), axis=1).cumprod(axis=1) == 1
    largest = float(np.abs(one.step_logits - other.step_logits).max(axis=-1)[together].max())
    differing = np.flatnonzero(~equal.all(axis=1)).tolist()
    return differing, float(f"{largest:.1e}") if np.isfinite(largest) else float("inf")


def prove(base: Path, adapter: Path, whole: Path, merged: Path, asked: Asked, parameters: Merge) -> dict[str, Any]:
    """Base + adapter against `whole`, the float32 model: the proof; and against `merged`, its rounding: told.

    Raises:
        RuntimeError: an answer differs, or a logit by more than the bound; names the page.
    """
    lora = (adapter / "adapter_model.safetensors").exists()
    count = parameters.max_new_tokens
    truth = trace(base, adapter, asked, count) if lora else trace(adapter, None, asked, count)
    differing, largest = difference(truth, trace(whole, None, asked, count))
    if differing:
        page = asked[differing[0]][0].page_id
        raise RuntimeError(f"base with adapter and merged model answer page {page} differently")
    if largest > parameters.logit_bound:
        pages = ", ".join(sample.page_id for sample, _ in asked)
        raise RuntimeError(f"a logit on {pages} differs by {largest}, more than merge.logit_bound allows")
    differing, rounding = difference(truth, trace(merged, None, asked, count))
    return {
        "pages": [sample.page_id for sample, _ in asked],
        "task": asked[0][0].task,
        "tokens": int(truth.tokens.size),
        "answers_equal": True,
        "largest_logit_difference": largest,
        "logit_bound": parameters.logit_bound,
        "rounding": {"answers_equal": not differing, "largest_logit_difference": rounding},
    }


def run(base: Path, adapter: Path, dataset: Path, pages: Path, out: Path, student: Student, parameters: Merge) -> None:
    lineage = check(base, adapter, student)
    asked = questions(dataset, pages, parameters.pages)
    room = family(student.family)
    part, parity = out.with_name(out.name + ".part"), out.with_name(out.name + ".parity.json")
    parity.unlink(missing_ok=True)
    for folder in (out, part):
        shutil.rmtree(folder, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        logger.info("merge %s and %s; LLaMA-Factory exports", base, adapter)
        whole, merged = exact(base, adapter, part, student), part / "merged"
        rounded(base, whole, merged)
        kept = ("config.json", "generation_config.json", *room.PROCESSOR)
        for name in kept:
            if (base / name).exists():
                shutil.copyfile(base / name, merged / name)
        proof = {
            **lineage,
            **compare(base, whole, merged, adapter, student),
            **prove(base, adapter, whole, merged, asked, parameters),
            "image_max_pixels": student.image_max_pixels,
            "processor_sha256": {name: sha256(merged / name) for name in kept if (merged / name).exists()},
        }
        write_json(parity, proof)
        merged.replace(out)
    finally:
        shutil.rmtree(part)
    logger.info(
        "merge: %s of %d tensors changed, answers equal, logits within %.1e (%.1e once rounded)",
        " + ".join(f"{count} {name}" for name, count in proof["changed"].items()),
        proof["tensors"],
        proof["largest_logit_difference"],
        proof["rounding"]["largest_logit_difference"],
    )

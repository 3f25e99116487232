"""base + adapters -> merged model and <out>.parity.json, the proof that the two are one and the same.

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

from warraq import runtimes, tasks
from warraq.errors import InputError
from warraq.files import hash_file, read_json, write_json
from warraq.records import Sample, read_samples
from warraq.rendering.settings import read_recipe
from warraq.runtimes import Request, Trace, manifest
from warraq.runtimes.manifest import Question, schema_sha256
from warraq.section import Section
from warraq.students import PROCESSOR, Student, family
from warraq.students.weights import ORDER, Weights, component, digest, idle, module, rounded, targets, verify
from warraq.training import llamafactory
from warraq.training.tier_training import digest_of

logger = logging.getLogger(__name__)
Asked = list[tuple[Sample, Request]]


class Merge(Section):
    pages: Annotated[int, Field(ge=1, le=100)]
    max_new_tokens: Annotated[int, Field(ge=1, le=4096)]
    logit_bound: Annotated[float, Field(gt=0)]


def check(base: Path, adapter: Path, student: Student) -> tuple[dict[str, Any], list[Path]]:
    """Where the adapters come from, and the folders of those to merge, in their order.

    Raises:
        InputError: the base is not the one that they were trained on, one is not the one that was trained or does
            nothing, or they are of another kind than params.yaml says.
    """
    verify(student, base)
    lineage: dict[str, Any] = read_json(adapter / "lineage.json")
    if lineage["base_sha256"] != digest(base):
        raise InputError(
            f"{adapter} was trained on other weights of {lineage['base']} than {base} holds: restore or train anew."
        )
    if lineage["tuning"] != student.tuning:
        raise InputError(f"{adapter} is tuned as {lineage['tuning']}, params.yaml says {student.tuning}; train again.")
    folders = []
    for number, tier in enumerate(lineage["tiers"], start=1):
        folder = adapter / str(number)
        if not tier["adopted"]:
            continue
        if digest_of(folder) != tier["sha256"]:
            raise InputError(f"{folder} is not the adapter that was trained there: restore it or train anew.")
        nothing = idle(Weights(folder)) if student.tuning == "lora" else []
        if nothing:
            raise InputError(f"{folder} does nothing on {nothing[0]} (and {len(nothing) - 1} more): train anew.")
        folders.append(folder)
    return lineage, folders


def questions(dataset: Path, pages: Path, count: int) -> Asked:
    """The first validation pages, all asked the task that is first by name on the first of them."""
    asked = runtimes.questions(dataset / "val.json", pages)
    task = asked[0][0].task
    return [(sample, request) for sample, request in asked if sample.task == task][:count]


def exact(base: Path, adapters: list[Path], part: Path, student: Student) -> Path:
    """LLaMA-Factory's merged model in float32, of one adapter after another."""
    log, lora = part / "export.log", student.tuning == "lora"
    llamafactory.shown(part / "base", base, base if lora else adapters[0])
    configure(part / "base", base, student)
    places = {"model_name_or_path": [part / "base"]} | ({"adapter_name_or_path": adapters} if lora else {})
    llamafactory.write(part / "export.yaml", llamafactory.merging(student), places)
    with llamafactory.running(["llamafactory-cli", "export", "export.yaml"], part, log) as child:
        child.wait()
    if child.returncode or not any((part / "export").glob("model*.safetensors")):
        raise RuntimeError(
            f"LLaMA-Factory exported nothing (exit code {child.returncode}): {llamafactory.complaint(log)}"
        )
    return part / "export"


def configure(folder: Path, base: Path, student: Student) -> None:
    """Give a folder the base's files but its weights, and the processor the budget of px that training had.

    A folder that holds float32 weights keeps a config.json of its own.
    """
    for name in ("config.json", "generation_config.json", *PROCESSOR):
        if (base / name).exists() and not (name == "config.json" and (folder / name).exists()):
            (folder / name).unlink(missing_ok=True)
            shutil.copyfile(base / name, folder / name)
    settings = read_json(base / "preprocessor_config.json")
    budget = family(student.family).budget(settings, student.image_max_pixels)
    if budget != settings:
        write_json(folder / "preprocessor_config.json", budget)


def compare(base: Path, whole: Path, merged: Path, adapters: list[Path], student: Student) -> dict[str, Any]:
    """Each tensor that was trained changed in `whole`, the float32 model, and no other in `merged`, its rounding.

    Raises:
        RuntimeError: another one did, or one of them did not; names it.
    """
    old, exact, new = Weights(base), Weights(whole), Weights(merged)
    room = family(student.family)
    trained = set(old.names)
    if student.tuning == "lora":
        trained = set().union(*(targets(old.names, Weights(adapter), room) for adapter in adapters))
    changed = {name: new.sha256(name) for name in sorted(old.names) if new.sha256(name) != old.sha256(name)}
    if changed.keys() - trained:
        raise RuntimeError(f"{min(changed.keys() - trained)} changed, although it was not trained")
    same = [name for name in sorted(trained) if exact[name].equal(old[name].to(exact[name].dtype))]
    if same:
        raise RuntimeError(f"{same[0]} did not change, although it was trained (so {len(same)} of {len(trained)})")
    parts = [component(module(name, room), room) for name in changed]
    return {
        "tensors": len(old.names),
        "changed": {part: parts.count(part) for part in ORDER},
        "expected": len(trained),
        "changed_sha256": changed,
        "largest_rounding": max(float((exact[name] - new[name].float()).abs().max()) for name in changed),
        "lost_in_rounding": sorted(trained - changed.keys()),
    }


def trace(folder: Path, adapters: list[Path], asked: Asked, count: int) -> Trace:
    """Ask a model in float32 for `count` tokens, with the adapters beside its weights where there are any."""
    from warraq.runtimes.torch import TorchRuntime

    runtime = TorchRuntime(folder, "float32")
    if adapters:
        from peft import PeftModel

        tuned = PeftModel.from_pretrained(runtime.model, str(adapters[0]), "1")  # layers go into the runtime's model
        for number, adapter in enumerate(adapters[1:], start=2):
            tuned.load_adapter(str(adapter), str(number))
        tuned.base_model.set_adapter([str(number) for number in range(1, len(adapters) + 1)])
        tuned.eval()
    return runtime.trace([request for _, request in asked], [-1], count)


def difference(one: Trace, other: Trace) -> tuple[list[int], float]:
    """Which answers differ, and the largest difference of a logit up to where they part, to two digits.

    A run ends where all its answers have, so that other answers may make it longer.
    """
    import numpy as np

    steps = min(one.tokens.shape[1], other.tokens.shape[1])
    equal = one.tokens[:, :steps] == other.tokens[:, :steps]
    together = np.concatenate((np.ones_like(equal[:, :1]), equal[:, :-1]), axis=1).cumprod(axis=1) == 1
    largest = float(np.abs(one.step_logits[:, :steps] - other.step_logits[:, :steps]).max(axis=-1)[together].max())
    differing = np.flatnonzero(~equal.all(axis=1)).tolist()
    return differing, float(f"{largest:.1e}") if np.isfinite(largest) else float("inf")


def prove(
    base: Path, adapters: list[Path], whole: Path, merged: Path, asked: Asked, parameters: Merge
) -> dict[str, Any]:
    """Base + adapters against `whole`, the float32 model: the proof; and against `merged`, its rounding: told.

    Raises:
        RuntimeError: an answer differs, or a logit by more than the bound; names the page.
    """
    lora = (adapters[0] / "adapter_model.safetensors").exists()
    count = parameters.max_new_tokens
    truth = trace(base, adapters, asked, count) if lora else trace(adapters[0], [], asked, count)
    differing, largest = difference(truth, trace(whole, [], asked, count))
    if differing:
        page = asked[differing[0]][0].page_id
        raise RuntimeError(f"base with adapter and merged model answer page {page} differently")
    if largest > parameters.logit_bound:
        pages = ", ".join(sample.page_id for sample, _ in asked)
        raise RuntimeError(f"a logit on {pages} differs by {largest}, more than merge.logit_bound allows")
    differing, rounding = difference(truth, trace(merged, [], asked, count))
    return {
        "pages": [sample.page_id for sample, _ in asked],
        "task": asked[0][0].task,
        "tokens": int(truth.tokens.size),
        "answers_equal": True,
        "largest_logit_difference": largest,
        "logit_bound": parameters.logit_bound,
        "rounding": {"answers_equal": not differing, "largest_logit_difference": rounding},
    }


def taught(dataset: Path) -> dict[str, Question]:
    """The tasks of the training samples; not such whose question differs from page to page."""
    prompts: dict[str, set[str]] = {}
    for sample in read_samples(dataset):
        prompts.setdefault(sample.task, set()).add(sample.conversations[0].content.removeprefix("<image>"))
    return {
        task: Question(prompt=min(found), schema_sha256=schema_sha256(tasks.load(task).schema()))
        for task, found in prompts.items()
        if len(found) == 1
    }


def run(
    base: Path, adapter: Path, dataset: Path, pages: Path, out: Path, student: Student, parameters: Merge
) -> None:  # fmt: skip
    """Write `out` and its proof; how the pages were drawn goes with the model."""
    lineage, adapters = check(base, adapter, student)
    asked, known = questions(dataset, pages, parameters.pages), taught(dataset / "train.json")
    drawing = read_recipe(pages)
    part, parity = out.with_name(out.name + ".part"), out.with_name(out.name + ".parity.json")
    parity.unlink(missing_ok=True)
    for folder in (out, part):
        shutil.rmtree(folder, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        logger.info("merge %s and %s; LLaMA-Factory exports", base, adapter)
        whole, merged = exact(base, adapters, part, student), part / "merged"
        rounded(base, whole, merged)
        for folder in (whole, merged):
            configure(folder, base, student)
        proof = {
            **lineage,
            **compare(base, whole, merged, adapters, student),
            **prove(part / "base", adapters, whole, merged, asked, parameters),
            "image_max_pixels": student.image_max_pixels,
            "processor_sha256": {name: hash_file(merged / name) for name in PROCESSOR if (merged / name).exists()},
        }
        manifest.write(merged, drawing.settings.model_dump() if drawing.settings else {}, drawing.recipe, known)
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

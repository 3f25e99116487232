"""base + adapters -> merged model and <out>.parity.json, the proof that the two are one and the same.

LLaMA-Factory merges in float32, which is what the proof is about: same answers, same logits. Then each tensor is
rounded once to the type that the base stores, in the base's own files beside the base's own configuration and
processor, so that nothing differs from the base but the tensors that were to change. What the rounding does is measured
and logged. A model tuned in full goes the same way, as an "adapter" that changes every tensor. Without the proof there
is no output.
"""

import logging
import shutil
from pathlib import Path
from typing import Annotated

from pydantic import Field

from warraq import runtimes, tasks
from warraq.files import hash_file, write_json
from warraq.records import Sample, read_samples
from warraq.rendering.settings import read_recipe
from warraq.runtimes import Request, manifest
from warraq.runtimes.manifest import Sight, TaskPrompt, hash_schema
from warraq.section import Section
from warraq.students import Student, families
from warraq.students.layout import open_alike
from warraq.students.model_files import PROCESSOR
from warraq.students.weights import round_weights
from warraq.training.answer_proof import prove_answers
from warraq.training.merging import check_adapters, copy_configuration, merge_float32
from warraq.training.tensor_proof import prove_files, prove_tensors
from warraq.views import Views, hash_recipe

logger = logging.getLogger(__name__)


class Merge(Section):
    """The branch `merge` of params.yaml."""

    pages: Annotated[int, Field(ge=1, le=100)]
    max_new_tokens: Annotated[int, Field(ge=1, le=4096)]
    logit_bound: Annotated[float, Field(gt=0)]


def choose_pages(dataset: Path, pages: Path, views: Views, count: int) -> list[tuple[Sample, Request]]:
    """The first validation pages, all asked the task that is first by name on the first of them."""
    asked = runtimes.read_requests(dataset / "val.json", pages, views)
    task = asked[0][0].task
    return [(sample, request) for sample, request in asked if sample.task == task][:count]


def read_prompts(dataset: Path) -> dict[str, TaskPrompt]:
    """The tasks of the training samples; not such whose question differs from page to page."""
    prompts: dict[str, set[str]] = {}
    for sample in read_samples(dataset):
        prompts.setdefault(sample.task, set()).add(sample.conversations[0].content.removeprefix("<image>"))
    return {
        task: TaskPrompt(prompt=min(several), schema_sha256=hash_schema(tasks.load(task).schema))
        for task, several in prompts.items()
        if len(several) == 1
    }


def run(
    *, base: Path, adapter: Path, dataset: Path, pages: Path, out: Path, student: Student, parameters: Merge
) -> None:
    """Write `out` and its proof; how the pages were drawn goes with the model.

    Raises:
        InputError: base and adapter do not belong together.
        RuntimeError: the merged model is not the two.
    """
    lineage, adapters = check_adapters(base, adapter, student)
    asked, prompts = choose_pages(dataset, pages, student.views, parameters.pages), read_prompts(dataset / "train.json")
    drawing = read_recipe(pages)
    part, parity = out.with_name(out.name + ".part"), out.with_name(out.name + ".parity.json")
    parity.unlink(missing_ok=True)
    for folder in (out, part):
        shutil.rmtree(folder, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        logger.info("merge %s and %s; LLaMA-Factory exports", base, adapter)
        exact, merged = merge_float32(base, adapters, part, student), part / "merged"
        whole = open_alike(exact, base, families.load(student.family))
        round_weights(base, whole, merged)
        for folder in (exact, merged):
            copy_configuration(base, folder, student)
        prove_files(base, merged, lineage, student)
        tensors = prove_tensors(base, whole, merged, adapters, student)
        answers = prove_answers(
            part / "base", adapters, exact, merged, asked,
            tokens=parameters.max_new_tokens, logit_bound=parameters.logit_bound,
        )  # fmt: skip
        manifest.write_manifest(
            merged, drawing.settings.model_dump() if drawing.settings else {},
            hash_recipe(drawing.recipe, student.views), prompts, student.views,
            Sight(
                family=student.family, min_line_px=student.min_line_px,
                max_tokens_per_image_token=student.max_tokens_per_image_token,
            ),
        )  # fmt: skip
        processor = {name: hash_file(merged / name) for name in PROCESSOR if (merged / name).exists()}
        write_json(parity, {**lineage, **tensors, **answers, "processor_sha256": processor})
        merged.replace(out)
    finally:
        shutil.rmtree(part)
    logger.info(
        "merge: %s of %d tensors changed, answers equal, logits within %.1e (%.1e once rounded)",
        " + ".join(f"{count} {name}" for name, count in tensors["changed"].items()),
        tensors["tensors"],
        answers["largest_logit_difference"],
        answers["rounding"]["largest_logit_difference"],
    )

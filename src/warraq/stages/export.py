"""merged model -> ONNX graphs, processor, parity.json, and the merged model's warraq.json for them.

The graphs take their name only after those in fp32 proved to be the model. A lower precision is not the same model: its
cost is measured on validation answers, and it is shipped if that is small enough. Work in progress is `<out>.part`; a
refused export stays there with its parity.json.
"""

import logging
import math
import shutil
from pathlib import Path
from typing import Annotated

from pydantic import Field

from warraq import runtimes
from warraq.errors import InputError
from warraq.exporters import onnx
from warraq.exporters.configuration import write_full_config
from warraq.exporters.onnx.constants import find_fault
from warraq.exporters.onnx.precision import select_precision
from warraq.exporters.onnx.proof import prove_parity
from warraq.exporters.onnx.quantize import Block, Precision
from warraq.files import read_json, write_json
from warraq.image_settings import read_image_settings
from warraq.runtimes import manifest
from warraq.section import Section
from warraq.students import Student, model_files
from warraq.students.weights import read_stored_shapes

logger = logging.getLogger(__name__)


class Export(Section):
    """The branch `export` of params.yaml."""

    pages: Annotated[int, Field(ge=1, le=1000)]
    max_new_tokens: Annotated[int, Field(ge=1, le=4096)]
    logit_bound: Annotated[float, Field(gt=0)]
    precisions: Annotated[list[Precision], Field(min_length=1)]
    block: Block
    answers: Annotated[int, Field(ge=1, le=10_000)]
    answer_tokens: Annotated[int, Field(ge=1, le=32768)]
    cer_bound: Annotated[float, Field(ge=0)]


def leave_out(out: Path, student: Student) -> None:
    """Write a folder without a model, which says why."""
    named = "its export in params.yaml names no onnx"
    why = named if onnx.has_route(student.family) else f"no way to ONNX is proved right for {student.family}"
    shutil.rmtree(out, ignore_errors=True)
    write_json(out / "config.json", {"runtime": "none", "reason": why})
    logger.info("export: nothing, as %s", why)


def needed_bytes(merged: Path) -> int:
    """Bytes of disk while it runs: graphs, in which a head shared with the embedding is written again, and the copy for
    the proof, all in fp32."""
    shapes = [shape for path in merged.glob("*.safetensors") for shape in read_stored_shapes(path).values()]
    counts = [math.prod(shape) for shape in shapes]
    return 4 * (2 * sum(counts) + max(counts, default=0))


def check_model(merged: Path, student: Student, out: Path) -> None:
    """Refuse a model that cannot be exported.

    Raises:
        InputError: a file is missing, the model is of another family, or the disk has too little room for `out`.
    """
    for name in (*model_files.CONFIGURATION, *model_files.GRAPHS):
        if not (merged / name).is_file():
            raise InputError(f"{merged / name} is missing; run `warraq merge` again.")
    read_image_settings(merged)
    kind = read_json(merged / "config.json").get("model_type")
    if kind != student.family:  # families with a way to ONNX are named as transformers names them
        raise InputError(
            f"{merged} is a {kind} model, not a {student.family}; correct the student's family in params.yaml."
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    free, wanted = shutil.disk_usage(out.parent).free, needed_bytes(merged)
    if free < wanted:
        raise InputError(
            f"{out.parent} has {free / 1e9:.1f} GB free, and the export of {merged} needs {wanted / 1e9:.1f} while it "
            "runs; make room, or set the student's export to none in params.yaml."
        )


def run(*, merged: Path, dataset: Path, pages: Path, out: Path, student: Student, parameters: Export) -> None:
    """Write and prove the graphs, or for a student that is not exported say why there are none.

    Raises:
        InputError: the student's family has no way to ONNX, or the model is not one of it.
        RuntimeError: the graphs are not the model.
    """
    if "onnx" not in student.exports:
        leave_out(out, student)
        return
    if not onnx.has_route(student.family):
        raise InputError(
            f"No way to ONNX is proved right for the family {student.family}; use {merged} as it is, and set the "
            "student's export to none in params.yaml."
        )
    check_model(merged, student, out)
    source = manifest.read_manifest(merged)
    questions = runtimes.read_requests(dataset / "val.json", pages, source.views)

    part = out.with_name(out.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    config, exporter = write_full_config(merged, part), onnx.load(student.family)
    logger.info("export: tracing %s", merged)
    exporter.write(merged, part)

    proof = prove_parity(
        merged, part, questions, exporter.sliding_window(config), config.text_config.max_position_embeddings,
        pages=parameters.pages, max_new_tokens=parameters.max_new_tokens, logit_bound=parameters.logit_bound,
    )  # fmt: skip
    write_json(part / "parity.json", proof)
    if fault := find_fault(proof["constants"]):
        raise RuntimeError(f"The ONNX graphs are not {merged}: {fault} has other numbers in them.")
    for row in proof["cases"]:
        if not row["passed"]:
            raise RuntimeError(
                f"The ONNX graphs are not {merged}: case {row['case']!r} of {part / 'parity.json'} failed."
            )
    shipped, costs = select_precision(
        part, questions, parameters.precisions, block=parameters.block, answers=parameters.answers,
        answer_tokens=parameters.answer_tokens, cer_bound=parameters.cer_bound,
    )  # fmt: skip
    write_json(part / "parity.json", proof | {"shipped": shipped, "precisions": costs})
    manifest.write_manifest(part, source.look, source.recipe, source.tasks, source.views, source.sight)
    shutil.rmtree(out, ignore_errors=True)
    part.rename(out)
    logger.info(
        "export: %d cases equal token for token in fp32, largest difference of a logit %.1e; %s is shipped",
        len(proof["cases"]), proof["largest_logit_difference"], shipped,
    )  # fmt: skip

"""merged model -> model.gguf and mmproj.gguf for llama.cpp, processor, Modelfile, parity.json, warraq.json.

As `export`: the files take their name only after those in f32 answered as the model does, and a lower precision is
shipped if it costs little enough on validation answers. Work in progress is `<out>.part`.
"""

import logging
import os
import shutil
from pathlib import Path
from typing import Annotated, cast

from pydantic import Field

from warraq import runtimes
from warraq.errors import InputError
from warraq.exporters import gguf
from warraq.exporters.configuration import write_full_config
from warraq.exporters.gguf.conversion import write_files
from warraq.exporters.gguf.ollama import write_modelfile
from warraq.exporters.gguf.proof import prove_answers
from warraq.exporters.selection import FileFormat, select_precision
from warraq.files import read_json, write_json
from warraq.runtimes import Runtime, manifest
from warraq.section import Section
from warraq.students import Student, model_files

logger = logging.getLogger(__name__)


class Gguf(Section):
    """The branch `gguf` of params.yaml."""

    pages: Annotated[int, Field(ge=1, le=1000)]
    max_new_tokens: Annotated[int, Field(ge=1, le=4096)]
    logprob_bound: Annotated[float, Field(gt=0)]
    precisions: Annotated[list[gguf.Precision], Field(min_length=1)]
    answers: Annotated[int, Field(ge=1, le=10_000)]
    answer_tokens: Annotated[int, Field(ge=1, le=32768)]
    cer_bound: Annotated[float, Field(ge=0)]


def check_model(merged: Path, student: Student) -> None:
    """Raises InputError where no way to GGUF is proved right for the family, a file is missing or of another family."""
    if not gguf.has_route(student.family):
        raise InputError(
            f"No way to GGUF is proved right for the family {student.family}; use {merged} as it is, and take gguf out "
            "of the student's export in params.yaml."
        )
    for name in (*model_files.CONFIGURATION, *model_files.GRAPHS):
        if not (merged / name).is_file():
            raise InputError(f"{merged / name} is missing; run `warraq merge` again.")
    kind = read_json(merged / "config.json").get("model_type")
    if kind != student.family:
        raise InputError(
            f"{merged} is a {kind} model, not a {student.family}; correct the student's family in params.yaml."
        )


def load_files(folder: Path, _: bool) -> Runtime:
    """The files in `folder` through llama.cpp."""
    from warraq.runtimes.gguf import GgufRuntime

    return GgufRuntime(folder)


def run(*, merged: Path, dataset: Path, pages: Path, out: Path, student: Student, parameters: Gguf) -> None:
    """Write and prove the files, or for a student that is not exported so say why there are none.

    Raises:
        InputError: the student's family has no way to GGUF, the model is not one of it, or a package is missing.
        RuntimeError: the files are not the model.
    """
    if "gguf" not in student.exports:
        shutil.rmtree(out, ignore_errors=True)
        write_json(out / "config.json", {"runtime": "none", "reason": "its export in params.yaml names no gguf"})
        return
    check_model(merged, student)
    source = manifest.read_manifest(merged)
    questions = runtimes.read_requests(dataset / "val.json", pages, source.views)

    part = out.with_name(out.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    config = write_full_config(merged, part)
    shutil.copyfile(merged / "generation_config.json", part / "generation_config.json")
    logger.info("gguf: converting %s", merged)
    write_files(merged, part, gguf.EXACT, out.parent.name)
    proof = prove_answers(
        merged, part, questions, config.text_config.sliding_window, config.text_config.max_position_embeddings,
        pages=parameters.pages, max_new_tokens=parameters.max_new_tokens, logprob_bound=parameters.logprob_bound,
    )  # fmt: skip
    write_json(part / "parity.json", proof)
    for row in proof["cases"]:
        if not row["passed"]:
            raise RuntimeError(
                f"The GGUF files are not {merged}: case {row['case']!r} of {part / 'parity.json'} failed."
            )

    def write(_: Path, folder: Path, kind: str) -> None:
        write_files(merged, folder, cast(gguf.Precision, kind), out.parent.name)

    shipped, costs = select_precision(
        FileFormat(gguf.EXACT, "*.gguf", write, load_files), part, questions, parameters.precisions,
        answers=parameters.answers, answer_tokens=parameters.answer_tokens, cer_bound=parameters.cer_bound,
    )  # fmt: skip
    write_json(part / "parity.json", {**proof, "shipped": shipped, "precisions": costs})
    write_modelfile(part, os.path.relpath(merged, out))
    manifest.write_manifest(part, source.look, source.recipe, source.tasks, source.views)
    shutil.rmtree(out, ignore_errors=True)
    part.rename(out)
    logger.info("gguf: %d cases equal token for token in f32; %s is shipped", len(proof["cases"]), shipped)

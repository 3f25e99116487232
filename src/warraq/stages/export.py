"""merged model -> ONNX graphs, processor, parity.json, and the merged model's warraq.json for them.

The graphs take their name only after those in fp32 proved to be the model. A lower precision is not the same model: it
is weighed on validation answers, and shipped if it costs little enough. Work in progress is `<out>.part`; a refused
export stays there with its parity.json.
"""

import importlib
import importlib.util
import logging
import math
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from warraq import runtimes, tasks
from warraq.errors import InputError
from warraq.exporters.onnx import quantize
from warraq.exporters.onnx.quantize import Block, Precision
from warraq.files import read_json, write_json
from warraq.metrics.degradation import AnswerPair, measure_degradation
from warraq.records import Sample
from warraq.runtimes import Request, manifest, parity
from warraq.section import Section
from warraq.students import Student

logger = logging.getLogger(__name__)

NEEDED = (
    "config.json",
    "generation_config.json",
    "preprocessor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
)
KEPT = ("chat_template.jinja", "preprocessor_config.json", "processor_config.json", "tokenizer.json",
        "tokenizer_config.json")  # fmt: skip
BATCH = 8


class Export(Section):
    pages: Annotated[int, Field(ge=1, le=1000)]
    max_new_tokens: Annotated[int, Field(ge=1, le=4096)]
    logit_bound: Annotated[float, Field(gt=0)]
    precisions: Annotated[list[Precision], Field(min_length=1)]
    block: Block
    answers: Annotated[int, Field(ge=1, le=10_000)]
    answer_tokens: Annotated[int, Field(ge=1, le=32768)]
    cer_bound: Annotated[float, Field(ge=0)]
    left_out: list[str]


def answered(
    folder: Path, questions: Sequence[tuple[Sample, Request]], limit: int, mapped: bool = False
) -> tuple[list[str], float]:
    """The raw answers of the model in `folder`, and the seconds that they took."""
    from warraq.runtimes.onnx import OnnxRuntime

    runtime, began = OnnxRuntime(folder, mapped), time.monotonic()
    texts = []
    for start in range(0, len(questions), BATCH):
        batch = [request for _, request in questions[start : start + BATCH]]
        texts += [answer.text for answer in runtime.answer(batch, limit)]
    return texts, time.monotonic() - began


def size(folder: Path) -> int:
    """Bytes of the graphs and their weights."""
    return sum(path.stat().st_size for path in folder.glob("*.onnx*"))


def compared(sample: Sample, exact: str, coarse: str) -> AnswerPair:
    task, label = tasks.load(sample.task), sample.conversations[-1].content
    fields = [task.parse(raw)[0] for raw in (label, exact, coarse)]
    return AnswerPair(sample.document, label, exact, coarse, fields[0] or {}, fields[1], fields[2], task.kinds)


def weighed(
    part: Path, questions: Sequence[tuple[Sample, Request]], parameters: Export
) -> tuple[Precision, dict[str, Any]]:
    """The first of the wanted precisions whose cost is within the bound, now the graphs in `part`; what each costs."""
    wanted = list(dict.fromkeys(parameters.precisions))
    rows: dict[str, dict[str, Any]] = {}
    if wanted == ["fp32"]:
        return "fp32", rows
    count = min(parameters.answers, len(questions))
    chosen = [questions[place * len(questions) // count] for place in range(count)]
    exact, seconds = answered(part, chosen, parameters.answer_tokens, mapped=True)
    logger.info("export: fp32 %.0f MB, %.2f answers/s with its weights in the file", size(part) / 1e6, count / seconds)
    shipped: Precision | None = None
    for kind in wanted:
        if kind == "fp32":
            shipped = shipped or kind
            continue
        folder = part / kind
        shutil.copytree(part, folder, ignore=shutil.ignore_patterns("*.onnx", "*.onnx_data", *wanted))
        quantize.write(part, folder, kind, parameters.block)
        coarse, seconds = answered(folder, chosen, parameters.answer_tokens)
        row: dict[str, Any] = dict(
            measure_degradation(
                [compared(sample, *texts) for (sample, _), *texts in zip(chosen, exact, coarse, strict=True)]
            )
        )
        row["passed"] = (row["cer_added"] or 0.0) <= parameters.cer_bound
        row["bytes"] = size(folder)
        rows[kind] = row
        logger.info(
            "export: %s %.0f MB, CER %+.4f, field F1 %+.4f, %.2f answers/s",
            kind, row["bytes"] / 1e6, row["cer_added"] or 0.0, -(row["field_f1_lost"] or 0.0), count / seconds,
        )  # fmt: skip
        shipped = shipped or (kind if row["passed"] else None)
    if shipped is None:
        raise RuntimeError(f"No precision of export.precisions costs less than export.cer_bound: {rows}; add fp32.")
    if shipped != "fp32":
        for path in (part / shipped).glob("*.onnx*"):
            path.replace(part / path.name)
    for name in rows:
        shutil.rmtree(part / name)
    return shipped, rows


def settle(merged: Path, part: Path) -> Any:
    """Write config.json and the processor's files spelled out in full, which bases leave to transformers' defaults, and
    under the names of today, whatever version wrote the base's; the configuration as transformers has it."""
    from transformers import AutoConfig, AutoImageProcessor, AutoProcessor
    from transformers.utils import logging as advice

    advice.set_verbosity_error()  # it would advise the fast image processor
    config, processor = AutoConfig.from_pretrained(merged), AutoProcessor.from_pretrained(merged)
    if not processor.chat_template:
        raise InputError(f"{merged} has no chat template; a base that answers questions brings one.")
    processor.image_processor = AutoImageProcessor.from_pretrained(merged, use_fast=False)
    processor.save_pretrained(part / "processor")
    for name in KEPT:
        if (part / "processor" / name).exists():
            (part / "processor" / name).replace(part / name)
    shutil.rmtree(part / "processor")
    config.save_pretrained(part)
    return config


def proved(
    merged: Path, part: Path, questions: Sequence[tuple[Sample, Request]], window: int | None, parameters: Export
) -> dict[str, Any]:
    """parity.json of the graphs in `part`, which get the stop tokens of `merged`.

    Both are in fp32, and neither is in memory: their weights stay in files, which the system reads as they are used.
    """
    from warraq.exporters.onnx import graphs
    from warraq.runtimes import processor as processors
    from warraq.runtimes.onnx import OnnxRuntime
    from warraq.runtimes.torch import TorchRuntime

    processor = processors.load(part)
    asked = parity.cases(questions, parameters.pages, processor, window)
    graphs.exact(merged, part / "exact")
    torch = TorchRuntime(part / "exact", dtype="float32")
    truths, stops = parity.asked_of(torch, asked, processor, parameters.max_new_tokens), torch.stops
    del torch
    shutil.rmtree(part / "exact")
    settings = read_json(merged / "generation_config.json") | {"eos_token_id": stops}
    write_json(part / "generation_config.json", settings)
    return parity.prove(OnnxRuntime(part, mapped=True), asked, truths, stops, parameters.logit_bound)


def leave_out(out: Path, student: Student) -> None:
    """Write a folder without a model, which says why."""
    why = "export.left_out names it" if routed(student) else f"no way to ONNX is proved right for {student.family}"
    shutil.rmtree(out, ignore_errors=True)
    write_json(out / "config.json", {"runtime": "none", "reason": why})
    logger.info("export: nothing, as %s", why)


def routed(student: Student) -> bool:
    return importlib.util.find_spec(f"warraq.exporters.onnx.{student.family}") is not None


def needed(merged: Path) -> int:
    """Bytes of disk while it runs: graphs, in which a head shared with the embedding is written again, and the copy for
    the proof, all in fp32."""
    from safetensors import safe_open

    counts = []
    for path in merged.glob("*.safetensors"):
        with safe_open(path, "np") as file:
            counts += [math.prod(file.get_slice(name).get_shape()) for name in list(file.keys())]
    return 4 * (2 * sum(counts) + max(counts, default=0))


def run(merged: Path, dataset: Path, pages: Path, out: Path, student: Student, parameters: Export) -> None:
    if not routed(student):
        raise InputError(
            f"No way to ONNX is proved right for the family {student.family}; use {merged} as it is, and name the "
            "student under export.left_out in params.yaml."
        )
    questions = runtimes.questions(dataset / "val.json", pages)
    for name in NEEDED:
        if not (merged / name).is_file():
            raise InputError(f"{merged / name} is missing; run `warraq merge` again.")
    kind = read_json(merged / "config.json").get("model_type")
    if kind != student.family:  # families with a way to ONNX are named as transformers names them
        raise InputError(
            f"{merged} is a {kind} model, not a {student.family}; correct the student's family in params.yaml."
        )
    told = manifest.read(merged)
    out.parent.mkdir(parents=True, exist_ok=True)
    free, wanted = shutil.disk_usage(out.parent).free, needed(merged)
    if free < wanted:
        raise InputError(
            f"{out.parent} has {free / 1e9:.1f} GB free, and the export of {merged} needs {wanted / 1e9:.1f} while it "
            "runs; make room, or name the student under export.left_out in params.yaml."
        )

    part = out.with_name(out.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    config, room = settle(merged, part), importlib.import_module(f"warraq.exporters.onnx.{student.family}")
    logger.info("export: tracing %s", merged)
    room.write(merged, part)

    proof = proved(merged, part, questions, room.window(config), parameters)
    write_json(part / "parity.json", proof)
    for row in proof["cases"]:
        if not row["passed"]:
            raise RuntimeError(
                f"The ONNX graphs are not {merged}: case {row['case']!r} of {part / 'parity.json'} failed."
            )
    shipped, costs = weighed(part, questions, parameters)
    write_json(part / "parity.json", proof | {"shipped": shipped, "precisions": costs})
    manifest.write(part, told.look, told.recipe, told.tasks)
    shutil.rmtree(out, ignore_errors=True)
    part.rename(out)
    logger.info(
        "export: %d cases equal token for token in fp32, largest difference of a logit %.1e; %s is shipped",
        len(proof["cases"]), proof["largest_logit_difference"], shipped,
    )  # fmt: skip

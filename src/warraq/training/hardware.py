"""This machine against a student: GPUs, memory, disk, versions. An estimate errs on the side of what will not fit."""

import importlib.metadata
import math
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from warraq.environment import read_count, read_flag
from warraq.errors import InputError
from warraq.files import read_json
from warraq.students import Student, family, weights
from warraq.training import trainable_modules
from warraq.training.audit import Row

GIB = 2**30


def gpus() -> list[tuple[str, int]]:
    """Name and bytes of each NVIDIA GPU that this process may use, as the driver tells them; no library is loaded."""
    program = shutil.which("nvidia-smi")
    if program is None or os.environ.get("CUDA_VISIBLE_DEVICES") == "":
        return []
    command = [program, "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    if told.returncode:
        return []
    rows = [line.rsplit(",", 1) for line in told.stdout.splitlines() if "," in line]
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    found = [(name.strip(), int(size) * 2**20) for name, size in rows if size.strip().isdigit()]
    return found[: len(visible.split(","))] if visible else found


def devices() -> int:
    """Processes that LLaMA-Factory's launcher will start in all: on every GPU of every machine, or as told."""
    one = read_count("NPROC_PER_NODE") or len(gpus()) or 1
    several = read_flag("FORCE_TORCHRUN") or len(gpus()) > 1
    return one * (read_count("NNODES") or 1) if several else 1


def zero_stage() -> int:
    """Of DeepSpeed, by the variables of `accelerate`, which the trainer obeys; 0 without it."""
    if not read_flag("ACCELERATE_USE_DEEPSPEED"):
        return 0
    if path := os.environ.get("ACCELERATE_DEEPSPEED_CONFIG_FILE"):
        return int(read_json(Path(path)).get("zero_optimization", {}).get("stage", 0))
    stage = read_count("ACCELERATE_DEEPSPEED_ZERO_STAGE", least=0)
    return 2 if stage is None else stage


def estimate(known: weights.Shapes, student: Student, trained: int, tokens: int) -> dict[str, int]:
    """Bytes on one device while training, by what takes them; the vision tower's own activations are not counted.

    tokens: of the longest sample. Logits are those of every token, in fp32 and again as gradient, some 16 bytes each. A
    layer of the language model keeps four values for each of its MLP's width and some 25 for each of its own (counted
    on Gemma-3 and Qwen2.5-VL: docs/measurements.md); where gradients are checkpointed only one layer does at a time,
    beside its gradients, and the others their input.
    """
    size = 2 if student.precision == "bf16" else 4
    embedding = next(shape for name, shape in known.items() if name.endswith("embed_tokens.weight"))
    layers = len({hit[1] for name in known if (hit := re.search(r"language_model\.layers\.(\d+)\.", name))})
    wide = max((s[0] for name, s in known.items() if re.search(r"language_model.*\.up_proj\.weight", name)), default=0)
    count = sum(math.prod(shape) for shape in known.values())
    batch = max(student.batch_size, student.eval_batch_size)
    layer = 4 * wide + 25 * embedding[1]
    kept = 2 * layer + layers * embedding[1] if student.precision == "bf16" else layer * layers
    return {
        "weights": count * size,
        "trained": trained * 16,  # fp32 with gradient and two moments
        "logits": 16 * embedding[0] * tokens * batch,
        "activations": size * tokens * batch * kept,
    }


def check(known: weights.Shapes, student: Student, rows: Sequence[Row], place: Path) -> None:
    """Refuse what cannot fit before it is loaded.

    Raises:
        InputError: the estimate is more than the GPU has, or the disk has no room for the checkpoints; or the
            environment shards the model in a way that does not work.
    """
    if read_flag("ACCELERATE_USE_FSDP") and os.environ.get("FSDP_VERSION", "1") != "2":
        raise InputError("FSDP 1 hides which weights are trained: set FSDP_VERSION=2 (docs/running.md, Several GPUs).")
    if zero_stage() == 3:
        raise InputError(
            "the environment asks for ZeRO-3, under which Gemma-3 fails and no tier stands on another: set "
            "ACCELERATE_DEEPSPEED_ZERO_STAGE=2, or take FSDP (docs/running.md, Several GPUs)."
        )
    trained = trainable_modules.largest(known, family(student.family), student)
    parts = estimate(known, student, trained, max(row.tokens for row in rows))
    need, there = sum(parts.values()), gpus()
    if there and need > min(size for _, size in there):
        name, size = min(there, key=lambda gpu: gpu[1])
        told = ", ".join(f"{part} {value / GIB:.1f}" for part, value in parts.items())
        raise InputError(
            f"training needs about {need / GIB:.0f} GiB ({told}), {name} has {size / GIB:.0f}; lower batch_size (and "
            "raise accumulation), cutoff_len or image_max_pixels."
        )
    place = next(folder for folder in (place, *place.absolute().parents) if folder.exists())
    free, wanted = shutil.disk_usage(place).free, 3 * parts["trained"] + GIB // 4
    if free < wanted:
        raise InputError(f"{place} has {free / GIB:.1f} GiB free, checkpoints need {wanted / GIB:.1f}; free some.")


def report(name: str, student: Student | None, base: Path) -> list[tuple[bool, str]]:
    """What `warraq doctor` tells, a line each, and whether it is as it should be."""
    lines: list[tuple[bool, str]] = []
    for requirement in importlib.metadata.requires("warraq") or []:
        package, _, pinned = requirement.partition("==")
        if not pinned or ";" in requirement:
            continue
        try:
            found = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found = "missing"
        if found.split("+")[0] != pinned:
            lines.append((False, f"{package} {found}, {pinned} was tested: make setup"))
    lines = lines or [(True, "packages are those of the lock")]
    there = gpus()
    lines.append((True, ", ".join(f"{gpu} {size / GIB:.0f} GiB" for gpu, size in there) or "no GPU: nano only"))
    for gpu, _ in there:
        if any(old in gpu for old in ("T4", "V100", "P100")):
            lines.append((False, f"{gpu} has no bf16, and fp16 overflows in Gemma-3"))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    free = shutil.disk_usage(Path()).free
    lines.append((True, f"{len(os.sched_getaffinity(0))} cores, {memory / GIB:.0f} GiB memory"))
    lines.append((free > 9 * GIB, f"{free / GIB:.0f} GiB of disk free"))
    if student is None:
        return lines
    try:
        known = weights.shapes(base, family(student.family))
        trained = trainable_modules.largest(known, family(student.family), student)
    except InputError as error:
        return [*lines, (False, f"{name}: {error}")]
    parts = estimate(known, student, trained, student.cutoff_len)
    need = sum(parts.values())
    told = ", ".join(f"{part} {value / GIB:.1f}" for part, value in parts.items())
    memory = min((size for _, size in there), default=memory)
    lines.append((need <= memory, f"{name}: at most about {need / GIB:.1f} GiB to train ({told})"))
    return lines

"""This machine against a student: GPUs, memory, disk, versions. An estimate errs on the side of what will not fit."""

import importlib.metadata
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from warraq.records import InputError
from warraq.students import Student, contract, family
from warraq.students.audit import Row

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
    one = int(os.environ.get("NPROC_PER_NODE", len(gpus()) or 1))
    forced = os.environ.get("FORCE_TORCHRUN", "").lower() in ("1", "true", "y", "yes", "t", "on")
    return one * int(os.environ.get("NNODES", 1)) if forced or len(gpus()) > 1 else 1


def estimate(known: contract.Shapes, student: Student, trained: int, tokens: int) -> dict[str, int]:
    """Bytes on one device while training, by what takes them.

    tokens: of the longest sample. Logits are those of every token, in fp32 and again as gradient, some 16 bytes each;
    of the activations a layer's input is kept where gradients are checkpointed, and some 34 values a token (Korthikanti
    et al. 2022, Reducing Activation Recomputation, eq. 1) where they are not.
    """
    size = 2 if student.precision == "bf16" else 4
    embedding = next(shape for name, shape in known.items() if name.endswith("embed_tokens.weight"))
    layers = len({hit[1] for name in known if (hit := re.search(r"language_model\.layers\.(\d+)\.", name))})
    count = sum(_product(shape) for shape in known.values())
    batch = max(student.batch_size, student.eval_batch_size)
    kept = 1 if student.precision == "bf16" else 34 // size
    return {
        "weights": count * size,
        "trained": (count if student.tuning == "full" else trained) * 16,  # fp32 with gradient and two moments
        "logits": 16 * embedding[0] * tokens * batch,
        "activations": size * embedding[1] * tokens * batch * (layers * kept + 34),
    }


def _product(shape: tuple[int, ...]) -> int:
    size = 1
    for side in shape:
        size *= side
    return size


def check(known: contract.Shapes, student: Student, targets: list[list[str]], rows: Sequence[Row], place: Path) -> None:
    """Refuse what cannot fit before it is loaded.

    Raises:
        InputError: the estimate is more than the GPU has, or the disk has no room for the checkpoints.
    """
    trained = max(contract.weights(known, names, tier.rank) for names, tier in zip(targets, student.tiers, strict=True))
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
        known = contract.shapes(base, family(student.family))
        names = [contract.targets(known, family(student.family), tier) for tier in student.tiers]
    except InputError as error:
        return [*lines, (False, f"{name}: {error}")]
    trained = max(contract.weights(known, part, tier.rank) for part, tier in zip(names, student.tiers, strict=True))
    parts = estimate(known, student, trained, student.cutoff_len)
    need = sum(parts.values())
    told = ", ".join(f"{part} {value / GIB:.1f}" for part, value in parts.items())
    memory = min((size for _, size in there), default=memory)
    lines.append((need <= memory, f"{name}: at most about {need / GIB:.1f} GiB to train ({told})"))
    return lines

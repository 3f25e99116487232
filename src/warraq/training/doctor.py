"""What `warraq doctor` says of this machine. No stage imports it, so that its wording retrains nothing."""

import importlib.metadata
import os
import shutil
from pathlib import Path

from warraq.errors import InputError
from warraq.students import Student
from warraq.training.hardware import GIB, format_parts, list_gpus
from warraq.training.sizing import (
    GB,
    SAMPLES,
    TOKENS,
    count_samples,
    count_weights,
    describe_cards,
    estimate_disk,
    estimate_need,
    find_base,
    find_shapes,
)

Line = tuple[bool, str]
"""Whether something is as it should be, and what is said of it."""


def check_machine(name: str, student: Student | None, base: Path) -> list[Line]:
    """The packages, GPUs, memory and disk, and what training `student`, called `name`, needs at most."""
    gpus = list_gpus()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    free = shutil.disk_usage(Path()).free
    lines = [
        *_check_packages(),
        (bool(gpus) or student is None or student.precision == "fp32",
         ", ".join(f"{gpu} {size / GIB:.0f} GiB" for gpu, size in gpus) or "no GPU: nano only"),
        *((False, f"{gpu} has no bf16, and fp16 overflows in Gemma-3") for gpu, _ in gpus if _is_old(gpu)),
        (True, f"{len(os.sched_getaffinity(0))} cores, {memory / GIB:.0f} GiB memory"),
        (free > 9 * GIB, f"{free / GIB:.0f} GiB of disk free"),
    ]  # fmt: skip
    if student is not None:
        try:
            lines += _check_student(name, student, base, min((size for _, size in gpus), default=memory), free)
        except InputError as error:
            lines.append((False, f"{name}: {error}"))
    return lines


def _check_packages() -> list[Line]:
    lines: list[Line] = []
    for requirement in importlib.metadata.requires("warraq") or []:
        package, _, pinned = requirement.partition("==")
        if not pinned or ";" in requirement:
            continue
        try:
            version = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            version = "missing"
        if version.split("+")[0] != pinned:
            lines.append((False, f"{package} {version}, {pinned} was tested: make setup"))
    return lines or [(True, "packages are those of the lock")]


def _is_old(gpu: str) -> bool:
    return any(old in gpu for old in ("T4", "V100", "P100"))


def _check_student(name: str, student: Student, base: Path, memory: int, free: int) -> list[Line]:
    shapes = find_shapes(student, base)
    lines = [] if (base / "config.json").exists() else [_check_download(name, student, count_weights(shapes))]
    need, disk = estimate_need(shapes, student), estimate_disk(shapes, student)
    total = sum(need.values())
    return [
        *lines,
        (total <= memory, f"{name}: at most about {total / GIB:.1f} GiB to train ({format_parts(need)})"),
        (disk < free, f"{name}: a run takes {disk / GB:.1f} GB of disk at most, beside 9 GiB of packages"),
    ]


def _check_download(name: str, student: Student, weights: int) -> Line:
    """What `warraq fetch` will bring, and whether it may."""
    what = f"{name}: {student.base}, {weights / GB:.2f} billion weights, {2 * weights / GB:.1f} GB to fetch"
    if (entry := find_base(student)) and entry["gated"]:
        consent = f"{what}; accept its licence at https://huggingface.co/{student.base} and set HF_TOKEN"
        return bool(os.environ.get("HF_TOKEN")), consent
    return True, f"{what}; no token needed"


def describe_rent(name: str, student: Student, base: Path, root: Path) -> list[str]:
    """What training would take on cards that can be rented, a line each; nothing for a student that needs none, or
    whose shape is not known."""
    try:
        shapes = find_shapes(student, base)
    except InputError:
        return []
    if student.precision == "fp32":
        return []
    samples = count_samples(root)
    told = f"{samples} samples" if samples else f"{SAMPLES} samples, for want of a dataset,"
    head = f"{name}, {told} of {TOKENS} tokens, all epochs, training alone; prices are assumed:"
    return [head, *describe_cards(shapes, student, samples or SAMPLES)]

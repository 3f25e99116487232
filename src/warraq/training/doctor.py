"""What `warraq doctor` says of this machine. No stage imports it, so that its wording retrains nothing."""

import importlib.metadata
import os
import shutil
from pathlib import Path

from warraq.errors import InputError
from warraq.students import Student, families
from warraq.students.weights import read_shapes
from warraq.training.hardware import GIB, choose_checkpointing, estimate_memory, format_parts, list_gpus
from warraq.training.trainable_modules import count_trained_weights

Line = tuple[bool, str]
"""Whether something is as it should be, and what is said of it."""


def check_machine(name: str, student: Student | None, base: Path) -> list[Line]:
    """The packages, GPUs, memory and disk, and what training `student`, called `name`, needs at most."""
    gpus = list_gpus()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    free = shutil.disk_usage(Path()).free
    lines = [
        *_check_packages(),
        (True, ", ".join(f"{gpu} {size / GIB:.0f} GiB" for gpu, size in gpus) or "no GPU: nano only"),
        *((False, f"{gpu} has no bf16, and fp16 overflows in Gemma-3") for gpu, _ in gpus if _is_old(gpu)),
        (True, f"{len(os.sched_getaffinity(0))} cores, {memory / GIB:.0f} GiB memory"),
        (free > 9 * GIB, f"{free / GIB:.0f} GiB of disk free"),
    ]
    if student is not None:
        lines.append(_check_student(name, student, base, min((size for _, size in gpus), default=memory)))
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


def _check_student(name: str, student: Student, base: Path, memory: int) -> Line:
    try:
        shapes = read_shapes(base, families.load(student.family))
        trained = count_trained_weights(shapes, student)
    except InputError as error:
        return False, f"{name}: {error}"
    is_checkpointed = choose_checkpointing(shapes, student, student.cutoff_len)
    parts = estimate_memory(shapes, student, trained, student.cutoff_len, checkpointed=is_checkpointed)
    need = sum(parts.values())
    return need <= memory, f"{name}: at most about {need / GIB:.1f} GiB to train ({format_parts(parts)})"

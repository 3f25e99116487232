"""This machine against a student: GPUs, memory, disk. An estimate errs on the side of what will not fit."""

import math
import os
import re
import shutil
import subprocess
from pathlib import Path

from warraq.environment import read_count, read_flag
from warraq.errors import InputError
from warraq.files import read_json
from warraq.students import Student, families
from warraq.students.weights import Shapes
from warraq.training.trainable_modules import count_trained_weights

GIB = 2**30
SPARE = 0.9  # of a GPU's memory is planned for: the estimate leaves out the vision tower and what lies between blocks


def list_gpus() -> list[tuple[str, int]]:
    """Name and bytes of each NVIDIA GPU that this process may use, as the driver tells them; no library is loaded."""
    program = shutil.which("nvidia-smi")
    if program is None or os.environ.get("CUDA_VISIBLE_DEVICES") == "":
        return []
    command = [program, "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode:
        return []
    rows = [line.rsplit(",", 1) for line in answer.stdout.splitlines() if "," in line]
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    present = [(name.strip(), int(size) * 2**20) for name, size in rows if size.strip().isdigit()]
    return present[: len(visible.split(","))] if visible else present


def count_devices() -> int:
    """Processes that LLaMA-Factory's launcher will start in all: one a GPU of each machine, or as its variables say."""
    one = read_count("NPROC_PER_NODE") or len(list_gpus()) or 1
    several = read_flag("FORCE_TORCHRUN") or len(list_gpus()) > 1
    return one * (read_count("NNODES") or 1) if several else 1


def read_zero_stage() -> int:
    """Of DeepSpeed, by the variables of `accelerate`, which the trainer obeys; 0 without it."""
    if not read_flag("ACCELERATE_USE_DEEPSPEED"):
        return 0
    if path := os.environ.get("ACCELERATE_DEEPSPEED_CONFIG_FILE"):
        return int(read_json(Path(path)).get("zero_optimization", {}).get("stage", 0))
    stage = read_count("ACCELERATE_DEEPSPEED_ZERO_STAGE", least=0)
    return 2 if stage is None else stage


def estimate_memory(
    shapes: Shapes, student: Student, trained: int, tokens: int, *, checkpointed: bool = True
) -> dict[str, int]:
    """Bytes on one device while training, by what takes them; the vision tower's own activations are not counted.

    Args:
        shapes: of all parameters.
        student: how it is trained.
        trained: weights that are trained.
        tokens: of the longest sample. Logits are those of every token, in fp32 and again as gradient, some 16 bytes
            each; by a fused loss those of a part of the tokens at a time, in bf16, and a gradient of the hidden states.
            A layer of the language model keeps four values for each of its MLP's width and some 25 for each of
            its own (counted on Gemma-3 and Qwen2.5-VL: docs/measurements.md).
        checkpointed: only one layer does at a time, beside its gradients, and the others keep their input.
    """
    size = 2 if student.precision == "bf16" else 4
    vocabulary, hidden = next(shape for name, shape in shapes.items() if name.endswith("embed_tokens.weight"))
    layers = len({hit[1] for name in shapes if (hit := re.search(r"language_model\.layers\.(\d+)\.", name))})
    wide = max((s[0] for name, s in shapes.items() if re.search(r"language_model.*\.up_proj\.weight", name)), default=0)
    places = tokens * max(student.batch_size, student.eval_batch_size)
    layer = 4 * wide + 25 * hidden
    at_once = 2 ** math.ceil(math.log2(max(places * hidden / vocabulary, 1)))  # of liger-kernel, a power of two
    return {
        "weights": sum(math.prod(shape) * _weight_size(name, shape, student) for name, shape in shapes.items()) // 64,
        "trained": trained * 16,  # fp32 with gradient and two moments
        "logits": 4 * (vocabulary * at_once + hidden * places) if student.fused_loss else 16 * vocabulary * places,
        "activations": size * places * (2 * layer + layers * hidden if checkpointed else layer * layers),
    }


def _weight_size(name: str, shape: tuple[int, ...], student: Student) -> int:
    """64ths of a byte that a weight takes: of linear layers but the head, nf4 keeps 4 bits and a scale a block."""
    if student.quantization == "nf4" and len(shape) == 2 and not re.search(r"embed|lm_head", name):
        return 33
    return 128 if student.precision == "bf16" else 256


def format_parts(parts: dict[str, int]) -> str:
    """The estimate in GiB, part by part."""
    return ", ".join(f"{part} {value / GIB:.1f}" for part, value in parts.items())


def choose_checkpointing(shapes: Shapes, student: Student, tokens: int) -> bool:
    """Whether gradients are checkpointed: as the student says, or where they do not fit into the GPU without.

    Without a GPU a student in fp32 is a small one, which has memory to spare.
    """
    if student.checkpointing != "auto":
        return student.checkpointing == "always"
    gpus = list_gpus()
    if not gpus:
        return student.precision == "bf16"
    trained = count_trained_weights(shapes, student)
    need = sum(estimate_memory(shapes, student, trained, tokens, checkpointed=False).values())
    return need > SPARE * min(size for _, size in gpus)


def find_remedy(shapes: Shapes, student: Student, trained: int, tokens: int, size: int) -> str:
    """What of the student makes it fit into `size` bytes: one change after another that helps this family, and what
    is needed then."""
    family, changes = families.load(student.family), dict[str, object]()
    need = sum(estimate_memory(shapes, student, trained, tokens).values())
    if need <= size:
        return f"set checkpointing to auto, and it needs {need / GIB:.0f}"
    tried: list[tuple[bool, dict[str, object]]] = [
        (family.has_fused_loss, {"fused_loss": True}),
        (True, {"batch_size": 1, "eval_batch_size": 1, "accumulation": student.batch_size * student.accumulation}),
        (student.tuning == "lora" and student.precision == "bf16" and len(student.tiers) == 1, {"quantization": "nf4"}),
    ]
    for is_possible, change in tried:
        changed = student.model_copy(update=changes | change)
        less = sum(estimate_memory(shapes, changed, trained, tokens).values())
        if is_possible and less < need:
            changes, need = changes | change, less
        if need <= size:
            break
    changes = {name: value for name, value in changes.items() if value != getattr(student, name)}
    said = " and ".join(f"{name} to {str(value).lower()}" for name, value in changes.items())
    remedy = f"set {said}, and it needs {need / GIB:.0f}" if said else ""
    if need > size:
        shorter = "image_max_pixels and cutoff_len" if student.image_max_pixels else "cutoff_len"
        also = f"lower {shorter} (train.misfits says what becomes of longer samples), or take a larger GPU"
        remedy = f"{remedy}; {also}" if remedy else also
    return remedy


def check_hardware(shapes: Shapes, student: Student, tokens: int, place: Path) -> None:
    """Refuse what cannot fit before it is loaded.

    Args:
        shapes: of all parameters.
        student: how it is trained.
        tokens: of the longest sample.
        place: the folder that takes the checkpoints.

    Raises:
        InputError: the estimate is more than the GPU has, or the disk has no room for the checkpoints; or the
            environment shards the model in a way that does not work.
    """
    if read_flag("ACCELERATE_USE_FSDP") and os.environ.get("FSDP_VERSION", "1") != "2":
        raise InputError("FSDP 1 hides which weights are trained: set FSDP_VERSION=2 (docs/running.md, Several GPUs).")
    if read_zero_stage() == 3:
        raise InputError(
            "the environment asks for ZeRO-3, under which Gemma-3 fails and no tier stands on another: set "
            "ACCELERATE_DEEPSPEED_ZERO_STAGE=2, or take FSDP (docs/running.md, Several GPUs)."
        )
    is_checkpointed = choose_checkpointing(shapes, student, tokens)
    trained, gpus = count_trained_weights(shapes, student), list_gpus()
    parts = estimate_memory(shapes, student, trained, tokens, checkpointed=is_checkpointed)
    if not gpus and student.fused_loss and student.precision == "fp32":
        raise InputError("there is no GPU, which fused_loss needs; set it to false for this student.")
    if gpus and sum(parts.values()) > min(size for _, size in gpus):
        name, size = min(gpus, key=lambda gpu: gpu[1])
        raise InputError(
            f"training needs about {sum(parts.values()) / GIB:.0f} GiB ({format_parts(parts)}), {name} has "
            f"{size / GIB:.0f}; {find_remedy(shapes, student, trained, tokens, size)}."
        )
    place = next(folder for folder in (place, *place.absolute().parents) if folder.exists())
    free, wanted = shutil.disk_usage(place).free, 3 * parts["trained"] + GIB // 4
    if free < wanted:
        raise InputError(f"{place} has {free / GIB:.1f} GiB free, checkpoints need {wanted / GIB:.1f}; free some.")

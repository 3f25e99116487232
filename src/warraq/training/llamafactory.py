"""LLaMA-Factory as it is used here: its settings, a child process that cannot outlive us, and the files it leaves.

Its output shows samples, and documents are private: it goes to a file, and nobody repeats it except for the last
complaint of a failed run.
"""

import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from warraq.errors import InputError
from warraq.files import read_json, write_json, write_text
from warraq.students import Student, Tier, families
from warraq.training.audit import SampleSize

Settings = dict[str, Any]
"""The keys of a YAML file of LLaMA-Factory, as its `get_train_args` reads them."""


def count_updates(samples: int, student: Student, tier: Tier) -> int:
    """Optimiser updates, by the trainer's own arithmetic."""
    batches = math.ceil(samples / student.batch_size)
    return math.ceil(tier.epochs * math.ceil(batches / student.accumulation))


def training_settings(
    student: Student,
    tier: Tier,
    targets: Sequence[str],
    sizes: Sequence[SampleSize],
    *,
    largest_px: int,
    seed: int,
    checkpoints: int,
) -> Settings:
    """What decides the result of a training run on samples of these sizes, all of which fit.

    The cut-off is the longest sample's, so that nothing is cut, and only the processor shrinks images.

    Args:
        student: who is trained.
        tier: what of it is trained.
        targets: the linear layers that get LoRA matrices.
        sizes: of the samples of training and validation.
        largest_px: px of the largest image.
        seed: of shuffling, dropout and new weights.
        checkpoints: how many are kept while training.
    """
    family = families.load(student.family)
    updates = count_updates(sum(size.split == "train" for size in sizes), student, tier)
    steps = updates // math.ceil(updates / student.eval_steps)  # evenly: none is kept after the last evaluation
    is_scored = student.scored_samples > 0
    return {
        "dataset": "train", "eval_dataset": "val", "output_dir": "output", "overwrite_output_dir": False,
        "stage": "sft", "do_train": True, **_tuning_settings(student, tier, targets, family.whole_projector),
        "template": family.template, "default_system": family.system, "flash_attn": "sdpa",
        "image_max_pixels": max(largest_px, 1024), "cutoff_len": choose_cutoff(max(size.tokens for size in sizes)),
        "overwrite_cache": True,  # the cache does not see that an image changed
        **_memory_settings(student),
        "per_device_train_batch_size": student.batch_size, "per_device_eval_batch_size": student.eval_batch_size,
        "gradient_accumulation_steps": student.accumulation, "learning_rate": tier.learning_rate,
        "lr_scheduler_type": student.scheduler, "warmup_ratio": student.warmup_ratio,
        "num_train_epochs": tier.epochs, "bf16": student.precision == "bf16", "seed": seed,
        "eval_strategy": "steps", "eval_steps": steps, "save_strategy": "steps", "save_steps": steps,
        "save_total_limit": checkpoints, "load_best_model_at_end": True,
        "metric_for_best_model": "eval_choice" if is_scored else "eval_loss", "greater_is_better": is_scored,
        "early_stopping_steps": tier.patience, "restore_callback_states_from_checkpoint": True,  # its counter
        "logging_steps": student.logging_steps, "plot_loss": True, "report_to": "none",
    }  # fmt: skip


def _tuning_settings(student: Student, tier: Tier, targets: Sequence[str], whole_projector: str | None) -> Settings:
    if student.tuning == "full":
        return {
            "finetuning_type": "full",
            "freeze_vision_tower": False,
            "freeze_multi_modal_projector": False,
            "freeze_language_model": False,
        }
    settings = {
        "finetuning_type": "lora",
        "lora_rank": tier.rank,
        "lora_alpha": tier.alpha,
        "lora_dropout": tier.dropout,
        "lora_target": ",".join(targets),
        "freeze_vision_tower": not (tier.projector or tier.vision_attention_last),
        "freeze_multi_modal_projector": not tier.projector,
    }
    if tier.projector and whole_projector:
        settings["additional_target"] = whole_projector
    return settings


def choose_cutoff(longest: int) -> int:
    """Above the longest sample by at least one: at equality the trainer's own rounding may cut a token."""
    return (longest // 8 + 1) * 8


def _memory_settings(student: Student) -> Settings:
    """What saves memory and moves the result by its rounding."""
    settings: Settings = {"enable_liger_kernel": True} if student.fused_loss else {}
    if student.quantization == "nf4":
        settings |= {"quantization_bit": 4, "quantization_type": "nf4", "double_quantization": True}
    return settings


def checkpointing_options(student: Student, tier: Tier, is_checkpointed: bool) -> list[str]:
    """Gradient checkpointing, which changes no result and depends on the GPU: options beside the YAML.

    LLaMA-Factory's own covers only layers with trainable weights, so that a tier of the vision alone takes
    transformers' own, not reentrant.
    """
    if is_checkpointed and student.tuning == "lora" and not tier.language:
        own = ["gradient_checkpointing=true", "gradient_checkpointing_kwargs={use_reentrant: false}"]
        return ["disable_gradient_checkpointing=true", *own]
    return [f"disable_gradient_checkpointing={str(not is_checkpointed).lower()}"]


def share_batch(student: Student, devices: int) -> list[str]:
    """The batch dealt out to several devices, so that an update is made of the same samples as on one.

    Raises:
        InputError: it cannot be dealt out evenly.
    """
    if student.accumulation % devices == 0:
        return [f"gradient_accumulation_steps={student.accumulation // devices}"]
    if student.batch_size % devices == 0:
        return [f"per_device_train_batch_size={student.batch_size // devices}"]
    raise InputError(
        f"{devices} devices cannot share batches of {student.batch_size} x {student.accumulation} samples evenly."
    )


def merging_settings(student: Student) -> Settings:
    """In float32 on the CPU, so that nothing is rounded."""
    template = families.load(student.family).template
    return {"template": template, "infer_dtype": "float32", "export_dir": "export", "export_device": "cpu"}


def link_float32(folder: Path, base: Path, weights: Path) -> None:
    """Make a model folder that LLaMA-Factory loads in float32: the weights of one folder with all else of `base`.

    It loads a model in the type that config.json names, whatever its settings say, and that would round the weights.
    """
    config = {key: value for key, value in read_json(base / "config.json").items() if key != "torch_dtype"}
    link_model(folder, base, weights, {"config.json": {**config, "dtype": "float32"}})


def link_model(folder: Path, base: Path, weights: Path, changed: Mapping[str, object]) -> None:
    """Make a model folder of links: the weights of one folder, all else of `base`, but for the JSON files `changed`."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    others = [path for path in base.iterdir() if ".safetensors" not in path.name and path.name not in changed]
    for path in [*others, *weights.glob("model*.safetensors*")]:
        (folder / path.name).symlink_to(path.resolve())
    for name, value in changed.items():
        write_json(folder / name, value)


def write_settings(path: Path, settings: Settings, places: Mapping[str, Sequence[Path]]) -> None:
    """Write a YAML file for LLaMA-Factory, one line a setting; the paths in it are relative to its folder, as that is
    on its disk: a folder above may be a link."""
    here = path.parent.resolve()
    relative = {
        key: ",".join(os.path.relpath(one.parent.resolve() / one.name, here) for one in many)
        for key, many in places.items()
    }
    write_text(path, "".join(f"{key}: {json.dumps(value)}\n" for key, value in {**relative, **settings}.items()))


@contextmanager
def run_program(command: list[str], folder: Path, log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Start what runs LLaMA-Factory in `folder`, its output appended to `log`; at the end it is killed whole.

    The child joins the process group of a guard that waits on a pipe from us. However we end, kill -9 included, the
    pipe closes and the guard kills its group: trainer, torchrun and data loaders alike.
    """
    scripts = Path(sys.executable).parent
    environment = {
        **os.environ,
        "PATH": f"{scripts}{os.pathsep}{os.environ.get('PATH', '')}",  # its programs are called by name
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_CACHE": str(folder.resolve() / "cache"),  # private documents, gone with the folder
        "TOKENIZERS_PARALLELISM": "false",
        # transformers 5.6 lists the kinds of Gemma's attention as a set does: where processes differ in that, all but
        # the first are sent the rotary frequencies of local attention for those of global attention, and learn so.
        "PYTHONHASHSEED": "0",
        "WANDB_DIR": os.environ.get("WANDB_DIR", str(Path.cwd())),
    }
    guard = subprocess.Popen(["sh", "-c", "read -r _; kill -9 0"], stdin=subprocess.PIPE, process_group=0)
    try:
        log.touch(mode=0o600)
        with log.open("ab") as stream, subprocess.Popen(
            command, cwd=folder, env=environment, process_group=guard.pid,
            stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT,
        ) as child:  # fmt: skip
            try:
                yield child
            finally:
                os.killpg(guard.pid, signal.SIGKILL)
    finally:
        guard.communicate()


def find_complaint(log: Path) -> str:
    """The last line of `log` that says what went wrong, of a process among several before that of their launcher; else
    the last line."""
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    pattern = re.compile(r"(\[rank\d+\]: )?(\w+\.)*\w*(Error|Exception|Interrupt|Exit)\b")
    errors = [line for line in lines if pattern.match(line)]
    ranks = [line for line in errors if line.startswith("[")]
    return (ranks or errors or lines or ["it said nothing"])[-1][:300]

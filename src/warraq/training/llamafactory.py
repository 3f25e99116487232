"""LLaMA-Factory as it is used here: what it is told, a child process that cannot outlive us, and the files it leaves.

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
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from warraq.errors import InputError
from warraq.files import read_json, write_json, write_text
from warraq.students import Student, Tier, family
from warraq.training.audit import Row


def updates(samples: int, student: Student, tier: Tier) -> int:
    """Optimiser updates, by the trainer's own arithmetic."""
    batches = math.ceil(samples / student.batch_size)
    return math.ceil(tier.epochs * math.ceil(batches / student.accumulation))


def training(
    student: Student, tier: Tier, targets: list[str], rows: Sequence[Row], pixels: int, seed: int, checkpoints: int
) -> dict[str, Any]:
    """What decides the result of a training run on `rows`, all of which fit; no image has more than `pixels` px.

    The cut-off is the longest sample's, so that nothing is cut, and only the processor shrinks images.
    """
    room = family(student.family)
    samples = sum(row.side == "train" for row in rows)
    whole = updates(samples, student, tier)
    steps = whole // math.ceil(whole / student.eval_steps)  # evenly: what comes after the last evaluation is never kept
    if student.tuning == "lora":
        tuning = {"finetuning_type": "lora", "lora_rank": tier.rank, "lora_alpha": tier.alpha}
        tuning |= {"lora_dropout": tier.dropout, "lora_target": ",".join(targets)}
        tuning |= {"freeze_vision_tower": not (tier.projector or tier.vision_attention_last)}
        tuning |= {"freeze_multi_modal_projector": not tier.projector}
        if tier.projector and room.PROJECTOR_WHOLE:
            tuning |= {"additional_target": room.PROJECTOR_WHOLE}
    else:
        tuning = {"finetuning_type": "full", "freeze_vision_tower": False}
        tuning |= {"freeze_multi_modal_projector": False, "freeze_language_model": False}
    scored = student.scored_samples > 0
    return {
        "dataset": "train", "eval_dataset": "val", "output_dir": "output", "overwrite_output_dir": False,
        "stage": "sft", "do_train": True, **tuning,
        "template": room.TEMPLATE, "default_system": room.SYSTEM, "flash_attn": "sdpa",
        "image_max_pixels": max(pixels, 1024), "cutoff_len": cutoff(max(row.tokens for row in rows)),
        "overwrite_cache": True,  # the cache does not see that an image changed
        **checkpointing(student, tier),
        "per_device_train_batch_size": student.batch_size, "per_device_eval_batch_size": student.eval_batch_size,
        "gradient_accumulation_steps": student.accumulation, "learning_rate": tier.learning_rate,
        "lr_scheduler_type": student.scheduler, "warmup_ratio": student.warmup_ratio,
        "num_train_epochs": tier.epochs, "bf16": student.precision == "bf16", "seed": seed,
        "eval_strategy": "steps", "eval_steps": steps, "save_strategy": "steps", "save_steps": steps,
        "save_total_limit": checkpoints, "load_best_model_at_end": True,
        "metric_for_best_model": "eval_choice" if scored else "eval_loss", "greater_is_better": scored,
        "early_stopping_steps": tier.patience,
        "logging_steps": student.logging_steps, "plot_loss": True, "report_to": "none",
    }  # fmt: skip


def cutoff(longest: int) -> int:
    """Above the longest sample by at least one: at equality the trainer's own rounding may cut a token."""
    return (longest // 8 + 1) * 8


def checkpointing(student: Student, tier: Tier) -> dict[str, Any]:
    """Gradient checkpointing: none for a small student, which has memory to spare; LLaMA-Factory's own covers only
    layers with trainable weights, so that a tier of the vision alone takes transformers' own, not reentrant."""
    if student.precision == "bf16" and student.tuning == "lora" and not tier.language:
        own = {"gradient_checkpointing": True, "gradient_checkpointing_kwargs": {"use_reentrant": False}}
        return {"disable_gradient_checkpointing": True, **own}
    return {"disable_gradient_checkpointing": student.precision == "fp32"}


def shared(student: Student, devices: int) -> list[str]:
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


def merging(student: Student) -> dict[str, Any]:
    """In float32 on the CPU, so that nothing is rounded."""
    template = family(student.family).TEMPLATE
    return {"template": template, "infer_dtype": "float32", "export_dir": "export", "export_device": "cpu"}


def shown(folder: Path, base: Path, weights: Path) -> None:
    """A model for LLaMA-Factory: the weights of one folder with all else of `base`, to be loaded in float32.

    It loads a model in the type that config.json names, whatever it is told, and that would round the weights.
    """
    config = {key: value for key, value in read_json(base / "config.json").items() if key != "torch_dtype"}
    linked(folder, base, weights, {"config.json": {**config, "dtype": "float32"}})


def linked(folder: Path, base: Path, weights: Path, changed: dict[str, Any]) -> None:
    """A model folder of links: the weights of one folder, all else of `base`, but for the JSON files in `changed`."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    others = [path for path in base.iterdir() if ".safetensors" not in path.name and path.name not in changed]
    for path in [*others, *weights.glob("model*.safetensors*")]:
        (folder / path.name).symlink_to(path.resolve())
    for name, value in changed.items():
        write_json(folder / name, value)


def write(path: Path, told: dict[str, Any], places: dict[str, list[Path]]) -> None:
    """A YAML file for LLaMA-Factory, one line a setting; the paths in it are relative to its folder."""
    relative = {key: ",".join(os.path.relpath(one, path.parent) for one in many) for key, many in places.items()}
    write_text(path, "".join(f"{key}: {json.dumps(value)}\n" for key, value in {**relative, **told}.items()))


@contextmanager
def running(command: list[str], folder: Path, log: Path) -> Iterator["subprocess.Popen[bytes]"]:
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


def complaint(log: Path) -> str:
    """The last line of `log` that says what went wrong, of a process among several before that of their launcher; else
    the last line."""
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    pattern = re.compile(r"(\[rank\d+\]: )?(\w+\.)*\w*(Error|Exception|Interrupt|Exit)\b")
    errors = [line for line in lines if pattern.match(line)]
    ranks = [line for line in errors if line.startswith("[")]
    return (ranks or errors or lines or ["it said nothing"])[-1][:300]


def resumable(output: Path) -> int:
    """Remove the checkpoints that a kill left half written or half deleted; the step of the last whole one, else 0."""
    last = 0
    for folder in output.glob("checkpoint-*"):
        names = {path.name for path in folder.iterdir()}
        try:
            json.loads((folder / "trainer_state.json").read_bytes())
            whole = "scheduler.pt" in names and any(name.startswith("rng_state") for name in names)
        except (FileNotFoundError, ValueError):
            whole = False
        optimizer = {"optimizer.pt", "optimizer.bin", "latest"} & names  # on one device, under FSDP, under DeepSpeed
        if whole and optimizer and any(name.endswith(".safetensors") for name in names):
            last = max(last, int(folder.name.removeprefix("checkpoint-")))
        else:
            shutil.rmtree(folder)
    return last


def finished(output: Path) -> bool:
    """Whether the trainer came to its end: all steps or early stopping, weights and results written."""
    weights = ("adapter_model.safetensors", "model.safetensors", "model.safetensors.index.json")
    results = ("train_results.json", "eval_results.json", "trainer_state.json")
    if not any((output / name).exists() for name in weights) or not all((output / name).exists() for name in results):
        return False
    state = read_json(output / "trainer_state.json")
    stopping = state["stateful_callbacks"].get("EarlyStoppingCallback", {})
    patience = stopping.get("args", {}).get("early_stopping_patience", 0)
    waited = stopping.get("attributes", {}).get("early_stopping_patience_counter", 0)
    return bool(state["global_step"] >= state["max_steps"] or waited >= patience > 0)


def best(output: Path) -> Path:
    """The checkpoint of the best evaluation.

    The trainer's own reloading of it, at the end as on resuming, fails without a word for a model tuned in full: its
    files name the tensors as on the hub, its modules otherwise (transformers 4.57), and what does not fit is skipped.
    """
    return output / f"checkpoint-{read_json(output / 'trainer_state.json')['best_global_step']}"


def timeless(output: Path, final: Path) -> None:
    """The trainer's state and log without what depends on the clock or on how often training was resumed."""
    state = read_json(output / "trainer_state.json")
    passing = re.compile(r"train_loss|.*(_runtime|_per_second)")  # train_loss: the mean since the last start
    state["log_history"] = [
        {key: value for key, value in entry.items() if not passing.fullmatch(key)} for entry in state["log_history"]
    ]
    write_json(final / "trainer_state.json", state)
    curve: dict[int, dict[str, float]] = {}
    for entry in state["log_history"]:
        kept = {k: v for k, v in entry.items() if k in ("loss", "eval_score") or re.fullmatch(r"eval_(\w+_)?loss", k)}
        curve.setdefault(entry.get("step", 0), {}).update(kept)
    names = ["loss", "eval_loss", *sorted({name for row in curve.values() for name in row} - {"loss", "eval_loss"})]
    rows = [f"{step},{','.join(str(row.get(name, '')) for name in names)}\n" for step, row in curve.items() if row]
    write_text(final / "loss.csv", "".join([f"step,{','.join(names)}\n", *rows]))  # what `dvc plots` draws
    lines = map(json.loads, (output / "trainer_log.jsonl").read_text(encoding="utf-8").splitlines())
    once = {(line["current_steps"], "eval_loss" in line): line for line in lines if {"loss", "eval_loss"} & line.keys()}
    told = [{k: v for k, v in once[key].items() if not k.endswith("_time")} for key in sorted(once)]
    write_text(final / "trainer_log.jsonl", "".join(json.dumps(line) + "\n" for line in told))

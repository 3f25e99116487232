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
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from warraq.records import read_json, write_json, write_text
from warraq.students import Student, family


def updates(samples: int, student: Student) -> int:
    """Optimiser updates on one device, by the trainer's own arithmetic."""
    batches = math.ceil(samples / student.batch_size)
    return math.ceil(student.epochs * math.ceil(batches / student.accumulation))


def training(student: Student, samples: int, seed: int, checkpoints: int) -> dict[str, Any]:
    """What decides the result of a training run; `samples` are those to learn from."""
    steps = min(student.eval_steps, updates(samples, student))  # one evaluation at least, or no checkpoint is the best
    if student.tuning == "lora":
        tuning = {"finetuning_type": "lora", "lora_rank": student.rank, "lora_alpha": student.alpha}
        tuning |= {"lora_dropout": student.dropout, "lora_target": "all"}
    else:
        tuning = {"finetuning_type": "full", "freeze_vision_tower": False}
        tuning |= {"freeze_multi_modal_projector": False, "freeze_language_model": False}
    return {
        "dataset": "train", "eval_dataset": "val", "output_dir": "output", "overwrite_output_dir": False,
        "stage": "sft", "do_train": True, **tuning,
        "template": family(student.family).TEMPLATE, "flash_attn": "sdpa", "image_max_pixels": student.image_max_pixels,
        "cutoff_len": student.cutoff_len, "overwrite_cache": True,  # the cache does not see that an image changed
        "disable_gradient_checkpointing": student.precision == "fp32",  # a small student has memory to spare
        "per_device_train_batch_size": student.batch_size, "per_device_eval_batch_size": student.batch_size,
        "gradient_accumulation_steps": student.accumulation, "learning_rate": student.learning_rate,
        "lr_scheduler_type": student.scheduler, "warmup_ratio": student.warmup_ratio,
        "num_train_epochs": student.epochs, "bf16": student.precision == "bf16", "seed": seed,
        "eval_strategy": "steps", "eval_steps": steps, "save_strategy": "steps", "save_steps": steps,
        "save_total_limit": checkpoints, "load_best_model_at_end": True, "metric_for_best_model": "eval_loss",
        "greater_is_better": False, "early_stopping_steps": student.patience,
        "logging_steps": student.logging_steps, "plot_loss": True, "report_to": "none",
    }  # fmt: skip


def merging(student: Student) -> dict[str, Any]:
    """In float32 on the CPU, so that nothing is rounded."""
    template = family(student.family).TEMPLATE
    return {"template": template, "infer_dtype": "float32", "export_dir": "export", "export_device": "cpu"}


def shown(folder: Path, base: Path, weights: Path) -> None:
    """A model for LLaMA-Factory: the weights of one folder with all else of `base`, to be loaded in float32.

    It loads a model in the type that config.json names, whatever it is told, and that would round the weights.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    others = [path for path in base.iterdir() if ".safetensors" not in path.name and path.name != "config.json"]
    for path in [*others, *weights.glob("model*.safetensors*")]:
        (folder / path.name).symlink_to(path.resolve())
    config = {key: value for key, value in read_json(base / "config.json").items() if key != "torch_dtype"}
    write_json(folder / "config.json", {**config, "dtype": "float32"})


def write(path: Path, told: dict[str, Any], places: dict[str, Path]) -> None:
    """A YAML file for LLaMA-Factory, one line a setting; the paths in it are relative to its folder."""
    relative = {key: os.path.relpath(place, path.parent) for key, place in places.items()}
    write_text(path, "".join(f"{key}: {json.dumps(value)}\n" for key, value in {**relative, **told}.items()))


@contextmanager
def running(arguments: list[str], folder: Path, log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Start LLaMA-Factory in `folder`, its output appended to `log`; at the end whatever still runs of it is killed.

    The child joins the process group of a guard that waits on a pipe from us. However we end, kill -9 included, the
    pipe closes and the guard kills its group: trainer, torchrun and data loaders alike.
    """
    scripts = Path(sys.executable).parent
    environment = {
        **os.environ,
        "PATH": f"{scripts}{os.pathsep}{os.environ.get('PATH', '')}",  # torchrun is called by name
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_CACHE": str(folder.resolve() / "cache"),  # private documents, gone with the folder
        "TOKENIZERS_PARALLELISM": "false",
        "WANDB_DIR": os.environ.get("WANDB_DIR", str(Path.cwd())),
    }
    guard = subprocess.Popen(["sh", "-c", "read -r _; kill -9 0"], stdin=subprocess.PIPE, process_group=0)
    try:
        log.touch(mode=0o600)
        with log.open("ab") as stream, subprocess.Popen(
            [scripts / "llamafactory-cli", *arguments], cwd=folder, env=environment, process_group=guard.pid,
            stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT,
        ) as child:  # fmt: skip
            try:
                yield child
            finally:
                os.killpg(guard.pid, signal.SIGKILL)
    finally:
        guard.communicate()


def complaint(log: Path) -> str:
    """The last line of `log` that says what went wrong, else the last line."""
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    errors = [line for line in lines if re.match(r"(\w+\.)*\w*(Error|Exception|Interrupt|Exit)\b", line)]
    return (errors or lines or ["it said nothing"])[-1][:300]


def resumable(output: Path) -> int:
    """Remove the checkpoints that a kill left half written or half deleted; the step of the last whole one, else 0."""
    last = 0
    for folder in output.glob("checkpoint-*"):
        names = {path.name for path in folder.iterdir()}
        try:
            json.loads((folder / "trainer_state.json").read_bytes())
            whole = {"optimizer.pt", "scheduler.pt"} <= names and any(name.startswith("rng_state") for name in names)
        except (FileNotFoundError, ValueError):
            whole = False
        if whole and any(name.endswith(".safetensors") for name in names):
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
        curve.setdefault(entry.get("step", 0), {}).update({k: entry[k] for k in ("loss", "eval_loss") if k in entry})
    rows = [f"{step},{row.get('loss', '')},{row.get('eval_loss', '')}\n" for step, row in curve.items() if row]
    write_text(final / "loss.csv", "".join(["step,loss,eval_loss\n", *rows]))  # what `dvc plots` draws
    lines = map(json.loads, (output / "trainer_log.jsonl").read_text(encoding="utf-8").splitlines())
    once = {(line["current_steps"], "eval_loss" in line): line for line in lines if {"loss", "eval_loss"} & line.keys()}
    kept = [{k: v for k, v in once[key].items() if not k.endswith("_time")} for key in sorted(once)]
    write_text(final / "trainer_log.jsonl", "".join(json.dumps(line) + "\n" for line in kept))

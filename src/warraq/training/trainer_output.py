"""The files that LLaMA-Factory's trainer leaves: checkpoints, state and log -> whether it ended, and what is kept."""

import json
import re
import shutil
from pathlib import Path
from typing import NamedTuple

from warraq.files import JsonObject, read_json, write_json, write_text


def find_resumable_step(output: Path, processes: int) -> int:
    """Remove the checkpoints that a kill left half written or half deleted; the step of the last whole one, else 0.

    Each of the `processes` writes its own random numbers, and the first does not wait for the others.

    A checkpoint at which early stopping ended the training is removed, too: the trainer, which takes a step before it
    looks, is to come to it once more.
    """
    last = 0
    for folder in output.glob("checkpoint-*"):
        names = {path.name for path in folder.iterdir()}
        try:
            state = json.loads((folder / "trainer_state.json").read_bytes())
            whole = "scheduler.pt" in names and sum(name.startswith("rng_state") for name in names) == processes
            whole = whole and not has_waited(state)
        except (FileNotFoundError, ValueError):
            whole = False
        optimizer = {"optimizer.pt", "optimizer.bin", "latest"} & names  # on one device, under FSDP, under DeepSpeed
        if whole and optimizer and any(name.endswith(".safetensors") for name in names):
            last = max(last, int(folder.name.removeprefix("checkpoint-")))
        else:
            shutil.rmtree(folder)
    return last


def has_waited(state: JsonObject) -> bool:
    """Whether early stopping has waited for a gain as long as it may, by a trainer_state.json."""
    stopping = state.get("stateful_callbacks", {}).get("EarlyStoppingCallback", {})
    patience = stopping.get("args", {}).get("early_stopping_patience", 0)
    waited = stopping.get("attributes", {}).get("early_stopping_patience_counter", 0)
    return bool(waited >= patience > 0)


def is_finished(output: Path) -> bool:
    """Whether the trainer came to its end: all steps or early stopping, weights and results written."""
    weights = ("adapter_model.safetensors", "model.safetensors", "model.safetensors.index.json")
    results = ("train_results.json", "eval_results.json", "trainer_state.json")
    if not any((output / name).exists() for name in weights) or not all((output / name).exists() for name in results):
        return False
    state = read_json(output / "trainer_state.json")
    return bool(state["global_step"] >= state["max_steps"] or has_waited(state))


def find_best_checkpoint(output: Path) -> Path:
    """The checkpoint of the best evaluation.

    The trainer's own reloading of it, at the end as on resuming, fails without a word for a model tuned in full: its
    files name the tensors as on the hub, its modules otherwise (transformers 5.6), and what does not fit is skipped.
    """
    return output / f"checkpoint-{read_json(output / 'trainer_state.json')['best_global_step']}"


def copy_history(output: Path, final: Path) -> None:
    """Write the trainer's state and log without what depends on the clock or on how often training was resumed, and
    loss.csv, a line a step."""
    state = read_json(output / "trainer_state.json")
    passing = re.compile(r"train_loss|.*(_runtime|_per_second)")  # train_loss: the mean since the last start
    state["log_history"] = [
        {key: value for key, value in entry.items() if not passing.fullmatch(key)} for entry in state["log_history"]
    ]
    write_json(final / "trainer_state.json", state)
    steps: dict[int, dict[str, float]] = {}
    for entry in state["log_history"]:
        kept = {k: v for k, v in entry.items() if k in ("loss", "eval_score") or re.fullmatch(r"eval_(\w+_)?loss", k)}
        steps.setdefault(entry.get("step", 0), {}).update(kept)
    names = ["loss", "eval_loss", *sorted({name for row in steps.values() for name in row} - {"loss", "eval_loss"})]
    rows = [f"{step},{','.join(str(row.get(name, '')) for name in names)}\n" for step, row in steps.items() if row]
    write_text(final / "loss.csv", "".join([f"step,{','.join(names)}\n", *rows]))
    lines = map(json.loads, (output / "trainer_log.jsonl").read_text(encoding="utf-8").splitlines())
    once = {(line["current_steps"], "eval_loss" in line): line for line in lines if {"loss", "eval_loss"} & line.keys()}
    log = [{k: v for k, v in once[key].items() if not k.endswith("_time")} for key in sorted(once)]
    write_text(final / "trainer_log.jsonl", "".join(json.dumps(line) + "\n" for line in log))


class Evaluation(NamedTuple):
    """An evaluation of a tier, and the loss in training that was logged last before it."""

    step: int
    loss: float | None
    eval_loss: float


def read_evaluations(output: Path) -> list[Evaluation]:
    """All evaluations of a run of the trainer, in their order."""
    evaluations, loss = [], None
    for entry in read_json(output / "trainer_state.json")["log_history"]:
        loss = entry.get("loss", loss)
        if "eval_loss" in entry:
            evaluations.append(Evaluation(entry["step"], loss, entry["eval_loss"]))
    return evaluations

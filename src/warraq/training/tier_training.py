"""One tier: its trainer started, followed and, when it is done, what is kept of it gathered."""

import json
import logging
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from warraq.errors import InputError
from warraq.files import hash_files, read_json, write_json
from warraq.students import PROCESSOR, Student
from warraq.training import hardware, llamafactory, trainer
from warraq.training.selection import adoption, rank_correlation

logger = logging.getLogger(__name__)


def follow(child: "subprocess.Popen[bytes]", log: Path) -> None:
    """Tell steps, loss, rate and time left from the trainer's log, until the trainer ends."""
    offset = log.stat().st_size if log.exists() else 0
    start: tuple[float, int] | None = None
    ended = False
    while not ended:
        try:
            child.wait(timeout=0.5)
            ended = True
        except subprocess.TimeoutExpired:
            pass
        text = log.read_bytes()[offset:] if log.exists() else b""
        text = text[: text.rfind(b"\n") + 1]
        offset += len(text)
        for entry in map(json.loads, text.splitlines()):
            step, total = entry["current_steps"], entry["total_steps"]
            if "eval_loss" in entry:
                logger.info("train %d/%d steps, validation loss %.3f", step, total, entry["eval_loss"])
            elif "loss" in entry:
                now = time.monotonic()
                start = start or (now, step)
                rate = (step - start[1]) / max(now - start[0], 1e-9)
                pace = f", {rate:.2f} steps/s, {(total - step) / rate:.0f} s left" if rate else ""
                told = {"progress": True, "last": step == total}
                logger.info("train %d/%d steps, loss %.3f%s", step, total, entry["loss"], pace, extra=told)


def launch(part: Path, student: Student, samples: int, chained: bool) -> None:
    """Train, from the last whole checkpoint where there is one.

    Raises:
        InputError: what was loaded breaks the contract.
        RuntimeError: the trainer ended before its end or left samples out; with its complaint.
    """
    output, log = part / "output", part / "train.log"
    step = llamafactory.resumable(output)
    kind = "LoRA" if student.tuning == "lora" else "full (every weight)"
    start = f"going on from step {step}" if step else "from the base"
    logger.info("train %d samples, %s tuning, %s; LLaMA-Factory's log is %s", samples, kind, start, log)
    wandb = os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_MODE") == "offline"
    loaders = min(len(os.sched_getaffinity(0)) - 1, 8)  # a page is decoded while another is learned
    place = [f"report_to={'wandb' if wandb else 'none'}", f"dataloader_num_workers={loaders}"]
    place += llamafactory.shared(student, hardware.devices())
    if chained and not step:
        place.append("eval_on_start=true")  # what the tier must beat
    if step and student.tuning == "full":  # see llamafactory.best
        llamafactory.shown(part / "start", part.parent / "base", output / f"checkpoint-{step}")
        place.append("model_name_or_path=start")
    refusal = part / trainer.REFUSAL
    refusal.unlink(missing_ok=True)
    with llamafactory.running([sys.executable, "-m", trainer.__name__, "train.yaml", *place], part, log) as child:
        follow(child, output / "trainer_log.jsonl")
    if refusal.exists():
        raise InputError(refusal.read_text(encoding="utf-8"))
    if not llamafactory.finished(output):
        raise RuntimeError(
            f"training ended early with exit code {child.returncode}: {llamafactory.complaint(log)} (all in {log})"
        )
    seen = re.findall(r"Running training \*{5}\n.*?Num examples = ([\d,]+)", log.read_text(errors="replace"))
    if seen[-1:] != [f"{samples:,}"]:
        raise RuntimeError(f"LLaMA-Factory learned from {seen[-1:]} of {samples} samples (see {log})")


def collect(part: Path, final: Path, base: Path, student: Student) -> dict[str, Any]:
    """Link what is kept of a tier into `final`: no checkpoint, no absolute path, no time. Returns what is told."""
    output = part / "output"
    best = llamafactory.best(output)
    final.mkdir(parents=True)
    if student.tuning == "lora":
        adapter = read_json(best / "adapter_config.json")
        adapter |= {"base_model_name_or_path": student.base, "revision": student.revision}
        adapter["target_modules"] = sorted(adapter["target_modules"])  # a set in no order
        write_json(final / "adapter_config.json", adapter)
    for path in (*best.glob("adapter_model.safetensors"), *best.glob("model*.safetensors*"), *output.glob("*.png")):
        (final / path.name).hardlink_to(path)
    if student.tuning == "full":  # a whole model, configured and asked as its base is
        for name in ("config.json", "generation_config.json", *PROCESSOR):
            if (base / name).exists():
                shutil.copyfile(base / name, final / name)
    shutil.copyfile(part / "train.yaml", final / "train.yaml")
    llamafactory.timeless(output, final)
    history = [row for row in read_json(output / "trainer_state.json")["log_history"] if "eval_loss" in row]
    scores = [row for row in history if "eval_score" in row]
    chosen = int(best.name.removeprefix("checkpoint-"))
    told: dict[str, Any] = next((row for row in reversed(history) if row["step"] == chosen), {})
    return {
        "sha256": digest_of(final),
        "step": chosen,
        "eval_loss": told.get("eval_loss"),
        "eval_score": told.get("eval_score"),
        "loss_score_rank_correlation": rank_correlation(
            [row["eval_loss"] for row in scores], [row["eval_score"] for row in scores]
        ),
        "modules": read_json(part / "modules.json"),
    }


def judge(row: dict[str, Any], output: Path, seed: int) -> dict[str, Any]:
    """What is told of a tier that stands on others, with its gain over them and whether it is adopted."""
    before, after = (read_json(output / f"scores/{step}.json") for step in (0, row["step"]))
    row |= adoption(before, after, seed)
    gain = f"gain {row['gain']} [{row['gain_lo']}, {row['gain_hi']}] on {row['documents']} documents"
    logger.info("tier %s: %s, %s", output.parent.name, gain, "adopted" if row["adopted"] else "not adopted")
    return row


def chosen(row: dict[str, Any]) -> dict[str, Any]:
    """What is told of a tier among the metrics: its best checkpoint, and how well the loss would have chosen."""
    keys = ("step", "eval_loss", "eval_score", "loss_score_rank_correlation", "adopted", "gain", "gain_lo", "gain_hi")
    return {key: row[key] for key in keys if row.get(key) is not None}


def digest_of(folder: Path) -> str:
    """One hash of the weight files of a tier."""
    return hash_files(sorted(folder.glob("*.safetensors")))

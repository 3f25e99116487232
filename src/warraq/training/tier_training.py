"""One tier: its trainer started, followed and, when it is done, what is kept of it gathered."""

import json
import logging
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from warraq.errors import InputError
from warraq.files import hash_file, read_json, write_json
from warraq.students import Student
from warraq.students.model_files import ADAPTER_CONFIG, CONFIGURATION, PROCESSOR
from warraq.students.weights import digest_adapter
from warraq.training import hardware, llamafactory, trainer, trainer_output
from warraq.training.lineage import TierRecord
from warraq.training.selection import correlate_ranks, measure_gain

logger = logging.getLogger(__name__)

LONGEST_S = 180_000_000  # that one process waits for another, which preprocesses: for hours where pages are many


def follow_log(child: "subprocess.Popen[bytes]", log: Path) -> None:
    """Log steps, loss, rate and time left from the trainer's log, until the trainer ends."""
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
                left = f", {rate:.2f} steps/s, {(total - step) / rate:.0f} s left" if rate else ""
                progress = {"progress": True, "last": step == total}
                logger.info("train %d/%d steps, loss %.3f%s", step, total, entry["loss"], left, extra=progress)


def run_trainer(
    part: Path, student: Student, samples: int, is_chained: bool, checkpointing: Sequence[str] = ()
) -> None:
    """Train in `part`, from the last whole checkpoint where there is one.

    Args:
        part: the tier's folder, with train.yaml and contract.json.
        student: who is trained.
        samples: of training, to be held against what the trainer says.
        is_chained: whether the tier stands on others.
        checkpointing: options of gradient checkpointing.

    Raises:
        InputError: what was loaded breaks the contract.
        RuntimeError: the trainer ended before its end or left samples out; with its complaint.
    """
    output, log = part / "output", part / "train.log"
    step = trainer_output.find_resumable_step(output, hardware.count_devices())
    kind = "LoRA" if student.tuning == "lora" else "full (every weight)"
    start = f"going on from step {step}" if step else "from the base"
    logger.info("train %d samples, %s tuning, %s; LLaMA-Factory's log is %s", samples, kind, start, log)
    wandb = os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_MODE") == "offline"
    loaders = min(len(os.sched_getaffinity(0)) - 1, 8)  # a page is decoded while another is learned
    options = [*checkpointing, f"report_to={'wandb' if wandb else 'none'}", f"dataloader_num_workers={loaders}"]
    options += [f"run_name={part.parent.parent.resolve().name}-{part.name}", f"ddp_timeout={LONGEST_S}"]
    options.append(f"preprocessing_num_workers={min(loaders, samples // 500) or 1}")  # a process takes 2 s to start
    options += llamafactory.share_batch(student, hardware.count_devices())
    if is_chained and not step:
        options.append("eval_on_start=true")  # what the tier must beat
    if step and student.tuning == "full":  # see find_best_checkpoint
        llamafactory.link_float32(part / "start", part.parent / "base", output / f"checkpoint-{step}")
        options.append("model_name_or_path=start")
    refusal = part / trainer.REFUSAL
    refusal.unlink(missing_ok=True)
    with llamafactory.run_program([sys.executable, "-m", trainer.__name__, "train.yaml", *options], part, log) as child:
        follow_log(child, output / "trainer_log.jsonl")
    if refusal.exists():
        raise InputError(refusal.read_text(encoding="utf-8"))
    if not trainer_output.is_finished(output):
        raise RuntimeError(
            f"training ended early with exit code {child.returncode}: {llamafactory.find_complaint(log)} (all in {log})"
        )
    counts = re.findall(r"Running training \*{5}\n.*?Num examples = ([\d,]+)", log.read_text(errors="replace"))
    if counts[-1:] != [f"{samples:,}"]:
        raise RuntimeError(f"LLaMA-Factory learned from {counts[-1:]} of {samples} samples (see {log})")


def collect_tier(part: Path, final: Path, base: Path, student: Student) -> TierRecord:
    """Link what is kept of the tier trained in `part` into `final`: no checkpoint, no absolute path, no time."""
    output = part / "output"
    best = trainer_output.find_best_checkpoint(output)
    final.mkdir(parents=True)
    if student.tuning == "lora":
        adapter = read_json(best / ADAPTER_CONFIG)
        adapter |= {"base_model_name_or_path": student.base, "revision": student.revision}
        adapter["target_modules"] = sorted(adapter["target_modules"])  # a set in no order
        write_json(final / "adapter_config.json", adapter)
    for path in (*best.glob("adapter_model.safetensors"), *best.glob("model*.safetensors*"), *output.glob("*.png")):
        (final / path.name).hardlink_to(path)
    if student.tuning == "full":  # a whole model, configured and asked as its base is
        for name in (*CONFIGURATION, *PROCESSOR):
            if (base / name).exists():
                shutil.copyfile(base / name, final / name)
    shutil.copyfile(part / "train.yaml", final / "train.yaml")
    trainer_output.copy_history(output, final)
    history = [row for row in read_json(output / "trainer_state.json")["log_history"] if "eval_loss" in row]
    scores = [row for row in history if "eval_score" in row]
    chosen = int(best.name.removeprefix("checkpoint-"))
    evaluation: dict[str, float] = next((row for row in reversed(history) if row["step"] == chosen), {})
    return {
        "sha256": digest_adapter(final),
        "adapter_config_sha256": hash_file(final / ADAPTER_CONFIG) if student.tuning == "lora" else None,
        "step": chosen,
        "eval_loss": evaluation.get("eval_loss"),
        "eval_score": evaluation.get("eval_score"),
        "loss_score_rank_correlation": correlate_ranks(
            [row["eval_loss"] for row in scores], [row["eval_score"] for row in scores]
        ),
        "modules": read_json(part / "modules.json"),
        "adopted": True,
    }


def judge_tier(record: TierRecord, output: Path) -> TierRecord:
    """The record of a tier that stands on others, with its gain over them and whether it is adopted."""
    before, after = (read_json(output / f"scores/{step}.json") for step in (0, record["step"]))
    judged: TierRecord = {**record, **measure_gain(before, after)}
    gain = f"gain {judged['gain']} [{judged['gain_lo']}, {judged['gain_hi']}] on {judged['documents']} documents"
    logger.info("tier %s: %s, %s", output.parent.name, gain, "adopted" if judged["adopted"] else "not adopted")
    return judged


METRICS = ("step", "eval_loss", "eval_score", "loss_score_rank_correlation", "adopted", "gain", "gain_lo", "gain_hi")


def select_metrics(record: TierRecord) -> dict[str, float]:
    """What stands of a tier among the metrics: its best checkpoint, and how well the loss would have chosen."""
    return {key: value for key, value in record.items() if key in METRICS and isinstance(value, int | float)}


def format_losses(tiers: Sequence[Sequence[trainer_output.Evaluation]]) -> str:
    """CSV of the losses at the evaluations of all tiers, for `dvc plots`; steps are counted on from tier to tier."""
    lines, before = ["tier,step,loss,eval_loss\n"], 0
    for number, evaluations in enumerate(tiers, start=1):
        for step, loss, eval_loss in evaluations:
            lines.append(f"{number},{before + step},{'' if loss is None else loss},{eval_loss}\n")
        before += max((evaluation.step for evaluation in evaluations), default=0)
    return "".join(lines)

"""base + dataset -> adapter, by LLaMA-Factory: a LoRA adapter, or the whole model where the student is tuned in full.

Work is done in `<out>.part`, which DVC does not know and so cannot delete: a killed run goes on from its last
checkpoint if what it was made from is still the same. The trainer starts in that folder, so that every path in the
YAML is relative and also true for `out` beside it. Whether it succeeded is read from the files it left, as its exit
code says little.
"""

import hashlib
import json
import logging
import os
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from warraq.records import InputError, Sample, read_json, read_samples, write_json, write_text
from warraq.section import Section
from warraq.students import Student, family, llamafactory
from warraq.students.weights import digest, sha256, verify

logger = logging.getLogger(__name__)


class Train(Section):
    seed: Annotated[int, Field(ge=0)]
    checkpoints: Annotated[int, Field(ge=1, le=100)]


def check(samples: list[Sample], lengths: list[int], pages: Path, cutoff_len: int) -> None:
    """Refuse what the trainer would drop, cut or die of in the middle.

    Raises:
        InputError: the first samples concerned, by page and task.
    """
    for sample in samples:
        name = f"sample {sample.page_id} {sample.task}"
        if [turn.role for turn in sample.conversations] != ["user", "assistant"]:
            raise InputError(f"{name} is not one question and one answer; run `warraq dataset` again.")
        if sum(turn.content.count("<image>") for turn in sample.conversations) != len(sample.images):
            raise InputError(f"{name} has not as many <image> marks as images; run `warraq dataset` again.")
        for image in sample.images:
            if not (pages / image).is_file():
                raise InputError(f"{name} shows {pages / image}, which is missing; run `warraq render` again.")
    long = [(count, sample) for count, sample in zip(lengths, samples, strict=True) if count > cutoff_len]
    if long:
        long.sort(key=lambda pair: (-pair[0], pair[1].page_id, pair[1].task))
        named = ", ".join(f"{sample.page_id} {sample.task}: {count}" for count, sample in long[:5])
        raise InputError(
            f"{len(long)} of {len(samples)} samples have more tokens than cutoff_len {cutoff_len} and would be cut "
            f"({named}{', …' if len(long) > 5 else ''}); raise the student's cutoff_len to {long[0][0]}."
        )


def fingerprint(told: dict[str, Any], base: str, dataset: Path, pages: Path, samples: list[Sample]) -> str:
    """Of all that decides the result, and of no path: what was begun with another one is not gone on with."""
    files = [dataset / name for name in ("dataset_info.json", "train.json", "val.json")]
    images = [pages / image for image in sorted({image for sample in samples for image in sample.images})]
    text = json.dumps([told, base, [sha256(path) for path in files + images]])
    return hashlib.sha256(text.encode()).hexdigest()


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


def launch(part: Path, base: Path, student: Student, samples: int) -> None:
    """Train, from the last whole checkpoint where there is one.

    Raises:
        RuntimeError: the trainer ended before its end or left samples out; with its last complaint.
    """
    output, log = part / "output", part / "train.log"
    step = llamafactory.resumable(output)
    kind = "LoRA" if student.tuning == "lora" else "full (every weight)"
    start = f"going on from step {step}" if step else "from the base"
    logger.info("train %d samples, %s tuning, %s; LLaMA-Factory's log is %s", samples, kind, start, log)
    wandb = os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_MODE") == "offline"
    loaders = min(len(os.sched_getaffinity(0)) - 1, 8)  # a page is decoded while another is learned
    place = [f"report_to={'wandb' if wandb else 'none'}", f"dataloader_num_workers={loaders}"]
    if step and student.tuning == "full":  # see llamafactory.best
        llamafactory.shown(part / "start", base, output / f"checkpoint-{step}")
        place.append("model_name_or_path=start")
    with llamafactory.running(["train", "train.yaml", *place], part, log) as child:
        follow(child, output / "trainer_log.jsonl")
    if not llamafactory.finished(output):
        raise RuntimeError(
            f"training ended early with exit code {child.returncode}: {llamafactory.complaint(log)} (all in {log})"
        )
    seen = re.findall(r"Running training \*{5}\n.*?Num examples = ([\d,]+)", log.read_text(errors="replace"))
    if seen[-1:] != [f"{samples:,}"]:
        raise RuntimeError(f"LLaMA-Factory learned from {seen[-1:]} of {samples} samples (see {log})")


def collect(part: Path, base: Path, student: Student, lineage: dict[str, Any]) -> Path:
    """The folder of what is kept: no checkpoint, no absolute path, no time. Linked, so that a kill loses nothing."""
    output, final = part / "output", part / "final"
    best = llamafactory.best(output)
    shutil.rmtree(final, ignore_errors=True)
    final.mkdir()
    if student.tuning == "lora":
        adapter = read_json(best / "adapter_config.json")
        adapter |= {"base_model_name_or_path": student.base, "revision": student.revision}
        adapter["target_modules"] = sorted(adapter["target_modules"])  # a set in no order
        write_json(final / "adapter_config.json", adapter)
    for path in (*best.glob("adapter_model.safetensors"), *best.glob("model*.safetensors*"), *output.glob("*.png")):
        (final / path.name).hardlink_to(path)
    if student.tuning == "full":  # a whole model, configured and asked as its base is
        for name in ("config.json", "generation_config.json", *family(student.family).PROCESSOR):
            if (base / name).exists():
                shutil.copyfile(base / name, final / name)
    shutil.copyfile(part / "train.yaml", final / "train.yaml")
    llamafactory.timeless(output, final)
    write_json(final / "lineage.json", lineage)
    return final


def run(base: Path, dataset: Path, pages: Path, out: Path, student: Student, parameters: Train) -> None:
    verify(student, base)
    weights = digest(base)
    train, val = read_samples(dataset / "train.json"), read_samples(dataset / "val.json")
    check(train + val, family(student.family).lengths(base, train + val), pages, student.cutoff_len)

    part = out.with_name(out.name + ".part")
    marked = part / "fingerprint"
    told = llamafactory.training(student, len(train), parameters.seed, parameters.checkpoints)
    mark = fingerprint(told, weights, dataset, pages, train + val)
    if part.exists() and not (marked.exists() and marked.read_text() == mark):
        logger.info("%s was begun with other data or parameters: starting afresh", part)
        shutil.rmtree(part)
    write_text(marked, mark)
    llamafactory.write(
        part / "train.yaml", told, {"model_name_or_path": base, "dataset_dir": dataset, "media_dir": pages}
    )

    if not llamafactory.finished(part / "output"):
        launch(part, base, student, len(train))
    lineage = {"base": student.base, "revision": student.revision, "tuning": student.tuning, "base_sha256": weights}
    final = collect(part, base, student, lineage)
    shutil.rmtree(out, ignore_errors=True)
    final.replace(out)
    shutil.rmtree(part)

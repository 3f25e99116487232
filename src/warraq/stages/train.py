"""base + dataset -> adapters, one a tier, by LLaMA-Factory: or the whole model where the student is tuned in full.

Before anything is trained every sample is audited for this student: nothing may be cut, shrunk out of sight or taken
for a command. The audit stands here and not in `dataset`, because it depends on the student's tokenizer and processor,
and a dataset is one for all students.

Work is done in `<out>.part`, which DVC does not know and so cannot delete: a killed run goes on from its last
checkpoint if what it was made from is still the same. Whether the trainer succeeded is read from the files it left, as
its exit code says little.
"""

import hashlib
import logging
import shutil
from collections import Counter
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from warraq import tasks
from warraq.errors import InputError
from warraq.files import write_json, write_text
from warraq.records import read_samples
from warraq.section import Section
from warraq.students import Student, Tier, family, weights
from warraq.students.weights import digest, verify
from warraq.training import audit, hardware, llamafactory, tier_training, trainable_modules, workdir
from warraq.training.audit import Row
from warraq.training.workdir import Sides

logger = logging.getLogger(__name__)


class Train(Section):
    seed: Annotated[int, Field(ge=0)]
    checkpoints: Annotated[int, Field(ge=1, le=100)]
    misfits: Literal["refuse", "leave_out"]


def fitting(
    base: Path, student: Student, sides: Sides, pages: Path, misfits: str
) -> tuple[Sides, list[Row], list[tuple[Row, str]]]:
    """The samples that the student can learn from whole, their rows, and those left out with their reasons.

    Raises:
        InputError: there are misfits and params do not say to leave them out, or nothing else is left, or an answer is
            none that its task knows.
    """
    rows = audit.rows(base, student, sides, pages)
    out = [(row, why) for row in rows if (why := audit.misfit(row, student))]
    if out and misfits == "refuse":
        raise InputError(audit.sentence(out, len(rows), student))
    gone = {(row.side, row.name) for row, _ in out}
    kept = {
        side: [one for one in part if (side, f"{one.page_id} {one.task}") not in gone] for side, part in sides.items()
    }
    for side, part in kept.items():
        if not part:
            raise InputError(f"no {side} sample fits the student: {audit.sentence(out, len(rows), student)}")
        for one in part:
            if tasks.load(one.task).parse(one.conversations[-1].content)[0] is None:
                what = f"the answer of sample {one.page_id} {one.task} does not fit its task"
                raise InputError(f"{what}; run `warraq dataset` again.")
    return kept, [row for row in rows if (row.side, row.name) not in gone], out


def foreseen(known: weights.Shapes, student: Student) -> list[list[str]]:
    """The linear layers that get LoRA matrices, a list a tier; told by component.

    Raises:
        InputError: a tier trains what it does not name, or nothing of what it names.
    """
    if student.tuning == "full":
        return [[]]
    room, found = family(student.family), []
    for number, tier in enumerate(student.tiers, start=1):
        found.append(trainable_modules.targets(known, room, tier))
        table = trainable_modules.table(known, room, trainable_modules.promised(known, room, tier, found[-1]))
        logger.info("tier %d trains\n%s", number, trainable_modules.told(table))
        if problem := trainable_modules.problem(table, tier.components):
            raise InputError(problem)
    return found


def agreed(student: Student, tier: Tier, targets: list[str], rows: list[Row], sides: Sides) -> dict[str, Any]:
    """What the trainer's process must find before its first step, and which samples it answers at each evaluation."""
    train, val = ([row for row in rows if row.side == side] for side in ("train", "val"))
    order = sorted(range(len(val)), key=lambda place: hashlib.sha256(val[place].name.encode()).hexdigest())
    scored = sorted(order[: student.scored_samples])
    lora = student.tuning == "lora"
    return {
        "family": student.family,
        "components": sorted(tier.components) if lora else sorted(weights.ORDER),
        "targets": targets if lora else None,
        "names": [row.name for row in train],
        "tokens": [row.tokens for row in train],
        "loss_by_task": [row.task for row in val] if student.eval_batch_size == 1 else [],
        "scored": [
            {"name": val[place].name, "place": place, "task": val[place].task,
             "target": sides["val"][place].conversations[-1].content}
            for place in scored
        ],
    }  # fmt: skip


def run(
    base: Path, dataset: Path, pages: Path, out: Path, metrics: Path, curve: Path, student: Student,
    parameters: Train, dry_run: bool,
) -> None:  # fmt: skip
    verify(student, base)
    known = weights.shapes(base, family(student.family))
    targets = foreseen(known, student)
    every = {side: read_samples(dataset / f"{side}.json") for side in ("train", "val")}
    sides, rows, left_out = fitting(base, student, every, pages, parameters.misfits)
    counts = dict(sorted(Counter(why for _, why in left_out).items()))
    longest = max(row.tokens for row in rows)
    logger.info("audit: %d samples fit, the longest has %d tokens; left out %s", len(rows), longest, counts or "none")
    hardware.check(known, student, rows, out.parent)
    summary = audit.summary(rows, left_out, student.cutoff_len)
    write_json(metrics, summary)
    write_text(curve, audit.curve(rows))
    if dry_run:
        return

    part, base_sha256 = out.with_name(out.name + ".part"), digest(base)
    pixels = workdir.largest(pages, sides)
    settings = [
        llamafactory.training(student, tier, names, rows, pixels, parameters.seed, parameters.checkpoints)
        for tier, names in zip(student.tiers, targets, strict=True)
    ]
    terms = [agreed(student, tier, names, rows, sides) for tier, names in zip(student.tiers, targets, strict=True)]
    workdir.begin(part, base, dataset, pages, student, sides, [base_sha256, settings, terms, student.image_max_pixels])
    final = part / "final"
    shutil.rmtree(final, ignore_errors=True)
    adopted: list[Path] = []
    told: list[dict[str, Any]] = []
    for number, (setting, term) in enumerate(zip(settings, terms, strict=True), start=1):
        place, adapter = part / str(number), final / str(number)
        (place / "output").mkdir(parents=True, exist_ok=True)
        write_json(place / "contract.json", term)
        paths = {"model_name_or_path": [part / "base"], "dataset_dir": [part / "data"], "media_dir": [pages]}
        paths |= {"adapter_name_or_path": adopted} if adopted else {}
        chain = {"create_new_adapter": True} if adopted else {}
        llamafactory.write(place / "train.yaml", setting | chain, paths)
        if not llamafactory.finished(place / "output"):
            tier_training.launch(place, student, len(sides["train"]), bool(adopted))
        row = tier_training.collect(place, adapter, part / "base", student)
        told.append(tier_training.judge(row, place / "output", parameters.seed) if adopted else row | {"adopted": True})
        if told[-1]["adopted"]:
            adopted.append(adapter)
        else:
            shutil.rmtree(adapter)
    origin = {"base": student.base, "revision": student.revision, "tuning": student.tuning, "base_sha256": base_sha256}
    budget = {"image_max_pixels": student.image_max_pixels, "left_out": counts}
    write_json(final / "lineage.json", {**origin, **budget, "tiers": told})
    shutil.rmtree(out, ignore_errors=True)
    final.replace(out)
    kept = {str(number): tier_training.chosen(row) for number, row in enumerate(told, start=1)}
    write_json(metrics, summary | {"tiers": kept})
    shutil.rmtree(part)

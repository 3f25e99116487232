"""base + dataset -> adapters, one a tier, by LLaMA-Factory: or the whole model where the student is tuned in full.

Before anything is trained every sample is audited for this student: nothing may be cut, shrunk out of sight or taken
for a command. The audit stands here and not in `dataset`, because it depends on the student's tokenizer and processor,
and a dataset is one for all students.

Work is done in `<out>.part`, which DVC does not know and so cannot delete: a killed run goes on from its last
checkpoint if what it was made from is still the same. Whether the trainer succeeded is read from the files it left, as
its exit code says little.
"""

import hashlib
import json
import logging
import shutil
from collections import Counter
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from warraq.records import InputError, Sample, read_json, read_samples, write_json, write_text
from warraq.section import Section
from warraq.students import Student, Tier, audit, contract, family, llamafactory, machine, tiers
from warraq.students.audit import Row
from warraq.students.score import adoption
from warraq.students.weights import digest, sha256, verify

logger = logging.getLogger(__name__)
Sides = dict[str, list[Sample]]


class Train(Section):
    seed: Annotated[int, Field(ge=0)]
    checkpoints: Annotated[int, Field(ge=1, le=100)]
    misfits: Literal["refuse", "leave_out"]


def fitting(
    base: Path, student: Student, sides: Sides, pages: Path, misfits: str
) -> tuple[Sides, list[Row], list[tuple[Row, str]]]:
    """The samples that the student can learn from whole, their rows, and those left out with their reasons.

    Raises:
        InputError: there are misfits and params do not say to leave them out, or nothing else is left.
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
    return kept, [row for row in rows if (row.side, row.name) not in gone], out


def prepare(part: Path, base: Path, student: Student, sides: Sides) -> None:
    """The samples as this student's template takes them, and the base with its budget of px in the processor."""
    mark = family(student.family).MARK
    for side, samples in sides.items():
        told = [one.model_dump(mode="json") for one in samples]
        for one in told:
            one["conversations"][0]["content"] = one["conversations"][0]["content"].replace("<image>", mark)
        write_json(part / "data" / f"{side}.json", told)
    tags = {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"}
    columns = {"messages": "conversations", "images": "images"}
    info = {"formatting": "sharegpt", "columns": columns, "tags": tags}  # a tag not named here would be absent
    write_json(part / "data/dataset_info.json", {side: {"file_name": f"{side}.json", **info} for side in sides})
    settings = read_json(base / "preprocessor_config.json")
    budget = family(student.family).budget(settings, student.image_max_pixels)
    llamafactory.linked(part / "base", base, base, {"preprocessor_config.json": budget} if budget != settings else {})


def agreed(student: Student, tier: Tier, targets: list[str], rows: list[Row]) -> dict[str, Any]:
    """What the trainer's process must find before its first step, and which samples it answers at each evaluation."""
    train, val = ([row for row in rows if row.side == side] for side in ("train", "val"))
    order = sorted(range(len(val)), key=lambda place: hashlib.sha256(val[place].name.encode()).hexdigest())
    lora = student.tuning == "lora"
    return {
        "family": student.family,
        "components": sorted(tier.components) if lora else sorted(contract.ORDER),
        "targets": targets if lora else None,
        "names": [row.name for row in train],
        "tokens": [row.tokens for row in train],
        "loss_by_task": [row.task for row in val] if student.eval_batch_size == 1 else [],
        "scored": {val[place].name: place for place in sorted(order[: student.scored_samples])},
    }


def fingerprint(told: list[Any], base: str, part: Path, pages: Path, sides: Sides) -> str:
    """Of all that decides the result, and of no path: what was begun with another one is not gone on with."""
    files = [part / "data" / f"{side}.json" for side in sides]
    images = [pages / one for one in sorted({image for part in sides.values() for s in part for image in s.images})]
    text = json.dumps([told, base, [sha256(path) for path in files + images]])
    return hashlib.sha256(text.encode()).hexdigest()


def run(
    base: Path, dataset: Path, pages: Path, out: Path, metrics: Path, curve: Path, student: Student,
    parameters: Train, dry_run: bool,
) -> None:  # fmt: skip
    verify(student, base)
    weights, room = digest(base), family(student.family)
    known = contract.shapes(base, room)
    targets = [contract.targets(known, room, tier) if student.tuning == "lora" else [] for tier in student.tiers]
    every = {side: read_samples(dataset / f"{side}.json") for side in ("train", "val")}
    sides, rows, left_out = fitting(base, student, every, pages, parameters.misfits)
    counts = dict(sorted(Counter(why for _, why in left_out).items()))
    logger.info("audit: %d samples fit, the longest has %d tokens; left out %s", len(rows),
                max(row.tokens for row in rows), counts or "none")  # fmt: skip
    machine.check(known, student, targets, rows, out.parent)
    for number, (tier, names) in enumerate(zip(student.tiers, targets, strict=True), start=1):
        trained = {name: contract.weights(known, [name], tier.rank) for name in names}
        if student.tuning == "lora":
            logger.info("tier %d trains\n%s", number, contract.told(contract.table(known, room, trained)))
    write_json(metrics, audit.summary(rows, left_out, student.cutoff_len))
    write_text(curve, audit.curve(rows))
    if dry_run:
        return

    part = out.with_name(out.name + ".part")
    pixels = max(image_pixels(pages / image) for image in {i for p in sides.values() for s in p for i in s.images})
    told = [
        llamafactory.training(student, tier, names, rows, pixels, parameters.seed, parameters.checkpoints)
        for tier, names in zip(student.tiers, targets, strict=True)
    ]
    terms = [agreed(student, tier, names, rows) for tier, names in zip(student.tiers, targets, strict=True)]
    fresh = out.with_name(out.name + ".new.part")
    shutil.rmtree(fresh, ignore_errors=True)
    prepare(fresh, base, student, sides)
    mark = fingerprint([told, terms, student.image_max_pixels], weights, fresh, pages, sides)
    if part.exists() and not ((part / "fingerprint").exists() and (part / "fingerprint").read_text() == mark):
        logger.info("%s was begun with other data or parameters: starting afresh", part)
        shutil.rmtree(part)
    if part.exists():
        shutil.rmtree(fresh)
    else:
        write_text(fresh / "fingerprint", mark)
        fresh.replace(part)

    final = part / "final"
    shutil.rmtree(final, ignore_errors=True)
    adopted: list[Path] = []
    rows_of_tiers: list[dict[str, Any]] = []
    for number, (settings, term) in enumerate(zip(told, terms, strict=True), start=1):
        place = part / str(number)
        (place / "output").mkdir(parents=True, exist_ok=True)
        write_json(place / "contract.json", term)
        paths = {"model_name_or_path": [part / "base"], "dataset_dir": [part / "data"], "media_dir": [pages]}
        if adopted:
            paths["adapter_name_or_path"] = adopted
            settings = settings | {"create_new_adapter": True}
        llamafactory.write(place / "train.yaml", settings, paths)
        if not llamafactory.finished(place / "output"):
            tiers.launch(place, student, len(sides["train"]), bool(adopted))
        row = tiers.collect(place, final / str(number), part / "base", student)
        if adopted:
            scores = place / "output/scores"
            row |= adoption(read_json(scores / "0.json"), read_json(scores / f"{row['step']}.json"), parameters.seed)
            logger.info("tier %d: gain %s [%s, %s] on %d documents, %s", number, row["gain"], row["gain_lo"],
                        row["gain_hi"], row["documents"], "adopted" if row["adopted"] else "not adopted")  # fmt: skip
        if row.setdefault("adopted", True):
            adopted.append(final / str(number))
        else:
            shutil.rmtree(final / str(number))
        rows_of_tiers.append(row)
    origin = {"base": student.base, "revision": student.revision, "tuning": student.tuning, "base_sha256": weights}
    budget = {"image_max_pixels": student.image_max_pixels, "left_out": counts}
    write_json(final / "lineage.json", {**origin, **budget, "tiers": rows_of_tiers})
    shutil.rmtree(out, ignore_errors=True)
    final.replace(out)
    shutil.rmtree(part)


def image_pixels(path: Path) -> int:
    from PIL import Image

    with Image.open(path) as image:
        return image.width * image.height

"""base + dataset -> adapters, one a tier, by LLaMA-Factory: or the whole model where the student is tuned in full.

Before anything is trained every sample is audited by this student's tokenizer and processor (a dataset is one for all
students): nothing may be cut, shrunk out of sight or taken for a command.

Work is done in `<out>.part`, which DVC does not know and so cannot delete: a killed run goes on from its last
checkpoint if what it was made from is still the same. Whether the trainer succeeded is read from the files it left, as
its exit code says little.
"""

import logging
import shutil
from collections import Counter
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from warraq.files import write_json, write_text
from warraq.records import read_samples
from warraq.section import Section
from warraq.students import Student, families, weights
from warraq.students.layout import check_layout
from warraq.students.model_files import hash_settings
from warraq.training import audit, hardware, llamafactory, tier_training, trainable_modules, trainer_output, workdir
from warraq.training.audit import Samples
from warraq.training.lineage import Lineage, TierRecord
from warraq.training.misfits import refuse_few_documents, select_samples
from warraq.training.trainer_contract import CONTRACT, make_contract

logger = logging.getLogger(__name__)


class Train(Section):
    """The branch `train` of params.yaml."""

    seed: Annotated[int, Field(ge=0)]
    checkpoints: Annotated[int, Field(ge=1, le=100)]
    min_documents: Annotated[int, Field(ge=1)]
    misfits: Literal["refuse", "leave_out"]


def run(  # noqa: PLR0913 - each file of a stage is an argument of its own
    *,
    base: Path,
    dataset: Path,
    pages: Path,
    out: Path,
    metrics: Path,
    curve: Path,
    losses: Path,
    student: Student,
    parameters: Train,
    dry_run: bool,
) -> None:
    """Audit, and unless it is a `dry_run`, train.

    Raises:
        InputError: documents are too few, a sample does not fit the student, or that does not fit the machine; or what
            the trainer loaded is not what was audited.
        RuntimeError: the trainer ended before its end.
    """
    weights.verify_weights(student, base)
    family = families.load(student.family)
    shapes = weights.read_shapes(base, family)
    check_layout(base, shapes, family)
    targets = trainable_modules.choose_targets(shapes, student)
    every: Samples = {"train": read_samples(dataset / "train.json"), "val": read_samples(dataset / "val.json")}
    refuse_few_documents(every, parameters.min_documents)
    measure = audit.SampleMeasure(base, student, pages)
    samples, sizes, misfits = select_samples(every, measure, student, parameters.misfits == "leave_out")
    left_out = dict(sorted(Counter[str](why for _, why in misfits).items()))
    longest = max(size.tokens for size in sizes)
    logger.info(
        "audit: %d samples fit, the longest has %d tokens; left out %s", len(sizes), longest, left_out or "none"
    )
    hardware.check_hardware(shapes, student, longest, out.parent)
    summary = audit.summarize(sizes, misfits, student.cutoff_len)
    write_json(metrics, summary)
    write_text(curve, audit.format_curve(sizes))
    if dry_run:
        return

    part = out.with_name(out.name + ".part")
    with workdir.lock_workdir(part):
        base_sha256, settings_sha256 = weights.digest_model(base), hash_settings(base)
        is_checkpointed = hardware.choose_checkpointing(shapes, student, longest)
        largest_px = workdir.measure_largest_image(pages, samples)
        settings = [
            llamafactory.training_settings(
                student, tier, layers, sizes,
                largest_px=largest_px, seed=parameters.seed, checkpoints=parameters.checkpoints,
            )
            for tier, layers in zip(student.tiers, targets, strict=True)
        ]  # fmt: skip
        contracts = [
            make_contract(student, tier, layers, sizes, samples["val"]).model_dump(mode="json")
            for tier, layers in zip(student.tiers, targets, strict=True)
        ]
        dealt = llamafactory.share_batch(student, devices := hardware.count_devices())
        decisive = [base_sha256, settings_sha256, settings, contracts, student.image_max_pixels, devices, dealt]
        workdir.open_workdir(part, base, dataset, pages, student, samples, decisive)
        final = part / "final"
        shutil.rmtree(final, ignore_errors=True)
        adopted: list[Path] = []
        tiers: list[TierRecord] = []
        for number, (tier, setting, contract) in enumerate(
            zip(student.tiers, settings, contracts, strict=True), start=1
        ):
            place, adapter = part / str(number), final / str(number)
            (place / "output").mkdir(parents=True, exist_ok=True)
            write_json(place / CONTRACT, contract)
            paths = {
                "model_name_or_path": [part / "base"],
                "dataset_dir": [part / "data"],
                "media_dir": [workdir.find_media(part, student.views)],
            }
            paths |= {"adapter_name_or_path": adopted} if adopted else {}
            chain = {"create_new_adapter": True} if adopted else {}
            llamafactory.write_settings(place / "train.yaml", setting | chain, paths)
            if not trainer_output.is_finished(place / "output"):
                options = llamafactory.checkpointing_options(student, tier, is_checkpointed)
                tier_training.run_trainer(place, student, len(samples["train"]), bool(adopted), options)
            record = tier_training.collect_tier(place, adapter, part / "base", student)
            tiers.append(tier_training.judge_tier(record, place / "output") if adopted else record)
            if tiers[-1]["adopted"]:
                adopted.append(adapter)
            else:
                shutil.rmtree(adapter)
        lineage: Lineage = {
            "base": student.base,
            "revision": student.revision,
            "tuning": student.tuning,
            "base_sha256": base_sha256,
            "settings_sha256": settings_sha256,
            "image_max_pixels": student.image_max_pixels,
            "views": student.views,
            "left_out": left_out,
            "tiers": tiers,
        }
        write_json(final / "lineage.json", lineage)
        shutil.rmtree(out, ignore_errors=True)
        final.replace(out)
        evaluations = [
            trainer_output.read_evaluations(part / str(number) / "output") for number in range(1, len(tiers) + 1)
        ]
        write_text(losses, tier_training.format_losses(evaluations))
        kept = {str(number): tier_training.select_metrics(record) for number, record in enumerate(tiers, start=1)}
        write_json(metrics, {**summary, "tiers": kept})
        shutil.rmtree(part)

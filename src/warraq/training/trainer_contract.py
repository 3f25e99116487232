"""What the trainer's process must find before its first step, and which samples it answers at each evaluation."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from warraq.records import Row, Sample
from warraq.students import Student, Tier
from warraq.students.families import COMPONENTS
from warraq.training.audit import SampleSize

CONTRACT = Path("contract.json")
"""In the folder of the trainer's YAML."""


class ScoredSample(Row):
    """A validation sample that is answered at each evaluation."""

    name: str
    place: int  # among the validation samples
    task: str
    target: str  # the right answer


class TrainerContract(Row):
    """What was audited, against which the trainer's process holds what it loaded."""

    family: str
    components: tuple[str, ...]  # what the tier trains
    targets: tuple[str, ...] | None  # its linear layers; None where every weight is trained
    names: tuple[str, ...]  # of the training samples
    tokens: tuple[int, ...]
    loss_by_task: tuple[str, ...]  # the task of each validation sample; empty where they are evaluated several at once
    scored: tuple[ScoredSample, ...]
    fused_loss: bool


def make_contract(
    student: Student, tier: Tier, targets: Sequence[str], sizes: Sequence[SampleSize], val: Sequence[Sample]
) -> TrainerContract:
    """The contract of a tier.

    Args:
        student: who is trained.
        tier: what of it is trained.
        targets: the linear layers that get LoRA matrices.
        sizes: of the samples of training and validation, in their order.
        val: the validation samples.
    """
    train_sizes, val_sizes = ([size for size in sizes if size.split == split] for split in ("train", "val"))
    order = sorted(range(len(val)), key=lambda place: hashlib.sha256(val_sizes[place].name.encode()).hexdigest())
    is_lora = student.tuning == "lora"
    return TrainerContract(
        family=student.family,
        components=tuple(sorted(tier.components if is_lora else COMPONENTS)),
        targets=tuple(targets) if is_lora else None,
        names=tuple(size.name for size in train_sizes),
        tokens=tuple(size.tokens for size in train_sizes),
        loss_by_task=tuple(size.task for size in val_sizes) if student.eval_batch_size == 1 else (),
        scored=tuple(
            ScoredSample(
                name=val_sizes[place].name, place=place, task=val_sizes[place].task,
                target=val[place].conversations[-1].content,
            )
            for place in sorted(order[: student.scored_samples])
        ),
        fused_loss=student.fused_loss,
    )  # fmt: skip

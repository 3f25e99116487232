"""What training a student takes, before anything of it is fetched: memory, disk, download, hours and USD by GPU.

bases.json has of each base the shape by which transformers builds it, without what decides no size. What a card does
is what was measured on an H200 (docs/measurements.md, Training on a GPU), for others in proportion to what their makers
state.
"""

import json
import math
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from warraq.errors import InputError
from warraq.files import read_json, write_json
from warraq.students import Student, families
from warraq.students.layout import read_layout
from warraq.students.weights import Shapes, read_shapes
from warraq.training.hardware import GIB, SPARE, choose_checkpointing, estimate_memory
from warraq.training.trainable_modules import count_trained_weights

GB = 10**9
BASES = Path(__file__).with_name("bases.json")
SHARE_ONE, SHARE_MANY = 0.039, 0.085
"""Of the stated FLOP/s what training used, with one sample a batch and with three or four: 5 and 11 % of the 766
TFLOP/s that an H200 reaches of its 989."""
TOKENS, SAMPLES = 2500, 1000  # of a sample, and of a dataset, where there is none yet


class Base(TypedDict):
    """An entry of bases.json."""

    gated: bool  # a licence has to be accepted, and HF_TOKEN set
    parameters: int
    config: dict[str, object]


@dataclass(frozen=True)
class Card:
    """A GPU that can be rented."""

    name: str
    gib: int
    tflops: int  # dense, bf16, as its maker states
    usd_per_hour: float  # a round figure, assumed: look up today's


CARDS = (
    Card("RTX 4090", 24, 165, 0.5),
    Card("L40S", 48, 362, 1.0),
    Card("A100 80 GB", 80, 312, 1.5),
    Card("H100", 80, 989, 2.5),
    Card("H200", 141, 989, 3.5),
)


def find_base(student: Student) -> Base | None:
    """The entry of a student's base; None where there is none."""
    entry: Base | None = json.loads(BASES.read_text(encoding="utf-8")).get(student.base)
    return entry


def find_shapes(student: Student, folder: Path) -> Shapes:
    """The shapes of a student's base: of its files, else of its entry in bases.json.

    Raises:
        InputError: there is neither, or the files are not what they should be.
    """
    entry = find_base(student)
    if (folder / "config.json").exists():
        return read_shapes(folder, families.load(student.family))
    if entry is None:
        raise InputError(f"{student.base} can be sized once its files are in {folder}; run `warraq fetch` for it.")
    with tempfile.TemporaryDirectory() as made:
        write_json(Path(made) / "config.json", entry["config"])
        layout = read_layout(Path(made))
    return {name: shape for name, shape in layout.shapes.items() if name not in layout.tied}


def count_weights(shapes: Shapes) -> int:
    """All of them."""
    return sum(math.prod(shape) for shape in shapes.values())


def estimate_disk(shapes: Shapes, student: Student) -> int:
    """Bytes that a run takes at most, beside the environment: the base, the merged model and DVC's copy of it, three
    checkpoints, and the graphs while they are made (8.6 bytes a weight, measured) with their copy."""
    weights, size = count_weights(shapes), 2 if student.precision == "bf16" else 4
    graphs = 10 * weights + weights // 2 if student.export == "onnx" else 0
    return 3 * size * weights + 48 * count_trained_weights(shapes, student) + graphs


def count_samples(root: Path) -> int | None:
    """Samples of training in the dataset of a checkout, if there is one."""
    path = root / "data/dataset/train.json"
    return len(read_json(path)) if path.exists() else None


def estimate_hours(weights: int, student: Student, samples: int, card: Card) -> float:
    """Hours of training on a card, if no tier stops early: 4 FLOP a weight and token, forward and back."""
    passes = sum(tier.epochs for tier in student.tiers)
    share = SHARE_ONE if student.batch_size == 1 else SHARE_MANY
    return 4 * weights * TOKENS * samples * passes / (share * card.tflops * 1e12) / 3600


def describe_cards(shapes: Shapes, student: Student, samples: int) -> list[str]:
    """A line for each card: whether the longest sample fits, hours and USD."""
    trained, weights = count_trained_weights(shapes, student), count_weights(shapes)
    lines = []
    for card in CARDS:
        fitting = [is_checkpointed for is_checkpointed in _list_choices(student)
                   if _sum_memory(shapes, student, trained, is_checkpointed) <= SPARE * card.gib * GIB]  # fmt: skip
        hours = estimate_hours(weights, student, samples, card) * (1.5 if fitting and all(fitting) else 1)
        price = f"about {hours:.1f} h, {hours * card.usd_per_hour:.0f} USD at {card.usd_per_hour} an hour"
        lines.append(f"{card.name}, {card.gib} GiB: {price if fitting else 'the longest sample allowed does not fit'}")
    return lines


def _list_choices(student: Student) -> list[bool]:
    """Whether gradients may be checkpointed, which takes up to half as long again."""
    return {"always": [True], "never": [False], "auto": [False, True]}[student.checkpointing]


def _sum_memory(shapes: Shapes, student: Student, trained: int, is_checkpointed: bool) -> int:
    parts = estimate_memory(shapes, student, trained, student.cutoff_len, checkpointed=is_checkpointed)
    return sum(parts.values())


def estimate_need(shapes: Shapes, student: Student) -> dict[str, int]:
    """Bytes of memory for the longest sample allowed on this machine, by what takes them."""
    is_checkpointed = choose_checkpointing(shapes, student, student.cutoff_len)
    trained = count_trained_weights(shapes, student)
    return estimate_memory(shapes, student, trained, student.cutoff_len, checkpointed=is_checkpointed)

"""base + tier -> which modules are trained, told and checked before anything is.

What is asked for is spelled out module by module from the names in the weight files, so that nothing rests on how a
trainer expands a short name. The trainer's process holds the same names against the model that it loaded, before its
first step (see trainer.py). A published recipe trained every MLP of the vision tower and no projector because nobody
looked.
"""

import logging
import math
import re
from collections.abc import Iterable, Mapping, Set
from typing import TypedDict

from warraq.errors import InputError
from warraq.students import Student, Tier, families
from warraq.students.families import COMPONENTS, Family
from warraq.students.weights import Shapes

logger = logging.getLogger(__name__)


class ComponentCount(TypedDict):
    """What of a component is trained."""

    weights: int
    modules_trained: int
    weights_trained: int


ComponentTable = dict[str, ComponentCount]
"""By component; `other` where something is in none."""


def lora_targets(parameters: Iterable[str], family: Family, tier: Tier) -> list[str]:
    """The linear layers that get LoRA matrices, of a model with parameters of these names.

    Raises:
        InputError: something that the tier asks for matches nothing.
    """
    modules = [name.removesuffix(".weight") for name in parameters if name.endswith(".weight")]
    layers: dict[str, list[str]] = {}
    if tier.language:
        layers["language"] = [name for name in modules if re.fullmatch(family.language_layers, name)]
    if tier.projector and family.projector_layers:
        layers["projector"] = [name for name in modules if re.fullmatch(family.projector_layers, name)]
    if tier.vision_attention_last:
        blocks = [(int(hit[1]), name) for name in modules if (hit := re.fullmatch(family.vision_attention, name))]
        end = max((number for number, _ in blocks), default=-1) + 1 - family.unused_vision_blocks
        last = range(end - tier.vision_attention_last, end)
        if last.start < 0:
            raise InputError(f"vision_attention_last is {tier.vision_attention_last}, but only {end} blocks are used.")
        layers["vision"] = [name for number, name in blocks if number in last]
    for part, names in layers.items():
        if not names:
            raise InputError(f"the tier trains {part}, but no linear layer of the base is one: its layout is another.")
    if not layers:
        raise InputError("a tier of the projector alone is not possible for this family: it has no linear layers.")
    return sorted(name for names in layers.values() for name in names)


def choose_targets(shapes: Shapes, student: Student) -> list[list[str]]:
    """The linear layers that get LoRA matrices, a list a tier; what each tier trains is logged by component.

    Raises:
        InputError: a tier trains what it does not name, or nothing of what it names.
    """
    if student.tuning == "full":
        return [[]]
    family, targets = families.load(student.family), []
    for number, tier in enumerate(student.tiers, start=1):
        targets.append(lora_targets(shapes, family, tier))
        table = tabulate(shapes, family, count_tier_weights(shapes, family, tier, targets[-1]))
        logger.info("tier %d trains\n%s", number, format_table(table))
        if problem := find_problem(table, tier.components):
            raise InputError(problem)
    return targets


def count_lora_weights(shapes: Shapes, layers: Iterable[str], rank: int) -> int:
    """LoRA weights on these layers."""
    return sum(rank * sum(shapes[f"{name}.weight"]) for name in layers)


def count_tier_weights(shapes: Shapes, family: Family, tier: Tier, layers: Iterable[str]) -> dict[str, int]:
    """How many weights a tier trains, by module: LoRA on these layers, and a projector that has none whole."""
    counts = {name: count_lora_weights(shapes, [name], tier.rank) for name in layers}
    if tier.projector and family.whole_projector:
        counts |= {name: math.prod(shapes[name]) for name in shapes if f".{family.whole_projector}." in name}
    return counts


def count_trained_weights(shapes: Shapes, student: Student) -> int:
    """Weights that the student's largest tier trains; raises InputError as `lora_targets` does."""
    if student.tuning == "full":
        return sum(math.prod(shape) for shape in shapes.values())
    family = families.load(student.family)
    tiers = [(tier, lora_targets(shapes, family, tier)) for tier in student.tiers]
    return max(sum(count_tier_weights(shapes, family, tier, layers).values()) for tier, layers in tiers)


def tabulate(shapes: Shapes, family: Family, trained: Mapping[str, int]) -> ComponentTable:
    """For each component its weights, how many of its modules are trained, and with how many weights.

    `trained`: weights by the name of the module that they belong to.
    """
    table: ComponentTable = {
        part: ComponentCount(weights=0, modules_trained=0, weights_trained=0) for part in COMPONENTS
    }
    for name, shape in shapes.items():
        part = family.component_of(name)
        table.setdefault(part, ComponentCount(weights=0, modules_trained=0, weights_trained=0))
        table[part]["weights"] += math.prod(shape)
    for name, count in trained.items():
        table[family.component_of(name)]["modules_trained"] += 1
        table[family.component_of(name)]["weights_trained"] += count
    return table


def find_problem(table: ComponentTable, components: Set[str]) -> str | None:
    """What is wrong with a table, in one sentence: every leak and every request without effect by name; the remedy.

    `components`: those that the tier names.
    """
    trained = {part for part, count in table.items() if count["modules_trained"]}
    wrong = [
        f"{part} is trained ({table[part]['modules_trained']} modules, {table[part]['weights_trained']:,} weights), "
        "although the tier does not name it"
        for part in sorted(trained - components)
    ]
    wrong += [f"{part} is named by the tier, but none of it would be trained" for part in sorted(components - trained)]
    remedy = "correct the student's tiers in params.yaml, or install the packages of the lock (`make setup`)."
    return "; ".join([*wrong, remedy]) if wrong else None


def format_table(table: ComponentTable) -> str:
    """The table as lines for a person."""
    return "\n".join(
        f"  {part:10} {count['weights']:>15,} weights, {count['modules_trained']:>4} modules trained with "
        f"{count['weights_trained']:,}"
        for part, count in table.items()
    )

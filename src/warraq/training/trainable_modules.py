"""base + tier -> which modules are trained, told and checked before anything is.

What is asked for is spelled out module by module from the names in the weight files, so that nothing rests on how a
trainer expands a short name. The trainer's process holds the same names against the model that it loaded, before its
first step (see trainer.py). A published recipe trained every MLP of the vision tower and no projector because nobody
looked.
"""

import math
import re
from collections.abc import Iterable, Mapping
from types import ModuleType

from warraq.errors import InputError
from warraq.students import Student, Tier
from warraq.students.weights import ORDER, Shapes, component


def targets(known: Iterable[str], room: ModuleType, tier: Tier) -> list[str]:
    """The linear layers that get LoRA matrices; `known` are names of parameters.

    Raises:
        InputError: something that the tier asks for matches nothing.
    """
    modules = [name.removesuffix(".weight") for name in known if name.endswith(".weight")]
    found: dict[str, list[str]] = {}
    if tier.language:
        found["language"] = [name for name in modules if re.fullmatch(room.LANGUAGE, name)]
    if tier.projector and room.PROJECTOR:
        found["projector"] = [name for name in modules if re.fullmatch(room.PROJECTOR, name)]
    if tier.vision_attention_last:
        blocks = [(int(hit[1]), name) for name in modules if (hit := re.fullmatch(room.ATTENTION, name))]
        end = max((number for number, _ in blocks), default=-1) + 1 - room.UNUSED
        wanted = range(end - tier.vision_attention_last, end)
        if wanted.start < 0:
            raise InputError(f"vision_attention_last is {tier.vision_attention_last}, but only {end} blocks are used.")
        found["vision"] = [name for number, name in blocks if number in wanted]
    for part, names in found.items():
        if not names:
            raise InputError(f"the tier trains {part}, but no linear layer of the base is one: its layout is another.")
    if not found:
        raise InputError("a tier of the projector alone is not possible for this family: it has no linear layers.")
    return sorted(name for names in found.values() for name in names)


def weights(known: Shapes, names: Iterable[str], rank: int) -> int:
    """LoRA weights on these layers."""
    return sum(rank * sum(known[f"{name}.weight"]) for name in names)


def promised(known: Shapes, room: ModuleType, tier: Tier, names: Iterable[str]) -> dict[str, int]:
    """How many weights a tier trains, by module: LoRA on these layers, and a projector that has none whole."""
    found = {name: weights(known, [name], tier.rank) for name in names}
    if tier.projector and room.PROJECTOR_WHOLE:
        whole = [name for name in known if f".{room.PROJECTOR_WHOLE}." in name]
        found |= {name: math.prod(known[name]) for name in whole}
    return found


def largest(known: Shapes, room: ModuleType, student: Student) -> int:
    """Weights that the largest tier trains; raises InputError as `targets` does."""
    if student.tuning == "full":
        return sum(math.prod(shape) for shape in known.values())
    return max(sum(promised(known, room, tier, targets(known, room, tier)).values()) for tier in student.tiers)


def table(known: Shapes, room: ModuleType, trained: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """For each component its weights, how many of its modules are trained, and with how many weights.

    `trained`: weights by the name of the module that they belong to.
    """
    found = {part: {"weights": 0, "modules_trained": 0, "weights_trained": 0} for part in ORDER}
    for name, shape in known.items():
        found.setdefault(component(name, room), {"weights": 0, "modules_trained": 0, "weights_trained": 0})
        found[component(name, room)]["weights"] += math.prod(shape)
    for name, count in trained.items():
        found[component(name, room)]["modules_trained"] += 1
        found[component(name, room)]["weights_trained"] += count
    return found


def problem(found: dict[str, dict[str, int]], asked: set[str]) -> str | None:
    """What is wrong with a table, in one sentence: every leak and every request without effect by name; the remedy."""
    trained = {part for part, row in found.items() if row["modules_trained"]}
    wrong = [
        f"{part} is trained ({found[part]['modules_trained']} modules, {found[part]['weights_trained']:,} weights), "
        "although the tier does not name it"
        for part in sorted(trained - asked)
    ]
    wrong += [f"{part} is named by the tier, but none of it would be trained" for part in sorted(asked - trained)]
    remedy = "correct the student's tiers in params.yaml, or install the packages of the lock (`make setup`)."
    return "; ".join([*wrong, remedy]) if wrong else None


def told(found: dict[str, dict[str, int]]) -> str:
    """The table as lines for a person."""
    return "\n".join(
        f"  {part:10} {row['weights']:>15,} weights, {row['modules_trained']:>4} modules trained with "
        f"{row['weights_trained']:,}"
        for part, row in found.items()
    )

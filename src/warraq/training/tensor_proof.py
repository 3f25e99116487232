"""base + adapters against the files of the merged model -> the proof that each tensor is W + s·B·A, or its refusal.

The reference is computed here in float64 from the base's tensors and the adapters' own. The float32 model may differ
from it by what float32 rounds at most, element by element (Higham, Accuracy and Stability of Numerical Algorithms,
2002, section 3.1); the merged model must be that model rounded once to the base's types, bit for bit.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from warraq.errors import InputError
from warraq.files import hash_file, read_json
from warraq.image_settings import change_image_settings
from warraq.students import Student, families
from warraq.students.families import COMPONENTS, Family
from warraq.students.layout import open_alike
from warraq.students.model_files import ADAPTER_CONFIG, hash_settings
from warraq.students.weights import INDEX, Weights, check_names
from warraq.training.lineage import Lineage

if TYPE_CHECKING:
    import torch

UNIT = 2.0**-24  # of float32: the largest relative error of one operation
PLAIN = {"peft_type": "LORA", "bias": "none", "use_rslora": False, "use_dora": False, "fan_in_fan_out": False,
         "rank_pattern": {}, "alpha_pattern": {}, "lora_bias": False}  # fmt: skip
"""What adapter_config.json must say for the change to be lora_alpha / r · B·A; a key that it lacks is as here."""

FACTORS = {"A.weight": "B.weight", "B.weight": "A.weight"}


class TensorProof(TypedDict):
    """Which tensors changed, and what rounding them did."""

    tensors: int  # of the model
    changed: dict[str, int]  # by component
    expected: int  # that were trained
    changed_sha256: dict[str, str]
    largest_rounding: float
    lost_in_rounding: list[str]  # trained, and the same once rounded


@dataclass
class Change:
    """What the adapters make of one tensor."""

    whole: "torch.Tensor | None" = None  # what takes its place
    products: list[tuple[float, "torch.Tensor", "torch.Tensor"]] = field(default_factory=list)  # scale, B and A, added


def read_scale(adapter: Path) -> float:
    """The scale of an adapter's B·A.

    Raises:
        InputError: its configuration asks for more than that.
    """
    config = read_json(adapter / ADAPTER_CONFIG)
    odd = sorted(key for key, value in PLAIN.items() if config.get(key, value) not in (value, None))
    if odd:
        raise InputError(f"{adapter / ADAPTER_CONFIG} sets {odd[0]} to {config[odd[0]]}, which the proof cannot hold.")
    return float(config["lora_alpha"] / config["r"])


def read_changes(base: Weights, adapters: Sequence[Path], family: Family) -> dict[str, Change]:
    """What LoRA adapters, one after another, make of the tensors of a base, by their stored names.

    Raises:
        InputError: the base lacks a tensor that one of them changes, or a factor is alone.
    """
    stored = {family.module_name(name): name for name in base.names}
    changes: dict[str, Change] = {}
    for adapter in adapters:
        weights, scale = Weights(adapter), read_scale(adapter)
        for key in sorted(weights.names):
            module, _, factor = key.removeprefix("base_model.model.").partition(".lora_")
            name = f"{module}.weight" if factor else module
            if name not in stored:
                raise InputError(f"the adapter changes {name}, which the base does not have.")
            if not factor:
                changes[stored[name]] = Change(weights[key])
                continue
            pair = key.removesuffix(factor) + FACTORS.get(factor, "")
            if pair not in weights.names:
                raise InputError(f"{adapter} holds {key} without its other factor; train again.")
            if factor == "A.weight":
                product = scale, weights[pair], weights[key]
                changes.setdefault(stored[name], Change()).products.append(product)
    return changes


def measure_excess(exact: "torch.Tensor", like: "torch.Tensor", change: Change) -> float:
    """By how much an element of a float32 tensor is farther from its reference than float32 explains, at most; 0 where
    none is.

    Args:
        exact: the merged tensor.
        like: the base's.
        change: what is to become of it.
    """
    import torch

    if change.whole is not None and not change.products:
        within, difference = exact == change.whole.float(), (exact - change.whole.float()).abs()
    else:
        reference = (like if change.whole is None else change.whole).double()
        bound = reference.abs() * (len(change.products) * UNIT)
        for scale, b, a in change.products:
            reference = reference + scale * (b.double() @ a.double())
            operations = a.shape[0] + 2 + len(change.products)
            bound += (operations * UNIT * abs(scale)) * (b.double().abs() @ a.double().abs())
        difference = (exact.double() - reference).abs()
        within = difference <= bound
    if bool(within.all()):
        return 0.0
    return float(torch.nan_to_num(difference[~within], nan=torch.inf).max())


def prove_tensors(base: Path, exact: Weights, merged: Path, adapters: Sequence[Path], student: Student) -> TensorProof:
    """Each tensor that was trained is W + s·B·A in `exact`, the float32 model, each other one is the base's, and
    `merged` is its rounding.

    Raises:
        RuntimeError: one is not; names it.
    """
    family, old, new = families.load(student.family), Weights(base), Weights(merged)
    check_names(old, exact)
    check_names(old, new)
    if student.tuning == "lora":
        changes = read_changes(old, adapters, family)
        read_change = changes.__getitem__
    else:
        tuned = open_alike(adapters[0], base, family)
        check_names(old, tuned)
        changes = dict.fromkeys(old.names, Change())
        read_change = lambda name: Change(tuned[name])  # noqa: E731 - one at a time
    for name in sorted(old.names - changes.keys()):
        if new.sha256(name) != old.sha256(name):
            raise RuntimeError(f"{name} changed, although it was not trained")
        if not exact[name].equal(old[name].to(exact[name].dtype)):
            raise RuntimeError(f"{name} changed in float32, although it was not trained")
    for name in sorted(changes):
        prove_tensor(name, old[name], exact[name], new[name], read_change(name))
    same = [name for name in sorted(changes) if exact[name].equal(old[name].to(exact[name].dtype))]
    if same:
        raise RuntimeError(f"{same[0]} did not change, although it was trained (so {len(same)} of {len(changes)})")
    changed = {name: new.sha256(name) for name in sorted(changes) if not new[name].equal(old[name])}
    parts = [family.component_of(family.module_name(name)) for name in changed]
    return {
        "tensors": len(old.names),
        "changed": {part: parts.count(part) for part in COMPONENTS},
        "expected": len(changes),
        "changed_sha256": changed,
        "largest_rounding": max(float((exact[name] - new[name].float()).abs().max()) for name in changed),
        "lost_in_rounding": sorted(changes.keys() - changed.keys()),
    }


def prove_tensor(name: str, old: "torch.Tensor", exact: "torch.Tensor", merged: "torch.Tensor", change: Change) -> None:
    """Hold one tensor that was trained, in float32 and rounded, against what is to become of the old one.

    Raises:
        RuntimeError: it is another.
    """
    if excess := measure_excess(exact, old, change):
        raise RuntimeError(f"{name} is not what base and adapters make of it: in float32 it is {excess:.1e} off")
    if merged.dtype != old.dtype:
        raise RuntimeError(f"{name} is {merged.dtype} in the merged model, {old.dtype} in the base")
    if not merged.equal(exact.to(old.dtype)):
        raise RuntimeError(f"{name} in the merged model is not its float32 value rounded once to {old.dtype}")


def prove_files(base: Path, merged: Path, lineage: Lineage, student: Student) -> None:
    """Hold all files of `merged` but its tensors against those of the base that was trained.

    Raises:
        RuntimeError: one is missing, changed or new; names it.
    """
    weights = {path.name for path in base.glob("*.safetensors")} | ({INDEX} if (base / INDEX).exists() else set())
    expected = weights | lineage["settings_sha256"].keys()
    for name in sorted(expected ^ {path.name for path in merged.iterdir()}):
        raise RuntimeError(f"{name} is {'missing from' if name in expected else 'new in'} the merged model")
    if INDEX in weights and hash_file(merged / INDEX) != hash_file(base / INDEX):
        raise RuntimeError(f"{INDEX} of the merged model is not the base's")
    family = families.load(student.family)
    capped = change_image_settings(base, lambda settings: family.cap_pixels(settings, lineage["image_max_pixels"]))
    for name, digest in hash_settings(merged).items():
        if name in capped:
            if read_json(merged / name) != capped[name]:
                raise RuntimeError(f"{name} of the merged model is not what it was in training")
        elif digest != lineage["settings_sha256"][name]:
            raise RuntimeError(f"{name} of the merged model is not the base's")

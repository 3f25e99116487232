"""A model folder -> the tensors that transformers makes of its config.json, and which of them are one and the same."""

import re
from pathlib import Path
from typing import NamedTuple

from warraq.errors import InputError
from warraq.files import read_json
from warraq.students.families import Family
from warraq.students.weights import Shapes, Weights


class Layout(NamedTuple):
    """The tensors of a model by their names in transformers."""

    shapes: Shapes
    tied: dict[str, str]  # a name -> the other name of the same tensor, which comes first


def read_layout(folder: Path) -> Layout:
    """The layout that config.json describes; no weight is read or drawn."""
    import torch
    from transformers import AutoConfig, AutoModelForImageTextToText

    with torch.device("meta"):
        model = AutoModelForImageTextToText.from_config(AutoConfig.from_pretrained(folder))
    first = {id(weight): name for name, weight in model.named_parameters()}
    every = model.named_parameters(remove_duplicate=False)
    tied = {name: first[id(weight)] for name, weight in every if first[id(weight)] != name}
    return Layout({name: tuple(weight.shape) for name, weight in model.state_dict().items()}, tied)


def check_layout(base: Path, shapes: Shapes, family: Family) -> None:
    """Hold a base's tensors against the model that transformers makes of it, which passes over what does not fit.

    Args:
        base: the model's folder.
        shapes: of its tensors, by their names in transformers.
        family: whose names they are.

    Raises:
        InputError: a tensor is missing, unknown or of another shape, or a tied one is stored twice and not the same.
    """
    layout = read_layout(base)
    for name in sorted(layout.shapes.keys() | shapes.keys()):
        if name not in shapes and name not in layout.tied:
            raise InputError(f"{base} lacks {name}, which its config.json asks for; fetch the model again.")
        if name not in layout.shapes:
            raise InputError(f"{base} stores {name}, which no {family.model_type} model has; fetch the model again.")
        if shapes.get(name, layout.shapes[name]) != layout.shapes[name]:
            raise InputError(
                f"{name} is {[*shapes[name]]} in {base}, by its config.json {[*layout.shapes[name]]}; "
                "fetch the model again."
            )
    stored = Weights(base, family.module_name)
    for name, other in layout.tied.items():
        if name in shapes and not stored[name].equal(stored[other]):
            raise InputError(
                f"{base} stores {name} with other values than {other}, to which its config.json ties it: "
                "set tie_word_embeddings there to what the weights are."
            )


def open_alike(folder: Path, base: Path, family: Family) -> Weights:
    """The tensors of a folder that transformers wrote by the names that `base` stores them under: those of today or of
    an older version, a tied one under both its names where the base has it twice, and those of the base that have no
    effect, which transformers leaves out."""
    stored, unused = Weights(base), family.find_unused(read_json(base / "config.json"))
    names = {family.module_name(name): name for name in stored.names}
    weights = Weights(folder, lambda stored: names.get(family.module_name(stored), stored))
    for name in names:
        if re.match(unused, name):
            weights.places.setdefault(names[name], stored.places[names[name]])
    if names.keys() - {family.module_name(name) for name in weights.names}:
        for name, other in read_layout(base).tied.items():
            if name in names and other in names and names[other] in weights.places:
                weights.places.setdefault(names[name], weights.places[names[other]])
    return weights

"""The weight files of a model folder: hashed, read tensor by tensor, written in another folder's form, compared."""

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from warraq.errors import InputError
from warraq.files import hash_file, hash_files, read_json
from warraq.students import Student
from warraq.students.families import Family

if TYPE_CHECKING:
    import torch


Shapes = dict[str, tuple[int, ...]]
"""The shape of every parameter by its name."""

INDEX = "model.safetensors.index.json"


def read_shapes(base: Path, family: Family) -> Shapes:
    """The shape of every parameter of a model folder that has an effect, by its name in transformers; from the files'
    heads alone.

    Raises:
        InputError: the model is of another family, a weight file is missing that the index names, one is cut, or a
            parameter stands in two.
    """
    paths = list_weight_files(base)
    config = read_json(base / "config.json")
    kind = config.get("model_type")
    if kind != family.model_type:
        raise InputError(
            f"{base} is a {kind} model, not a {family.model_type}; correct the student's family in params.yaml."
        )
    shapes: Shapes = {}
    unused = re.compile(family.find_unused(config))
    for name, shape in (entry for path in paths for entry in read_stored_shapes(path).items()):
        if unused.match(family.module_name(name)):
            continue
        if shapes.setdefault(family.module_name(name), shape) is not shape:
            raise InputError(f"{base} stores {family.module_name(name)} twice; fetch the base model again.")
    return shapes


def read_stored_shapes(path: Path) -> Shapes:
    """The shapes of the tensors in one file, by their names there; from its head alone.

    Raises:
        InputError: the file is cut.
    """
    with path.open("rb") as stream:
        size = int.from_bytes(stream.read(8), "little")
        head = json.loads(stream.read(size))
    head.pop("__metadata__", None)
    end = max((entry["data_offsets"][1] for entry in head.values()), default=0)
    if path.stat().st_size != 8 + size + end:
        raise InputError(f"{path} is cut: it should have {8 + size + end:,} bytes; fetch the base model again.")
    return {name: tuple(entry["shape"]) for name, entry in head.items()}


def list_weight_files(folder: Path) -> list[Path]:
    """The weight files of a model folder.

    Raises:
        InputError: there are none, or one that the index names is missing.
    """
    present = sorted(folder.glob("*.safetensors"))
    if not present or not (folder / "config.json").exists():
        raise InputError(f"{folder} holds no model; run `warraq fetch` for this student.")
    index = folder / INDEX
    named = set(read_json(index)["weight_map"].values()) if index.exists() else set()
    missing = sorted(named - {path.name for path in present})
    if missing:
        raise InputError(f"{folder} lacks {missing[0]}, which {index.name} names; fetch the model again.")
    return present


def digest_model(folder: Path) -> str:
    """One hash for all weight files of a model folder.

    Raises:
        InputError: there are none, or one is missing.
    """
    return hash_files(list_weight_files(folder))


def digest_adapter(folder: Path) -> str:
    """One hash for the weight files of a tier."""
    return hash_files(sorted(folder.glob("*.safetensors")))


def verify_weights(student: Student, folder: Path) -> None:
    """Refuse a folder of the embedded student whose weights are not the ones that params.yaml names.

    A hub revision is the name of a commit and cannot be checked against files.

    Raises:
        InputError: the weights are missing or others.
    """
    weights = folder / "model.safetensors"
    if student.base != "nano":
        return
    if not weights.exists():
        raise InputError(f"{weights} is missing; it comes with the project: restore it with `git checkout {folder}`.")
    found = hash_file(weights)
    if found != student.revision:
        raise InputError(
            f"{weights} has SHA-256 {found}, but params.yaml names {student.revision}; restore the file with "
            f"`git checkout {folder}` or correct the student's revision."
        )


class Weights:
    """The tensors of a folder by their stored names, or as `called` makes of these; read one at a time, no file stays
    open."""

    def __init__(self, folder: Path, called: Callable[[str], str] = str) -> None:
        from safetensors import safe_open

        self.places: dict[str, tuple[Path, str]] = {}  # file and stored name of each tensor, file by file
        for path in sorted(folder.glob("*.safetensors")):
            with safe_open(path, "pt") as file:
                self.places |= {called(name): (path, name) for name in file.keys()}  # noqa: SIM118 - no dict

    @property
    def names(self) -> frozenset[str]:
        """Of all tensors."""
        return frozenset(self.places)

    def __getitem__(self, name: str) -> "torch.Tensor":
        from safetensors import safe_open

        path, stored = self.places[name]
        with safe_open(path, "pt") as file:
            tensor: torch.Tensor = file.get_tensor(stored)
        return tensor

    def shape(self, name: str) -> list[int]:
        """Of a tensor, which is not read."""
        from safetensors import safe_open

        path, stored = self.places[name]
        with safe_open(path, "pt") as file:
            shape: list[int] = file.get_slice(stored).get_shape()
        return shape

    def sha256(self, name: str) -> str:
        """Of the bytes of a tensor."""
        import torch

        return hashlib.sha256(self[name].reshape(-1).view(torch.uint8).numpy().data).hexdigest()


def find_idle_modules(adapter: Weights) -> list[str]:
    """The modules on which a LoRA adapter does nothing, because a factor is zero."""
    zero = [name for name in adapter.names if ".lora_" in name and not adapter[name].any()]
    return sorted({name.split(".lora_")[0].removeprefix("base_model.model.") for name in zero})


def check_names(base: Weights, merged: Weights) -> None:
    """Hold the names and shapes of a merged model's tensors against its base's.

    Raises:
        RuntimeError: they are not the same; names the tensor.
    """
    for name in sorted(base.names ^ merged.names):
        raise RuntimeError(f"{name} is {'missing from' if name in base.names else 'new in'} the merged model")
    for name in sorted(base.names):
        if base.shape(name) != merged.shape(name):
            raise RuntimeError(f"{name} is {merged.shape(name)} in the merged model, {base.shape(name)} in the base")


def round_weights(base: Path, exact: Weights, folder: Path) -> None:
    """Write the tensors of `exact` to `folder` in the types and files of `base`, each rounded once.

    Raises:
        RuntimeError: the names or shapes are not the same; names the tensor.
    """
    from safetensors import safe_open
    from safetensors.torch import save_file

    old = Weights(base)
    check_names(old, exact)
    folder.mkdir()
    for path in sorted({path for path, _ in old.places.values()}):
        own = sorted(name for name, place in old.places.items() if place[0] == path)
        tensors = {name: exact[name].to(old[name].dtype).contiguous() for name in own}
        with safe_open(path, "pt") as file:
            save_file(tensors, folder / path.name, file.metadata())
    if (base / INDEX).exists():
        shutil.copyfile(base / INDEX, folder / INDEX)

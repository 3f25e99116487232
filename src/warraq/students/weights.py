"""The weight files of a model folder: hashed, read tensor by tensor, written in another folder's form, compared."""

import hashlib
import json
import re
import shutil
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from warraq.errors import InputError
from warraq.files import hash_file, hash_files
from warraq.students import Student

if TYPE_CHECKING:
    import torch


Shapes = dict[str, tuple[int, ...]]
ORDER = ("language", "projector", "vision")


def shapes(base: Path, room: ModuleType) -> Shapes:
    """The shape of every parameter of a model folder, by its name in transformers; from the files' heads alone.

    Raises:
        InputError: the model is of another family, a weight file is missing that the index names, or one is cut.
    """
    found: Shapes = {}
    paths = files(base)
    kind = json.loads((base / "config.json").read_text(encoding="utf-8")).get("model_type")
    if kind != room.MODEL:
        raise InputError(f"{base} is a {kind} model, not a {room.MODEL}; correct the student's family in params.yaml.")
    for path in paths:
        with path.open("rb") as stream:
            size = int.from_bytes(stream.read(8), "little")
            head = json.loads(stream.read(size))
        head.pop("__metadata__", None)
        end = max((entry["data_offsets"][1] for entry in head.values()), default=0)
        if path.stat().st_size != 8 + size + end:
            raise InputError(f"{path} is cut: it should have {8 + size + end:,} bytes; fetch the base model again.")
        found |= {module(name, room): tuple(entry["shape"]) for name, entry in head.items()}
    return found


def files(folder: Path) -> list[Path]:
    """The weight files of a model folder.

    Raises:
        InputError: there are none, or one that the index names is missing.
    """
    there = sorted(folder.glob("*.safetensors"))
    if not there or not (folder / "config.json").exists():
        raise InputError(f"{folder} holds no model; run `warraq fetch` for this student.")
    index = folder / "model.safetensors.index.json"
    named = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()) if index.exists() else set()
    missing = sorted(named - {path.name for path in there})
    if missing:
        raise InputError(f"{folder} lacks {missing[0]}, which {index.name} names; fetch the model again.")
    return there


def module(stored: str, room: ModuleType) -> str:
    """The name in transformers of what is stored under a name."""
    for pattern, replacement in room.MODULES.items():
        stored = re.sub(pattern, replacement, stored)
    return stored


def component(name: str, room: ModuleType) -> str:
    return next((part for part, pattern in room.COMPONENTS.items() if re.match(pattern, name)), "other")


def digest(folder: Path) -> str:
    """One hash for all weight files of a model folder, by name and content.

    Raises:
        InputError: there are none, or one is missing.
    """
    return hash_files(files(folder))


def verify(student: Student, folder: Path) -> None:
    """Refuse a folder of the embedded student whose weights are not the ones that params.yaml names.

    A hub revision is the name of a commit and cannot be checked against files.
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
    """The tensors of a model folder by name, read one at a time."""

    def __init__(self, folder: Path) -> None:
        from safetensors import safe_open

        self.files = {path.name: safe_open(path, "pt") for path in sorted(folder.glob("*.safetensors"))}
        self._file = {tensor: name for name, file in self.files.items() for tensor in list(file.keys())}
        self.names = frozenset(self._file)

    def __getitem__(self, name: str) -> "torch.Tensor":
        tensor: torch.Tensor = self.files[self._file[name]].get_tensor(name)
        return tensor

    def sha256(self, name: str) -> str:
        import torch

        return hashlib.sha256(self[name].reshape(-1).view(torch.uint8).numpy().data).hexdigest()


def targets(names: frozenset[str], adapter: Weights, room: ModuleType) -> set[str]:
    """The stored names of the tensors that an adapter changes, by LoRA or whole."""
    keys = {key.removeprefix("base_model.model.") for key in adapter.names}
    changed = {key.rsplit(".lora_", 1)[0] + ".weight" if ".lora_" in key else key for key in keys}
    stored = {module(name, room): name for name in names}
    if changed - stored.keys():
        raise InputError(f"the adapter changes {min(changed - stored.keys())}, which the base does not have.")
    return {stored[name] for name in changed}


def idle(adapter: Weights) -> list[str]:
    """The modules on which a LoRA adapter does nothing, because a factor is zero."""
    zero = [name for name in adapter.names if ".lora_" in name and not adapter[name].any()]
    return sorted({name.split(".lora_")[0].removeprefix("base_model.model.") for name in zero})


def rounded(base: Path, exact: Path, folder: Path) -> None:
    """Write the tensors of `exact` to `folder` in the types and files of `base`, each rounded once.

    Raises:
        RuntimeError: the names or shapes are not the same; names the tensor.
    """
    from safetensors.torch import save_file

    old, new = Weights(base), Weights(exact)
    if old.names != new.names:
        odd = min(old.names ^ new.names)
        raise RuntimeError(f"{odd} is {'missing from' if odd in old.names else 'new in'} the merged model")
    folder.mkdir()
    for name, file in old.files.items():
        tensors = {}
        for tensor in sorted(file.keys()):
            like, value = old[tensor], new[tensor]
            if like.shape != value.shape:
                raise RuntimeError(f"{tensor} is {[*value.shape]} in the merged model, {[*like.shape]} in the base")
            tensors[tensor] = value.to(like.dtype).contiguous()
        save_file(tensors, folder / name, file.metadata())
    index = "model.safetensors.index.json"
    if (base / index).exists():
        shutil.copyfile(base / index, folder / index)

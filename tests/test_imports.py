"""No module stands in a circle of imports, those that only a type checker reads included."""

import ast
import graphlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src/warraq"


def list_modules(package: Path) -> dict[str, Path]:
    """The files of a package by the dotted names of their modules."""
    files = sorted(package.rglob("*.py"))
    names = (".".join((package.name, *path.relative_to(package).with_suffix("").parts)) for path in files)
    return dict(zip((name.removesuffix(".__init__") for name in names), files, strict=True))


def walk_top_level(node: ast.AST) -> Iterator[ast.AST]:
    """What runs when a module is imported, and what a type checker reads then; not what functions do."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield child
            yield from walk_top_level(child)


def find_imports(path: Path, modules: Mapping[str, Path]) -> set[str]:
    """Those of the modules that a file imports."""
    names: set[str] = set()
    for node in walk_top_level(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            members = [f"{node.module}.{alias.name}" for alias in node.names]
            names |= {member if member in modules else node.module for member in members}
    return names & modules.keys()


def check_circles(package: Path) -> int:
    """How many modules there are; CycleError names a circle of them."""
    modules = list_modules(package)
    graphlib.TopologicalSorter({name: find_imports(path, modules) for name, path in modules.items()}).prepare()
    return len(modules)


def test_no_imports_go_in_a_circle() -> None:
    assert check_circles(PACKAGE) > 100


def test_a_circle_of_types_is_found(tmp_path: Path) -> None:
    package = tmp_path / "house"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "one.py").write_text("from house import two\n")
    (package / "two.py").write_text("import typing\nif typing.TYPE_CHECKING:\n    from house.one import Door\n")
    with pytest.raises(graphlib.CycleError, match=r"house\.one"):
        check_circles(package)

"""No module stands in a circle of imports, those that only a type checker reads included."""

import ast
import graphlib
from collections.abc import Iterator
from pathlib import Path

from warraq.code import file_of

SOURCE = Path(__file__).parents[1] / "src/warraq"


def at_import(node: ast.AST) -> Iterator[ast.AST]:
    """The statements that run when a module is imported, or that a type checker reads then; not those of functions."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield child
            yield from at_import(child)


def imported(path: Path) -> set[str]:
    """The modules of warraq that a file imports."""
    names: set[str] = set()
    for node in at_import(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            full = [f"{node.module}.{alias.name}" for alias in node.names]
            names |= {name if file_of(SOURCE, name) else node.module for name in full}
    return {name for name in names if name.split(".")[0] == "warraq"}


def test_no_imports_go_in_a_circle() -> None:
    files = {
        ".".join(("warraq", *path.relative_to(SOURCE).with_suffix("").parts)): path for path in SOURCE.rglob("*.py")
    }
    graph = {name.removesuffix(".__init__"): imported(path) for name, path in files.items()}
    assert len(graph) > 100
    graphlib.TopologicalSorter(graph).prepare()  # CycleError names the circle


def test_a_circle_would_be_found(tmp_path: Path) -> None:
    path = tmp_path / "one.py"
    path.write_text("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from warraq.code import digest\n")
    assert imported(path) == {"warraq.code"}

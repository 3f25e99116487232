"""A module -> what counts of it: its imports, and its syntax tree without comments, docstrings and layout."""

import ast
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from warraq.files import short_hash


@dataclass(frozen=True)
class Module:
    """What counts of one file: the dotted names it imports, and 12 hex digits of SHA-256."""

    imports: frozenset[str]
    digest: str


def parse_module(path: Path) -> Module:
    """Read a module, with the data files beside it that its strings name.

    Docstrings of classes count in `tasks/`: they are part of the schema that a model is told.

    Raises:
        ValueError: it imports by a relative name.
    """
    tree = _Stripper(keep_class_docstrings=path.parent.name == "tasks").visit(ast.parse(path.read_bytes()))
    imports: set[str] = set()
    strings: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imports |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            if node.level or node.module is None:
                raise ValueError(f"{path}, line {node.lineno}: write the import with its full name")
            imports |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            strings.add(node.value)
    names = sorted(name for name in strings if re.fullmatch(r"[\w-]+\.\w+", name) and (path.parent / name).is_file())
    content = [_canonical(tree), *((path.parent / name).read_bytes() for name in names)]
    return Module(frozenset(imports), short_hash(repr(content)))


class _Stripper(ast.NodeTransformer):
    """Removes what decides nothing: strings that stand alone, as docstrings do, and imports for type checkers."""

    def __init__(self, keep_class_docstrings: bool) -> None:
        self.keep_class_docstrings = keep_class_docstrings

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        docstring = node.body[:1] if self.keep_class_docstrings and ast.get_docstring(node) is not None else []
        self.generic_visit(node)
        node.body = [*docstring, *node.body]
        return node

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        is_string = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if is_string else self.generic_visit(node)

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
        self.generic_visit(node)
        return node.orelse if ast.unparse(node.test).endswith("TYPE_CHECKING") else node

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        self.generic_visit(node)  # Python 3.12 ends some formats with an empty string
        node.values = [part for part in node.values if not (isinstance(part, ast.Constant) and part.value == "")]
        return node


def _canonical(node: Any) -> Any:
    """A syntax tree as tuples, without what is empty, so that it is the same under each version of Python."""
    if isinstance(node, list):
        return [_canonical(part) for part in node]
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = [(name, _canonical(value)) for name, value in ast.iter_fields(node) if value not in (None, [])]
    return type(node).__name__, fields

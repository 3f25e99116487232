"""A module -> a digest of what it does: its syntax tree, in which comments, docstrings and layout do not count."""

import ast
import re
from functools import cache
from pathlib import Path
from typing import Any

from warraq.files import short_hash


@cache
def digest_module(path: Path) -> str:
    """12 hex digits of SHA-256 over a file's syntax tree, and the files beside it that its strings name.

    Docstrings of classes count in `tasks/`: they are part of the schema that a model is told.
    """
    tree = ast.parse(path.read_bytes())
    names = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    data = sorted(name for name in names if re.fullmatch(r"[\w-]+\.\w+", name) and (path.parent / name).is_file())
    parts = [_as_tuples(tree, path.parent.name == "tasks"), *((path.parent / name).read_bytes() for name in data)]
    return short_hash(repr(parts))


def _as_tuples(node: Any, schemas: bool) -> Any:
    """A syntax tree as tuples, without what is empty, so that it is the same under each version of Python."""
    if isinstance(node, list):
        return [_as_tuples(one, schemas) for one in node]
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = {name: value for name, value in ast.iter_fields(node) if value not in (None, [])}
    body = fields.get("body")
    if isinstance(body, list) and not (schemas and isinstance(node, ast.ClassDef)):
        fields["body"] = [one for one in body if not _is_remark(one)]
    return type(node).__name__, [(name, _as_tuples(value, schemas)) for name, value in fields.items()]


def _is_remark(node: ast.AST) -> bool:
    """Whether a statement is a text alone, as a docstring is."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)

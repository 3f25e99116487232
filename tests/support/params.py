"""params.yaml of the project with other values."""

from collections.abc import Mapping
from typing import Any

import yaml

from support import PARAMS
from warraq.params import Params


def params_yaml(changes: Mapping[str, object] | None = None) -> str:
    """Return the text of the project's params.yaml with `changes`, by dotted key such as `students.nano.tiers.0.rank`.

    Raises:
        KeyError: params.yaml has no such key.
        ValidationError: a value is not allowed.
    """
    tree = read_params()
    for key, value in (changes or {}).items():
        *branches, last = (int(part) if part.isdecimal() else part for part in key.split("."))
        branch: Any = tree
        for part in branches:
            branch = branch[part]
        if not isinstance(branch, dict) or last not in branch:
            raise KeyError(f"params.yaml has no {key}")
        branch[last] = value
    Params.model_validate(tree)
    return str(yaml.safe_dump(tree, allow_unicode=True, sort_keys=False))


def read_params() -> dict[str, Any]:
    """Return the project's params.yaml as plain values, but that any number of documents may be learned from."""
    tree: dict[str, Any] = yaml.safe_load(PARAMS.read_text(encoding="utf-8"))
    tree["train"]["min_documents"] = 1  # most tests train on a document or two
    return tree

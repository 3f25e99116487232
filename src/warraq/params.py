"""params.yaml as one typed tree; each stage types its own branch, so a new field in one invalidates no other."""

import difflib
import importlib.util
import re
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import Field, ValidationError, field_validator
from pydantic_core import ErrorDetails

from warraq.errors import InputError, join_faults
from warraq.section import Section
from warraq.stages.dataset import Dataset
from warraq.stages.evaluate import Evaluate
from warraq.stages.export import Export
from warraq.stages.gguf import Gguf
from warraq.stages.label import Label
from warraq.stages.merge import Merge
from warraq.stages.predict import Predict
from warraq.stages.render import Render
from warraq.stages.train import Train
from warraq.students import Student, Tier

Name = Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]


class Params(Section):
    """All of params.yaml."""

    tasks: Annotated[list[Name], Field(min_length=1)]
    render: Render
    label: Label
    dataset: Dataset
    train: Train
    merge: Merge
    export: Export
    gguf: Gguf
    predict: Predict
    evaluate: Evaluate
    students: Annotated[dict[Name, Student], Field(min_length=1)]

    @field_validator("tasks")
    @classmethod
    def _check_tasks(cls, names: list[str]) -> list[str]:
        for name in names:
            if importlib.util.find_spec(f"warraq.tasks.{name}") is None:
                raise ValueError(f"there is no task {name!r} in src/warraq/tasks")
        if len(set(names)) < len(names):
            raise ValueError("a task is named twice")
        return names

    def find_student(self, name: str) -> Student:
        """The student of a name.

        Raises:
            InputError: params.yaml has no such student.
        """
        if name not in self.students:
            raise InputError(f"params.yaml has no student {name!r}; it has {', '.join(self.students)}.")
        return self.students[name]


class _Loader(yaml.CSafeLoader):  # type: ignore[misc]
    """YAML as DVC reads it: 1e-4 is a number, a key given twice is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Refuse a key that is given twice."""
        keys = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a key is no name", key.start_mark)
            if key.value in keys:
                raise yaml.constructor.ConstructorError(None, None, f"{key.value} is given twice", key.start_mark)
            keys.add(key.value)
        return dict(super().construct_mapping(node, deep))


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)


def load(path: Path) -> Params:
    """Read and check params.yaml whole.

    Raises:
        InputError: a sentence an error, with the key, the value and what is allowed.
    """
    try:
        text = path.read_text(encoding="utf-8")
        tree = yaml.load(text, Loader=_Loader)  # a safe loader
    except FileNotFoundError:
        raise InputError(f"{path} is missing; run warraq from the project's folder or pass --params.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); restore it from git.") from None
    except (UnicodeDecodeError, yaml.reader.ReaderError) as error:
        raise InputError(f"{path} is not text in UTF-8 ({' '.join(str(error).split())}); save it so.") from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line if error.problem_mark else 0
        remedy = "; indent with spaces, not with a tab" if "\t" in "".join(text.splitlines()[line : line + 1]) else ""
        raise InputError(f"{path}, line {line + 1} is not YAML: {error.problem}{remedy}.") from None
    if not isinstance(tree, dict):
        raise InputError(f"{path} holds no keys; restore it from git.")
    try:
        return Params.model_validate(tree)
    except ValidationError as error:
        raise InputError(join_faults(str(path), _describe_errors(error.errors(include_url=False)))) from None


def _describe_errors(errors: list[ErrorDetails]) -> list[str]:
    """A sentence an error, unknown keys first; the key that one of these was meant for is not missing as well."""
    meant = {
        (*one["loc"][:-1], near)
        for one in errors
        if one["type"] == "extra_forbidden"
        for near in _find_near_fields(one["loc"])
    }
    told = [one for one in errors if not (one["type"] == "missing" and one["loc"] in meant)]
    return [_describe_error(one) for one in sorted(told, key=lambda one: one["type"] != "extra_forbidden")]


def _describe_error(error: ErrorDetails) -> str:
    """What is wrong with which key, in one sentence."""
    key = ".".join(str(part) for part in error["loc"])
    if error["type"] == "missing":
        return f"{key} is missing."
    if error["type"] == "extra_forbidden":
        near = _find_near_fields(error["loc"])
        return f"{key} is not a parameter" + (f"; did you mean {near[0]}?" if near else "; remove it.")
    message = error["msg"].removeprefix("Value error, ")
    return f"{key} is {error['input']!r}: {message[0].lower()}{message[1:]}."


def _find_near_fields(path: tuple[Any, ...]) -> list[str]:
    """The parameter that an unknown key was likely meant for, if any."""
    return difflib.get_close_matches(str(path[-1]), _field_names(path[:-1]), n=1)


def _field_names(path: tuple[Any, ...]) -> list[str]:
    """The field names of the branch at `path`."""
    branch: Any = Params
    for part in path:
        field = getattr(branch, "model_fields", {}).get(part)
        branch = field.annotation if field else Tier if isinstance(part, int) else Student
    return list(getattr(branch, "model_fields", {}))

"""A model's folder -> a model that answers pages as it was trained to, or one sentence why it cannot."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from warraq import runtimes
from warraq import tasks as room
from warraq.errors import InputError
from warraq.files import read_json
from warraq.rendering.settings import recipe_of
from warraq.runtimes import Runtime, manifest
from warraq.runtimes.manifest import schema_sha256
from warraq.stages.render import Render
from warraq.tasks import Task

logger = logging.getLogger(__name__)

ALL_UNREAD = 0.0  # the threshold where none was chosen: no answer needs a person for its confidence alone
MOST_TOKENS = 8192  # of an answer, if the model's own generation_config.json does not say less
LIMITS = {  # as params.yaml has them; they decide no pixel
    "max_pages": 2000,
    "max_seconds": 60,
    "max_memory_mib": 700,
    "max_output_mib": 4096,
}


@dataclass(frozen=True)
class Asked:
    """A task as the model knows it."""

    name: str
    prompt: str
    task: Task
    schema: dict[str, Any]
    threshold: float | None  # an answer less sure of itself needs a person; None: every one does


@dataclass(frozen=True)
class Model:
    """Checked; its weights are loaded when `runtime` is first asked for, after all rendering, which forks."""

    folder: Path
    runtime_name: str | None  # None: what the folder is for
    key: str  # SHA-256 of all that decides an answer
    render: Render
    tasks: dict[str, Asked]

    @cached_property
    def runtime(self) -> Runtime:
        return runtimes.load(self.folder, self.runtime_name)

    @property
    def max_new_tokens(self) -> int:
        return runtimes.longest(self.folder, MOST_TOKENS)


def known(folder: Path, tasks: Sequence[str], runtime: str | None, review: Path | None) -> Model:
    """The model in `folder` for `tasks`, all of its tasks if none is named.

    Raises:
        InputError: this version renders pages otherwise than in training, or has another prompt or schema.
    """
    held = manifest.read(folder)
    try:
        look = Render.model_validate(held.look | LIMITS)
    except ValidationError:
        look = None
    if look is None or recipe_of(look) != held.recipe:
        raise InputError(f"{folder} was trained on pages that this version does not render alike; train it anew.")
    thresholds, otherwise = _thresholds(folder, review), None if review else ALL_UNREAD
    asked = {}
    for name in tasks or held.tasks:
        if name not in held.tasks:
            raise InputError(f"{folder} was not trained for {name!r}; it knows {', '.join(held.tasks)}.")
        question, task = held.tasks[name], room.load(name)
        schema = task.schema()
        if question.prompt != task.prompt or question.schema_sha256 != schema_sha256(schema):
            raise InputError(f"{folder} was trained with another prompt or schema of {name}; train it anew.")
        asked[name] = Asked(name, question.prompt, task, schema, thresholds.get(name, otherwise))
    if review is None:
        logger.info("no --review: no answer is marked for its confidence, only for its form")
    return Model(folder, runtime, held.key(), look, asked)


def _thresholds(folder: Path, review: Path | None) -> dict[str, float | None]:
    if review is None:
        return {}
    variants = read_json(review)
    if folder.name not in variants:
        raise InputError(f"{review} has no thresholds of {folder.name!r}; it has {', '.join(variants)}.")
    return variants[folder.name]

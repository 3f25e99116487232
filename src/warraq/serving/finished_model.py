"""A model's folder -> a model that answers pages as it was trained to, or one sentence why it cannot."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from warraq import tasks
from warraq.errors import InputError, first_problem
from warraq.files import JsonObject, read_json
from warraq.rendering.settings import RenderLimits, RenderSettings, recipe_of
from warraq.runtimes import Runtime, manifest
from warraq.runtimes.loading import load_runtime, read_token_limit
from warraq.runtimes.manifest import hash_schema
from warraq.serving.sight import Eyesight, read_eyesight
from warraq.tasks import Task
from warraq.views import Views, hash_recipe

ALL_UNREAD = 0.0  # the threshold where none was chosen: no answer needs a person for its confidence alone
MOST_TOKENS = 8192  # of an answer, if the model's own generation_config.json does not say less
LIMITS = RenderLimits(max_pages=2000, max_seconds=60, max_memory_mib=700, max_output_mib=4096)
"""As params.yaml has them; they decide no pixel."""

Thresholds = dict[str, float | None]
"""Task -> how sure an answer must be to go unread; None: every one is read."""


@dataclass(frozen=True)
class ModelTask:
    """A task as the model was trained for it."""

    name: str
    prompt: str
    task: Task
    schema: JsonObject
    threshold: float | None  # an answer less sure of itself needs a person; None: every one does


@dataclass(frozen=True)
class FinishedModel:
    """A checked model; its weights are loaded when `runtime` is first asked for, after all rendering, which forks."""

    folder: Path
    runtime_name: str | None  # None: what the folder is for
    key: str  # SHA-256 of all that decides an answer
    settings: RenderSettings  # by which its pages were drawn in training
    views: Views  # of a page, as in training
    tasks: dict[str, ModelTask]
    eyesight: Eyesight | None  # None: it is not known which pages are too small for it
    ask_too_small: bool  # about pages of which the lines are too small, and mark the answers
    has_review: bool  # whether thresholds were given

    @cached_property
    def runtime(self) -> Runtime:
        """What answers."""
        return load_runtime(self.folder, self.runtime_name)

    @property
    def notes(self) -> tuple[str, ...]:
        """What is to be known of all its answers, a sentence each; it is told once and not with each answer."""
        notes = []
        if unproved := [name for name, task in self.tasks.items() if task.threshold is None]:
            notes.append(f"no threshold is proved for {', '.join(unproved)}: a person has to read all its answers")
        if not self.has_review:
            notes.append("no --review: no answer is marked for its confidence, only for its form")
        if self.eyesight is None:
            notes.append("it is not known which pages are too small for the model, so none is left out for that")
        return tuple(notes)

    @cached_property
    def max_new_tokens(self) -> int:
        """Tokens that an answer may have."""
        return read_token_limit(self.folder, MOST_TOKENS)


def load_finished_model(
    folder: Path, tasks_wanted: Sequence[str], runtime: str | None, review: Path | None, ask_too_small: bool = False
) -> FinishedModel:
    """The model in `folder` for the tasks that are wanted, all of its tasks if none is named.

    Raises:
        InputError: this version renders or cuts pages otherwise than in training, or has another prompt or schema.
    """
    trained = manifest.read_manifest(folder)
    settings = _check_settings(folder, trained)
    thresholds, otherwise = _read_thresholds(folder, review), None if review else ALL_UNREAD
    known_tasks = {
        name: _check_task(folder, trained, name, thresholds.get(name, otherwise))
        for name in tasks_wanted or trained.tasks
    }
    return FinishedModel(
        folder, runtime, trained.hash_contents(), settings, trained.views, known_tasks,
        read_eyesight(folder, trained), ask_too_small, has_review=review is not None,
    )  # fmt: skip


def _check_settings(folder: Path, trained: manifest.ModelManifest) -> RenderSettings:
    """Raises InputError where pages would be drawn otherwise than in training."""
    try:
        settings = RenderSettings.model_validate(trained.look)
    except ValidationError:
        settings = None
    if settings is None or hash_recipe(recipe_of(settings), trained.views) != trained.recipe:
        raise InputError(f"{folder} was trained on pages that this version does not render alike; train it anew.")
    return settings


def _check_task(folder: Path, trained: manifest.ModelManifest, name: str, threshold: float | None) -> ModelTask:
    """Raises InputError where the model was not trained for the task as it is."""
    if name not in trained.tasks:
        raise InputError(f"{folder} was not trained for {name!r}; it knows {', '.join(trained.tasks)}.")
    task = tasks.load(name)
    schema = task.schema
    if trained.tasks[name].prompt != task.prompt or trained.tasks[name].schema_sha256 != hash_schema(schema):
        raise InputError(f"{folder} was trained with another prompt or schema of {name}; train it anew.")
    return ModelTask(name, task.prompt, task, schema, threshold)


def _read_thresholds(folder: Path, review: Path | None) -> Thresholds:
    if review is None:
        return {}
    try:
        variants = TypeAdapter(dict[str, Thresholds]).validate_python(read_json(review))
    except ValidationError as error:
        raise InputError(
            f"{review} holds no thresholds ({first_problem(error)}); name the review.json that evaluate wrote."
        ) from None
    if folder.name not in variants:
        raise InputError(f"{review} has no thresholds of {folder.name!r}; it has {', '.join(variants)}.")
    return variants[folder.name]

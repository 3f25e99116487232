"""Samples with their right answers, and predictions -> graded answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from warraq import tasks
from warraq.errors import InputError
from warraq.files import short_hash
from warraq.metrics.grading import GradedAnswer
from warraq.records import Label, Page, Planted, Prediction, Sample, Split, read_rows, read_samples
from warraq.tasks import JsonObject, Task
from warraq.tasks.scoring import score_answer

Key = tuple[str, str]
"""Page and task."""
Predictions = dict[Key, Prediction]

NOT_SHOWN = {"no_review", "not_this_task", "not_sendable", "budget"}
"""Reasons of a label for which its teacher never saw the page."""


@dataclass(frozen=True)
class Case:
    """A sample with its task, its right answer and the errors planted on its page."""

    sample: Sample
    task: Task
    gold: JsonObject
    planted: tuple[Planted, ...]

    @property
    def key(self) -> Key:
        """Page and task."""
        return self.sample.page_id, self.sample.task


@dataclass(frozen=True)
class TeacherAnswers:
    """A teacher's labels as predictions, and the names of the models that gave them."""

    predictions: Predictions = field(default_factory=dict)
    models: frozenset[str] = frozenset()


def read_cases(path: Path) -> list[Case]:
    """The samples of val.json or test.json, sorted by page and task.

    Raises:
        InputError: the file cannot be read, or has an answer that its task's schema refuses.
    """
    plants = path.with_name("planted.jsonl")
    planted = read_rows(plants, Planted) if plants.exists() else []
    cases = []
    for sample in read_samples(path):
        task = tasks.load(sample.task)
        gold, _ = task.parse(sample.conversations[-1].content)
        if gold is None:
            name = f"{sample.page_id}, {sample.task}"
            raise InputError(f"{path}: the answer of {name} does not fit its task; run `warraq dataset` again.")
        cases.append(Case(sample, task, gold, tuple(one for one in planted if one.page_id == sample.page_id)))
    return cases


def read_pages(pages: Path, cases: Sequence[Case]) -> dict[str, Page]:
    """All pages by id.

    Raises:
        InputError: the image of a case is missing.
    """
    rendered = {page.page_id: page for page in read_rows(pages / "pages.jsonl", Page)}
    for case in cases:
        page = rendered.get(case.sample.page_id)
        if page is None or not (pages / page.image).exists():
            raise InputError(f"{pages} has no image of {case.sample.page_id}; run `warraq render` and all after it.")
    return rendered


def read_predictions(path: Path, splits: Mapping[Key, Split]) -> Predictions:
    """A variant's predictions by page and task; `splits` says of each sample where it stands.

    Raises:
        InputError: the file cannot be read, or a row is stale or there twice.
    """
    predictions: Predictions = {}
    for row in read_rows(path, Prediction):
        key = row.page_id, row.task
        if splits.get(key) != row.split or key in predictions:
            what = "twice" if key in predictions else f"but no {row.split} sample asks for it"
            raise InputError(f"{path} answers {row.page_id}, {row.task} {what}; run `warraq predict` again.")
        predictions[key] = row
    return predictions


def read_variants(
    folder: Path, names: Sequence[str], *, test: Sequence[Case], validation: Sequence[Case]
) -> dict[str, Predictions]:
    """The predictions of the named variants, and then of all others that `folder` has.

    Raises:
        InputError: a file is missing or stale.
    """
    splits: dict[Key, Split] = dict.fromkeys((case.key for case in validation), "val")
    splits |= dict.fromkeys((case.key for case in test), "test")
    others = sorted({path.parent.name for path in folder.glob("*/predictions.jsonl")} - set(names))
    return {name: read_predictions(folder / name / "predictions.jsonl", splits) for name in (*names, *others)}


def read_teacher_answers(labels: Path | None, cases: Sequence[Case]) -> TeacherAnswers:
    """What a teacher labelled of some samples, from the files in `labels`, if any; not what a person did.

    Raises:
        InputError: a file of labels cannot be read.
    """
    if labels is None:
        return TeacherAnswers()
    keys = {case.key for case in cases}
    files = [labels / f"{task}.jsonl" for task in sorted({task for _, task in keys})]
    rows = [
        row
        for file in files
        for row in read_rows(file, Label)
        if (row.page_id, row.task) in keys and row.teacher != "human" and row.reason not in NOT_SHOWN
    ]
    predictions = {
        (row.page_id, row.task): Prediction(
            page_id=row.page_id, task=row.task, split="test", tokens=0, seconds=0.0, message=row.reason,
            text="" if row.answer is None else write_label(row.task, row.answer),
            finish_reason="error" if row.answer is None else "stop",
        )
        for row in rows
    }  # fmt: skip
    return TeacherAnswers(predictions, frozenset(row.model or row.teacher for row in rows))


def write_label(task: str, label: JsonObject) -> str:
    """The answer of a label as a student would write it; as it stands where the schema, changed since, refuses it."""
    try:
        _, answer = tasks.load(task).build_example(label)
    except ValidationError:
        answer = label
    return tasks.dumps(answer)


def grade_answer(case: Case, prediction: Prediction | None) -> GradedAnswer:
    """Score an answer; a missing or failed one as an empty text."""
    reason = "error" if prediction is None else prediction.finish_reason
    raw = prediction.text if prediction is not None and reason != "error" else ""
    scores = score_answer(case.task, case.gold, raw, finish_reason=reason, planted=case.planted)
    confidence = None if prediction is None else prediction.confidence
    if confidence is None and scores.answer is not None:
        confidence = case.task.read_confidence(scores.answer)
    return GradedAnswer(
        **vars(scores), sample=case.sample, prediction=prediction, gold=case.gold, kinds=case.task.kinds,
        confidence=confidence,
    )  # fmt: skip


def count_cases(cases: Sequence[Case]) -> dict[str, int]:
    """Documents, pages and samples of some test cases, in the names of metrics.json."""
    return {
        "test_documents": len({case.sample.document for case in cases}),
        "test_pages": len({case.sample.page_id for case in cases}),
        "test_samples": len(cases),
    }


def hash_inputs(test: Path, proof: Path, cases: Sequence[Case], pages: Mapping[str, Page]) -> dict[str, str]:
    """What the numbers of some test cases rest on, in the first 12 hex digits of SHA-256 each."""
    shown = [pages[case.sample.page_id] for case in cases]
    prompts = {turn.content for case in cases for turn in case.sample.conversations[:-1]}
    return {
        "model_sha256": short_hash(proof.read_bytes()),
        "test_sha256": short_hash(test.read_bytes()),
        "prompts_sha256": short_hash("\n".join(sorted(prompts))),
        "images_sha256": short_hash("\n".join(sorted({page.image_sha256 for page in shown}))),
        "preprocessing_sha256": short_hash("\n".join(sorted({page.recipe for page in shown}))),
    }

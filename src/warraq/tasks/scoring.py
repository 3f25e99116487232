"""A task, its right answer and a raw one -> every score, the same for checkpoints, tiers, evaluation and review."""

from collections.abc import Sequence

from pydantic import ValidationError

from warraq.metrics import faithfulness, fields, grading
from warraq.metrics.grading import AnswerScores
from warraq.metrics.structure import join_elements
from warraq.records import Planted
from warraq.tasks import JsonObject, Task, dumps


def score_answer(
    task: Task, gold: JsonObject, raw: str, *, finish_reason: str = "stop", planted: Sequence[Planted] = ()
) -> AnswerScores:
    """All scores of an answer; `planted` are the errors on its page that a faithful reader copies.

    `finish_reason` as in `records.Prediction`, or `error` where there is no answer.
    """
    answer, strict = task.parse(raw)
    repaired = answer if answer is not None else repair_answer(task, raw)
    sums = grading.score_form(dumps(gold), raw, answer is not None, strict, repaired is not None, finish_reason)
    gold_text = answer_text = None
    if task.kinds is not None:
        answer = fields.align_lists(gold, answer, task.kinds)
        sums |= grading.score_field_values(gold, answer, repaired, task.kinds)
    if task.list_elements is not None:
        gold_elements, elements = task.list_elements(gold), task.list_elements(answer) if answer is not None else None
        gold_text, answer_text = join_elements(gold_elements), raw if elements is None else join_elements(elements)
        sums |= grading.score_running_text(gold_elements, elements, raw)
        sums |= faithfulness.score_planted_errors(planted, answer_text)
    if task.score is not None:
        sums |= {f"question_{name}": (value, 1) for name, value in task.score(gold, answer).items()}
    return AnswerScores(answer, strict, gold_text, answer_text, sums)


def repair_answer(task: Task, raw: str) -> JsonObject | None:
    """The likeliest answer that a text may have meant which is none as it stands; None where there is none."""
    for value in fields.repair_json(raw):
        try:
            return task.answer.model_validate(value, strict=True).model_dump(mode="json")
        except ValidationError:
            continue
    return None


def score_quality(task: Task, target: str, raw: str) -> float:
    """How good an answer is, 0 to 1 (`AnswerScores.quality`); `target` is the right answer as in the dataset."""
    gold = task.answer.model_validate_json(target).model_dump(mode="json")
    return score_answer(task, gold, raw).quality

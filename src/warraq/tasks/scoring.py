"""A task, its right answer and a raw one -> every score, the same for checkpoints, tiers, evaluation and review."""

from collections.abc import Sequence
from dataclasses import replace

from pydantic import ValidationError

from warraq.metrics import faithfulness, fields, grading, text
from warraq.metrics.catalogue import ScoreSums
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
    core = score_core(task, gold, raw)
    answer = core.answer
    repaired = None if answer is not None else repair_answer(task, raw)
    is_readable = answer is not None or repaired is not None
    sums = grading.score_form(dumps(gold), raw, answer is not None, core.strict, is_readable, finish_reason)
    sums |= core.sums
    if task.kinds is not None:
        best = answer if answer is not None else fields.align_lists(gold, repaired, task.kinds)
        sums["field_f1_mended"] = fields.score_fields(gold, best, task.kinds)["field_f1"]
    if task.list_elements is not None and core.gold_text is not None and core.answer_text is not None:
        elements = () if answer is None else task.list_elements(answer)
        sums |= faithfulness.score_faithfulness(core.gold_text, core.answer_text)
        sums |= faithfulness.score_planted_errors(planted, core.answer_text)
        sums |= grading.score_structure(task.list_elements(gold), elements)
    return replace(core, sums=sums)


def score_core(task: Task, gold: JsonObject, raw: str) -> AnswerScores:
    """The answer as it is read, and the scores that its `quality` rests on; tables and structure take far longer.

    An answer that does not fit the schema is scored on its raw text, so that a model which transcribes without the
    schema is not called blind.
    """
    answer, strict = task.parse(raw)
    sums: ScoreSums = {}
    gold_text = answer_text = None
    if task.kinds is not None:
        answer = fields.align_lists(gold, answer, task.kinds)
        sums |= fields.score_fields(gold, answer, task.kinds)
    if task.list_elements is not None:
        gold_text = join_elements(task.list_elements(gold))
        answer_text = raw if answer is None else join_elements(task.list_elements(answer))
        sums |= text.score_text(gold_text, answer_text)
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
    return score_core(task, gold, raw).quality

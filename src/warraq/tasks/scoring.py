"""A task, its right answer and a raw one -> every score, the same for checkpoints, tiers, evaluation and review.

What was read and the form in which it was answered are scored apart: text and fields on the answer, else on the mended
answer, else on the values that stand in the raw text.
"""

import pkgutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import chain
from typing import Any

from pydantic import ValidationError

from warraq import tasks
from warraq.metrics import faithfulness, fields, grading, reading, text
from warraq.metrics.catalogue import ScoreSums
from warraq.metrics.grading import AnswerScores
from warraq.metrics.notations import rewrite_as_json
from warraq.metrics.structure import Element, join_elements
from warraq.records import Planted
from warraq.tasks import BaseAnswer, JsonObject, Task, dumps

KEPT = 0.8  # of what stands in strings, at least, in an answer that is mended


@dataclass(frozen=True)
class Vocabulary:
    """What the schemas of tasks say: the names of fields, and the words that answers choose from."""

    names: frozenset[str]
    choices: frozenset[str]


def score_answer(
    task: Task, gold: JsonObject, raw: str, *, finish_reason: str = "stop", planted: Sequence[Planted] = ()
) -> AnswerScores:
    """All scores of an answer; `planted` are the errors on its page that a faithful reader copies.

    `finish_reason` as in `records.Prediction`, or `error` where there is no answer.
    """
    core = score_core(task, gold, raw)
    valid = core.answer is not None
    sums = grading.score_form(dumps(gold), raw, valid, core.strict, core.read is not None, finish_reason)
    of_other_task = not valid and reading.is_of_other_task(raw, list_words(task.answer).names, list_all_words().names)
    sums |= core.sums | {"other_task_share": (of_other_task, 1)}
    if says_nothing(core):
        sums["empty_share"] = (1, 1)
    if finish_reason == "error" and "words_true" in sums:
        sums["words_true"] = (0, 1)  # no answer is not silence about a blank page
    if task.list_elements is not None and core.gold_text is not None and core.answer_text is not None:
        sums |= faithfulness.score_faithfulness(core.gold_text, core.answer_text)
        sums |= faithfulness.score_planted_errors(planted, core.answer_text)
        sums |= grading.score_structure(task.list_elements(gold), list_read_elements(task, core.read, raw))
    return replace(core, sums=sums)


def says_nothing(core: AnswerScores) -> bool:
    """Whether an answer has no words or no fields though its page has some."""
    if core.gold_text is not None and core.answer_text is not None:
        return any(map(str.isalnum, core.gold_text)) and not any(map(str.isalnum, core.answer_text))
    return "field_f1" in core.sums and core.sums["field_precision"][1] == 0 < core.sums["field_recall"][1]


def score_core(task: Task, gold: JsonObject, raw: str) -> AnswerScores:
    """The answer as it is read, and the scores that its `quality` rests on; tables and structure take far longer."""
    answer, strict = task.parse(raw)
    words = list_words(task.answer)
    if answer is None:
        raw = rewrite_as_json(raw, words.names, labelled=task.kinds is not None)
    read = answer if answer is not None else repair_answer(task, raw)
    sums: ScoreSums = {}
    gold_text = answer_text = None
    if task.kinds is not None:
        read = fields.align_lists(gold, read, task.kinds)
        answer = read if answer is not None else None
        if task.score is None:
            sums |= (
                fields.score_fields(gold, read, task.kinds)
                if read is not None
                else reading.score_loose_fields(gold, raw, task.kinds, words.names, list_all_words().choices)
            )
    if task.list_elements is not None:
        gold_text = join_elements(task.list_elements(gold))
        answer_text = join_elements(list_read_elements(task, read, raw))
        sums |= text.score_text(gold_text, answer_text)
    if task.score is not None:
        written = read if read is not None else reading.read_loose_answer(raw, words.names)
        sums |= {f"question_{name}": (value, 1) for name, value in task.score(gold, written).items()}
    return AnswerScores(answer, read, strict, gold_text, answer_text, sums)


def list_read_elements(task: Task, read: JsonObject | None, raw: str) -> list[Element]:
    """The elements of an answer that was read, else the passages of the raw text as paragraphs."""
    if read is not None and task.list_elements is not None:
        return task.list_elements(read)
    plain = rewrite_as_json(raw, list_words(task.answer).names, labelled=False)
    return [Element("paragraph", passage) for passage in reading.read_passages(plain, list_all_words().choices)]


def repair_answer(task: Task, raw: str) -> JsonObject | None:
    """The likeliest answer that a text may have meant which is none as it stands; None where there is none.

    What a cut left without a value is null or an empty list, where the schema allows it. An answer that would drop more
    than a fifth of what stands in strings is none.
    """
    schema = load_schema(task.answer)
    written = sum(len(value.text) for value in reading.extract_values(raw) if value.quoted)
    for value in chain.from_iterable(map(_unwrap, fields.repair_json(raw))):
        if not value:
            continue
        try:
            completed = _complete(value, schema, schema)
            answer = task.answer.model_validate(completed, strict=True).model_dump(mode="json")
            dumps(answer).encode()
        except (ValidationError, UnicodeEncodeError):
            continue
        texts = (one for one in fields.flatten(answer).values() if isinstance(one, str))
        return answer if sum(map(len, texts)) >= KEPT * written else None
    return None


def _unwrap(value: Any) -> Iterator[Any]:
    """A value, and what it holds where it holds one thing alone."""
    yield value
    while isinstance(value, dict | list) and len(value) == 1:
        (value,) = value.values() if isinstance(value, dict) else value
        yield value


def _complete(value: Any, part: JsonObject, schema: JsonObject) -> Any:
    """`value` with null or [] for each field that is missing and may be so; `part` of the schema describes it."""
    if "$ref" in part:
        part = schema["$defs"][part["$ref"].rpartition("/")[2]]
    if isinstance(value, list):
        return [_complete(one, part.get("items", {}), schema) for one in value]
    if not isinstance(value, dict):
        return value
    completed = {key: _complete(one, part.get("properties", {}).get(key, {}), schema) for key, one in value.items()}
    for key, field in part.get("properties", {}).items():
        if key not in completed and field.get("type") == "array":
            completed[key] = []
        elif key not in completed and {"type": "null"} in field.get("anyOf", ()):
            completed[key] = None
    return completed


@cache
def load_schema(answer: type[BaseAnswer]) -> JsonObject:
    """The JSON Schema of an answer, made once."""
    return answer.model_json_schema()


@cache
def list_words(answer: type[BaseAnswer]) -> Vocabulary:
    """The words of one task's schema."""
    schema = load_schema(answer)
    objects = [schema, *schema.get("$defs", {}).values()]
    names = frozenset(name for part in objects for name in part.get("properties", {}))
    return Vocabulary(names, frozenset(choice for choice in _list_choices(schema) if isinstance(choice, str)))


def _list_choices(part: Any) -> Iterator[Any]:
    if isinstance(part, dict):
        yield from part.get("enum", ())
        yield from (part["const"],) if "const" in part else ()
    for one in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        yield from _list_choices(one)


@cache
def list_all_words() -> Vocabulary:
    """The words of every task there is."""
    names = (
        module.name
        for module in pkgutil.iter_modules(tasks.__path__)
        if module.name not in ("agreement", "cases", "scoring")
    )
    words = [list_words(tasks.load(name).answer) for name in names]
    return Vocabulary(
        frozenset().union(*(one.names for one in words)), frozenset().union(*(one.choices for one in words))
    )


def score_quality(task: Task, target: str, raw: str) -> float:
    """How good an answer is, 0 to 1 (`AnswerScores.quality`); `target` is the right answer as in the dataset."""
    gold = task.answer.model_validate_json(target).model_dump(mode="json")
    return score_core(task, gold, raw).quality

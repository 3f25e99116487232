"""A question about a table, answered with the reasoning that leads to it: the recipe of Visual-TableQA.

A label holds the question; it goes into the prompt and not into the answer. As it is somebody's text, it stands there
as JSON, in which nothing can be taken for a command.
"""

import re
from collections import Counter
from decimal import Decimal

from warraq.metrics.values import Kind, anls, parse_amount
from warraq.tasks import COPYING, BaseAnswer, JsonObject, Task, dumps

PROMPT = "Answer the question about the table on the page. Reason in short steps, then answer. Answer in JSON only."
INSTRUCTION = COPYING + " Numbers in the answer are written as the table writes them."
RELAXED = Decimal("0.05")  # a number may be off by as much, as in ChartQA (Masry et al. 2022, section 5)


class Answer(BaseAnswer):
    reasoning: str
    answer: str


class TableQuestion(Answer):
    """What a label or a review holds."""

    question: str


KINDS: dict[str, Kind] = {"reasoning": "text", "answer": "text"}


def pose_question(label: JsonObject) -> tuple[str, JsonObject]:
    """Give the prompt with the question, and the answer alone."""
    question = TableQuestion.model_validate(label)
    answer = question.model_dump(mode="json", exclude={"question"})
    return f"{PROMPT} Question: {dumps(question.question)}", answer


def compare_answers(gold: str, answer: str) -> dict[str, float]:
    """Scores of an answer, 0 to 1: `exact`, `relaxed`, `anls` and `set_f1`, and `score`, the one that fits the gold.

    A number counts exactly and within RELAXED; a list (parts between commas, semicolons or lines) as a set; any other
    text by its ANLS.
    """
    exact = float(_normalize(gold) == _normalize(answer))
    gold_amount, amount = parse_amount(gold), parse_amount(answer)
    parts, others = _split_list(gold), _split_list(answer)
    common = (Counter(parts) & Counter(others)).total()
    scores = {
        "exact": exact,
        "relaxed": exact,
        "anls": anls(gold, answer),
        "set_f1": 2 * common / (len(parts) + len(others)) if parts or others else exact,
    }
    if gold_amount is not None and len(parts) == 1 and len(gold_amount[1].split()) <= 2:  # a unit beside it at most
        equal = amount is not None and gold_amount[0] == amount[0]
        close = amount is not None and abs(gold_amount[0] - amount[0]) <= RELAXED * abs(gold_amount[0])
        return scores | {"exact": float(equal), "relaxed": float(close), "score": float(equal)}
    return scores | {"score": max(exact, scores["set_f1"] if len(parts) > 1 else scores["anls"])}


def _normalize(text: str) -> str:
    return " ".join(text.casefold().split()).strip(" .")


def _split_list(text: str) -> list[str]:
    """The members of a list; a comma between digits is part of a number."""
    return [plain for part in re.split(r"(?<!\d),|,(?!\d)|[;\n،؛]| and ", text) if (plain := _normalize(part))]


def score(gold: JsonObject, answer: JsonObject | None) -> dict[str, float]:
    """The scores of what an answer answers; where its key is missing, of what stands under ""; None is silence."""
    found = {"": ""} | (answer or {})
    return compare_answers(gold["answer"], found["answer" if "answer" in found else ""])


TASK = Task(
    name="table_qa", prompt=PROMPT, instruction=INSTRUCTION, answer=Answer, kinds=KINDS, score=score,
    label=TableQuestion, pose_question=pose_question,
)  # fmt: skip

"""What is known of a page before a person says anything, best first: the form begins with the first of them."""

import re
from typing import Literal

from pydantic import Field, ValidationError

from warraq.chat_completions import parse_response
from warraq.editor.log import describe_seen
from warraq.errors import InputError
from warraq.files import JsonObject, parse_strict_json
from warraq.metrics.fields import flatten
from warraq.records import Label, Page, Prediction, Review, Row
from warraq.reviewing.project import ReviewProject
from warraq.tasks import Task
from warraq.teachers.remote.gemini_responses import parse_reply
from warraq.teachers.remote.ledger import Ledger
from warraq.teachers.safety.label_checks import QUARANTINE
from warraq.teachers.textlayer import explain_unproved, find_fault, fold_letters, read_whole_layer

Source = Literal["review", "quarantined", "label", "student", "textlayer", "tesseract", "page"]


class Doubt(Row):
    """Something about an answer, or about one value of it, that a person should look at."""

    path: str  # as `items[0].total`; empty: of the whole
    message: str


class Candidate(Row):
    """An answer, who gave it, and what is doubtful of it."""

    source: Source
    name: str
    answer: JsonObject
    doubts: tuple[Doubt, ...] = ()
    confidence: dict[str, float] = Field(default_factory=dict)  # by path, 0 to 1

    @property
    def seen(self) -> str:
        """What a review that began from it says."""
        return describe_seen(self.source, self.answer)


def collect_candidates(project: ReviewProject, page: Page, task: Task, *, blind: bool) -> list[Candidate]:
    """All that is there at once; with `blind` without what people said."""
    log, label = project.logs[task.name], project.labels.get((page.page_id, task.name))
    review = None if blind else log.current.get(page.page_id)
    found = [_from_review(review) if review else None, _from_label(project, label, task) if label else None]
    found += [_from_prediction(project, *one) for one in project.predictions.get((page.page_id, task.name), ())]
    if task.name == "content":
        found.append(_from_text_layer(project, page))
    if task.name == "metadata":
        found.append(Candidate(source="page", name="", answer=describe_page(page)))
    candidates = [one.model_copy(update={"answer": task.upgrade(one.answer)}) for one in found if one is not None]
    candidates.sort(key=lambda one: one.source == "textlayer" and bool(one.doubts))  # an unproved layer comes last
    return candidates


def describe_page(page: Page) -> JsonObject:
    """What render knows of a page, as the part of its metadata that it is; the rest is a person's to say."""
    scripts: dict[str | None, JsonObject] = {
        "arabic": {"languages": ["ar"], "script_direction": "rtl"},
        "latin": {"script_direction": "ltr"},
    }
    made = {"born_digital": "born_digital", "scan": "scanned"}.get(page.origin)
    return {"physical": {"production": made, "is_blank": page.ink == 0.0} | scripts.get(page.script, {})}


def paragraphs_answer(text: str) -> JsonObject:
    """An answer to `content`: a paragraph for each part between empty lines."""
    parts = ("\n".join(line.strip() for line in part.strip().split("\n")) for part in re.split(r"\n\s*\n", text))
    return {"blocks": [{"kind": "paragraph", "text": part, "level": None, "language": None} for part in parts if part]}


def read_page_text(project: ReviewProject, page: Page) -> str:
    """The page as text, to be copied from where a task asks for fields: what a person or teacher read, or its layer."""
    log = project.logs.get("content")
    review = log.current.get(page.page_id) if log else None
    label = project.labels.get((page.page_id, "content"))
    answer = (review and review.answer) or (label and label.answer)
    if answer:
        return "\n\n".join(block["text"] for block in answer["blocks"])
    return fold_letters(read_whole_layer(project.folders.pages, page)).strip()


def _from_review(review: Review) -> Candidate | None:
    if review.answer is None:
        return None
    return Candidate(source="review", name=review.reviewer, answer=review.answer)


def _from_label(project: ReviewProject, label: Label, task: Task) -> Candidate | None:
    if label.teacher == "human":
        return None
    name = label.model or label.teacher
    if label.answer is not None:
        doubts = split_doubts(label.message, label.answer)
        return Candidate(source="label", name=name, answer=label.answer, doubts=doubts)
    answer = read_quarantined(project, label, task) if label.reason in QUARANTINE else None
    if answer is None:
        return None
    doubts = split_doubts(f"{label.reason}: {label.message}", answer)
    return Candidate(source="quarantined", name=name, answer=answer, doubts=doubts)


def read_quarantined(project: ReviewProject, label: Label, task: Task) -> JsonObject | None:
    """The answer that a check refused, which the ledger kept; None where the ledger has it not."""
    try:
        with Ledger.open(project.folders.data / "ledger", write=False) as ledger:
            attempts = [one for one in ledger.history(label.key) if one.response is not None]
    except InputError:
        return None
    for attempt in reversed(attempts):
        try:
            parse = parse_reply if label.teacher == "gemini" else parse_response
            text = attempt.response if attempt.lane == "adopted" else parse(attempt.response or "").text
            return task.validate(parse_strict_json(text or "")["answer"])
        except (ValueError, ValidationError, LookupError, TypeError):
            continue
    return None


def split_doubts(message: str | None, answer: JsonObject) -> tuple[Doubt, ...]:
    """The doubts of a label, `code: message; …`, each at the value that it names."""
    paths = sorted(flatten(answer), key=len, reverse=True)
    doubts = []
    for part in (message or "").split("; "):
        if part.strip():
            said = part.partition(": ")[2]
            place = next((path for path in paths if said.startswith((f"{path}:", f"{path} "))), "")
            doubts.append(Doubt(path=place, message=part.strip()))
    return tuple(doubts)


def _from_prediction(project: ReviewProject, name: str, prediction: Prediction) -> Candidate | None:
    answer = project.read_prediction(prediction)
    if answer is None:
        return None
    return Candidate(source="student", name=name, answer=answer, confidence=prediction.confidence_by_field)


def _from_text_layer(project: ReviewProject, page: Page) -> Candidate | None:
    text = fold_letters(read_whole_layer(project.folders.pages, page))
    if not text.strip():
        return None
    fault = explain_unproved(page) or find_fault(text)
    doubts = (Doubt(path="", message=f"text_layer_unusable: {fault}"),) if fault else ()
    return Candidate(source="textlayer", name="", answer=paragraphs_answer(text), doubts=doubts)

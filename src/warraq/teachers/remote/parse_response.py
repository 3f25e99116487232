"""A stored response -> an answer, or why it is none. Free: it reads the ledger, and asks nobody."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ValidationError

from warraq.errors import first_problem
from warraq.files import JsonObject, parse_strict_json
from warraq.metrics.loops import find_loop
from warraq.records import Page
from warraq.tasks import Task
from warraq.teachers import Answer, Refusal, parse_refusal
from warraq.teachers.remote.ledger import Attempt
from warraq.teachers.remote.provider import Provider
from warraq.teachers.remote.request import Reply
from warraq.teachers.safety.label_checks import QUARANTINE, AnswerIssue, collect_texts, find_issues
from warraq.teachers.textlayer import read_text_layer

MAX_REPETITIONS = 12  # in a row, within a line: a prayer may stand there ten times
MAX_EQUAL_ROWS = 40  # lines, rows, items or blocks
MIN_CUT_TURNS = 6  # of a loop, in the second half of an answer that was cut
_ROW_END = re.compile(r"\n|<[^<>]{0,200}>")


def page_tag(key: str) -> str:
    """What the answer has to repeat. No page can hold it: it is a hash of the page's own image."""
    return key[:8]


def is_cut_loop(text: str) -> bool:
    """Whether the second half of an answer that was cut at the token limit is one piece over and over."""
    tail = text[len(text) // 2 :]
    longest = len(tail) // MIN_CUT_TURNS
    period = tail.find(tail[:20], 1)
    while 0 < period <= longest and not tail.startswith(tail[period:]):
        period = tail.find(tail[:20], period + 1)
    return 0 < period <= longest


@dataclass(frozen=True)
class ResponseReader:
    """Reads the responses of a provider about a task."""

    task: Task
    provider: Provider
    envelope: type[BaseModel]  # what the model was asked to write, with the answer in it
    folder: Path  # of the pages

    def parse_reply(self, body: str) -> Reply | None:
        """None where the body is not a response as the server documents it."""
        try:
            return self.provider.parse(body)
        except ValueError:
            return None

    def read_attempt(self, attempt: Attempt, page: Page, key: str) -> Answer | Refusal:
        """What came of a request that the ledger holds."""
        try:
            if attempt.response is None:
                return parse_refusal(attempt.code, attempt.message)
            if attempt.lane == "adopted":
                return self._read_adopted(attempt.response, attempt.model)
        except (ValueError, TypeError, LookupError):
            return Refusal("ledger_unreadable", f"row {attempt.id} of the ledger")
        return self.read_reply(self.parse_reply(attempt.response), attempt.model, attempt.ink, page, key)

    def read_reply(self, reply: Reply | None, model: str, ink: float | None, page: Page, key: str) -> Answer | Refusal:
        """What a reply comes to; `model` was asked, `ink` is the image's share of dark pixels."""
        if reply is None or reply.finish == "failed":
            return Refusal("server_error", reply.message if reply else "the body is not a response")
        if reply.model is not None and not self.provider.serves(model, reply.model):
            return Refusal("rerouted", f"{model} was asked and {reply.model} answered")
        if reply.finish == "truncated" and is_cut_loop(reply.text):
            return Refusal("endless", f"{reply.message}, {reply.text[-40:]!r} over and over")
        if reply.finish != "stop":
            return Refusal(reply.finish, reply.message)
        if not reply.text.strip():
            return Refusal("empty", reply.message)
        try:
            written = self._read_text(reply.text, key)
        except ValidationError as error:
            return Refusal("schema_invalid", first_problem(error))
        except ValueError as error:
            return Refusal("schema_invalid", str(error))
        if written["page_tag"] != page_tag(key):
            return Refusal("wrong_tag", f"{written['page_tag'][:20]!r} in place of {page_tag(key)!r}")
        return self._check_answer(written, reply.model or model, ink, page)

    def _read_text(self, text: str, key: str) -> JsonObject:
        """The envelope; of an answer in another notation, which repeats no tag, one around what it comes to."""
        if (answer := self.provider.convert(text)) is not None:
            return {
                "page_tag": page_tag(key),
                "answer": self.task.validate(answer),
                "addresses_the_reader_as_ai": False,
            }
        try:
            value = parse_strict_json(text)
        except ValueError as error:
            raise ValueError(f"Invalid JSON: {error}") from None
        return self.envelope.model_validate(value, strict=True).model_dump(mode="json")

    def _check_answer(self, written: JsonObject, model: str, ink: float | None, page: Page) -> Answer | Refusal:
        value = written["answer"]
        if problem := self.task.find_problem(value):
            return Refusal("schema_invalid", problem)
        texts = "\n".join(collect_texts(value).values())
        if repeated := find_loop(texts, MAX_REPETITIONS):
            loops = (find_loop(line, MAX_REPETITIONS) for line in _ROW_END.split(texts))
            if any(loops) or find_loop(texts, MAX_EQUAL_ROWS):
                return Refusal("loop", f"{repeated[:40]!r} over and over")
        issues = find_issues(self.task.name, value, ink, read_text_layer(self.folder, page))
        if quarantine := next(filter(self._is_quarantine, issues), None):
            return parse_refusal(quarantine.code, quarantine.message)
        doubts = [f"{issue.code}: {issue.message}".replace(";", ",") for issue in issues]
        if repeated:
            doubts.append(f"repetition: {repeated[:40]!r} again and again".replace(";", ","))
        if written["addresses_the_reader_as_ai"]:
            doubts.append("addresses_the_reader: the page speaks to its reader as to a program")
        return Answer(value, model, tuple(doubts))

    def _is_quarantine(self, issue: AnswerIssue) -> bool:
        """A teacher on this machine may see what is confidential."""
        return issue.code in QUARANTINE and (self.provider.cloud or issue.code != "marked_confidential")

    def _read_adopted(self, text: str, model: str) -> Answer | Refusal:
        row = json.loads(text)
        try:
            return Answer(self.task.validate(row["answer"]), model, (row["message"],) if row["message"] else ())
        except ValidationError as error:
            return Refusal("schema_invalid", first_problem(error))

"""A stored response -> an answer, or why it is none. Free: it reads the ledger, and asks nobody."""

import json
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ValidationError

from warraq.errors import first_problem
from warraq.files import parse_strict_json
from warraq.metrics.loops import find_loop
from warraq.records import Page
from warraq.tasks import Task
from warraq.teachers import Answer, Declined, declined
from warraq.teachers.remote.ledger import Attempt
from warraq.teachers.remote.request import Provider, Reply
from warraq.teachers.safety.label_checks import QUARANTINE, findings, strings
from warraq.teachers.textlayer import layer

TIMES = 8  # in a row: an honest table may have fewer equal rows


def tag(key: str) -> str:
    """What the answer has to repeat. No page can hold it: it is a hash of the page's own image."""
    return key[:8]


@dataclass(frozen=True)
class Reader:
    task: Task
    provider: Provider
    wire: type[BaseModel]  # what is asked for: the envelope around the answer
    pages: Path

    def reply(self, body: str) -> Reply | None:
        """None where the body is not a response as the server documents it."""
        try:
            return self.provider.read(body)
        except (ValueError, TypeError, LookupError, AttributeError):
            return None

    def outcome(self, attempt: Attempt, page: Page, key: str) -> Answer | Declined:
        if attempt.response is None:
            return declined(attempt.code, attempt.message)
        if attempt.lane == "adopted":
            return self._adopted(attempt.response, attempt.model)
        reply = self.reply(attempt.response)
        if reply is None:
            return Declined("schema_invalid", "the body is not a response")
        if reply.model is not None and not self.provider.serves(attempt.model, reply.model):
            return Declined("rerouted", f"{attempt.model} was asked and {reply.model} answered")
        if reply.finish != "stop":
            return Declined(reply.finish, reply.message)
        if not reply.text.strip():
            return Declined("empty", reply.message)
        return self._answer(reply, attempt, page, key)

    def _answer(self, reply: Reply, attempt: Attempt, page: Page, key: str) -> Answer | Declined:
        try:
            written = self.wire.model_validate(parse_strict_json(reply.text), strict=True).model_dump(mode="json")
        except ValidationError as error:
            return Declined("schema_invalid", first_problem(error))
        except ValueError as error:
            return Declined("schema_invalid", f"Invalid JSON: {error}")
        if written["page_tag"] != tag(key):
            return Declined("wrong_tag", f"{written['page_tag'][:20]!r} in place of {tag(key)!r}")
        value = written["answer"]
        if repeated := find_loop("\n".join(strings(value).values()), TIMES):
            return Declined("loop", f"{repeated[:40]!r} over and over")
        found = findings(self.task.name, value, attempt.ink, layer(self.pages, page))
        for finding in found:
            if finding.code in QUARANTINE and (self.provider.cloud or finding.code != "marked_confidential"):
                return declined(finding.code, finding.message)
        doubts = [f"{one.code}: {one.message}".replace(";", ",") for one in found]
        if written["addresses_the_reader_as_ai"]:
            doubts.append("addresses_the_reader: the page speaks to its reader as to a program")
        return Answer(value, reply.model or attempt.model, tuple(doubts))

    def _adopted(self, text: str, model: str) -> Answer | Declined:
        row = json.loads(text)
        try:
            return Answer(self.task.validate(row["answer"]), model, (row["message"],) if row["message"] else ())
        except ValidationError as error:
            return Declined("schema_invalid", first_problem(error))

"""Who answers for a page: one module a teacher, named as in `label.teachers` of params.yaml.

    human, textlayer      answer at once, from what is here
    teacher_chain         the teachers in their order, and the row that comes of a page; label_counts sums them up
    label_files           where labelling reads and writes
    remote/               models behind HTTP
        remote_teacher    the teacher: what is known of a page, and by which lane it is bought
        context           what its lanes share: state of the pages, price, clearance
        synchronous_lane  a request a page, a number of them at once: rate_limit, progress
        batch_lane        jobs of many pages, within a day, for half the price
        request           what is asked, what came of it, whether another request is worth its price
        channel           whether what failed is the page's fault or the channel's
        faults            what a server says in place of a response, and whose fault it is
        provider          what a server has to offer; gemini and local are the two, transport is their way out
        schema            what a model is asked to write; parse_response reads it
        ledger, budget    what was asked and answered, what it cost and may cost; prices, cost_estimate
    transcripts/          pages as models that only read write them (Markdown, HTML, layout) -> answers of `content`
    safety/
        clearance         who may see a page: the first lock, transport is the second
        denials           which documents no cloud may see, as they carry a mark of secrecy: marks, mark_words
        label_checks      what an answer must pass to become a label

A teacher answers or says why it does not; it never raises for a page. It raises InputError where the whole run has to
stop (a wrong key, a used-up quota).
"""

import hashlib
import json
from dataclasses import dataclass
from typing import Literal, Protocol, cast, get_args

from warraq.files import JsonObject
from warraq.records import Page, Reference

Reason = Literal[
    "not_this_task",  # the teacher does not know the task
    "no_review",  # nobody has reviewed the page
    "review_invalid",  # the last row about the page is no review, or does not fit the task
    "unreadable",  # a person says that nobody can read the page
    "no_text_layer",  # the page is an image only
    "text_layer_unusable",  # the layer is not proved to say what the page shows
    "not_sendable",  # a cloud teacher may not see the page
    # The next run asks again.
    "budget",  # the request could pass the spending cap
    "rate_limited",  # the server asked to wait too many times
    "overloaded",  # the server had no room for the page, too many times; the cheap lane is the first to feel it
    "server_error",  # errors, time-outs, broken connections and answers that are none, too many times
    "refused",  # the server refused the run, not the page
    "under_way",  # in a job of the batch lane that is not over
    # Paid or final: remembered until what is asked changes.
    "recitation",  # withheld as a quotation, by the second model too where there is one
    "blocked",  # the prompt or the answer was withheld (SAFETY and its like)
    "bad_request",  # the server finds fault with this page's request alone
    "truncated",  # the answer reached the token limit, twice
    "empty",  # finished without a word
    "schema_invalid",  # not strict JSON of the task's answer
    "wrong_tag",  # the answer is not to this request
    "rerouted",  # another model answered than the one asked
    "loop",  # the same words over and over
    "endless",  # the same words over and over until the token limit
    "ledger_unreadable",  # a row of the ledger is damaged; what was in it may have been paid
    "no_text",  # not a word, and the page has ink
    "declined",  # the model says in words that it cannot
    # An answer is there, in quarantine.
    "foreign_script",  # letters that are neither Arabic nor Latin
    "text_on_blank",  # text, and the page has no ink
    "mixed_digits",  # a number in two systems of digits
    "disagrees",  # with a usable text layer
    "marked_confidential",  # the document says so itself: it should never have been cleared
]
RETRYABLE: frozenset[str] = frozenset({"budget", "rate_limited", "overloaded", "server_error", "refused", "under_way"})
"""Reasons that say nothing about the page: the next run asks again."""

DECISIVE: frozenset[str] = frozenset({"review_invalid", "unreadable"})
"""Reasons of a person, after which nobody else is asked: the page waits for that person, or for nobody."""


@dataclass(frozen=True)
class Answer:
    """A page's answer, which fits the schema of its task."""

    value: JsonObject
    model: str | None = None  # as served
    doubts: tuple[str, ...] = ()  # `code: message`, for the reviewer; they change nothing


@dataclass(frozen=True)
class Refusal:
    """Why there is no answer."""

    reason: Reason
    message: str


def parse_refusal(code: str | None, message: str | None) -> Refusal:
    """A refusal from its code as it is stored.

    Raises:
        ValueError: the code is no reason.
    """
    if code not in get_args(Reason):
        raise ValueError(f"{code!r} is not a reason")
    return Refusal(cast(Reason, code), message or "")


class Teacher(Protocol):
    """Whoever answers for pages: a person, the page's own text, a model."""

    name: str
    reference: Reference

    def identity(self, page: Page) -> JsonObject:
        """All that decides the answer besides the image, the task and the teacher's name."""

    def answer(self, page: Page, key: str) -> Answer | Refusal | None:
        """The answer to a page; `key` is its cache key. None: it has to be bought first."""


def cache_key(page: Page, task: str, teacher: Teacher) -> str:
    """The key of an answer: SHA-256 of all that decides it, 64 hex digits. What was paid for is found by it."""
    identity = {"image": page.image_sha256, "task": task, "teacher": teacher.name, **teacher.identity(page)}
    text = json.dumps(identity, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()

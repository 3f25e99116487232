"""The lane that answers within a day for half the price: jobs of many pages.

Creating a job cannot be repeated, so its pages are reserved in the ledger under its name before it is created. After a
kill the job is found by that name and adopted; an interrupted run leaves its jobs to the next one. Results are mapped
by the key that each page was sent with, and where that is lost by the tag that its answer repeats, never by order.
"""

import logging
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from warraq.records import InputError, Page
from warraq.teachers import Declined
from warraq.teachers.attempts import Problem, Step
from warraq.teachers.clearance import Cleared
from warraq.teachers.gates import ink
from warraq.teachers.ledger import Pending
from warraq.teachers.reading import tag

if TYPE_CHECKING:
    from warraq.teachers.model import Model

logger = logging.getLogger(__name__)

JOB_BYTES = 12_000_000  # of images; a third more as text, and a request may have 20 MB
JOB_PAGES = 1000
PROGRESS = {"progress": True, "last": False}
DEADLINE_S = 48 * 3600  # of a job; after it, its pages are free to be asked in another way
APPEARS_S = 600  # a job that is not listed after it was never created
LOOKS = 10  # in a row without an answer, before a run ends


@dataclass(frozen=True)
class Result:
    key: str | None  # that the page was sent with; None where the server lost it
    body: str | None
    message: str  # why there is no body


@runtime_checkable
class Batches(Protocol):
    """A provider that takes jobs."""

    def submit(self, job: str, asked: dict[str, Cleared], step: Step) -> None:
        """Create a job of pages by their key. Raises Problem."""

    def collect(self, jobs: set[str]) -> dict[str, list[Result] | None]:
        """Those of the named jobs that the server knows: what came of it, or None while it is under way."""

    def cancel(self, job: str) -> None: ...


def poll_s() -> float:
    """`WARRAQ_POLL`: seconds between two looks at the jobs."""
    text = os.environ.get("WARRAQ_POLL") or "30"
    if not text.replace(".", "", 1).isdigit():
        raise InputError(f"WARRAQ_POLL is {text!r}; it must be a number of seconds.")
    return float(text)


def ask(model: "Model", provider: Batches, wanted: dict[str, Page]) -> None:
    """Create jobs for `wanted` and await them, and those of earlier runs.

    Raises:
        InputError: the server refuses. What was created goes on, and is adopted by the next run.
    """
    task = model.question.task
    under_way = {key for pages in model.ledger.pending(task).values() for key in pages}
    step = replace(model.provider.first, lane="batch")
    for asked in chunks(model, {key: page for key, page in wanted.items() if key not in under_way}):
        _create(model, provider, asked, step)
    interval_s, failed = poll_s(), 0
    while pending := model.ledger.pending(task):
        try:
            found = provider.collect(set(pending))
            failed = 0
        except Problem as problem:
            failed += 1
            if problem.stops or failed == LOOKS:
                raise InputError(f"{problem.stops or problem.message} The jobs go on; run the stage again.") from None
            found = {}
        for job, pages in pending.items():
            age_s = max(page.age_s for page in pages.values())
            results = found.get(job)
            if results is None and age_s > (DEADLINE_S if job in found or failed else APPEARS_S):
                with suppress(Problem):  # cancelled or not, its pages are asked in another way
                    provider.cancel(job)
                results = []
            if results is not None:
                _settle(model, pages, results)
                for key in pages.keys() & wanted.keys():
                    model.heed(wanted[key], model.known(wanted[key], key))
        if open_jobs := len(model.ledger.pending(task)):
            logger.info("label %s: %d jobs under way; they go on without this run", task, open_jobs, extra=PROGRESS)
            time.sleep(interval_s)


def chunks(model: "Model", wanted: dict[str, Page]) -> Iterator[dict[str, Cleared]]:
    """Jobs that fit into one request, read as they are needed."""
    job: dict[str, Cleared] = {}
    size = 0
    for key, page in wanted.items():
        cleared = model.clearance.page(page, model.pages)
        if job and (size + len(cleared.image) > JOB_BYTES or len(job) == JOB_PAGES):
            yield job
            job, size = {}, 0
        job[key] = cleared
        size += len(cleared.image)
    if job:
        yield job


def _create(model: "Model", provider: Batches, asked: dict[str, Cleared], step: Step) -> None:
    usd = model.worst(step)
    fits: dict[str, Cleared] = {}
    for key, page in asked.items():
        if model.purse.reserve(usd):
            model.purse.settle(usd, usd)  # spent, until the results say less
            fits[key] = page
        else:
            model.passing[key] = Declined("budget", f"a request may cost USD {usd:.4f}, more than label.max_usd leaves")
    if not fits:
        return
    job = f"warraq-{uuid.uuid4().hex}"
    inks = {key: (page.page, ink(page.image)) for key, page in fits.items()}
    model.ledger.begin_job(job, inks, model.question.task, step.model, usd)
    try:
        provider.submit(job, fits, step)
    except Problem as problem:
        if problem.spent:  # it may exist: it is looked for like any other
            return
        for reserved in model.ledger.pending(model.question.task)[job].values():
            model.ledger.failed(reserved.id, "failed", "refused", problem.message, 0)
            model.purse.correct(-reserved.usd)
        raise InputError(
            f"{problem.stops or f'no job can be created ({problem.message}).'} What was created goes on."
        ) from None


def _settle(model: "Model", pages: dict[str, Pending], results: list[Result]) -> None:
    left = dict(pages)
    for result in results:
        key = result.key if result.key in left else _by_tag(model, result, left)
        if key is None:
            continue
        page = left.pop(key)
        if result.body is None:
            model.ledger.failed(page.id, "failed", "server_error", result.message, 0)
            cost = 0.0
        else:
            step = replace(model.provider.first, model=page.model, lane="batch")
            cost = model.record(page.id, result.body, step, page.usd, page.ink, 0)
        model.purse.correct(cost - page.usd)
    for page in left.values():
        model.ledger.failed(page.id, "unknown", "server_error", "the job has no result for the page", 0)


def _by_tag(model: "Model", result: Result, left: dict[str, Pending]) -> str | None:
    """The page that an answer says it is of, where the server lost what it was sent with."""
    reply = model.reader.reply(result.body or "")
    found = [key for key in left if reply and f'"{tag(key)}"' in reply.text]
    return found[0] if result.key is None and len(found) == 1 else None

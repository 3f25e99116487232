"""The lane that answers within a day for half the price: jobs of many pages.

The pages of a job travel as one file of requests. Creating a job cannot be repeated, so its pages are reserved in the
ledger under its name before it is created. After a kill the job is found by that name and adopted; an interrupted run
leaves its jobs to the next one. Results are mapped by the key that each page was sent with, and where that is lost by
the tag that its answer repeats, never by order.
"""

import logging
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from warraq.environment import read_seconds
from warraq.errors import InputError
from warraq.records import Page
from warraq.teachers import Declined
from warraq.teachers.remote.ledger import Pending
from warraq.teachers.remote.parse_response import tag
from warraq.teachers.remote.request import Problem, Step
from warraq.teachers.safety.clearance import Cleared
from warraq.teachers.safety.label_checks import ink

if TYPE_CHECKING:
    from warraq.teachers.remote.remote_teacher import Model

logger = logging.getLogger(__name__)

JOB_BYTES = 48_000_000  # of images, in memory until they are sent; a third more as text
JOB_PAGES = 4000
JOBS = 50  # under way at once; the server takes 100
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
        """Create a job of pages by their key. Raises Problem; `spent`: it may exist all the same."""

    def collect(self, jobs: set[str]) -> dict[str, list[Result] | None]:
        """Those of the named jobs that the server knows: what came of it, or None while it is under way."""

    def cancel(self, job: str) -> None:
        """Raises Problem."""

    def forget(self, job: str) -> None:
        """Have its pages deleted at the server. Raises Problem."""


def poll_s() -> float:
    """`WARRAQ_POLL`: seconds between two looks at the jobs."""
    return read_seconds("WARRAQ_POLL", 30, positive=False)


def ask(model: "Model", provider: Batches, wanted: dict[str, Page]) -> None:
    """Create jobs for `wanted`, a number of them at a time, and await them, and those of earlier runs.

    Raises:
        InputError: the server refuses. What was created goes on, and is adopted by the next run.
    """
    task = model.task.name
    pending = model.ledger.pending(task)
    under_way = {key for pages in pending.values() for key in pages}
    left = chunks({key: page for key, page in wanted.items() if key not in under_way}, model.pages)
    interval_s, failed, last = poll_s(), 0, False
    while pending or not last:
        last = True
        for asked in islice(left, max(0, JOBS - len(pending))):
            _create(model, provider, asked)
            last = False
        pending = model.ledger.pending(task)
        try:
            found = provider.collect(set(pending)) if pending else {}
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
                with suppress(Problem):  # the server forgets it by itself after two days
                    provider.forget(job)
                for key in pages.keys() & wanted.keys():
                    model.heed(wanted[key], model.known(wanted[key], key))
                asked_model = next(iter(pages.values())).model
                for result in results:
                    model.expect(asked_model, model.reader.reply(result.body or ""))
        if pending := model.ledger.pending(task):
            logger.info("label %s: %d jobs under way; they go on without this run", task, len(pending), extra=PROGRESS)
            time.sleep(interval_s)


def chunks(wanted: dict[str, Page], pages: Path) -> Iterator[dict[str, Page]]:
    """The pages of one job after another."""
    job: dict[str, Page] = {}
    size = 0
    for key, page in wanted.items():
        path = pages / page.image
        more = path.stat().st_size if path.is_file() else 0
        if job and (size + more > JOB_BYTES or len(job) == JOB_PAGES):
            yield job
            job, size = {}, 0
        job[key] = page
        size += more
    if job:
        yield job


def _create(model: "Model", provider: Batches, asked: dict[str, Page]) -> None:
    step = replace(model.provider.first, lane="batch")
    usd = model.worst(step)
    fits: dict[str, Cleared] = {}
    for key, page in asked.items():
        if model.marked(page):  # as an answer of an earlier job found
            continue
        cleared = model.clearance.page(page, model.pages)
        if model.purse.reserve(usd):
            model.purse.settle(usd, usd)  # spent, until the results say less
            fits[key] = cleared
        else:
            model.passing[key] = Declined("budget", f"a request may cost USD {usd:.4f}, more than label.max_usd leaves")
    if not fits:
        return
    job = f"warraq-{uuid.uuid4().hex}"
    inks = {key: (page.page, ink(page.image)) for key, page in fits.items()}
    model.ledger.begin_job(job, inks, model.task.name, step.model, usd)
    try:
        provider.submit(job, fits, step)
    except Problem as problem:
        if problem.spent:  # it may exist: it is looked for like any other
            return
        for reserved in model.ledger.pending(model.task.name)[job].values():
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

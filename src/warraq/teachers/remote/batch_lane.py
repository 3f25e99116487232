"""The lane that answers within a day for half the price: jobs of many pages.

The pages of a job travel as one file of requests. Creating a job cannot be repeated, so its pages are reserved in the
ledger under its name before it is created. After a kill the job is found by that name and adopted; an interrupted run
leaves its jobs to the next one. Results are mapped by the key that each page was sent with, and where that is lost by
the tag that its answer repeats, never by order.
"""

import logging
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path

from warraq.environment import read_seconds
from warraq.errors import InputError
from warraq.records import Page
from warraq.teachers import Answer, Refusal
from warraq.teachers.remote.budget import refuse_for_budget
from warraq.teachers.remote.context import LaneContext
from warraq.teachers.remote.ledger import PendingPage
from warraq.teachers.remote.parse_response import page_tag
from warraq.teachers.remote.provider import BatchProvider, JobResult, JobStatus
from warraq.teachers.remote.request import ProviderError, Reply, RequestSpec
from warraq.teachers.safety.clearance import ClearedPage
from warraq.teachers.safety.label_checks import measure_ink

logger = logging.getLogger(__name__)

MAX_JOB_BYTES = 48_000_000  # of images, in memory until they are sent; a third more as text
MAX_JOB_PAGES = 4000
MAX_JOBS = 50  # under way at once; the server takes 100
DEADLINE_S = 48 * 3600  # of a job; after it, its pages are free to be asked in another way
MIN_MEASURED_PAGES = 10  # of a pilot; with fewer the worst is reserved
MARGIN = 1.5  # above the measured mean
WORST_A_JOB = 3  # pages that may cost the most they can, besides
LISTED_AFTER_S = 600  # a job that is not listed after it was never created
MAX_FAILED_POLLS = 10  # in a row, before a run ends

Jobs = dict[str, dict[str, PendingPage]]
"""Pages under way, by the name of their job and their key."""


def read_poll_s() -> float:
    """`WARRAQ_POLL`: seconds between two looks at the jobs."""
    return read_seconds("WARRAQ_POLL", 30, positive=False)


def split_into_jobs(pages: Mapping[str, Page], folder: Path) -> Iterator[dict[str, Page]]:
    """The pages of one job after another; `folder` is that of their images."""
    job: dict[str, Page] = {}
    job_bytes = 0
    for key, page in pages.items():
        path = folder / page.image
        page_bytes = path.stat().st_size if path.is_file() else 0
        if job and (job_bytes + page_bytes > MAX_JOB_BYTES or len(job) == MAX_JOB_PAGES):
            yield job
            job, job_bytes = {}, 0
        job[key] = page
        job_bytes += page_bytes
    if job:
        yield job


class BatchLane:
    """Buys pages by jobs."""

    def __init__(self, context: LaneContext, provider: BatchProvider) -> None:
        """`provider`: that of `context`, which takes jobs."""
        self.context = context
        self.provider = provider
        self._failed_polls = 0
        self._faults: Counter[str] = Counter()  # polls that did not get the results of a job that is over

    def buy(self, pages: Mapping[str, Page], *, create: bool) -> None:
        """With `create`, await the jobs of earlier runs and jobs for the rest of `pages`, a number of them at a time.

        Without, look once what came of earlier jobs; what is not over is then among the `retryable`.

        Raises:
            InputError: the server refuses. What was created goes on, and is adopted by the next run.
        """
        jobs = self._jobs()
        under_way = {key for job in jobs.values() for key in job}
        rest = {key: page for key, page in pages.items() if create and key not in under_way}
        queue = split_into_jobs(rest, self.context.folder)
        interval_s = read_poll_s()
        while True:
            batch = list(islice(queue, max(0, MAX_JOBS - len(jobs))))
            for job_pages in batch:
                self._create_job(job_pages)
            if jobs := self._jobs():
                self._finish_jobs(jobs, pages, create)
                jobs = self._jobs()
            if not create:
                break
            if jobs:
                logger.info(
                    "label %s: %d jobs under way; they go on without this run", self.context.task.name, len(jobs),
                    extra={"progress": True, "last": False},
                )  # fmt: skip
                time.sleep(interval_s)
            elif not batch:
                break
        refusal = Refusal("under_way", "in a job of the batch lane that is not over")
        self.context.retryable |= {key: refusal for job in jobs.values() for key in job}

    def _jobs(self) -> Jobs:
        return self.context.ledger.pending_jobs(self.context.task.name)

    def _create_job(self, pages: dict[str, Page]) -> None:
        context = self.context
        spec = replace(context.provider.first, lane="batch")
        usd = self._estimate_usd(spec, len(pages))
        cleared = self._reserve(pages, usd)
        if not cleared:
            return
        job = f"warraq-{uuid.uuid4().hex}"
        with_ink = {key: (page.page, measure_ink(page.image)) for key, page in cleared.items()}
        context.ledger.begin_job(job, with_ink, context.task.name, spec.model, usd)
        try:
            self.provider.submit(job, cleared, spec)
        except ProviderError as error:
            if error.spent:  # it may exist: it is looked for like any other
                return
            for page in self._jobs()[job].values():
                context.ledger.record_failure(page.id, "failed", "refused", error.message, 0)
                context.budget.correct(-page.usd)
            raise InputError(
                f"{error.stops or f'no job can be created ({error.message}).'} What was created goes on."
            ) from None

    def _estimate_usd(self, spec: RequestSpec, pages: int) -> float:
        """USD to reserve for a page of a job: by what pages took lately, else the most that one can cost."""
        worst_usd = self.context.worst_usd(spec)
        usage = self.context.ledger.mean_usage(self.context.task.name, spec.model)
        if usage is None or usage.pages < MIN_MEASURED_PAGES:
            return worst_usd
        mean_usd = self.context.usd(spec.model, spec.lane, (usage.input_tokens, usage.output_tokens))
        return min(worst_usd, MARGIN * mean_usd + WORST_A_JOB * worst_usd / pages)

    def _reserve(self, pages: dict[str, Page], usd: float) -> dict[str, ClearedPage]:
        """Those of the pages that may be sent and paid for, `usd` each."""
        context = self.context
        cleared: dict[str, ClearedPage] = {}
        for key, page in pages.items():
            if context.is_denied(page):  # as an answer of an earlier job found
                continue
            loaded = context.clearance.load(page, context.folder)
            if context.budget.reserve(usd):
                context.budget.settle(usd, usd)  # spent, until the results say less
                cleared[key] = loaded
            else:
                context.retryable[key] = refuse_for_budget(usd)
        return cleared

    def _finish_jobs(self, jobs: Jobs, pages: Mapping[str, Page], create: bool) -> None:
        """Look once what came of the jobs, and have what is over in the ledger.

        Raises:
            InputError: the server refuses, or did not answer too many times; or a reply ends the run.
        """
        found: dict[str, JobStatus] = {}
        try:
            found = self.provider.collect(set(jobs))
            self._failed_polls = 0
        except ProviderError as error:
            self._failed_polls += 1
            if create and (error.stops or self._failed_polls == MAX_FAILED_POLLS):
                raise InputError(f"{error.stops or error.message} The jobs go on; run the stage again.") from None
        for job, pending in jobs.items():
            status = found.get(job, JobStatus())
            self._faults[job] += bool(status.fault)
            age_s = max(page.age_s for page in pending.values())
            is_listed = job in found or self._failed_polls > 0
            is_lost = age_s > (DEADLINE_S if is_listed else LISTED_AFTER_S) or self._faults[job] >= MAX_FAILED_POLLS
            if status.results is None and is_lost:
                with suppress(ProviderError):  # cancelled or not, its pages are asked in another way
                    self.provider.cancel(job)
                status = JobStatus([], status.fault)
            if status.results is not None:
                self._finish_job(job, pending, status, pages)

    def _finish_job(
        self, job: str, pending: dict[str, PendingPage], status: JobStatus, pages: Mapping[str, Page]
    ) -> None:
        context = self.context
        results = [(result, context.reader.parse_reply(result.body or "")) for result in status.results or ()]
        left = dict(pending)
        costs: list[tuple[RequestSpec, Reply | None, float]] = []
        for result, reply in results:
            key = result.key if result.key in left else _find_by_tag(result, reply, left)
            if key is not None:
                costs.append(self._record(key, left.pop(key), result, reply, pages.get(key)))
        for key, page in left.items():
            refusal = Refusal("server_error" if status.charged else "refused", status.fault or "no result in its job")
            context.ledger.record_failure(
                page.id, "unknown" if status.charged else "failed", refusal.reason, refusal.message, 0
            )
            context.budget.correct(0.0 if status.charged else -page.usd)
            self._add_outcome(key, page, pages.get(key), refusal)
        with suppress(ProviderError):  # the server forgets it by itself after two days
            self.provider.delete(job)
        for spec, reply, cost_usd in costs:
            context.check_reply(spec, reply, cost_usd)

    def _record(
        self, key: str, pending: PendingPage, result: JobResult, reply: Reply | None, page: Page | None
    ) -> tuple[RequestSpec, Reply | None, float]:
        context = self.context
        spec = RequestSpec(pending.model, context.provider.first.max_output_tokens, "batch")
        outcome: Answer | Refusal = Refusal("server_error", result.message)
        if result.body is None:
            context.ledger.record_failure(pending.id, "failed", "server_error", result.message, 0)
            cost_usd = 0.0
        else:
            cost_usd = context.record_response(
                pending.id, result.body, reply, spec=spec, reserved_usd=pending.usd, ink=pending.ink
            )
            if page is not None:
                outcome = context.reader.read_reply(reply, pending.model, pending.ink, page, key)
        context.budget.correct(cost_usd - pending.usd)
        self._add_outcome(key, pending, page, outcome)
        return spec, reply, cost_usd

    def _add_outcome(self, key: str, pending: PendingPage, page: Page | None, outcome: Answer | Refusal) -> None:
        """`page` is None where this run does not want it: the key is then read from the ledger, if ever."""
        if page is None:
            self.context.forget(key)
        else:
            self.context.add_outcome(page, key, pending.model, outcome)


def _find_by_tag(result: JobResult, reply: Reply | None, left: dict[str, PendingPage]) -> str | None:
    """The page that an answer says it is of, where the server lost what it was sent with."""
    if result.key is not None or reply is None:
        return None
    keys = [key for key in left if f'"{page_tag(key)}"' in reply.text]
    return keys[0] if len(keys) == 1 else None

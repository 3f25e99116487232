"""A teacher that is a model behind HTTP: it is paid once for an answer, and never sees a page that is not cleared.

What is known of a page is what reading its rows in the ledger gives. A page about which another request is worth its
price is bought: a place in flight, the worst price reserved, a row `started`, the request, its response on disk, and
only then the reading.
"""

import datetime
import logging
import random
import time
from collections import Counter
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from warraq.errors import InputError
from warraq.records import Page
from warraq.tasks import Task
from warraq.teachers import Answer, Declined, declined, identify
from warraq.teachers.remote import batch
from warraq.teachers.remote.batch import Batches
from warraq.teachers.remote.ledger import Ledger
from warraq.teachers.remote.parse_response import Reader, tag
from warraq.teachers.remote.prices import Lane, Price, price
from warraq.teachers.remote.progress import Progress
from warraq.teachers.remote.rate_limit import Pace, Purse, Stopped, in_flight, interval_s, terminable
from warraq.teachers.remote.request import A_RUN, Problem, Provider, Reply, Step, following
from warraq.teachers.remote.schema import envelope
from warraq.teachers.remote.transport import Leak
from warraq.teachers.safety.clearance import Clearance, Cleared, NotCleared
from warraq.teachers.safety.label_checks import ink

logger = logging.getLogger(__name__)

LONGEST_WAIT_S = 90.0
KEPT = "What was answered is kept."
MARKED = Declined("marked_confidential", "an answer found this document marked as confidential")


class Model:
    """`retry`: a reason whose pages are asked again, whatever is known of them."""

    def __init__(
        self, task: Task, provider: Provider, clearance: Clearance, ledger: Ledger, pages: Path,
        all_pages: list[Page], prices: list[Price], max_usd: float, retry: str | None = None,
    ) -> None:  # fmt: skip
        self.name = provider.name
        self.reference = provider.reference
        self.task = task
        self.provider = provider
        self.clearance = replace(clearance, denied=clearance.denied | (ledger.denied() if provider.cloud else set()))
        self.ledger = ledger
        self.pages = pages
        self.all_pages = all_pages
        self.prices = prices
        self.retry = retry
        self.reader = Reader(task, provider, envelope(task.answer), pages)
        self.passing: dict[str, Declined] = {}  # what this run gave up, by key
        self.pace = Pace(in_flight(), interval_s(provider.tokens()[0]) if provider.cloud else 0.0)
        self.purse = Purse(max_usd, ledger.spent())
        self.answered = 0  # responses of this run
        self._identity = provider.identity()
        self._again: set[str] = set()  # keys whose older attempts do not count

    def identity(self, page: Page) -> dict[str, Any]:
        return self._identity

    def answer(self, page: Page) -> Answer | Declined | None:
        key = identify(page, self.task.name, self)
        known = self.known(page, key)
        if self.marked(page):
            return MARKED
        if isinstance(known, Declined) and known.reason == self.retry and key not in self._again:
            self._again.add(key)
            known = self.known(page, key)
        if not isinstance(known, Step):
            return known
        if not self.clearance.allows(page):
            return Declined("not_sendable", "documents.csv does not call each of its files public")
        return self.passing.get(key)

    def marked(self, page: Page) -> bool:
        """Cleared by the manifest, and denied by what an answer said of the document."""
        return page.image_sha256 in self.clearance.hashes & self.clearance.denied

    def known(self, page: Page, key: str) -> Answer | Declined | Step:
        """What the ledger says of a page: its first good answer, else the next request, else the last refusal."""
        met, refusal = [], None
        for attempt in self.ledger.history(key):
            if key in self._again and attempt.id <= self.ledger.last:
                continue
            outcome = self.reader.outcome(attempt, page, key)
            if isinstance(outcome, Answer):
                return outcome
            met.append((attempt.model, outcome.reason))
            refusal = outcome
        return following(met, self.provider.first, self.provider.second) or refusal or self.provider.first

    def price(self, model: str) -> Price:
        """Raises InputError: it is not known."""
        if not self.provider.cloud:
            return Price(model=model, since="0000-00-00", input=0, output=0)
        return price(self.prices, model, datetime.date.today())

    def worst(self, step: Step) -> float:
        """USD that a request cannot pass: a token is never less than a byte."""
        _, tokens = self.provider.tokens()
        return self.price(step.model).usd(tokens, step.max_output_tokens, step.lane)

    def buy(self, wanted: dict[str, Page]) -> None:
        """Ask for each page, by its key; what came of it is then in the ledger, or in `passing`.

        Raises:
            InputError: it cannot work, or must not go on.
        """
        if not wanted:
            return
        lane = self.provider.lane(len(wanted))
        self.worst(self.provider.first)  # an unknown price is told before anything is sent
        if self.provider.second:
            self.price(self.provider.second)
        with self.provider.session(self.clearance, len(wanted)), terminable():
            if isinstance(self.provider, Batches) and (lane == "batch" or self.ledger.pending(self.task.name)):
                batch.ask(self, self.provider, wanted if lane == "batch" else {})
                wanted = {key: page for key, page in wanted.items() if self.answer(page) is None}
                lane = "flex" if lane == "batch" else lane  # what is asked a second time
            if wanted:
                self._ask_all(wanted, lane)

    def _ask_all(self, wanted: dict[str, Page], lane: Lane) -> None:
        denied = sum(not self.clearance.allows(page) for page in self.all_pages)
        progress = Progress(f"label {self.task.name}", len(wanted), denied, self.pace, self.purse)
        waiting = iter(wanted.items())
        running: set[Future[Answer | Declined]] = set()
        with ThreadPoolExecutor(self.pace.most) as pool:
            try:
                while True:
                    for key, page in islice(waiting, 2 * self.pace.most - len(running)):
                        running.add(pool.submit(self._ask, page, key, lane))
                    if not running:
                        break
                    done, running = wait(running, timeout=1, return_when=FIRST_COMPLETED)
                    for future in done:
                        if not isinstance(future.exception(), Stopped):  # why it stopped is in another future
                            progress.add(future.result())
                    progress.show()
            except BaseException:
                self.pace.stop()
                if self.pace.active:
                    logger.info("stopping: awaiting %d requests in flight, which are paid for", self.pace.active)
                pool.shutdown(cancel_futures=True)
                raise
            finally:
                progress.show(last=True)

    def _ask(self, page: Page, key: str, lane: Lane) -> Answer | Declined:
        """Request after request until there is an answer, or none is worth its price."""
        met: Counter[str] = Counter()
        try:
            try:
                cleared = self.clearance.page(page, self.pages)
            except NotCleared:
                if self.marked(page):
                    return MARKED
                raise
            dark = ink(cleared.image)
            while isinstance(known := self.known(page, key), Step):
                try:
                    refusal = self._request(cleared, key, replace(known, lane=lane), dark)
                except Problem as problem:
                    refusal = self._after(problem, met)
                if refusal is not None:
                    self.passing[key] = refusal
                    return refusal
            self.heed(page, known)
            return known
        except BaseException:
            self.pace.stop()  # before this thread takes the next page
            raise

    def _request(self, cleared: Cleared, key: str, step: Step, dark: float) -> Declined | None:
        """One request in its place in flight; None: its outcome is in the ledger. Raises Problem, Stopped."""
        self.pace.enter()
        came, wait_s = "other", 0.0
        try:
            if self.marked(cleared.page):
                return MARKED
            usd = self.worst(step)
            if not self.purse.reserve(usd):
                return Declined("budget", f"a request may cost USD {usd:.4f}, more than label.max_usd leaves")
            self._send(cleared, key, step, usd, dark)
            came = "good"
            return None
        except Problem as problem:
            came = problem.kind
            if came == "rate_limited":
                wait_s = min(LONGEST_WAIT_S, random.random() if problem.wait_s is None else problem.wait_s)
            raise
        finally:
            self.pace.leave(came, wait_s)

    def _send(self, cleared: Cleared, key: str, step: Step, usd: float, dark: float) -> None:
        start = time.monotonic()
        cost = 0.0
        try:
            if self.pace.stopped.is_set():
                raise Stopped
            number = self.ledger.begin(key, cleared.page, self.task.name, step.model, step.lane, usd)
            cost = usd  # until the server says less
            try:
                body = self._body(cleared, key, step)
            except Problem as problem:
                cost = usd if problem.spent else 0.0
                code = "refused" if self._stops(problem) or problem.kind == "unreachable" else problem.kind
                state: Literal["unknown", "failed"] = "unknown" if problem.spent else "failed"
                self.ledger.failed(number, state, code, problem.message, time.monotonic() - start)
                raise
            cost = self.record(number, body, step, usd, dark, time.monotonic() - start)
        finally:
            self.purse.settle(usd, cost)
        self.answered += 1
        self.expect(step.model, self.reader.reply(body))

    def expect(self, asked: str, reply: Reply | None) -> None:
        """Raises InputError: another model answered than the one asked."""
        if reply and reply.model and not self.provider.serves(asked, reply.model):
            raise InputError(f"{asked} was asked and {reply.model} answered: change the model in params.yaml. {KEPT}")

    def record(self, number: int, body: str, step: Step, usd: float, dark: float, seconds: float) -> float:
        """Put a response into the ledger; what it cost: all that was reserved, where the server does not say less."""
        reply = self.reader.reply(body)
        tokens = (reply.input_tokens, reply.output_tokens) if reply else (None, None)
        cost = usd
        if tokens[0] is not None and tokens[1] is not None:
            cost = self.price(step.model).usd(tokens[0], tokens[1], step.lane)
        self.ledger.answered(number, body, reply.message if reply else "not a response", cost, tokens, dark, seconds)
        return cost

    def _body(self, cleared: Cleared, key: str, step: Step) -> str:
        try:
            return self.provider.send(cleared, tag(key), step)
        except Leak:
            if self.marked(cleared.page):  # by another page of the document, while this request was made
                raise Problem("refused", "the document was found marked as confidential") from None
            raise

    def _stops(self, problem: Problem) -> bool:
        """A fault of the request concerns every page as long as none was answered."""
        return problem.stops is not None and (problem.kind != "bad_request" or not self.answered)

    def _after(self, problem: Problem, met: Counter[str]) -> Declined | None:
        """Wait before the next request; or a refusal for this run. Raises InputError where the run must not go on."""
        if self._stops(problem):
            raise InputError(f"{problem.stops} {KEPT}")
        met[problem.kind] += 1
        if met[problem.kind] == A_RUN.get(problem.kind):
            if problem.kind == "unreachable":
                raise InputError(f"there is no connection to {problem.message}. {KEPT}")
            return declined(problem.kind, problem.message)
        if problem.kind != "rate_limited":
            backoff_s = random.random() * 2.0 ** met[problem.kind] if problem.wait_s is None else problem.wait_s
            self.pace.stopped.wait(min(LONGEST_WAIT_S, backoff_s))
        return None

    def heed(self, page: Page, outcome: Answer | Declined | Step) -> None:
        """Where a page says that it is confidential, its document is not sent any more, by any run or task."""
        said: tuple[str, ...] = ()
        if isinstance(outcome, Answer):  # of a teacher that may see it
            said = tuple(doubt for doubt in outcome.doubts if doubt.startswith("marked_confidential"))
        elif isinstance(outcome, Declined) and outcome.reason == "marked_confidential":
            said = (outcome.message,)
        if not said or self.marked(page):
            return
        images = {one.image_sha256 for one in self.all_pages if one.document == page.document}
        if self.provider.cloud:
            self.clearance.denied.update(images)
        self.ledger.deny(images, f"{page.page_id}: {said[0]}")
        logger.warning("%s is marked as confidential: its document is not sent to a cloud any more", page.page_id)

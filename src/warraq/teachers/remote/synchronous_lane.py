"""The lanes that answer at once: a request a page, a number of them in flight.

A place in flight, the worst price reserved, a row `started`, the request, its response on disk, and only then the
reading.
"""

import logging
import random
import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from itertools import islice
from typing import Literal

from warraq.errors import InputError
from warraq.records import Page
from warraq.teachers import Answer, Refusal, parse_refusal
from warraq.teachers.remote.budget import refuse_for_budget
from warraq.teachers.remote.channel import Channel
from warraq.teachers.remote.context import DENIED, KEPT, LaneContext
from warraq.teachers.remote.parse_response import page_tag
from warraq.teachers.remote.prices import Lane
from warraq.teachers.remote.progress import Progress
from warraq.teachers.remote.rate_limit import MINUTE_S, ConcurrencyLimiter, StoppedError
from warraq.teachers.remote.request import MAX_A_RUN, ProviderError, RequestSpec
from warraq.teachers.remote.transport import LeakError
from warraq.teachers.safety.clearance import ClearedPage, NotClearedError
from warraq.teachers.safety.label_checks import measure_ink

logger = logging.getLogger(__name__)

LONGEST_WAIT_S = 900.0
MAX_ASKED_S = 900.0  # a server that asks to wait longer ends the run
LONGEST_BACKOFF_S = 90.0
MAX_WAITED_S = 120.0  # for the rate, without an answer in between: longer than any quota but that of a day
MAX_GIVEN_UP = 5  # pages in a row, without an answer in between: it is the channel


@dataclass(frozen=True)
class PageRequest:
    """A request that is about to be sent."""

    cleared: ClearedPage
    key: str
    spec: RequestSpec
    ink: float  # share of dark pixels in the image


class SynchronousLane:
    """Buys pages by the lanes `standard` and `flex`."""

    def __init__(self, context: LaneContext, limiter: ConcurrencyLimiter, max_failed_share: float) -> None:
        """`limiter`: of the requests in flight; `max_failed_share`: of the pages; where more fail the run stops."""
        self.context = context
        self.limiter = limiter
        self.max_failed_share = max_failed_share
        self.responses = 0  # of this run
        self._channel = Channel()

    def buy(self, pages: Mapping[str, Page], lane: Lane) -> None:
        """Ask for pages, by their key; what came of each is then in the ledger, or among the `retryable`.

        Raises:
            InputError: the run must not go on.
        """
        context = self.context
        denied = sum(not context.clearance.allows(page) for page in context.pages)
        progress = Progress(context, len(pages), denied, self.limiter, self.max_failed_share)
        waiting = iter(pages.items())
        running: set[Future[Answer | Refusal]] = set()
        with ThreadPoolExecutor(self.limiter.max_in_flight) as pool:
            try:
                while True:
                    for key, page in islice(waiting, 2 * self.limiter.max_in_flight - len(running)):
                        running.add(pool.submit(self._buy_page, page, key, lane))
                    if not running:
                        break
                    done, running = wait(running, timeout=1, return_when=FIRST_COMPLETED)
                    for future in done:
                        if not isinstance(future.exception(), StoppedError):  # why it stopped is in another future
                            progress.add(future.result())
                    progress.show()
            except BaseException:
                self.limiter.stop()
                if self.limiter.active:
                    logger.info("stopping: awaiting %d requests in flight, which are paid for", self.limiter.active)
                pool.shutdown(cancel_futures=True)
                context.ledger.excuse(self._channel.failures())
                raise
            finally:
                progress.show(last=True)

    def try_once(self, page: Page, key: str, lane: Lane) -> Refusal | None:
        """Ask one request, whatever is known of the page; None: what came of it is in the ledger.

        Raises:
            ProviderError: there is no response.
            InputError: the page may not be sent; or another model answered, or it cost more than it can.
        """
        cleared = self.context.clearance.load(page, self.context.folder)
        spec = replace(self.context.provider.first, lane=lane)
        return self._ask(PageRequest(cleared, key, spec, measure_ink(cleared.image)))

    def _buy_page(self, page: Page, key: str, lane: Lane) -> Answer | Refusal:
        try:
            return self._ask_until_answered(page, key, lane)
        except BaseException:
            self.limiter.stop()  # before this thread takes the next page
            raise

    def _ask_until_answered(self, page: Page, key: str, lane: Lane) -> Answer | Refusal:
        """Request after request until there is an answer, or none is worth its price."""
        context = self.context
        try:
            cleared = context.clearance.load(page, context.folder)
        except NotClearedError:
            if context.is_denied(page):
                return DENIED
            raise
        ink = measure_ink(cleared.image)
        errors: Counter[str] = Counter()
        while isinstance(state := context.ledger_state(page, key), RequestSpec):
            try:
                refusal = self._ask(PageRequest(cleared, key, replace(state, lane=lane), ink))
            except ProviderError as error:
                refusal = self._handle_error(error, errors, key)
            if refusal is not None:
                context.retryable[key] = refusal
                return refusal
        return state

    def _ask(self, request: PageRequest) -> Refusal | None:
        """One request in its place in flight; None: what came of it is in the ledger.

        Raises:
            ProviderError: there is no response; this too is in the ledger.
            StoppedError: no request is to be begun any more.
        """
        waits = self.limiter.acquire()
        outcome, wait_s = "other", 0.0
        try:
            if self.context.is_denied(request.cleared.page):
                return DENIED
            reserved_usd = self.context.worst_usd(request.spec)
            if not self.context.budget.reserve(reserved_usd):
                return refuse_for_budget(reserved_usd)
            self._send(request, reserved_usd)
            outcome = "good"
            return None
        except ProviderError as error:
            outcome = error.kind
            if outcome == "rate_limited":
                wait_s = MINUTE_S if error.wait_s is None else error.wait_s
            raise
        finally:
            self.limiter.release(outcome, waits, wait_s, LONGEST_WAIT_S)

    def _send(self, request: PageRequest, reserved_usd: float) -> None:
        context, page, spec = self.context, request.cleared.page, request.spec
        start = time.monotonic()
        cost_usd = 0.0
        try:
            if self.limiter.stopped.is_set():
                raise StoppedError
            number = context.ledger.begin_request(
                request.key, page, context.task.name, spec.model, spec.lane, reserved_usd
            )
            cost_usd = reserved_usd  # until the server says less
            try:
                body = self._exchange(request)
            except ProviderError as error:
                cost_usd = reserved_usd if error.spent else 0.0
                self._record_failure(number, request, error, time.monotonic() - start)
                raise
            reply = context.reader.parse_reply(body)
            cost_usd = context.record_response(
                number, body, reply, spec=spec, reserved_usd=reserved_usd, ink=request.ink,
                seconds=time.monotonic() - start,
            )  # fmt: skip
        finally:
            context.budget.settle(reserved_usd, cost_usd)
        context.check_reply(spec, reply, cost_usd)
        outcome = context.reader.read_reply(reply, spec.model, request.ink, page, request.key)
        context.add_outcome(page, request.key, spec.model, outcome)
        if isinstance(outcome, Refusal) and outcome.reason == "server_error":
            self._channel.add_failure(number, request.key)
            raise ProviderError("server_error", outcome.message)
        self.responses += 1
        self._channel.add_answer(number)

    def _exchange(self, request: PageRequest) -> str:
        page = request.cleared
        try:
            return self.context.provider.send(page, page_tag(request.key), request.spec)
        except LeakError:
            if self.context.is_denied(page.page):  # by another page of the document, while this request was made
                raise ProviderError("refused", "the document was found marked as confidential") from None
            raise

    def _record_failure(self, number: int, request: PageRequest, error: ProviderError, seconds: float) -> None:
        code = "refused" if self._stops(error) or error.kind == "unreachable" else error.kind
        state: Literal["unknown", "failed"] = "unknown" if error.spent else "failed"
        self.context.ledger.record_failure(number, state, code, error.message, seconds)
        self._channel.add_failure(number, request.key)
        outcome = parse_refusal(code, error.message)
        self.context.add_outcome(request.cleared.page, request.key, request.spec.model, outcome)

    def _stops(self, error: ProviderError) -> bool:
        """A fault of the request concerns every page as long as none was answered."""
        return error.stops is not None and (error.kind != "bad_request" or not self.responses)

    def _handle_error(self, error: ProviderError, errors: Counter[str], key: str) -> Refusal | None:
        """Wait before the next request, or refuse the page for this run; `errors` counts those of the page by kind.

        Raises:
            InputError: the run must not go on.
        """
        name = self.context.provider.name
        if self._stops(error):
            raise InputError(f"{error.stops} {KEPT}")
        if error.wait_s is not None and error.wait_s > MAX_ASKED_S:
            raise InputError(f"{name} asks to wait {error.wait_s:.0f} s ({error.message}): go on then. {KEPT}")
        if error.kind == "rate_limited" and self.limiter.waited_s >= MAX_WAITED_S:
            raise InputError(
                f"{name} has taken no request in {self.limiter.waited_s / 60:.0f} minutes ({error.message}), as where "
                f"the quota of a day is used up: go on later. {KEPT}"
            )
        errors[error.kind] += 1
        if errors[error.kind] == MAX_A_RUN.get(error.kind):
            if error.kind == "unreachable":
                raise InputError(f"there is no connection to {error.message}. {KEPT}")
            if (pages := self._channel.give_up(key)) >= MAX_GIVEN_UP:
                raise InputError(
                    f"{name} has answered none of the last {pages} pages ({error.message}): look into that, "
                    f"then run the stage again. {KEPT}"
                )
            return None if error.kind == "bad_request" else parse_refusal(error.kind, error.message)
        if error.kind != "rate_limited":
            backoff_s = random.random() * min(LONGEST_BACKOFF_S, 2.0 ** errors[error.kind])
            self.limiter.stopped.wait(min(LONGEST_WAIT_S, backoff_s if error.wait_s is None else error.wait_s))
        return None

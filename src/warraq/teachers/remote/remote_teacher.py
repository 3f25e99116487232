"""A teacher that is a model behind HTTP: it is paid once for an answer, and never sees a page that is not cleared.

What is known of a page is what reading its rows in the ledger gives. A page about which another request is worth its
price is bought, by one of two lanes.
"""

import time
from collections.abc import Mapping

from warraq.errors import InputError
from warraq.files import JsonObject
from warraq.records import Page
from warraq.teachers import Answer, Refusal, cache_key
from warraq.teachers.remote.batch_lane import BatchLane
from warraq.teachers.remote.context import DENIED, LaneContext
from warraq.teachers.remote.provider import BatchProvider
from warraq.teachers.remote.rate_limit import (
    ConcurrencyLimiter,
    interrupt_on_sigterm,
    read_in_flight,
    read_interval_s,
)
from warraq.teachers.remote.request import ProviderError, RequestSpec
from warraq.teachers.remote.synchronous_lane import SynchronousLane


class RemoteTeacher:
    """The teacher of a context's provider."""

    def __init__(self, context: LaneContext, max_failed_share: float, retry: str | None = None) -> None:
        """`retry`: a reason whose pages are asked again, whatever is known of them."""
        provider = context.provider
        self.name = provider.name
        self.reference = provider.reference
        self.context = context
        self.retry = retry
        interval_s = read_interval_s(provider.input_tokens()[0]) if provider.cloud else 0.0
        self.limiter = ConcurrencyLimiter(read_in_flight(), interval_s)
        self._synchronous_lane = SynchronousLane(context, self.limiter, max_failed_share)

    def identity(self, page: Page) -> JsonObject:
        """What is asked, which is the same for every page."""
        return self.context.identity

    def answer(self, page: Page, key: str) -> Answer | Refusal | None:
        """What the ledger knows, or why the page is not asked about. None: it has to be bought."""
        context = self.context
        if context.provider.unfit is not None:
            return Refusal("not_this_task", context.provider.unfit)
        if context.is_denied(page):
            return DENIED
        state = context.ledger_state(page, key)
        if isinstance(state, Refusal) and state.reason == self.retry and context.ask_again(key):
            state = context.ledger_state(page, key)
        if not isinstance(state, RequestSpec):
            return state
        if not context.clearance.allows(page):
            return Refusal("not_sendable", "documents.csv does not call each of its files public")
        return context.retryable.get(key)

    def buy(self, pages: Mapping[str, Page]) -> None:
        """Ask for each page, by its key; what came of it is then what `answer` gives.

        Raises:
            InputError: it cannot work, or must not go on.
        """
        if not pages:
            return
        context = self.context
        provider = context.provider
        context.check_prices()
        lane = provider.choose_lane(len(pages))
        with provider.open_session(context.clearance, len(pages)), interrupt_on_sigterm():
            if isinstance(provider, BatchProvider) and (
                lane == "batch" or context.ledger.pending_jobs(context.task.name)
            ):
                BatchLane(context, provider).buy(pages, create=lane == "batch")
                pages = {key: page for key, page in pages.items() if self.answer(page, key) is None}
                lane = "flex" if lane == "batch" else lane  # what is asked a second time
            if pages:
                self._synchronous_lane.buy(pages, lane)

    def check(self, wanted: Mapping[str, Page]) -> str:
        """Ask one request, about the first of the `wanted` pages by their key, else of any that may be sent.

        Returns:
            What came of it: model, version of the API, finish reason, tokens, USD. Its answer is in the ledger.

        Raises:
            InputError: no page may be sent; or what the server says in place of a response.
        """
        context, provider = self.context, self.context.provider
        known = {cache_key(page, context.task.name, self): page for page in context.pages}
        pages = {key: page for key, page in (wanted or known).items() if context.clearance.allows(page)}
        if not pages:
            raise InputError("no page may be sent: name a file that is public in documents.csv.")
        context.check_prices()
        lane, spent_usd, start = provider.choose_lane(1), context.budget.spent_usd, time.monotonic()
        key, page = min(pages.items())
        try:
            with provider.open_session(context.clearance, 1):
                if lane == "batch" and isinstance(provider, BatchProvider):
                    provider.collect(set())  # whether there are jobs at all in this version
                refusal = self._synchronous_lane.try_once(page, key, "flex" if lane == "batch" else lane)
        except ProviderError as error:
            raise InputError(f"{error.stops or f'{provider.name}: {error.message}.'}") from None
        if refusal is not None:
            raise InputError(f"{refusal.message}.")
        attempt = context.ledger.history(key)[-1]
        reply, outcome = (
            context.reader.parse_reply(attempt.response or ""),
            context.reader.read_attempt(attempt, page, key),
        )
        usage = reply.usage if reply else None
        tokens = f"{usage.input_tokens} tokens in and {usage.output_tokens} out" if usage else "no tokens told"
        came = "an answer" if isinstance(outcome, Answer) else f"{outcome.reason}, {outcome.message}"
        return (
            f"{(reply and reply.model) or provider.first.model} by {provider.api}: {attempt.code}, {tokens}, "
            f"USD {context.budget.spent_usd - spent_usd:.4f}, {time.monotonic() - start:.1f} s: {came}"
        )

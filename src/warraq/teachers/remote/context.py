"""What the lanes of a teacher share: what is known of its pages, what a request costs, and who may see which page.

What the ledger knows of a page is read once. What a lane then adds to the ledger it adds here as well, so that nothing
is read or parsed a second time in a run.
"""

import datetime
import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from warraq.errors import InputError
from warraq.files import JsonObject
from warraq.records import Page
from warraq.tasks import Task
from warraq.teachers import Answer, Reason, Refusal
from warraq.teachers.remote.budget import Budget
from warraq.teachers.remote.ledger import Ledger
from warraq.teachers.remote.parse_response import ResponseReader
from warraq.teachers.remote.prices import Lane, Price, Tokens, price_tokens
from warraq.teachers.remote.provider import Provider
from warraq.teachers.remote.request import Reply, RequestSpec, next_request
from warraq.teachers.remote.schema import build_envelope
from warraq.teachers.safety.clearance import Clearance
from warraq.teachers.safety.denials import Denials
from warraq.teachers.safety.marks import find_mark_in

logger = logging.getLogger(__name__)

DENIED = Refusal("marked_confidential", "the document is marked as confidential, or an image of it is")
KEPT = "What was answered is kept."

LedgerState = Answer | Refusal | RequestSpec
"""A page's answer; else the next request for it; else, where none is worth its price, the last refusal."""


@dataclass(frozen=True)
class History:
    """What came of the requests for a page that are over, oldest first, up to the first answer."""

    refusals: tuple[tuple[str, Refusal], ...] = ()  # (model asked, what came)
    answer: Answer | None = None

    def add(self, model: str, outcome: Answer | Refusal) -> "History":
        """The history with one request more."""
        if self.answer is not None:
            return self
        if isinstance(outcome, Answer):
            return replace(self, answer=outcome)
        return replace(self, refusals=(*self.refusals, (model, outcome)))

    def state(self, first: RequestSpec, second_model: str | None) -> LedgerState:
        """What it comes to; `first` is the request for a page that was never asked about."""
        if self.answer is not None:
            return self.answer
        reasons: list[tuple[str, Reason]] = [(model, refusal.reason) for model, refusal in self.refusals]
        request = next_request(reasons, first, second_model)
        return request or (self.refusals[-1][1] if self.refusals else first)


class LaneContext:
    """A provider, and all that is known and allowed about a task's pages with it."""

    def __init__(
        self, *, task: Task, provider: Provider, clearance: Clearance, denials: Denials, ledger: Ledger,
        budget: Budget, prices: Sequence[Price], folder: Path,
    ) -> None:  # fmt: skip
        """`denials` are of all pages of the `folder`, whoever answers for them."""
        self.task = task
        self.provider = provider
        self.clearance = clearance
        self.denials = denials
        self.ledger = ledger
        self.budget = budget
        self.prices = prices
        self.folder = folder
        self.pages = denials.pages
        self.reader = ResponseReader(task, provider, build_envelope(task.answer), folder)
        self.identity = provider.identity()
        self.retryable: dict[str, Refusal] = {}  # what this run gave up, by key
        self._histories: dict[str, dict[str, History]] = {}  # by key and page_id: equal images have one key
        self._fresh_keys: set[str] = set()  # whose attempts before this run do not count

    def ledger_state(self, page: Page, key: str) -> LedgerState:
        """What the ledger says of a page."""
        return self._history(page, key).state(self.provider.first, self.provider.second_model)

    def _history(self, page: Page, key: str) -> History:
        histories = self._histories.setdefault(key, {})
        if page.page_id not in histories:
            history = History()
            for attempt in self.ledger.history(key):
                if key in self._fresh_keys and attempt.id <= self.ledger.last_id:
                    continue
                history = history.add(attempt.model, self.reader.read_attempt(attempt, page, key))
                if history.answer is not None:
                    break
            histories[page.page_id] = history
        return histories[page.page_id]

    def add_outcome(self, page: Page, key: str, model: str, outcome: Answer | Refusal) -> None:
        """Count a request that is over and in the ledger; other pages with this key read it there."""
        history = self._histories.get(key, {}).get(page.page_id)
        self._histories[key] = {} if history is None else {page.page_id: history.add(model, outcome)}

    def forget(self, key: str) -> None:
        """Have the ledger read again for a key of which nobody here knows the page."""
        self._histories.pop(key, None)

    def ask_again(self, key: str) -> bool:
        """Let what came of a key before this run not count any more; False where that was done before."""
        is_new = key not in self._fresh_keys
        self._fresh_keys.add(key)
        if is_new:
            self.forget(key)
        return is_new

    def is_denied(self, page: Page) -> bool:
        """Whether a page was cleared by documents.csv, and denied by what is known of its document."""
        return page.image_sha256 in self.clearance.hashes and not self.clearance.allows(page)

    def usd(self, model: str, lane: Lane, tokens: Tokens) -> float:
        """USD of tokens today.

        Raises:
            InputError: the price of the model is not known.
            ValueError: there cannot be such tokens.
        """
        return price_tokens(self.prices, model, datetime.date.today(), lane, tokens) if self.provider.cloud else 0.0

    def worst_usd(self, spec: RequestSpec) -> float:
        """USD that a request cannot pass: a token is never less than a byte."""
        _, input_tokens = self.provider.input_tokens()
        return self.usd(spec.model, spec.lane, (input_tokens, spec.max_output_tokens))

    def check_prices(self) -> None:
        """Raises InputError where a price is not known; said before anything is sent."""
        for model in filter(None, (self.provider.first.model, self.provider.second_model)):
            self.usd(model, "standard", (0, 0))

    def record_response(
        self, number: int, body: str, reply: Reply | None, *, spec: RequestSpec, reserved_usd: float, ink: float,
        seconds: float = 0,
    ) -> float:  # fmt: skip
        """Put a response into the ledger.

        Returns:
            What it cost in USD: all that was reserved, where the server does not say what can be.
        """
        usage = reply.usage if reply else None
        cost_usd = reserved_usd
        if usage is not None:
            try:
                cost_usd = self.usd(spec.model, usage.lane or spec.lane, usage.reported)
            except ValueError as error:
                logger.warning("%s: a request counts with all that was reserved (%s)", self.provider.name, error)
        tokens = (usage.input_tokens, usage.output_tokens) if usage else (None, None)
        self.ledger.record_response(
            number, body, reply.message if reply else "not a response", cost_usd, tokens, ink, seconds
        )
        if mark := find_mark_in(body) or find_mark_in(self._convert(reply)):
            self.denials.deny({self.ledger.find_page(number): f"{mark} ({self.provider.name})"})
        return cost_usd

    def _convert(self, reply: Reply | None) -> JsonObject | None:
        """What a transcript comes to, in which a stamp is known for one."""
        with suppress(ValueError):
            return self.provider.convert(reply.text) if reply else None
        return None

    def check_reply(self, spec: RequestSpec, reply: Reply | None, cost_usd: float) -> None:
        """Whether the run may go on after a reply.

        Raises:
            InputError: another model answered than the one asked, or it cost more than a request can.
        """
        if reply and reply.model and not self.provider.serves(spec.model, reply.model):
            raise InputError(
                f"{spec.model} was asked and {reply.model} answered: change the model in params.yaml. {KEPT}"
            )
        if cost_usd > (worst_usd := self.worst_usd(spec)):
            raise InputError(
                f"a request to {spec.model} cost USD {cost_usd:.4f} where {worst_usd:.4f} was thought the most, so "
                f"label.max_usd bounds nothing: compare label.prices with the provider's bill. {KEPT}"
            )

"""How far a run of paid requests is, once a second; and when too much fails for it to go on."""

import logging
import time
from collections import Counter

from warraq.errors import InputError
from warraq.teachers import Answer, Refusal
from warraq.teachers.remote.context import LaneContext
from warraq.teachers.remote.rate_limit import ConcurrencyLimiter
from warraq.teachers.safety.label_checks import QUARANTINE

logger = logging.getLogger(__name__)

MIN_PAGES = 50  # no share of fewer says anything
NO_FAILURES = QUARANTINE | {"answered", "budget", "recitation", "blocked"}  # the last two are the corpus's nature


class Progress:
    """What came of the pages of a run so far."""

    def __init__(
        self, context: LaneContext, total: int, denied: int, limiter: ConcurrencyLimiter, max_failed_share: float
    ) -> None:
        """`denied`: pages that may not be asked about, besides the `total`."""
        self.name = f"label {context.task.name}"
        self.total = total
        self.denied = denied
        self.limiter = limiter
        self.budget = context.budget
        self.max_failed_share = max_failed_share
        self.outcomes: Counter[str] = Counter()
        self._before_usd = self.budget.spent_usd
        self._start = self._shown = time.monotonic()

    def add(self, outcome: Answer | Refusal) -> None:
        """Count a page.

        Raises:
            InputError: too much failed; going on would only cost.
        """
        self.outcomes["answered" if isinstance(outcome, Answer) else outcome.reason] += 1
        failures = self.outcomes.keys() - NO_FAILURES
        failed = sum(self.outcomes[reason] for reason in failures)
        if self.outcomes.total() >= MIN_PAGES and failed > self.max_failed_share * self.outcomes.total():
            main_reason = max(failures, key=lambda reason: self.outcomes[reason])
            raise InputError(
                f"{failed} of {self.outcomes.total()} pages failed, most with {main_reason}: look into that "
                "before paying for more, or raise label.max_failed_share. What was answered is kept."
            )

    def show(self, last: bool = False) -> None:
        """Log a line, if a second has passed since the one before, or it is the last."""
        now = time.monotonic()
        if not last and now - self._shown < 1:
            return
        self._shown = now
        done = self.outcomes.total()
        rate = done / max(now - self._start, 1e-9)
        spent_usd = self.budget.spent_usd - self._before_usd
        projected_usd = spent_usd / done * self.total if done else 0.0
        left = f"{(self.total - done) / rate:.0f} s left" if rate else "no page yet"
        limiter = self.limiter
        logger.info(
            "%s %d/%d pages, %d without an answer, %d denied, USD %.4f of about %.2f, %.1f/s, %d of %d in flight, "
            "%d refused for the rate, %s",
            self.name, done, self.total, done - self.outcomes["answered"], self.denied, spent_usd, projected_usd, rate,
            limiter.active, int(limiter.limit), limiter.refused, left, extra={"progress": True, "last": last},
        )  # fmt: skip

"""How a run of paid questions goes on, told once a second; and when too much fails for it to go on."""

import logging
import time
from collections import Counter

from warraq.errors import InputError
from warraq.teachers import Answer, Declined
from warraq.teachers.remote.rate_limit import Pace, Purse
from warraq.teachers.safety.label_checks import QUARANTINE

logger = logging.getLogger(__name__)

FEW = 50  # pages; no share of fewer says anything
FAILURES = 0.2  # largest share of failed pages


class Progress:
    def __init__(self, name: str, total: int, denied: int, pace: Pace, purse: Purse) -> None:
        """`denied`: pages that may not be asked about, besides the `total`."""
        self.name = name
        self.total = total
        self.denied = denied
        self.pace = pace
        self.purse = purse
        self.came: Counter[str] = Counter()
        self._before_usd = purse.spent
        self._start = self._shown = time.monotonic()

    def add(self, outcome: Answer | Declined) -> None:
        """Raises InputError: too much failed; going on would only cost."""
        self.came["answered" if isinstance(outcome, Answer) else outcome.reason] += 1
        failures = self.came.keys() - QUARANTINE - {"answered", "budget"}
        failed = sum(self.came[reason] for reason in failures)
        if self.came.total() >= FEW and failed > FAILURES * self.came.total():
            most = max(failures, key=lambda reason: self.came[reason])
            raise InputError(
                f"{failed} of {self.came.total()} pages failed, most with {most}: look into that before paying for "
                "more. What was answered is kept."
            )

    def show(self, last: bool = False) -> None:
        now = time.monotonic()
        if not last and now - self._shown < 1:
            return
        self._shown = now
        done = self.came.total()
        rate = done / max(now - self._start, 1e-9)
        spent = self.purse.spent - self._before_usd
        projected = spent / done * self.total if done else 0.0
        left = f"{(self.total - done) / rate:.0f} s left" if rate else "no page yet"
        logger.info(
            "%s %d/%d pages, %d without an answer, %d denied, USD %.4f of about %.2f, %.1f/s, %d of %d in flight, "
            "%d refused for the rate, %s",
            self.name, done, self.total, done - self.came["answered"], self.denied, spent, projected, rate,
            self.pace.active, int(self.pace.limit), self.pace.refused, left, extra={"progress": True, "last": last},
        )  # fmt: skip

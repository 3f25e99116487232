"""For how much: what all threads of a run may spend together."""

import threading

from warraq.teachers import Refusal


def refuse_for_budget(usd: float) -> Refusal:
    """A page for which the budget has no more room."""
    return Refusal("budget", f"a request may cost USD {usd:.4f}, more than label.max_usd leaves")


class Budget:
    """USD spent and reserved, by any number of threads; together never above the cap."""

    def __init__(self, cap_usd: float, spent_usd: float) -> None:
        """`spent_usd`: by all runs before."""
        self.cap_usd = cap_usd
        self.spent_usd = spent_usd
        self._reserved: list[float] = []
        self._changed = threading.Condition()

    def reserve(self, usd: float) -> bool:
        """Wait until `usd` fit; False where they cannot, whatever comes back from the requests in flight."""
        with self._changed:
            while self.spent_usd + sum(self._reserved) + usd > self.cap_usd:
                if not self._reserved:
                    return False
                self._changed.wait()
            self._reserved.append(usd)
            return True

    def settle(self, reserved_usd: float, usd: float) -> None:
        """Spend `usd` in place of what was reserved."""
        with self._changed:
            self._reserved.remove(reserved_usd)
            self.spent_usd += usd
            self._changed.notify_all()

    def correct(self, usd: float) -> None:
        """Add to what counted as spent; a negative number takes from it."""
        with self._changed:
            self.spent_usd += usd
            self._changed.notify_all()

"""Field outcomes of a JSON answer against its reference.

List items are compared by position: an item too few or too many makes those after it wrong, and says so.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any, Literal

from warraq.metrics.text import encoded

Outcome = Literal["correct", "wrong", "missing", "invented", "correct_null"]


@dataclass(frozen=True)
class Outcomes:
    """Counts of fields: `missing` has a reference and no answer, `invented` the reverse, `correct_null` neither."""

    correct: int = 0
    wrong: int = 0
    missing: int = 0
    invented: int = 0
    correct_null: int = 0

    def __add__(self, other: "Outcomes") -> "Outcomes":
        return Outcomes(
            self.correct + other.correct,
            self.wrong + other.wrong,
            self.missing + other.missing,
            self.invented + other.invented,
            self.correct_null + other.correct_null,
        )

    @property
    def answered(self) -> int:
        return self.correct + self.wrong + self.invented

    @property
    def wanted(self) -> int:
        return self.correct + self.wrong + self.missing

    @property
    def precision(self) -> float:
        return self.correct / self.answered if self.answered else 0.0

    @property
    def recall(self) -> float:
        return self.correct / self.wanted if self.wanted else 0.0

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall, which is 2 correct / (answered + wanted)."""
        both = self.answered + self.wanted
        return 2 * self.correct / both if both else 0.0


def flattened(value: Any, path: str = "") -> dict[str, Any]:
    """An answer as `a.b[0].c -> value`, in the answer's order."""
    if isinstance(value, dict):
        parts = [flattened(item, f"{path}.{key}" if path else key) for key, item in value.items()]
    elif isinstance(value, list):
        parts = [flattened(item, f"{path}[{index}]") for index, item in enumerate(value)]
    else:
        return {path: value}
    return {key: item for part in parts for key, item in part.items()}


def leaves(value: Any, path: str = "") -> dict[str, str | None]:
    """Flatten an answer to `a.b[0].c -> text`, compared at the encoding level; null and blank text are both None."""
    flat = flattened(value, path)
    return {key: None if item is None else encoded(str(item)) or None for key, item in flat.items()}


def compared(gold: dict[str, Any], answer: dict[str, Any] | None) -> dict[str, Outcome]:
    """The outcome of each field by its path; an answer that could not be read (None) misses every field."""
    wanted, given = leaves(gold), leaves(answer or {})
    found: dict[str, Outcome] = {}
    for path in dict.fromkeys((*wanted, *given)):
        left, right = wanted.get(path), given.get(path)
        if left is not None:
            found[path] = "missing" if right is None else "correct" if left == right else "wrong"
        elif right is not None:
            found[path] = "invented"
        elif path in wanted and answer is not None:
            found[path] = "correct_null"
    return found


def outcomes(gold: dict[str, Any], answer: dict[str, Any] | None) -> Outcomes:
    """Compare field by field and count."""
    counts: Counter[str] = Counter(compared(gold, answer).values())
    return Outcomes(**counts)

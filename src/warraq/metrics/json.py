"""Field outcomes of a JSON answer against its reference."""

from dataclasses import dataclass
from typing import Any

from warraq.metrics.text import encoded


@dataclass(frozen=True)
class Outcomes:
    """Counts of fields: `missing` has a reference value and no answer, `invented` the reverse, `correct_null` neither."""

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
    def precision(self) -> float:
        answered = self.correct + self.wrong + self.invented
        return self.correct / answered if answered else 0.0

    @property
    def recall(self) -> float:
        wanted = self.correct + self.wrong + self.missing
        return self.correct / wanted if wanted else 0.0

    @property
    def f1(self) -> float:
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both else 0.0


def leaves(value: Any, path: str = "") -> dict[str, str | None]:
    """Flatten an answer to `a.b[0].c -> text`; null stays None. Texts are compared at the encoding level."""
    if isinstance(value, dict):
        return {k: v for key, item in value.items() for k, v in leaves(item, f"{path}.{key}" if path else key).items()}
    if isinstance(value, list):
        return {k: v for i, item in enumerate(value) for k, v in leaves(item, f"{path}[{i}]").items()}
    return {path: None if value is None else encoded(str(value))}


def outcomes(gold: dict[str, Any], answer: dict[str, Any] | None) -> Outcomes:
    """Compare field by field; an answer that could not be read (None) misses every field."""
    wanted, given = leaves(gold), leaves(answer or {})
    counts = dict.fromkeys(("correct", "wrong", "missing", "invented", "correct_null"), 0)
    for path in wanted.keys() | given.keys():
        left, right = wanted.get(path), given.get(path)
        if left is None:
            counts["correct_null" if right is None else "invented"] += path in given or answer is not None
        elif right is None:
            counts["missing"] += 1
        else:
            counts["correct" if left == right else "wrong"] += 1
    return Outcomes(**counts)

"""metrics.json: the flat numbers and names of one student, `<variant>_<score>` with `_lo` and `_hi`."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from warraq.files import read_json

MetricValue = float | int | str | None


@dataclass(frozen=True)
class ScoreInterval:
    """A score with its 95 % interval; None where it is undefined."""

    value: float | int | None
    lo: float | int | None
    hi: float | int | None


@dataclass(frozen=True)
class Gain:
    """`merged - base` of a score, over documents; `p` is corrected by Holm for all that are looked at with it."""

    value: float | int
    lo: float | int | None
    hi: float | int | None
    p: float | int | None
    detectable: float | int | None  # the smallest difference that such documents would show four times in five
    documents: int
    higher_documents: int
    lower_documents: int


@dataclass(frozen=True)
class StudentMetrics:
    """The content of metrics.json by name."""

    values: Mapping[str, MetricValue]

    @classmethod
    def read(cls, path: Path) -> "StudentMetrics":
        """Read metrics.json.

        Raises:
            InputError: it is missing or not JSON.
        """
        return cls(read_json(path))

    @classmethod
    def collect(cls, values: Mapping[str, MetricValue]) -> "StudentMetrics":
        """The values sorted by name, rounded to six digits."""
        return cls({name: round(one, 6) if isinstance(one, float) else one for name, one in sorted(values.items())})

    def get_text(self, name: str) -> str:
        """A name or hash."""
        return str(self.values[name])

    def get_count(self, name: str) -> int:
        """A whole number, 0 where there is none."""
        return int(self.values.get(name) or 0)

    def get_number(self, name: str) -> float | int | None:
        """A number, or None where there is none."""
        value = self.values.get(name)
        if isinstance(value, str):
            raise TypeError(f"{name} is no number: {value!r}")
        return value

    @property
    def variants(self) -> list[str]:
        """The models that were scored, in the order in which they are shown."""
        return self.get_text("variants").split()

    def has_score(self, name: str) -> bool:
        """Whether any variant has the score."""
        return any(self.values.get(f"{variant}_{name}") is not None for variant in self.variants)

    def get_score(self, variant: str, name: str) -> ScoreInterval:
        """A variant's score."""
        value, lo, hi = (self.get_number(f"{variant}_{name}{end}") for end in ("", "_lo", "_hi"))
        return ScoreInterval(value, lo, hi)

    def get_gain(self, name: str) -> Gain | None:
        """What merged is better or worse by than base; None where either has no such score."""
        key = f"merged_minus_base_{name}"
        value = self.get_number(key)
        if value is None:
            return None
        lo, hi, chance, detectable = (self.get_number(f"{key}_{end}") for end in ("lo", "hi", "p_holm", "mde"))
        counts = (self.get_count(f"{key}_{end}documents") for end in ("", "higher_", "lower_"))
        return Gain(value, lo, hi, chance, detectable, *counts)

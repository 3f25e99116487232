"""A JSON answer against its reference: each field correct, wrong, missing, invented, or null as it should be.

Items of lists are paired with those of the reference that they agree with most, so that one item too many does not
make all after it wrong; the pairing is one to one, so that a value in another row's place stays wrong.
"""

import json
import re
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from warraq.files import JsonObject
from warraq.metrics.arabic import normalize
from warraq.metrics.catalogue import ScoreSums
from warraq.metrics.values import Kind, anls, is_equal

Outcome = Literal["correct", "wrong", "missing", "invented", "correct_null"]
Kinds = Mapping[str, Kind]
"""Path with `[]` for any index -> how its values are compared; a path that is not named is `exact`."""

_ENDINGS = 32  # places tried from the end of a cut text
_DEPTH = 32  # of nesting; no answer is as deep
_TOKEN = re.compile(r'"(?:[^"\\]++|\\.)*+(?P<end>")?+|[]{}[,]', re.DOTALL)
_START = re.compile(r"""[{[](?=\s*+(?:["{}[\]\d-]|true|false|null|NaN|Infinity|\Z))""")
_HALF = re.compile(
    r"(?<!\\)(?:\\\\)*+(\\u[dD][89abAB][0-9a-fA-F]{2}(?:\\(?:u[0-9a-fA-F]{0,3})?)?|\\(?:u[0-9a-fA-F]{0,3})?"
    r"|<(?:/|/?[a-zA-Z][^<>]{0,60})?)\Z"
)  # of an escape, of a pair of surrogates, or of a tag, at the end of a cut text
_INDEX = re.compile(r"\[\d+\]")


@dataclass(frozen=True)
class OutcomeCounts:
    """Counts of fields: `missing` has a reference and no answer, `invented` the reverse, `correct_null` neither."""

    correct: int = 0
    wrong: int = 0
    missing: int = 0
    invented: int = 0
    correct_null: int = 0

    @property
    def answer_count(self) -> int:
        """Fields that the answer has."""
        return self.correct + self.wrong + self.invented

    @property
    def gold_count(self) -> int:
        """Fields that the reference has."""
        return self.correct + self.wrong + self.missing

    @property
    def precision(self) -> float:
        """The correct ones of the answer's, 0 to 1."""
        return self.correct / self.answer_count if self.answer_count else 0.0

    @property
    def recall(self) -> float:
        """The correct ones of the reference's, 0 to 1."""
        return self.correct / self.gold_count if self.gold_count else 0.0

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall, which is 2 correct / (both counts together)."""
        both = self.answer_count + self.gold_count
        return 2 * self.correct / both if both else 0.0


def flatten(value: Any, path: str = "") -> JsonObject:
    """Flatten an answer to `a.b[0].c -> value`, in the answer's order."""
    if isinstance(value, dict):
        parts = [flatten(item, f"{path}.{key}" if path else key) for key, item in value.items()]
    elif isinstance(value, list):
        parts = [flatten(item, f"{path}[{index}]") for index, item in enumerate(value)]
    else:
        return {path: value}
    return {key: item for part in parts for key, item in part.items()}


def flatten_texts(value: Any, path: str = "") -> dict[str, str | None]:
    """Flatten an answer to `a.b[0].c -> text` at the encoding level; null and blank text are both None."""
    flat = flatten(value, path)
    return {key: None if item is None else normalize(str(item)) or None for key, item in flat.items()}


def strip_indices(path: str) -> str:
    """A path without its indices: `items[0].total` -> `items[].total`."""
    return _INDEX.sub("[]", path)


def align_lists(gold: Any, answer: Any, kinds: Kinds, path: str = "") -> Any:
    """The answer with the items of its lists at the places of those they agree with most.

    What has no partner comes after them, and None stands where the answer has none.
    """
    if isinstance(gold, dict) and isinstance(answer, dict):
        return {
            key: align_lists(gold[key], item, kinds, f"{path}.{key}" if path else key) if key in gold else item
            for key, item in answer.items()
        }
    if not (isinstance(gold, list) and isinstance(answer, list)):
        return answer
    inside = f"{path}[]"
    partners = _pair_items(gold, answer, kinds, inside)
    paired = [
        align_lists(one, answer[partners[index]], kinds, inside) if index in partners else None
        for index, one in enumerate(gold)
    ]
    return paired + [one for index, one in enumerate(answer) if index not in partners.values()]


def _pair_items(gold: list[Any], answer: list[Any], kinds: Kinds, path: str) -> dict[int, int]:
    """Index in `gold` -> index in `answer`, so that as many fields as can be agree; near ones first among equals."""
    if not gold or not answer:
        return {}
    from scipy.optimize import linear_sum_assignment

    ours, theirs = [flatten_texts(one) for one in gold], [flatten_texts(one) for one in answer]
    rows = [
        [_count_agreement(one, other, kinds, path) - 1e-6 * abs(i - j) for j, other in enumerate(theirs)]
        for i, one in enumerate(ours)
    ]
    return {int(i): int(j) for i, j in zip(*linear_sum_assignment(rows, maximize=True), strict=True)}


def _count_agreement(one: dict[str, str | None], other: dict[str, str | None], kinds: Kinds, path: str) -> float:
    agreement = 0.0
    for key, left in one.items():
        right = other.get(key)
        if left is not None and right is not None:
            kind = kinds.get(strip_indices(f"{path}.{key}" if key else path), "exact")
            agreement += 1 if left == right or is_equal(kind, left, right) else 0.01 * anls(left, right)
    return agreement


def compare_fields(gold: JsonObject, answer: JsonObject | None, kinds: Kinds | None = None) -> dict[str, Outcome]:
    """The outcome of each field by its path; an answer that could not be read (None) misses every field.

    The answer's lists are taken as they stand: align them first.
    """
    gold_texts, texts = flatten_texts(gold), flatten_texts(answer or {})
    outcomes: dict[str, Outcome] = {}
    for path in dict.fromkeys((*gold_texts, *texts)):
        left, right = gold_texts.get(path), texts.get(path)
        if left is not None:
            kind = (kinds or {}).get(strip_indices(path), "exact")
            equal = right is not None and (left == right or is_equal(kind, left, right))
            outcomes[path] = "missing" if right is None else "correct" if equal else "wrong"
        elif right is not None:
            outcomes[path] = "invented"
        elif path in gold_texts and answer is not None:
            outcomes[path] = "correct_null"
    return outcomes


def count_outcomes(gold: JsonObject, answer: JsonObject | None, kinds: Kinds | None = None) -> OutcomeCounts:
    """Align, compare field by field and count."""
    counts: Counter[str] = Counter(compare_fields(gold, align_lists(gold, answer, kinds or {}), kinds).values())
    return OutcomeCounts(**counts)


def compute_f1(right: int, written: int, there: int, answered: bool) -> tuple[int, int]:
    """Numerator and denominator of F1; to say that there is nothing where nothing is, is one thing that is right.

    Else it would have no score, and who invents there could not be told from who does not.
    """
    return (2 * right, written + there) if written + there else (2 * answered, 2)


def score_fields(gold: JsonObject, aligned: JsonObject | None, kinds: Kinds) -> ScoreSums:
    """Numerator and denominator of each score of the fields of an answer that has been aligned."""
    outcomes = compare_fields(gold, aligned, kinds)
    counts = OutcomeCounts(**Counter[str](outcomes.values()))
    gold_texts, answer_texts = flatten_texts(gold), flatten_texts(aligned or {})
    right = [path for path, outcome in outcomes.items() if outcome == "correct"]
    texts = [
        path
        for path, outcome in outcomes.items()
        if outcome != "correct_null" and kinds.get(strip_indices(path)) == "text"
    ]
    similarity = sum(anls(gold_texts.get(path) or "", answer_texts.get(path) or "") for path in texts)
    return {
        "field_f1": compute_f1(counts.correct, counts.answer_count, counts.gold_count, aligned is not None),
        "field_precision": (counts.correct, counts.answer_count),
        "field_recall": (counts.correct, counts.gold_count),
        "field_invention_rate": (counts.invented, counts.invented + counts.correct_null),
        "field_rewritten_share": (sum(gold_texts[path] != answer_texts[path] for path in right), len(right)),
        "field_anls": (similarity, len(texts)),
    }


def repair_json(raw: str) -> Iterator[Any]:
    """The JSON values that a text may have meant which is not JSON as it stands, likeliest first.

    What surrounds one is taken off, and what is open where it was cut is closed. Nothing else is repaired, so that no
    value is made up.
    """
    if (start := _START.search(raw)) is None:
        return
    text = raw[start.start() :]
    try:
        yield json.JSONDecoder().raw_decode(text)[0]
        return
    except (ValueError, RecursionError):
        pass
    for end, closing in _list_endings(text):
        try:
            yield json.loads(text[:end] + closing)
        except (ValueError, RecursionError):
            continue


def _list_endings(text: str) -> list[tuple[int, str]]:
    """Where a cut text may be ended, and what closes it there, the latest places first; empty if it is no JSON."""
    closing = ""
    places: deque[tuple[int, str]] = deque(maxlen=_ENDINGS)
    cut = False
    for token in _TOKEN.finditer(text):
        mark = token[0][0]
        cut = mark == '"' and not token["end"]
        if mark in "{[":
            closing = ("}" if mark == "{" else "]") + closing
        elif mark in "}]":
            if not closing.startswith(mark):
                return []
            closing = closing[1:]
        if len(closing) > _DEPTH:
            return []
        if not cut:
            places.append((token.start() if mark == "," else token.end(), closing))
    return [*([(len(trim_cut(text)), '"' + closing)] if cut else []), *reversed(places)]


def trim_cut(text: str) -> str:
    """A cut string of JSON without the half of an escape or of a tag that it ends with."""
    half = _HALF.search(text)
    return text[: half.start(1)] if half else text

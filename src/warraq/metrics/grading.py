"""Graded answers -> the scores of each document, the numbers of metrics.json, the outcomes of each field.

The sample (one page, one task) is graded, the document is drawn. A score is a ratio of two sums over documents, given
here as numerator and denominator, so that intervals and differences of all scores are made alike.
"""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, get_args

from warraq.metrics.json import Outcome, Outcomes, compared
from warraq.metrics.statistics import Drawings, Estimate, Scores
from warraq.metrics.text import Edits
from warraq.records import Prediction, Sample

SHARES = ("schema_valid_share", "strict_json_share", "truncated_share", "failed_share",
          "field_f1", "field_precision", "field_recall")  # fmt: skip
"""Scores that lie in [0, 1]."""
DIFFERENCES = ("schema_valid_share", "field_f1", "cer")
_INDEX = re.compile(r"\[\d+\]")


@dataclass(frozen=True)
class Graded:
    """A variant's answer to a sample.

    `prediction` is None where there is no row for the sample, `answer` where the raw text does not fit the schema; the
    texts and edits are None for a task without running text, `fields` for one without fields.
    """

    sample: Sample
    prediction: Prediction | None
    gold: dict[str, Any]
    gold_text: str | None
    answer: dict[str, Any] | None
    answer_text: str | None
    strict: bool
    characters: Edits | None
    words: Edits | None
    fields: Outcomes | None

    @property
    def failed(self) -> bool:
        return self.prediction is None or self.prediction.finish_reason == "error"

    @property
    def truncated(self) -> bool:
        return self.prediction is not None and self.prediction.finish_reason == "length"

    @property
    def quality(self) -> float:
        """From 0 to 1 = perfect: 1 - CER, not below 0, or field F1. Ranks the pages of the report and nothing else."""
        if self.failed:
            return 0.0
        if self.characters is not None:
            return max(0.0, 1 - self.characters.errors / max(self.characters.reference, 1))
        return self.fields.f1 if self.fields is not None and self.fields.answered + self.fields.wanted else 1.0


Variants = dict[str, list[Graded]]
"""Every variant's answers to the same samples in the same order."""


def grouped(graded: Variants, attribute: str) -> dict[str, Variants]:
    """The same by an attribute of the sample (`document`, `page_id`), sorted by it."""
    found: dict[str, Variants] = {}
    for variant, part in graded.items():
        for one in part:
            found.setdefault(getattr(one.sample, attribute), {name: [] for name in graded})[variant].append(one)
    return dict(sorted(found.items()))


def fields_of(graded: Iterable[Graded]) -> Outcomes:
    return sum((one.fields for one in graded if one.fields), Outcomes())


def scores(graded: list[Graded]) -> dict[str, tuple[float, float]]:
    """Numerator and denominator of every score for one document; the macro scores weigh each document as one."""
    fields = fields_of(graded)
    characters = sum((one.characters for one in graded if one.characters), Edits())
    words = sum((one.words for one in graded if one.words), Edits())
    read = [one for one in graded if not one.failed]
    seconds = sum(one.prediction.seconds for one in graded if one.prediction)

    def macro(edits: Edits) -> tuple[float, float]:
        return (edits.errors / edits.reference, 1) if edits.reference else (0, 0)

    return {
        "schema_valid_share": (sum(one.answer is not None for one in graded), len(graded)),
        "strict_json_share": (sum(one.strict for one in graded), len(graded)),
        "truncated_share": (sum(one.truncated for one in graded), len(graded)),
        "failed_share": (sum(one.failed for one in graded), len(graded)),
        "field_f1": (2 * fields.correct, fields.answered + fields.wanted),
        "field_precision": (fields.correct, fields.answered),
        "field_recall": (fields.correct, fields.wanted),
        "cer": (characters.errors, characters.reference),
        "cer_macro": macro(characters),
        "wer": (words.errors, words.reference),
        "wer_macro": macro(words),
        "pages_per_s": (len({one.sample.page_id for one in read}), seconds),
        "answers_per_s": (len(read), seconds),
    }


def measured(graded: Variants, resamples: int, seed: int) -> dict[str, float | int | None]:
    """`<variant>_<score>` and `merged_minus_base_<score>`, each with `_lo` and `_hi`, and the field counts."""
    rows: list[Scores] = [
        {f"{variant}_{name}": pair for variant, part in document.items() for name, pair in scores(part).items()}
        for document in grouped(graded, "document").values()
    ]
    drawings = Drawings(rows, resamples, seed)
    found: dict[str, float | int | None] = {}

    def put(key: str, estimate: Estimate) -> None:
        found.update({key: estimate.value, f"{key}_lo": estimate.lo, f"{key}_hi": estimate.hi})

    for key in rows[0]:
        put(key, drawings.score(key, share=key.partition("_")[2] in SHARES))
    for name in DIFFERENCES:
        key, left, right = f"merged_minus_base_{name}", f"merged_{name}", f"base_{name}"
        difference = drawings.difference(left, right, share=name in SHARES)
        put(key, difference)
        found[f"{key}_documents"] = difference.documents
        found[f"{key}_higher_documents"] = drawings.higher(left, right)
        found[f"{key}_lower_documents"] = drawings.higher(right, left)
    for variant, part in graded.items():
        fields = fields_of(part)
        found |= {f"{variant}_field_{outcome}": getattr(fields, outcome) for outcome in get_args(Outcome)}
    return found


def field_counts(graded: Variants) -> dict[str, dict[str, Counter[str]]]:
    """Outcomes by `task.path`, list indices folded (`invoice.items[].total`), and by variant."""
    found: dict[str, dict[str, Counter[str]]] = {}
    for variant, part in graded.items():
        for one in part:
            if one.fields is not None:
                for path, outcome in compared(one.gold, one.answer).items():
                    field = f"{one.sample.task}.{_INDEX.sub('[]', path)}"
                    found.setdefault(field, {name: Counter() for name in graded})[variant][outcome] += 1
    return dict(sorted(found.items()))

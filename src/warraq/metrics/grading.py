"""A raw answer against the right one -> its scores.

The sample (one page, one task) is graded, the document is drawn. A score is a ratio of two sums over documents, given
here as numerator and denominator, so that intervals and differences of all scores are made alike.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from warraq.files import JsonObject
from warraq.metrics import faithfulness, structure, tables
from warraq.metrics.catalogue import ScoreSums
from warraq.metrics.fields import Kinds
from warraq.metrics.structure import Element
from warraq.records import Prediction, Sample


@dataclass(frozen=True)
class AnswerScores:
    """A raw answer as it was read, and its scores.

    `answer` is None where the text does not fit the schema, `read` where it does not even once mended; their lists
    stand as those of the right answer do. The texts are None for a task without running text.
    """

    answer: JsonObject | None
    read: JsonObject | None
    strict: bool  # whether the text is strict JSON
    gold_text: str | None
    answer_text: str | None
    sums: ScoreSums

    def value(self, name: str) -> float | None:
        """The score of a name; None where the answer has none, or nothing to divide by."""
        numerator, denominator = self.sums.get(name, (0, 0))
        return numerator / denominator if denominator else None

    @property
    def quality(self) -> float:
        """How good the answer is, 0 to 1: the score that its task has of its own, else field F1, else 1 - CER.

        Checkpoints and tiers are chosen by it, and the pages of the report ranked. What does not fit the schema is
        worth half of what it reads, because no program can take it. Where there is nothing to find, only an answer
        that says so is good; a failed one never is.
        """
        if self.value("failed_share"):
            return 0.0
        worth = 1.0 if self.answer is not None else 0.5
        for name in ("question_score", "field_f1"):
            if name in self.sums:
                return worth * (self.value(name) or 0.0)
        errors, length = self.sums["cer"]
        return worth * (max(0.0, 1 - errors / length) if length else float(not errors))


@dataclass(frozen=True)
class GradedAnswer(AnswerScores):
    """A variant's answer to a sample, with its scores.

    `prediction` is None where there is no row for the sample, `kinds` for a task without fields.
    """

    sample: Sample
    prediction: Prediction | None
    gold: JsonObject
    kinds: Kinds | None
    confidence: float | None  # 0 to 1: the model's, or as the answer states it where the runtime does not tell

    @property
    def failed(self) -> bool:
        """Whether there is no answer."""
        return self.prediction is None or self.prediction.finish_reason == "error"

    @property
    def truncated(self) -> bool:
        """Whether it was cut at the token limit."""
        return self.prediction is not None and self.prediction.finish_reason == "length"


GradedVariants = dict[str, list[GradedAnswer]]
"""Every variant's answers to the same samples in the same order."""


def score_structure(gold: Sequence[Element], answer: Sequence[Element]) -> ScoreSums:
    """Scores of the elements of a page, and of the tables within them."""
    left, right = (
        [table for element in elements for table in tables.parse_tables(element.text)] for elements in (gold, answer)
    )
    return {**tables.score_tables(left, right), **structure.score_elements(gold, answer)}


def score_form(reference: str, raw: str, valid: bool, strict: bool, repaired: bool, finish_reason: str) -> ScoreSums:
    """Scores of any answer: its form, and what is in the raw text that the right answer, `reference`, has not."""
    foreign = faithfulness.count_foreign_letters(reference, raw)
    return {
        "schema_valid_share": (valid, 1),
        "strict_json_share": (strict, 1),
        "mended_share": (repaired and not valid, 1),
        "lost_share": (not repaired and not valid, 1),
        "truncated_share": (finish_reason == "length", 1),
        "failed_share": (finish_reason == "error", 1),
        "fenced_share": ("```" in raw, 1),
        "empty_share": (not any(map(str.isalnum, raw)), 1),
        "foreign_answer_share": (bool(foreign), 1),
        "foreign_letter_rate": (foreign.total(), len(raw)),
        # JSON of another schema repeats other keys than the reference, which is no circle
        "looped_answer_share": (
            faithfulness.has_added_loop(reference, raw) if valid else faithfulness.is_repetitive(raw),
            1,
        ),
        "talk_share": (faithfulness.has_talk(reference, raw), 1),
    }

"""Graded answers -> the tables behind the plots, each a list of rows with the same keys.

By field, by length, by place in the page, letter for letter, by confidence, page by page.
"""

import csv
import io
from collections import Counter
from itertools import groupby
from typing import Any, get_args

from warraq.metrics import review, text
from warraq.metrics.aggregate import count_field_outcomes, group_answers, sum_scores
from warraq.metrics.catalogue import GROUPS
from warraq.metrics.fields import Outcome
from warraq.metrics.grading import GradedAnswer, GradedVariants
from warraq.metrics.statistics import wilson_interval

PlotRow = dict[str, Any]
"""A line of a table, by column; None is empty."""
Plots = dict[str, list[PlotRow]]
"""The tables by the names of their files."""
FIFTHS = 5
BY_LENGTH = tuple(name for group in ("Faithfulness", "Text", "Tables and structure") for name in GROUPS[group])
BY_PAGE = (
    "question_score",
    "cer",
    "words_found",
    "words_true",
    "insertion_rate",
    "deletion_rate",
    "fact_precision",
    "teds",
    "field_f1",
    "schema_valid_share",
)


def build_plots(graded: GradedVariants, thresholds: review.Thresholds) -> Plots:
    """The rows of each file under plots/."""
    return {
        "fields": tabulate_fields(graded),
        "length": tabulate_lengths(graded),
        "place": tabulate_places(graded),
        "letters": tabulate_letters(graded),
        "confidence": tabulate_confidence(graded),
        "review": tabulate_review(graded, thresholds),
        "pages": tabulate_pages(graded),
    }


def tabulate_fields(graded: GradedVariants) -> list[PlotRow]:
    """The outcomes of each field, a column a variant and outcome."""
    return [
        {"field": name}
        | {f"{v}_{outcome}": counts[outcome] for v, counts in variants.items() for outcome in get_args(Outcome)}
        for name, variants in count_field_outcomes(graded).items()
    ]


def tabulate_lengths(graded: GradedVariants) -> list[PlotRow]:
    """Pages with text in fifths by the reference's length, shortest first, a column a variant and score of the text."""
    rows = []
    pages = [sorted((one for one in part if one.gold_text is not None), key=_length_key) for part in graded.values()]
    for fifth in range(FIFTHS):
        own = [part[len(part) * fifth // FIFTHS : len(part) * (fifth + 1) // FIFTHS] for part in pages]
        if own[0]:
            row = {"fifth": fifth + 1, "pages": len(own[0]), "shortest": _length_key(own[0][0])[0]}
            row["longest"] = _length_key(own[0][-1])[0]
            for variant, part in zip(graded, own, strict=True):
                row |= {f"{variant}_{name}": value for name, value in _divide_sums(part, BY_LENGTH).items()}
            rows.append(row)
    return rows


def _length_key(one: GradedAnswer) -> tuple[int, str]:
    return len(one.gold_text or ""), one.sample.page_id


def _divide_sums(graded: list[GradedAnswer], names: tuple[str, ...]) -> PlotRow:
    sums = sum_scores(graded)
    return {name: sums[name][0] / sums[name][1] if sums[name][1] else None for name in names}


def tabulate_places(graded: GradedVariants) -> list[PlotRow]:
    """Characters lost or changed, and added, by the reference's in each tenth of the page; two columns a variant."""
    rows: list[PlotRow] = [{"tenth": tenth + 1} for tenth in range(text.DECILES)]
    for variant, part in graded.items():
        places = [text.count_edits_by_place(one.gold_text, one.answer_text or "") for one in part if one.gold_text]
        for tenth, row in enumerate(rows):
            missed, added, size = (sum(page[tenth][part] for page in places) for part in range(3))
            row[f"{variant}_missed"] = missed / size if size else None
            row[f"{variant}_added"] = added / size if size else None
    return rows


def tabulate_letters(graded: GradedVariants, most: int = 100) -> list[PlotRow]:
    """What was read for what in answers that fit the schema, the commonest first; '' stands for nothing."""
    rows = []
    for variant, part in graded.items():
        counts: Counter[tuple[str, str]] = Counter()
        for one in part:
            if one.gold_text is not None and one.answer_text is not None and one.answer is not None:
                counts += text.count_confusions(one.gold_text, one.answer_text)
        common = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:most]
        rows += [{"variant": variant, "reference": a, "answer": b, "count": count} for (a, b), count in common]
    return rows


def tabulate_confidence(graded: GradedVariants) -> list[PlotRow]:
    """Confidence against the errors of the same answers, the surest fifth first.

    `error` is the share in it (reliability), `error_above` and `coverage` what is wrong and how much is read if all
    below it goes to a person (risk and coverage). Equal confidence is not parted. Errors are shares of fields, or of
    characters where the task has none.
    """
    rows = []
    for variant, part in graded.items():
        for task in sorted({one.sample.task for one in part}):
            own = [one for one in part if one.sample.task == task and one.confidence is not None]
            everything = sum(review.count_errors(one)[1] for one in own)
            above_wrong, above_all = 0.0, 0.0
            for group in _split_fifths(sorted(own, key=review.read_confidence, reverse=True)):
                wrong, size = (sum(parts) for parts in zip(*map(review.count_errors, group), strict=True))
                above_wrong, above_all = above_wrong + wrong, above_all + size
                if size:
                    lo, hi = wilson_interval(wrong / size, len(group))
                    rows.append(
                        {
                            "variant": variant, "task": task, "highest": group[0].confidence,
                            "lowest": group[-1].confidence, "answers": len(group), "error": wrong / size,
                            "error_lo": lo, "error_hi": hi, "coverage": above_all / everything,
                            "error_above": above_wrong / above_all,
                        }
                    )  # fmt: skip
    return rows


def _split_fifths(answers: list[GradedAnswer]) -> list[list[GradedAnswer]]:
    """At most five parts of about the same size, in their order; equal confidence stays together."""
    parts: list[list[GradedAnswer]] = []
    for _, group in groupby(answers, key=review.read_confidence):
        if not parts or sum(map(len, parts)) >= len(answers) * len(parts) / FIFTHS:
            parts.append([])
        parts[-1] += group
    return parts


def tabulate_review(graded: GradedVariants, thresholds: review.Thresholds) -> list[PlotRow]:
    """How many answers to each task a person has to read, by the threshold of validation, and what is wrong in others.

    That is a share of fields, or of characters where the task has none.
    """
    rows = []
    for variant, by_task in thresholds.items():
        for task, level in by_task.items():
            part = [one for one in graded[variant] if one.sample.task == task]
            unread = [review.count_errors(one) for one in part if not review.needs_review(one, level)]
            wrong, size = (sum(parts) for parts in zip((0, 0), *unread, strict=True))
            rows.append(
                {
                    "task": task, "variant": variant, "threshold": level, "answers": len(part),
                    "needs_review": len(part) - len(unread), "unread_error": wrong / size if size else None,
                }
            )  # fmt: skip
    return rows


def tabulate_pages(graded: GradedVariants) -> list[PlotRow]:
    """A line a page and variant, to be compared between runs."""
    rows = []
    for page_id, variants in group_answers(graded, lambda one: one.sample.page_id).items():
        rows += [
            {"page_id": page_id, "variant": name, **_divide_sums(part, BY_PAGE)} for name, part in variants.items()
        ]
    return rows


def format_csv(rows: list[PlotRow]) -> str:
    """Comma-separated with a header, numbers rounded to six digits, None empty."""
    stream = io.StringIO()
    table = csv.DictWriter(stream, rows[0] if rows else ["variant"], lineterminator="\n")
    table.writeheader()
    table.writerows({key: round(one, 6) if isinstance(one, float) else one for key, one in row.items()} for row in rows)
    return stream.getvalue()

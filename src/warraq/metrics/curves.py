"""Graded answers -> the tables behind the plots: by length, by place in the page, letter for letter, by
confidence, page by page. Each is a list of rows with the same keys."""

from collections import Counter
from itertools import groupby
from typing import Any, get_args

from warraq.metrics import grading, review, text
from warraq.metrics.catalogue import GROUPS
from warraq.metrics.fields import Outcome
from warraq.metrics.grading import Graded, Variants, field_counts, grouped
from warraq.metrics.statistics import wilson

Row = dict[str, Any]
FIFTHS = 5
BY_LENGTH = tuple(name for group in ("Faithfulness", "Text", "Tables and structure") for name in GROUPS[group])
BY_PAGE = ("cer", "insertion_rate", "deletion_rate", "fact_precision", "teds", "field_f1", "schema_valid_share")


def plots(graded: Variants, thresholds: review.Thresholds) -> dict[str, list[Row]]:
    """The rows of each file under plots/."""
    return {
        "fields": by_field(graded),
        "length": by_length(graded),
        "place": by_place(graded),
        "letters": by_letter(graded),
        "confidence": by_confidence(graded),
        "review": by_review(graded, thresholds),
        "pages": by_page(graded),
    }


def by_field(graded: Variants) -> list[Row]:
    """The outcomes of each field, a column a variant and outcome."""
    return [
        {"field": name}
        | {f"{v}_{outcome}": counts[outcome] for v, counts in variants.items() for outcome in get_args(Outcome)}
        for name, variants in field_counts(graded).items()
    ]


def by_length(graded: Variants) -> list[Row]:
    """Pages with text in fifths by the reference's length, shortest first, a column a variant and score of the text."""
    rows = []
    pages = [sorted((one for one in part if one.gold_text is not None), key=_length) for part in graded.values()]
    for fifth in range(FIFTHS):
        own = [part[len(part) * fifth // FIFTHS : len(part) * (fifth + 1) // FIFTHS] for part in pages]
        if own[0]:
            row = {"fifth": fifth + 1, "pages": len(own[0]), "shortest": _length(own[0][0])[0]}
            row["longest"] = _length(own[0][-1])[0]
            for variant, part in zip(graded, own, strict=True):
                row |= {f"{variant}_{name}": value for name, value in _ratios(part, BY_LENGTH).items()}
            rows.append(row)
    return rows


def _length(one: Graded) -> tuple[int, str]:
    return len(one.gold_text or ""), one.sample.page_id


def _ratios(graded: list[Graded], names: tuple[str, ...]) -> Row:
    sums = grading.added(graded)
    return {name: sums[name][0] / sums[name][1] if sums[name][1] else None for name in names}


def by_place(graded: Variants) -> list[Row]:
    """Characters lost or changed, and added, by the reference's in each tenth of the page; two columns a variant."""
    rows: list[Row] = [{"tenth": tenth + 1} for tenth in range(text.DECILES)]
    for variant, part in graded.items():
        places = [text.by_place(one.gold_text, one.answer_text or "") for one in part if one.gold_text]
        for tenth, row in enumerate(rows):
            missed, added, size = (sum(page[tenth][part] for page in places) for part in range(3))
            row[f"{variant}_missed"] = missed / size if size else None
            row[f"{variant}_added"] = added / size if size else None
    return rows


def by_letter(graded: Variants, most: int = 100) -> list[Row]:
    """What was read for what in answers that fit the schema, the commonest first; '' stands for nothing."""
    rows = []
    for variant, part in graded.items():
        counts: Counter[tuple[str, str]] = Counter()
        for one in part:
            if one.gold_text is not None and one.answer_text is not None and one.answer is not None:
                counts += text.confusions(one.gold_text, one.answer_text)
        common = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:most]
        rows += [{"variant": variant, "reference": a, "answer": b, "count": count} for (a, b), count in common]
    return rows


def by_confidence(graded: Variants) -> list[Row]:
    """Confidence against the errors of the same answers, the surest fifth first: `error` in it (reliability), and
    `error_above` and `coverage` if all below it went to a person (risk and coverage). Equal confidence is not parted.
    Errors are shares of fields, or of characters where the task has none."""
    rows = []
    for variant, part in graded.items():
        for task in sorted({one.sample.task for one in part}):
            own = [one for one in part if one.sample.task == task and one.confidence is not None]
            everything = sum(review.error(one)[1] for one in own)
            above_wrong, above_all = 0.0, 0.0
            for group in _fifths(sorted(own, key=review.stated, reverse=True)):
                wrong, size = (sum(parts) for parts in zip(*map(review.error, group), strict=True))
                above_wrong, above_all = above_wrong + wrong, above_all + size
                if size:
                    lo, hi = wilson(wrong / size, len(group))
                    rows.append(
                        {
                            "variant": variant, "task": task, "highest": group[0].confidence,
                            "lowest": group[-1].confidence, "answers": len(group), "error": wrong / size,
                            "error_lo": lo, "error_hi": hi, "coverage": above_all / everything,
                            "error_above": above_wrong / above_all,
                        }
                    )  # fmt: skip
    return rows


def _fifths(answers: list[Graded]) -> list[list[Graded]]:
    """At most five parts of about the same size, in their order; equal confidence stays together."""
    parts: list[list[Graded]] = []
    for _, group in groupby(answers, key=review.stated):
        if not parts or sum(map(len, parts)) >= len(answers) * len(parts) / FIFTHS:
            parts.append([])
        parts[-1] += group
    return parts


def by_review(graded: Variants, thresholds: review.Thresholds) -> list[Row]:
    """How many answers to each task a person has to read, by the threshold of validation, and what is wrong in the
    others: a share of fields, or of characters where the task has none."""
    rows = []
    for variant, by_task in thresholds.items():
        for task, level in by_task.items():
            part = [one for one in graded[variant] if one.sample.task == task]
            unread = [review.error(one) for one in part if not review.needed(one, level)]
            wrong, size = (sum(parts) for parts in zip((0, 0), *unread, strict=True))
            rows.append(
                {
                    "task": task, "variant": variant, "threshold": level, "answers": len(part),
                    "needs_review": len(part) - len(unread), "unread_error": wrong / size if size else None,
                }
            )  # fmt: skip
    return rows


def told_apart(graded: list[Graded]) -> float | None:
    """AUROC of the confidence: how often a right field has more of it than a wrong one, ties half; 0.5 is no
    information. None without confidence, right or wrong fields."""
    known = [one for one in graded if one.confidence is not None and one.kinds is not None]
    won, wrong_below, right_all = 0.0, 0.0, 0.0
    for _, group in groupby(sorted(known, key=review.stated), key=review.stated):
        wrong, size = (sum(parts) for parts in zip(*map(review.error, group), strict=True))
        won += (size - wrong) * (wrong_below + wrong / 2)
        wrong_below, right_all = wrong_below + wrong, right_all + size - wrong
    return won / (right_all * wrong_below) if right_all and wrong_below else None


def by_page(graded: Variants) -> list[Row]:
    """A line a page and variant, to be compared between runs."""
    rows = []
    for page_id, variants in grouped(graded, lambda one: one.sample.page_id).items():
        rows += [{"page_id": page_id, "variant": name, **_ratios(part, BY_PAGE)} for name, part in variants.items()]
    return rows


def csv(rows: list[Row]) -> str:
    """Comma-separated with a header, numbers rounded to six digits, None empty."""
    import csv as writer
    import io

    stream = io.StringIO()
    table = writer.DictWriter(stream, rows[0] if rows else ["variant"], lineterminator="\n")
    table.writeheader()
    table.writerows({key: round(one, 6) if isinstance(one, float) else one for key, one in row.items()} for row in rows)
    return stream.getvalue()

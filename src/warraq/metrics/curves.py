"""Graded answers -> the tables behind the plots: by length, by place in the page, letter for letter, by stated
confidence, page by page. Each is a list of rows with the same keys."""

from collections import Counter
from itertools import groupby
from typing import Any, get_args

from warraq.metrics import text
from warraq.metrics.grading import Graded, Variants, added, field_counts, grouped
from warraq.metrics.json import Outcome, compared
from warraq.metrics.statistics import wilson

Row = dict[str, Any]
FIFTHS = 5
BY_LENGTH = ("cer", "insertion_rate", "deletion_rate", "words_found")
BY_PAGE = ("cer", "insertion_rate", "deletion_rate", "fact_precision", "teds", "field_f1", "schema_valid_share")


def plots(graded: Variants) -> dict[str, list[Row]]:
    """The rows of each file under plots/."""
    return {
        "fields": by_field(graded),
        "length": by_length(graded),
        "place": by_place(graded),
        "letters": by_letter(graded),
        "confidence": by_confidence(graded),
        "pages": by_page(graded),
    }


def by_field(graded: Variants) -> list[Row]:
    """The outcomes of each field."""
    return [
        {"field": name, "variant": variant, **{outcome: counts[outcome] for outcome in get_args(Outcome)}}
        for name, variants in field_counts(graded).items()
        for variant, counts in variants.items()
    ]


def by_length(graded: Variants) -> list[Row]:
    """Pages with text in fifths by the reference's length, shortest first, a column a variant and score."""
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
    sums = added(graded)
    return {name: sums[name][0] / sums[name][1] if sums[name][1] else None for name in names}


def by_place(graded: Variants) -> list[Row]:
    """The share of the reference's characters lost or changed in each tenth of the page, a column a variant."""
    rows: list[Row] = [{"tenth": tenth + 1} for tenth in range(text.DECILES)]
    for variant, part in graded.items():
        missed, sizes = [0] * text.DECILES, [0] * text.DECILES
        for one in part:
            if one.gold_text:
                for tenth, (lost, size) in enumerate(text.missed_by_place(one.gold_text, one.answer_text or "")):
                    missed[tenth] += lost
                    sizes[tenth] += size
        for row, lost, size in zip(rows, missed, sizes, strict=True):
            row[f"{variant}_missed"] = lost / size if size else None
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
    """Stated confidence against the fields of the same answer: `error` where it is stated so high (reliability), and
    `error_above` and `coverage` if all below it went to a person (risk and coverage)."""
    rows = []
    for variant, part in graded.items():
        stated = sorted(
            ((one.confidence, *_fields(one)) for one in part if one.confidence is not None), key=lambda row: -row[0]
        )
        everything, above_wrong, above_all = sum(row[2] for row in stated), 0, 0
        for level, group in groupby(stated, key=lambda row: row[0]):
            cases = list(group)
            wrong, size = sum(row[1] for row in cases), sum(row[2] for row in cases)
            above_wrong, above_all = above_wrong + wrong, above_all + size
            if size:
                lo, hi = wilson(wrong / size, size)
                rows.append(
                    {
                        "variant": variant, "confidence": level, "answers": len(cases), "fields": size,
                        "error": wrong / size, "error_lo": lo, "error_hi": hi,
                        "coverage": above_all / everything, "error_above": above_wrong / above_all,
                    }
                )  # fmt: skip
    return rows


def _fields(one: Graded) -> tuple[int, int]:
    """Wrong ones and all of the fields that an answer or its reference has."""
    outcomes = Counter(compared(one.gold, one.answer, one.kinds).values())
    size = outcomes.total() - outcomes["correct_null"]
    return size - outcomes["correct"], size


def told_apart(graded: list[Graded]) -> float | None:
    """AUROC of the stated confidence: how often a right field is stated with more confidence than a wrong one, ties
    half; 0.5 is no information. None without confidence, right or wrong fields."""
    levels = sorted({one.confidence for one in graded if one.confidence is not None})
    wrong, right = dict.fromkeys(levels, 0.0), dict.fromkeys(levels, 0.0)
    for one in graded:
        if one.confidence is not None:
            errors, size = _fields(one)
            wrong[one.confidence] += errors
            right[one.confidence] += size - errors
    pairs = sum(right.values()) * sum(wrong.values())
    if not pairs:
        return None
    won = sum(right[a] * wrong[b] * (1 if a > b else 0.5) for a in levels for b in levels if a >= b)
    return won / pairs


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

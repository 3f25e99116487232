"""Labels -> how many pages have an answer and of whom, how many have none and why."""

from collections import Counter
from collections.abc import Mapping, Sequence

from warraq.records import Label


def count_outcomes(rows: Sequence[Label]) -> dict[str, int]:
    """How many pages are answered by whom, how many have no answer and why, how many answers are in doubt and why."""
    answers = [row for row in rows if row.answer is not None]
    counts = Counter(f"answered_{row.teacher}" for row in answers)
    counts += Counter(f"declined_{row.reason}" for row in rows if row.answer is None)
    for row in answers:
        counts.update({f"doubt_{doubt.partition(':')[0]}" for doubt in (row.message or "").split("; ") if doubt})
    return {"pages": len(rows), "answered": len(answers), **dict(sorted(counts.items()))}


def summarize_labels(rows: Sequence[Label], earlier: Mapping[str, Label]) -> str:
    """What a run added to the labels of the run before, which `earlier` holds by page_id, in a line."""
    fresh = [row for row in rows if row.answer is None or earlier.get(row.page_id) != row]
    teachers = Counter(row.teacher for row in fresh if row.answer)
    reasons = Counter(row.reason for row in fresh if row.reason)
    parts = [f"{name} {count}" for name, count in sorted(teachers.items())]
    if reasons:
        by_reason = ", ".join(f"{name} {count}" for name, count in sorted(reasons.items()))
        parts.append(f"declined {reasons.total()} ({by_reason})")
    line = f"{len(rows)} pages, {len(rows) - len(fresh)} known, {len(fresh)} asked"
    return ": ".join([line, ", ".join(parts)]) if parts else line

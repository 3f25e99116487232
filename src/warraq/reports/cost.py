"""What 1,000 pages cost and take, of teacher and student, and from how many pages on the student is cheaper."""

import math
from dataclasses import dataclass

from warraq.reports.student_metrics import StudentMetrics


@dataclass(frozen=True)
class TeacherCost:
    """Of a page with all its tasks, measured on the pages that were bought."""

    model: str
    usd: float
    seconds: float


def render_cost_table(
    metrics: StudentMetrics, teacher: TeacherCost | None, spent_usd: float, usd_per_hour: float
) -> str:
    """A table in Markdown. `spent_usd` is what all labels cost, `usd_per_hour` what the student's machine costs."""
    rows = ["| | USD per 1,000 pages | s per 1,000 pages |", "|---|---|---|"]
    if teacher is not None:
        rows.append(f"| {teacher.model} | {1000 * teacher.usd:.2f} | {1000 * teacher.seconds:.0f}, one at a time |")
    notes = []
    for variant in metrics.variants:
        rate = metrics.get_number(f"{variant}_pages_per_s")
        if not rate:
            continue
        usd = usd_per_hour / 3600 / rate
        rows.append(f"| {variant} | {1000 * usd:.2f} | {1000 / rate:.0f} |")
        if teacher is not None and variant in ("merged", "onnx"):
            notes.append(f"{variant}: {_describe_break_even(spent_usd, teacher.usd - usd)}")
    spent = f"Labels cost {spent_usd:.2f} USD; the student's machine {usd_per_hour:.2f} USD an hour."
    why = "" if teacher is not None else " No page was bought, so there is no teacher to compare with."
    return "\n".join([*rows, "", spent + why, *notes])


def _describe_break_even(spent_usd: float, saved_usd: float) -> str:
    if saved_usd <= 0:
        return "costs more a page than the teacher, at any number of pages."
    return f"cheaper than the teacher from {math.ceil(spent_usd / saved_usd):,} pages on (training not counted)."

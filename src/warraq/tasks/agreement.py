"""Two answers to the same page -> how far they agree.

Of two people, the second of whom did not see what the first one said, it is the ceiling: a score against either of them
cannot tell a better reader from another person.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from warraq import tasks
from warraq.metrics.catalogue import READING
from warraq.metrics.statistics import Estimate, Weighings, bound_score
from warraq.records import Page, Review
from warraq.reviews import count_second_reading, read_review_rows, select_reviews
from warraq.tasks import JsonObject, Task, dumps
from warraq.tasks.scoring import score_core

COMPARED = ("cer", *READING)


@dataclass(frozen=True)
class Pair:
    """Two answers to a page; the first is the one that the other is scored against."""

    task: Task
    document: str
    first: JsonObject
    second: JsonObject


@dataclass(frozen=True)
class Agreement:
    """The scores of some pairs, over documents; `answers` are the pairs that could be compared."""

    answers: int
    documents: int
    scores: Mapping[str, Estimate]  # by name, those that any pair has


def read_pairs(reviews: Path | None, task_names: Iterable[str], pages: Mapping[str, Page]) -> list[Pair]:
    """The pairs of two people of some tasks, from the files in `reviews`, if any."""
    loaded = map(tasks.load, task_names if reviews else ())
    files = [(task, read_review_rows(Path(reviews or "") / f"{task.name}.jsonl", task.name)) for task in loaded]
    return [pair for task, rows in files for pair in pair_readings(rows, task, pages)]


def pair_readings(rows: Sequence[Review], task: Task, pages: Mapping[str, Page]) -> list[Pair]:
    """What second readers made of the pages of the first, of one task's reviews in their order."""
    current = select_reviews(rows)
    return [
        Pair(task, pages[page_id].document, first.answer, row.answer)
        for page_id, row in select_reviews(rows, count_second_reading).items()
        if page_id in pages and (first := current.get(page_id)) and first.answer is not None and row.answer is not None
    ]


def measure_agreement(pairs: Sequence[Pair], drawings: int, seed: int) -> Agreement:
    """The scores of second answers against first ones; a pair that no longer fits its schema is left out."""
    sums: dict[str, dict[str, list[float]]] = {name: defaultdict(lambda: [0.0, 0.0]) for name in COMPARED}
    documents = []
    for pair in pairs:
        first, second = (dumps(pair.task.upgrade(answer)) for answer in (pair.first, pair.second))
        gold, _ = pair.task.parse(first)
        if gold is None or pair.task.parse(second)[0] is None:
            continue
        documents.append(pair.document)
        for name, (numerator, denominator) in score_core(pair.task, gold, second).sums.items():
            if name in sums:
                sums[name][pair.document][0] += numerator
                sums[name][pair.document][1] += denominator
    columns = {name: [bound_score(*one) for one in part.values()] for name, part in sums.items() if part}
    estimates = {name: Weighings({name: part}, drawings, seed).estimate(name) for name, part in columns.items()}
    scores = {name: one for name, one in estimates.items() if one.value is not None}
    return Agreement(len(documents), len(set(documents)), scores)


def measure_people(pairs: Sequence[Pair], drawings: int, seed: int) -> dict[str, float | int | None]:
    """The agreement of two people in the names of metrics.json: `people_<score>`, and `people_<task>_<score>` of each
    task, with `_lo` and `_hi`."""
    numbers: dict[str, float | int | None] = {}
    for name in sorted({one for pair in pairs for one in ("", pair.task.name)}):
        agreement = measure_agreement([pair for pair in pairs if name in ("", pair.task.name)], drawings, seed)
        key = "people_" + f"{name}_" * bool(name)
        numbers |= {f"{key}answers": agreement.answers, f"{key}documents": agreement.documents}
        for score, estimate in agreement.scores.items():
            numbers |= {
                f"{key}{score}": estimate.value,
                f"{key}{score}_lo": estimate.lo,
                f"{key}{score}_hi": estimate.hi,
            }
    return numbers

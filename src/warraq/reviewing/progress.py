"""How far the reading is, how good the teacher is and how well people agree, and what to do next."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from warraq.datasets.splits import FEW_DOCUMENTS, assign_splits, read_splits
from warraq.files import JsonObject
from warraq.metrics.review import count_documents_needed
from warraq.metrics.statistics import Estimate
from warraq.reviewing.project import ReviewProject
from warraq.reviewing.queues import Item, list_items
from warraq.tasks.agreement import Pair, measure_agreement, pair_readings

LATEST = 50  # reviews by whose time the next ones are estimated
DRAWINGS = 2000  # times that the documents are weighed for an interval
SCORES = ("cer", "field_f1")


@dataclass(frozen=True)
class Wanted:
    """What `dataset` and `evaluate` will ask for, by params.yaml."""

    test_share: float
    validation_share: float
    accepted_error: float


@dataclass(frozen=True)
class Comparison:
    """How two answers to the same pages differ in a score, over documents."""

    task: str
    score: str  # one of SCORES
    pages: int
    estimate: Estimate


def measure_pace(project: ReviewProject, reviewer: str, task: str) -> float | None:
    """Seconds that a page of a task, if one is named, takes a person: the median of the last, None before the first."""
    logs = [log for name, log in project.logs.items() if task in ("", name)]
    rows = [row for log in logs for row in log.rows if row.seconds is not None and row.at]
    own = [row for row in rows if row.reviewer == reviewer] or rows
    own.sort(key=lambda row: row.at or "")
    return median(row.seconds or 0.0 for row in own[-LATEST:]) if own else None


def compare_teacher(project: ReviewProject, items: Iterable[Item]) -> list[Comparison]:
    """What people made of the teacher's labels that they looked at."""
    pairs = []
    for item in items:
        review = project.logs[item.task].current.get(item.page_id)
        if review is None or review.answer is None or item.label is None or item.label.teacher == "human":
            continue
        if item.label.answer is not None:
            pairs.append(Pair(project.tasks[item.task], item.document, review.answer, item.label.answer))
    return list(_compare(project, pairs))


def compare_people(project: ReviewProject) -> list[Comparison]:
    """What second readers, who did not see it, made of the pages of the first."""
    project.refresh()
    pairs = [pair for log in project.logs.values() for pair in pair_readings(log.rows, log.task, project.pages)]
    return list(_compare(project, pairs))


def _compare(project: ReviewProject, pairs: Sequence[Pair]) -> Iterator[Comparison]:
    for name in project.task_names:
        agreement = measure_agreement([pair for pair in pairs if pair.task.name == name], DRAWINGS, seed=1)
        for score in SCORES:
            if score in agreement.scores:
                yield Comparison(name, score, agreement.answers, agreement.scores[score])


def count_gold(project: ReviewProject, items: Sequence[Item], wanted: Wanted) -> JsonObject:
    """Gold pages by task, the validation documents that a threshold needs and has, and the next command."""
    gold = dict.fromkeys(project.task_names, 0)
    labelled: set[str] = set()
    for item in items:
        gold[item.task] += item.status == "answered"
        if item.status == "answered" or (item.status != "unreadable" and item.label and item.label.answer is not None):
            labelled.add(item.document)
    splits = assign_splits(
        {document: document for document in labelled}, set(), set(), read_splits(project.folders.data / "splits.csv"),
        test_share=wanted.test_share, validation_share=wanted.validation_share,
    )  # fmt: skip
    has = sum(split == "val" for split in splits.values())
    needed = count_documents_needed(wanted.accepted_error)
    enough = len(labelled) >= FEW_DOCUMENTS
    return {
        "gold": gold, "labelled_documents": len(labelled), "validation_documents": has,
        "validation_needed": needed, "next": "make repro" if enough else "make review",
    }  # fmt: skip


def describe_comparison(comparison: Comparison) -> str:
    """One line for the terminal: `content: CER 0.012 [0.004, 0.031], 12 pages of 5 documents`."""
    estimate = comparison.estimate
    name = {"cer": "CER", "field_f1": "field F1"}[comparison.score]
    value = f"{estimate.value:.3f}" if estimate.value is not None else "unknown"
    if estimate.lo is not None and estimate.hi is not None:
        value += f" [{estimate.lo:.3f}, {estimate.hi:.3f}]"
    return f"{comparison.task}: {name} {value}, {comparison.pages} pages of {estimate.documents} documents"


def describe_progress(project: ReviewProject, wanted: Wanted) -> str:
    """What the page tells too, for the terminal."""
    items = list_items(project)
    told = count_gold(project, items, wanted)
    lines = ["gold pages: " + ", ".join(f"{name} {count}" for name, count in told["gold"].items())]
    lines.append(
        f"validation documents: {told['validation_documents']} of {told['validation_needed']} that a threshold in "
        "review.json needs"
    )
    lines += [f"teacher against people, {describe_comparison(one)}" for one in compare_teacher(project, items)]
    lines += [f"two people, {describe_comparison(one)}" for one in compare_people(project)]
    return "\n".join([*lines, f"next: {told['next']}"])

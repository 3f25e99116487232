"""Where a project stands, from its files alone: what came in, who labelled it, what is trained, what to do next.

Nothing is written and no stage is run; DVC is asked for `status` alone, which compares hashes.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from warraq.datasets.splits import FEW_DOCUMENTS
from warraq.dvc_repo import list_stale_stages
from warraq.files import read_json
from warraq.records import Label, Page, Rejected, Row, read_rows
from warraq.reviews import read_reviews

MODELS = ("adapter", "merged", "onnx")
"""What a student's folder in models/ comes to hold, in this order."""

R = TypeVar("R", bound=Row)

Line = tuple[str, str]
"""A heading and what is said of it."""


@dataclass(frozen=True)
class Project:
    """What of a checkout decides where it stands."""

    files: int  # in data/raw, hidden ones and documents.csv aside
    pages: list[Page]
    rejected: list[Rejected]
    labels: Mapping[str, Mapping[str, Label]]  # task -> page -> what a teacher said
    answered: Mapping[str, set[str]]  # task -> pages that a person answered
    sides: Mapping[str, int]  # documents of the dataset by split; empty where there is none
    models: list[str]  # of MODELS
    stale: list[str]  # stages whose result is not that of what is there now

    @property
    def labelled_documents(self) -> set[str]:
        """The documents of which a page has an answer."""
        return {
            page.document
            for page in self.pages
            for task, labels in self.labels.items()
            if page.page_id in self.answered[task] or ((row := labels.get(page.page_id)) and row.answer is not None)
        }


def read_project(root: Path, tasks: Sequence[str], student: str) -> Project:
    """The project in the checkout `root`, as far as it has come; `student` is whose models are meant."""
    data, audit = root / "data", root / "data/dataset/audit.json"
    raw = [path for path in (data / "raw").rglob("*") if path.is_file() and not path.name.startswith(".")]
    pages = _read_existing(data / "pages/pages.jsonl", Page)
    splits = read_json(audit)["splits"] if audit.exists() else {}
    return Project(
        files=sum(path.name != "documents.csv" for path in raw),
        pages=pages,
        rejected=_read_existing(data / "pages/rejected.jsonl", Rejected),
        labels={name: _read_labels(data / f"labels/{name}.jsonl") for name in tasks},
        answered={
            name: {page for page, row in read_reviews(data / "reviews", name).items() if row.status == "answered"}
            for name in tasks
        },
        sides={name: side["documents"] for name, side in splits.items()},
        models=[name for name in MODELS if (root / "models" / student / name).exists()],
        stale=list_stale_stages(root, student) if pages else [],
    )


def describe_project(project: Project, student: str) -> list[Line]:
    """A line for each thing that is there, and the next command last."""
    lines = [("files", f"{project.files or 'none'} in data/raw")]
    if project.pages or project.rejected:
        lines.append(("pages", _describe_pages(project)))
    if project.pages:
        lines += [(task, _describe_task(project, task)) for task in project.labels]
    if project.sides:
        lines.append(("dataset", ", ".join(f"{name} {count} documents" for name, count in project.sides.items())))
    lines.append((student, ", ".join(project.models) or "not trained"))
    if project.stale:
        lines.append(("to run", ", ".join(project.stale)))
    return [*lines, ("next", advise(project, student))]


def advise(project: Project, student: str) -> str:
    """The next command, and what it is for."""
    named = "" if student == "nano" else f" STUDENT={student}"
    labelled = len(project.labelled_documents)
    if not project.files:
        return "cp -r YOUR_FILES data/raw (or `make demo` for synthetic ones)"
    if not project.pages:
        return f"make review (page images, which people label), or make repro{named} (teachers of params.yaml label)"
    if not any(project.labels.values()) and not labelled:
        return f"make repro{named} (the teachers of params.yaml label), or make review (people do)"
    if labelled < FEW_DOCUMENTS:
        return f"make review ({labelled} labelled documents are too few to learn from and to measure by)"
    if project.stale or "merged" not in project.models:
        return f"make repro{named}"
    return f"make read FILES=YOUR_FILES{named}"


def _describe_pages(project: Project) -> str:
    documents = len({page.document for page in project.pages})
    damaged = sum(page.damage is not None for page in project.pages)
    told = f"{len(project.pages)} of {documents} documents" + (f", {damaged} of them damaged" if damaged else "")
    return told + _count_reasons(" refused", (row.reason for row in project.rejected))


def _describe_task(project: Project, task: str) -> str:
    """How many pages have an answer and by whom, how many wait, how many have none and why."""
    labels, answered = project.labels[task], project.answered[task]
    here = [page.page_id for page in project.pages]
    rows = [labels[page] for page in here if page in labels and page not in answered]
    by = Counter(row.teacher for row in rows if row.answer is not None)
    by["human"] += sum(page in answered for page in here)
    told = ", ".join(f"{name} {count}" for name, count in sorted(by.items()) if count)
    waiting = sum(page not in labels and page not in answered for page in here)
    return (
        f"{by.total()} of {len(here)} pages labelled" + (f" ({told})" if told else "")
        + (f"; {waiting} waiting" if waiting else "")
        + _count_reasons(" without an answer", (row.reason for row in rows if row.reason is not None))
    )  # fmt: skip


def _count_reasons(of: str, reasons: Iterable[str]) -> str:
    counts = Counter(reasons)
    told = ", ".join(f"{reason} {count}" for reason, count in counts.most_common())
    return f"; {counts.total()}{of} ({told})" if counts else ""


def _read_labels(path: Path) -> dict[str, Label]:
    return {row.page_id: row for row in _read_existing(path, Label)}


def _read_existing(path: Path, row: type[R]) -> list[R]:
    return read_rows(path, row) if path.exists() else []

"""The files of a project as the page shows them: pages, labels, predictions, what documents.csv says of each."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from warraq import tasks
from warraq.documents import list_carriers, read_documents
from warraq.editor.log import ReviewLog
from warraq.errors import InputError
from warraq.files import JsonObject
from warraq.records import Label, Page, Prediction, read_rows
from warraq.tasks import Task
from warraq.tasks.scoring import repair_answer

Key = tuple[str, str]
"""Page and task."""


@dataclass(frozen=True)
class ReviewFolders:
    """Where a project has what is read; `reviews` and `drafts` alone are written."""

    data: Path  # raw, pages, labels, reviews, ledger, drafts
    reports: Path  # <student>/<variant>/predictions.jsonl
    model: Path | None = None  # a finished model that is asked about pages which nobody has answered

    @property
    def pages(self) -> Path:
        """What render wrote."""
        return self.data / "pages"

    @property
    def reviews(self) -> Path:
        """The answers of people."""
        return self.data / "reviews"

    @property
    def drafts(self) -> Path:
        """What is not saved yet, and what was read on the way."""
        return self.data / "drafts"


@dataclass
class ReviewProject:
    """All that is known before anybody says anything, read again when its files have changed."""

    folders: ReviewFolders
    task_names: Sequence[str]
    logs: dict[str, ReviewLog] = field(init=False)
    version: int = 0  # one more whenever pages, labels or predictions were read again
    _stamps: list[tuple[str, int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.logs = {name: ReviewLog(self.folders.reviews, task) for name, task in self.tasks.items()}

    @cached_property
    def tasks(self) -> dict[str, Task]:
        """By name."""
        return {name: tasks.load(name) for name in self.task_names}

    @cached_property
    def pages(self) -> dict[str, Page]:
        """By id, in their order.

        Raises:
            InputError: there are none.
        """
        pages = {page.page_id: page for page in read_rows(self.folders.pages / "pages.jsonl", Page)}
        if not pages:
            raise InputError(f"{self.folders.pages} has no pages; put files into data/raw and run `dvc repro render`.")
        return pages

    @cached_property
    def sensitivity(self) -> dict[str, str]:
        """Document -> what documents.csv says of it, if anything."""
        said = {row.file: row.sensitivity for row in read_documents(self.folders.data / "raw/documents.csv")}
        return {
            page.document: next(
                (said[name] for file in page.files for name in list_carriers(file) if said.get(name)), ""
            )
            for page in self.pages.values()
        }

    @cached_property
    def labels(self) -> dict[Key, Label]:
        """What the teachers answered, where `label` has run."""
        paths = [self.folders.data / f"labels/{name}.jsonl" for name in self.task_names]
        rows = [row for path in paths if path.exists() for row in read_rows(path, Label)]
        return {(row.page_id, row.task): row for row in rows if row.page_id in self.pages}

    @cached_property
    def predictions(self) -> dict[Key, list[tuple[str, Prediction]]]:
        """What students answered: names like `nano merged`, the latest first."""
        found: dict[Key, list[tuple[str, Prediction]]] = defaultdict(list)
        paths = sorted(self.folders.reports.glob("*/*/predictions.jsonl"), key=lambda path: -path.stat().st_mtime_ns)
        for path in paths:
            if path.parent.name != "base":
                for row in read_rows(path, Prediction):
                    if row.finish_reason != "error" and row.task in self.tasks:
                        found[row.page_id, row.task].append((f"{path.parent.parent.name} {path.parent.name}", row))
        return dict(found)

    def read_prediction(self, prediction: Prediction) -> JsonObject | None:
        """The answer of a prediction, mended where that can be; None where there is none."""
        task = self.tasks[prediction.task]
        answer, _ = task.parse(prediction.text)
        return answer if answer is not None else repair_answer(task, prediction.text)

    def refresh(self) -> None:
        """Read again what has changed, but for pages that are being written just now."""
        for log in self.logs.values():
            log.refresh()
        stamps = self._read_stamps()
        if stamps != self._stamps and (self.folders.pages / "pages.jsonl").exists():
            self._stamps, self.version = stamps, self.version + 1
            for name in ("pages", "sensitivity", "labels", "predictions"):
                self.__dict__.pop(name, None)

    def _read_stamps(self) -> list[tuple[str, int, int]]:
        paths = [self.folders.pages / "pages.jsonl", self.folders.data / "raw/documents.csv"]
        paths += [self.folders.data / f"labels/{name}.jsonl" for name in self.task_names]
        paths += sorted(self.folders.reports.glob("*/*/predictions.jsonl"))
        found = [(str(path), path.stat()) for path in paths if path.exists()]
        return [(path, stat.st_mtime_ns, stat.st_size) for path, stat in found]

    def iterate_keys(self) -> Iterator[Key]:
        """Every page and task."""
        for page_id in self.pages:
            for task in self.task_names:
                yield page_id, task

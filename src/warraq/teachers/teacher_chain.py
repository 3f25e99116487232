"""Pages and teachers -> a label row a page: of the first teacher that answers, in their order."""

from collections.abc import Iterable, Sequence

from warraq.records import Label, Page
from warraq.teachers import DECISIVE, RETRYABLE, Answer, Refusal, Teacher, cache_key
from warraq.teachers.remote.remote_teacher import RemoteTeacher

UNINFORMATIVE = {"not_this_task", "no_review"}  # tell less of a page than any other reason


def build_label(page: Page, task: str, teacher: Teacher, key: str, outcome: Answer | Refusal) -> Label:
    """The row of a teacher's answer or refusal; `key` is its cache key."""
    if isinstance(outcome, Answer):
        content = {"answer": outcome.value, "model": outcome.model, "reason": None}
        content["message"] = "; ".join(outcome.doubts) or None
    else:
        content = {"answer": None, "model": None, "reason": outcome.reason, "message": outcome.message}
    origin = {"page_id": page.page_id, "task": task, "key": key, "teacher": teacher.name}
    return Label.model_validate(origin | {"reference": teacher.reference} | content)


def choose_refusal(refusals: Sequence[Label]) -> Label:
    """Of the refusals of all teachers the one that tells most of a page: the last that is informative."""
    informative = [row for row in refusals if row.reason not in UNINFORMATIVE]
    return informative[-1] if informative else refusals[0]


def adopt_labels(rows: Iterable[Label], teachers: Iterable[Teacher]) -> None:
    """Take into the ledger what a labels file holds of models and the ledger does not, as after a clone."""
    contexts = {teacher.name: teacher.context for teacher in teachers if isinstance(teacher, RemoteTeacher)}
    for row in rows:
        if row.teacher in contexts and row.reason not in RETRYABLE | {"not_sendable", "marked_confidential"}:
            contexts[row.teacher].ledger.adopt(row)


class LabelPlan:
    """The pages of a task: of each its label, or the teacher who has to be paid for one.

    A page goes on from the teacher who was paid, so that no key and no answer of the others is made a second time.
    """

    def __init__(self, task: str, pages: Sequence[Page], teachers: Sequence[Teacher]) -> None:
        """Ask the teachers what they have at once."""
        self.task = task
        self.pages = pages
        self.teachers = teachers
        self.remote_teachers = [teacher for teacher in teachers if isinstance(teacher, RemoteTeacher)]
        self.labels: dict[str, Label] = {}  # by page_id
        self.unpaid: dict[str, tuple[RemoteTeacher, str]] = {}  # by page_id: who has to be paid, and for which key
        self._refusals: dict[str, list[Label]] = {page.page_id: [] for page in pages}
        for page in pages:
            self._ask(page)

    def _ask(self, page: Page) -> None:
        """Ask for a page from the teacher on who was not paid, or from the first."""
        label = self._first_answer(page)
        if label is not None:
            self.labels[page.page_id] = label

    def _first_answer(self, page: Page) -> Label | None:
        """The first answer, or the refusal that tells most; None: a teacher has to be paid to know."""
        unpaid_teacher, key = self.unpaid.pop(page.page_id, (None, ""))
        refusals = self._refusals[page.page_id]
        for teacher in self.teachers[len(refusals) :]:
            if teacher is not unpaid_teacher:
                key = cache_key(page, self.task, teacher)
            outcome = teacher.answer(page, key)
            if outcome is None:
                assert isinstance(teacher, RemoteTeacher)
                self.unpaid[page.page_id] = (teacher, key)
                return None
            label = build_label(page, self.task, teacher, key, outcome)
            if label.answer is not None or label.reason in DECISIVE:
                return label
            refusals.append(label)
        return choose_refusal(refusals)

    def wanted_pages(self, teacher: RemoteTeacher) -> dict[str, Page]:
        """What has to be bought of a teacher, by its key: equal pages once."""
        unpaid = ((page, *self.unpaid.get(page.page_id, (None, ""))) for page in self.pages)
        return {key: page for page, unpaid_teacher, key in unpaid if unpaid_teacher is teacher}

    def buy(self, teacher: RemoteTeacher, pages: dict[str, Page]) -> None:
        """Have a teacher asked about pages, by their key, and ask on for those that it then refuses."""
        teacher.buy(pages)
        for page in self.pages:
            if page.page_id in self.unpaid and self.unpaid[page.page_id][0] is teacher:
                self._ask(page)

"""Pages and teachers -> a label row a page: of the first teacher that answers, in their order."""

from warraq.records import Label, Page
from warraq.teachers import Answer, Declined, Teacher, identify
from warraq.teachers.remote.remote_teacher import Model

SILENT = {"not_this_task", "no_review"}  # tell less of a page than any other reason


def labelled(page: Page, task: str, teacher: Teacher, outcome: Answer | Declined) -> Label:
    if isinstance(outcome, Answer):
        rest = {"answer": outcome.value, "model": outcome.model, "reason": None}
        rest["message"] = "; ".join(outcome.doubts) or None
    else:
        rest = {"answer": None, "model": None, "reason": outcome.reason, "message": outcome.message}
    known = {"page_id": page.page_id, "task": task, "key": identify(page, task, teacher)}
    return Label.model_validate(known | {"teacher": teacher.name, "reference": teacher.reference} | rest)


def settle(page: Page, task: str, asked: list[Teacher]) -> Label | Model:
    """The first answer to a page; without one, the refusal that tells most; or who has to be paid to know."""
    refusals = []
    for teacher in asked:
        outcome = teacher.answer(page)
        if outcome is None:
            assert isinstance(teacher, Model)
            return teacher
        row = labelled(page, task, teacher, outcome)
        if row.answer is not None:
            return row
        refusals.append(row)
    telling = [row for row in refusals if row.reason not in SILENT]
    return telling[-1] if telling else refusals[0]


class Work:
    """The pages, and what of each is known or who has to be paid to know it."""

    def __init__(self, task: str, rows: list[Page], asked: list[Teacher]) -> None:
        self.task = task
        self.rows = rows
        self.asked = asked
        self.models = [teacher for teacher in asked if isinstance(teacher, Model)]
        self.settled = {page.page_id: settle(page, task, asked) for page in rows}

    def wanted(self, model: Model) -> dict[str, Page]:
        """What has to be bought of a model, by its key: equal pages once."""
        return {identify(page, self.task, model): page for page in self.rows if self.settled[page.page_id] is model}

    def buy(self, model: Model, wanted: dict[str, Page]) -> None:
        model.buy(wanted)
        for page in self.rows:
            if self.settled[page.page_id] is model:
                self.settled[page.page_id] = settle(page, self.task, self.asked)

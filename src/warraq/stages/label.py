"""pages + reviews -> labels/<task>.jsonl: one row for each page, an answer or the reason why there is none.

The teachers are asked in the order of the parameters until one answers. What a model answers is paid for, so it is in
the ledger before it is read. The rows are made of the ledger; a labels file that came without one is adopted.
"""

import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import Field

from warraq import records, tasks, teachers
from warraq.errors import InputError
from warraq.files import write_json
from warraq.records import Page
from warraq.section import Section
from warraq.teachers import Teacher
from warraq.teachers.human import Human
from warraq.teachers.remote import gemini, local, plan
from warraq.teachers.remote.ledger import Ledger
from warraq.teachers.remote.prices import Price
from warraq.teachers.remote.remote_teacher import Model
from warraq.teachers.remote.request import Provider
from warraq.teachers.safety import clearance
from warraq.teachers.teacher_chain import Work
from warraq.teachers.textlayer import TextLayer

logger = logging.getLogger(__name__)


class Label(Section):
    teachers: Annotated[list[Literal["human", "textlayer", "gemini", "local"]], Field(min_length=1)]
    max_usd: Annotated[float, Field(ge=0)]
    prices: list[Price]
    gemini: gemini.Parameters
    local: local.Parameters


def adopt(before: Iterable[records.Label], asked: list[Teacher], rows: list[Page]) -> None:
    """What a labels file holds of models and the ledger does not, as after a clone, is in the ledger from now on."""
    models = {teacher.name: teacher for teacher in asked if isinstance(teacher, Model)}
    pages = {page.page_id: page for page in rows}
    for row in before:
        if row.teacher not in models or row.reason in teachers.PASSING | {"not_sendable"}:
            continue
        if row.reason != "marked_confidential":
            models[row.teacher].ledger.adopt(row)
        elif row.page_id in pages:
            models[row.teacher].heed(pages[row.page_id], teachers.declined(row.reason, row.message))


@contextmanager
def opened(
    raw: Path, pages: Path, reviews: Path, ledger: Path, before: list[records.Label], task: str, parameters: Label,
    write: bool, retry: str | None = None,
) -> Iterator[Work]:  # fmt: skip
    """What there is to do; the ledger is opened only where a teacher needs it."""
    rows = records.read_rows(pages / "pages.jsonl", Page)
    question = tasks.load(task)

    def teacher(name: str, book: Ledger | None) -> Teacher:
        if name == "human":
            return Human(question, reviews, rows)
        if name == "textlayer" or book is None:
            return TextLayer(question, pages)
        provider: Provider = local.Local(question, parameters.local)
        sendable = clearance.everything(rows)
        if name == "gemini":
            provider = gemini.Gemini(question, parameters.gemini)
            sendable = clearance.cleared(rows, raw / "documents.csv")
        return Model(question, provider, sendable, book, pages, rows, parameters.prices, parameters.max_usd, retry)

    paid = not {"gemini", "local"}.isdisjoint(parameters.teachers)
    with Ledger.open(ledger, write) if paid else nullcontext() as book:
        asked = [teacher(name, book) for name in parameters.teachers]
        adopt(before, asked, rows)
        yield Work(task, rows, asked)


def report(task: str, rows: list[records.Label], before: dict[str, records.Label]) -> None:
    fresh = [row for row in rows if row.answer is None or before.get(row.page_id) != row]
    told = [f"{name} {count}" for name, count in sorted(Counter(row.teacher for row in fresh if row.answer).items())]
    reasons = Counter(row.reason for row in fresh if row.reason)
    if reasons:
        told.append(f"declined {reasons.total()} ({', '.join(f'{name} {n}' for name, n in sorted(reasons.items()))})")
    asked = f"{len(fresh)} asked" + (": " + ", ".join(told) if told else "")
    logger.info("label %s: %d pages, %d known, %s", task, len(rows), len(rows) - len(fresh), asked)
    if passing := sum(reasons[reason] for reason in teachers.PASSING):
        logger.warning("label %s: %d pages have no answer for a passing reason; run the stage again.", task, passing)


def counted(rows: list[records.Label]) -> dict[str, int]:
    """How many pages have an answer and of whom, how many have none and why, how many answers are in doubt and why."""
    answered = [row for row in rows if row.answer is not None]
    counts = Counter(f"answered_{row.teacher}" for row in answered)
    counts += Counter(f"declined_{row.reason}" for row in rows if row.answer is None)
    for row in answered:
        counts.update({f"doubt_{doubt.partition(':')[0]}" for doubt in (row.message or "").split("; ") if doubt})
    return {"pages": len(rows), "answered": len(answered), **dict(sorted(counts.items()))}


def run(
    raw: Path, pages: Path, reviews: Path, ledger: Path, out: Path, metrics: Path, task: str, parameters: Label,
    retry: str | None = None,
) -> None:  # fmt: skip
    """Label each page of `pages`/pages.jsonl; of `raw` only documents.csv is read.

    Raises:
        InputError: `retry` is no reason; a review is invalid; a model is needed and cannot work, or its server stops
            the run. What was answered is in the ledger for the next run.
    """
    if retry is not None and retry not in get_args(teachers.Reason):
        raise InputError(f"--retry {retry}: there is no such reason; docs/pipeline.md lists them.")
    before = records.read_rows(out, records.Label) if out.exists() else []
    with opened(raw, pages, reviews, ledger, before, task, parameters, True, retry) as work:
        for model in work.models:
            if wanted := work.wanted(model):
                logger.info("label %s: %s", task, plan.summary(model, len(wanted)))
                work.buy(model, wanted)
    labels = [row for row in work.settled.values() if isinstance(row, records.Label)]
    if len(labels) < len(work.rows):
        raise AssertionError("a page was bought and is not settled")
    records.write_rows(out, labels, lambda row: row.page_id)
    write_json(metrics, counted(labels))
    report(task, labels, {row.page_id: row for row in before})


def preview(
    raw: Path, pages: Path, reviews: Path, ledger: Path, out: Path, task: str, parameters: Label, pilot: int
) -> str:
    """What `run` would buy and cost, for the terminal; `pilot` pages are bought before, so that the cost is measured.

    The labels file stays as it is; what the pilot buys is in the ledger.
    """
    before = records.read_rows(out, records.Label) if out.exists() else []
    with opened(raw, pages, reviews, ledger, before, task, parameters, pilot > 0) as work:
        for model in work.models if pilot else []:
            sample = sorted(work.wanted(model).items())[:pilot]  # keys are hashes: a fair one
            work.buy(model, dict(sample))
        names = ("to buy" if isinstance(one, Model) else one.reason or one.teacher for one in work.settled.values())
        counts = ", ".join(f"{count} {name}" for name, count in sorted(Counter(names).items()))
        numbers = ((model, len(work.wanted(model))) for model in work.models)
        tables = [plan.table(model, number) for model, number in numbers if number]
    return "\n".join([f"label {task}: {len(work.rows)} pages: {counts}", *(tables or ["nothing to buy"])])

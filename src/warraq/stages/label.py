"""pages + reviews -> labels/<task>.jsonl: one row for each page, an answer or the reason why there is none.

The teachers are asked in the order of the parameters until one answers. The file is its own memo: what was paid for has
a key made of all that decides it, and is not asked again while the key stands. To buy a page again, delete its line.
"""

import hashlib
import json
import logging
import os
import threading
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from warraq import records, tasks, teachers, workers
from warraq.records import InputError, Page
from warraq.section import Section
from warraq.teachers import Answer, Declined, Paid, Teacher
from warraq.teachers.gemini import Gemini, Parameters
from warraq.teachers.human import Human
from warraq.teachers.textlayer import TextLayer

logger = logging.getLogger(__name__)

SILENT = {"not_this_task", "no_review"}  # tell less of a page than any other reason


class Label(Section):
    teachers: Annotated[list[Literal["human", "textlayer", "gemini"]], Field(min_length=1)]
    gemini: Parameters


@dataclass(frozen=True)
class Purchase:
    """A page that only a paid teacher can settle."""

    page: Page
    teacher: Paid
    key: str


def identify(page: Page, task: str, teacher: Teacher) -> str:
    """SHA-256 of all that decides the teacher's answer."""
    decides = {"image": page.image_sha256, "task": task, "teacher": teacher.name, **teacher.identity(page)}
    text = json.dumps(decides, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def labelled(page: Page, task: str, teacher: Teacher, key: str, outcome: Answer | Declined) -> records.Label:
    if isinstance(outcome, Answer):
        rest = {"answer": outcome.value, "model": outcome.model, "reason": None, "message": None}
    else:
        rest = {"answer": None, "model": None, "reason": outcome.reason, "message": outcome.message}
    known = {"page_id": page.page_id, "task": task, "key": key, "teacher": teacher.name, "reference": teacher.reference}
    return records.Label.model_validate(known | rest)


def settle(
    page: Page, task: str, asked: Iterable[Teacher], bought: dict[str, records.Label]
) -> records.Label | Purchase:
    """The first answer to a page; without one, the refusal that tells most; or what has to be bought to know."""
    refusals = []
    for teacher in asked:
        key = identify(page, task, teacher)
        if not isinstance(teacher, Paid):
            row = labelled(page, task, teacher, key, teacher.answer(page))
        elif key in bought:
            row = bought[key].model_copy(update={"page_id": page.page_id})
        elif refusal := teacher.refuses(page):
            row = labelled(page, task, teacher, key, refusal)
        else:
            return Purchase(page, teacher, key)
        if row.answer is not None:
            return row
        refusals.append(row)
    telling = [row for row in refusals if row.reason not in SILENT]
    return telling[-1] if telling else refusals[0]


def worth_keeping(row: records.Label) -> bool:
    return row.answer is not None or row.reason in teachers.REMEMBERED


def buy(purchases: list[Purchase], task: str, bought: dict[str, records.Label], journal: records.Journal) -> None:
    """Ask one teacher for all pages. What cost money is on disk before its thread asks for another page."""
    teacher = purchases[0].teacher
    lock = threading.Lock()

    def ask(purchase: Purchase) -> None:
        try:
            outcome = teacher.answer(purchase.page)
        except Exception:
            teacher.stop()  # before this thread takes the next page
            raise
        row = labelled(purchase.page, task, teacher, purchase.key, outcome)
        with lock:
            bought[purchase.key] = row
            if worth_keeping(row):
                journal.append(row)

    with teacher.session(len(purchases)), ThreadPoolExecutor(in_flight()) as pool:
        futures = [pool.submit(ask, purchase) for purchase in purchases]
        try:
            for future in workers.progress(as_completed(futures), len(futures), f"label {task}", "pages"):
                if not isinstance(future.exception(), teachers.Stopped):  # why it stopped is in another future
                    future.result()
        except BaseException:
            teacher.stop()
            pool.shutdown(cancel_futures=True)  # waits: what is in flight is paid for
            raise


def in_flight() -> int:
    text = os.environ.get("WARRAQ_IN_FLIGHT") or "8"
    if not text.isdigit() or int(text) < 1:
        raise InputError(f"WARRAQ_IN_FLIGHT is {text!r}; it must be a whole number of at least 1.")
    return int(text)


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


def run(raw: Path, pages: Path, reviews: Path, out: Path, task: str, parameters: Label) -> None:
    """Label each page of `pages`/pages.jsonl; of `raw` only documents.csv is read.

    Raises:
        InputError: a review is invalid; a paid teacher is needed and cannot work, or its server stops the run. What was
            paid for stays in `<out>.part` for the next run.
    """
    rows = records.read_rows(pages / "pages.jsonl", Page)
    module = tasks.load(task)
    question = teachers.Question(task, module.PROMPT, module.INSTRUCTION, module.Answer)
    asked: list[Teacher] = []
    for name in parameters.teachers:
        if name == "human":
            asked.append(Human(question, reviews / f"{task}.jsonl", rows))
        elif name == "textlayer":
            asked.append(TextLayer(question, pages))
        else:
            cleared = teachers.cleared(rows, raw / "documents.csv")
            asked.append(Gemini(question, parameters.gemini, pages, cleared))
    before = {row.page_id: row for row in records.read_rows(out, records.Label)} if out.exists() else {}
    with records.Journal(out, records.Label) as journal:
        bought = {row.key: row for row in [*before.values(), *journal.rows] if worth_keeping(row)}
        settled = [settle(page, task, asked, bought) for page in rows]
        for teacher in asked:  # each buys once, by construction
            purchases = {item.key: item for item in settled if isinstance(item, Purchase) and item.teacher is teacher}
            if purchases:
                buy(list(purchases.values()), task, bought, journal)
                settled = [settle(page, task, asked, bought) for page in rows]
        labels = [item for item in settled if isinstance(item, records.Label)]
        if len(labels) < len(rows):
            raise RuntimeError("a teacher's identity changed while it was asked")
        journal.rows = labels
        journal.finish(lambda row: row.page_id)
    report(task, labels, before)

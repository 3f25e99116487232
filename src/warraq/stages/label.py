"""pages + reviews -> labels/<task>.jsonl: one row for each page, an answer or the reason why there is none.

The teachers are asked in the order of the parameters until one answers. What a model answers is paid for, so it is in
the ledger before it is read. The rows are made of the ledger; a labels file that came without one is adopted.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import Field

from warraq import records, tasks, teachers
from warraq.errors import InputError
from warraq.files import write_json
from warraq.records import Page
from warraq.section import Section
from warraq.teachers.human import HumanTeacher
from warraq.teachers.label_counts import count_outcomes, summarize_labels
from warraq.teachers.label_files import LabelFiles as LabelFiles
from warraq.teachers.remote import gemini, local
from warraq.teachers.remote.budget import Budget
from warraq.teachers.remote.context import LaneContext
from warraq.teachers.remote.cost_estimate import describe_plan, summarize_cost
from warraq.teachers.remote.ledger import Ledger
from warraq.teachers.remote.prices import Price
from warraq.teachers.remote.provider import Provider
from warraq.teachers.remote.remote_teacher import RemoteTeacher
from warraq.teachers.safety.clearance import clear_all
from warraq.teachers.safety.denials import Denials
from warraq.teachers.teacher_chain import LabelPlan, adopt_labels
from warraq.teachers.textlayer import TextLayerTeacher

logger = logging.getLogger(__name__)


class Label(Section):
    """The branch `label` of params.yaml."""

    teachers: Annotated[list[Literal["human", "textlayer", "gemini", "local"]], Field(min_length=1)]
    max_usd: Annotated[float, Field(ge=0)]
    max_failed_share: Annotated[float, Field(gt=0, le=1)]
    prices: list[Price]
    gemini: gemini.Parameters
    local: local.Parameters


@contextmanager
def open_plan(
    files: LabelFiles, earlier: Sequence[records.Label], task: str, parameters: Label, *, write: bool,
    retry: str | None = None,
) -> Iterator[LabelPlan]:  # fmt: skip
    """What there is to do, beside the labels of the run before.

    The ledger is opened only where a teacher needs it, and written only with `write`.
    """
    pages = records.read_rows(files.pages / "pages.jsonl", Page)
    definition = tasks.load(task)

    def open_teacher(name: str, ledger: Ledger | None, denials: Denials | None) -> teachers.Teacher:
        if name == "human":
            return HumanTeacher(definition, files.reviews, pages)
        if name == "textlayer" or ledger is None or denials is None:
            return TextLayerTeacher(definition, files.pages)
        provider: Provider = local.LocalProvider(definition, parameters.local)
        sendable = clear_all(pages)
        if name == "gemini":
            provider = gemini.GeminiProvider(definition, parameters.gemini)
            sendable = files.read_manifest(pages).clear(pages, denials.ids)
        context = LaneContext(
            task=definition, provider=provider, clearance=sendable, denials=denials, ledger=ledger,
            prices=parameters.prices, budget=Budget(parameters.max_usd, ledger.total_usd()), folder=files.pages,
        )  # fmt: skip
        return RemoteTeacher(context, parameters.max_failed_share, retry)

    has_remote = not {"gemini", "local"}.isdisjoint(parameters.teachers)
    with Ledger.open(files.ledger, write) if has_remote else nullcontext() as ledger:
        denials = files.open_denials(pages, ledger, search="gemini" in parameters.teachers) if ledger else None
        chain = [open_teacher(name, ledger, denials) for name in parameters.teachers]
        adopt_labels(earlier, chain)
        yield LabelPlan(task, pages, chain)


def run(*, files: LabelFiles, metrics: Path, task: str, parameters: Label, retry: str | None = None) -> None:
    """Label each page of pages.jsonl, and write the counts of answers and refusals to `metrics`.

    Args:
        files: where to read and write.
        metrics: the file for the counts.
        task: its name.
        parameters: the branch of params.yaml.
        retry: a reason whose pages are asked again.

    Raises:
        InputError: `retry` is no reason; a review is invalid; a model is needed and cannot work, or its server stops
            the run. What was answered is in the ledger for the next run.
    """
    if retry is not None and retry not in get_args(teachers.Reason):
        raise InputError(f"--retry {retry}: there is no such reason; docs/pipeline.md lists them.")
    earlier = files.read_labels()
    with open_plan(files, earlier, task, parameters, write=True, retry=retry) as plan:
        for teacher in plan.remote_teachers:
            if wanted := plan.wanted_pages(teacher):
                logger.info("label %s: %s", task, summarize_cost(teacher, len(wanted)))
                plan.buy(teacher, wanted)
    if plan.unpaid:
        raise AssertionError("a page was bought and is not settled")
    labels = list(plan.labels.values())
    records.write_rows(files.out, labels, lambda row: row.page_id)
    write_json(metrics, count_outcomes(labels))
    logger.info("label %s: %s", task, summarize_labels(labels, {row.page_id: row for row in earlier}))
    if retryable := sum(row.reason in teachers.RETRYABLE for row in labels):
        logger.warning("label %s: %d pages have no answer for a passing reason; run the stage again.", task, retryable)


def preview(*, files: LabelFiles, task: str, parameters: Label, pilot: int) -> str:
    """What `run` would buy and cost, for the terminal; `pilot` pages are bought before, into the ledger alone."""
    with open_plan(files, files.read_labels(), task, parameters, write=pilot > 0) as plan:
        for teacher in plan.remote_teachers if pilot else []:
            sample = sorted(plan.wanted_pages(teacher).items())[:pilot]  # keys are hashes: a fair one
            plan.buy(teacher, dict(sample))
        text = describe_plan(plan)
    return "\n".join(
        [text, *([files.describe_clearance().splitlines()[-1]] if "gemini" in parameters.teachers else [])]
    )


def check(*, files: LabelFiles, names: Sequence[str], parameters: Label) -> str:
    """What comes of one real request for each task, for the terminal; InputError where nothing can."""
    lines = []
    for name in names:
        with open_plan(files, [], name, parameters, write=True) as plan:
            lines += [f"label {name}: {one.check(plan.wanted_pages(one))}" for one in plan.remote_teachers]
    if not lines:
        raise InputError("label.teachers in params.yaml names no model, so there is nothing to check.")
    return "\n".join(lines)

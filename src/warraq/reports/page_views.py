"""Graded answers -> what the script of the report shows of pages and documents, as JSON.

All pages are in it. What has no natural bound is bounded here, and the page says where: the characters of a text or a
value (fewer the more pages there are), the fields of an answer, the bytes of images.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

from warraq.files import JsonObject
from warraq.metrics.aggregate import group_answers, score_document
from warraq.metrics.catalogue import PRIMARY, SCORES
from warraq.metrics.fields import compare_fields, flatten
from warraq.metrics.grading import GradedAnswer, GradedVariants
from warraq.records import Page
from warraq.reports.answer_issues import list_issues
from warraq.reports.comparison import HEADLINE
from warraq.reports.page_images import ImageBudget
from warraq.reports.text_diff import Marks, mark_differences, split_words

LIMITS = (20_000, 5_000, 2_000, 500)  # characters of a text or value; the first with which all texts keep within
TEXTS = 12_000_000  # characters
FIELDS = 500  # of an answer

Cut = str | tuple[str, int]
"""A text, or its beginning and how many characters are left out."""


def build_views(graded: GradedVariants, pages: Mapping[str, Page], images: Path, out: Path, mib: int) -> JsonObject:
    """What the script is given, the pages that merged read worst first.

    `images` is the folder of the pages' images: `mib` MiB are embedded, the others named relative to `out`.
    """
    limit = choose_limit(graded)
    scored = {name for part in graded.values() for one in part for name in one.sums if not SCORES[name].pooled}
    names = [name for name in HEADLINE if name in scored]
    by_page, by_document = (
        group_answers(graded, key) for key in (lambda one: one.sample.page_id, lambda one: one.sample.document)
    )
    budget = ImageBudget(mib * 2**20)
    worst = sorted(by_page, key=lambda page_id: _average_quality(by_page[page_id]["merged"]))
    files = {pages[page_id].document: pages[page_id].files[0] for page_id in worst}
    return {
        "variants": list(graded),
        "limit": limit,
        "scores": [
            {"label": "quality", "lower": False},
            *({"label": SCORES[name].label, "lower": SCORES[name].lower} for name in names),
        ],
        "primary": [place for place, name in enumerate(names, 1) if name in PRIMARY],
        "documents": [
            {"id": document, "name": files[document], "scores": _score_variants(part, names)}
            for document, part in by_document.items()
        ],
        "pages": [
            _view_page(pages[page_id], by_page[page_id], limit)
            | {
                "scores": _score_variants(by_page[page_id], names),
                "image": budget.embed(images / pages[page_id].image),
                "path": Path(os.path.relpath(images / pages[page_id].image, out)).as_posix(),
            }
            for page_id in worst
        ],
    }


def choose_limit(graded: GradedVariants) -> int:
    """How many characters of a text are shown."""
    lengths = [len(one.prediction.text) for part in graded.values() for one in part if one.prediction]
    return next((limit for limit in LIMITS if sum(min(length, limit) for length in lengths) <= TEXTS), LIMITS[-1])


def _average_quality(graded: Sequence[GradedAnswer]) -> float:
    return sum(one.quality for one in graded) / len(graded)


def _score_variants(graded: GradedVariants, names: Sequence[str]) -> dict[str, list[float | None]]:
    """Of each variant the mean quality and the named scores, all in [0, 1]."""
    scores = {variant: score_document(part) for variant, part in graded.items()}
    return {
        variant: [_round(_average_quality(part)), *(_round(scores[variant][name]) for name in names)]
        for variant, part in graded.items()
    }


def _round(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _view_page(page: Page, answers: GradedVariants, limit: int) -> JsonObject:
    name = page.files[0]
    suffix = PurePath(name).suffix
    tasks = [_view_task(dict(zip(answers, each, strict=True)), limit) for each in zip(*answers.values(), strict=True)]
    return {
        "id": page.page_id, "document": page.document, "stem": name.removesuffix(suffix),
        "suffix": suffix, "page": page.page, "tasks": tasks,
    }  # fmt: skip


def _view_task(answers: Mapping[str, GradedAnswer], limit: int) -> JsonObject:
    """A task's reference and answers; an answer that is letter for letter an earlier one names that."""
    first = next(iter(answers.values()))
    view: JsonObject = {"task": first.sample.task, "answers": {}}
    if first.gold_text is not None:
        view["text"] = cut_text(first.gold_text, limit)
    else:
        gold, paths = flatten(first.gold), _list_paths(answers)
        view |= {
            "paths": paths[:FIELDS], "gold": [_show_value(gold.get(path), limit) for path in paths[:FIELDS]],
            "nulls": len(gold.keys() - set(paths)), "fields_left_out": max(0, len(paths) - FIELDS),
        }  # fmt: skip
    shown: dict[tuple[str, str], str] = {}
    for variant, one in answers.items():
        row: JsonObject = {"quality": round(one.quality, 3)}
        view["answers"][variant] = row
        key = (one.prediction.text, one.prediction.finish_reason) if one.prediction else ("", "missing")
        if one.prediction and key in shown:
            row["same"] = shown[key]
            continue
        shown[key] = variant
        row["issues"] = list_issues(one)
        row |= _view_text(one, limit) if one.gold_text is not None else _view_fields(one, view["paths"], limit)
        if one.answer is None:
            row["raw"] = cut_text(one.prediction.text if one.prediction else "", limit)
    return view


def _view_text(one: GradedAnswer, limit: int) -> JsonObject:
    """The text of an answer, and the marks of both sides that lie in what is shown."""
    gold, text = one.gold_text or "", one.answer_text or ""
    lost, added = mark_differences(gold, text)
    return {
        "text": cut_text(text, limit), "lost": _cut_marks(lost, gold, limit), "added": _cut_marks(added, text, limit),
    }  # fmt: skip


def _view_fields(one: GradedAnswer, paths: Sequence[str], limit: int) -> JsonObject:
    """The values of an answer that could be read, with the first letter of each outcome."""
    if one.read is None:
        return {}
    values, outcomes = flatten(one.read), compare_fields(one.gold, one.read, one.kinds)
    return {
        "values": [_show_value(values.get(path), limit) for path in paths],
        "outcomes": "".join(outcomes.get(path, "-")[0] for path in paths),
    }


def _list_paths(answers: Mapping[str, GradedAnswer]) -> list[str]:
    """The fields that the reference or a readable answer has, those of one object together."""
    values = [flatten(one.gold) for one in answers.values()][:1]
    values += [flatten(one.read) for one in answers.values() if one.read is not None]
    paths = dict.fromkeys(path for each in values for path, value in each.items() if value not in (None, ""))
    order = {parent: place for place, parent in enumerate(dict.fromkeys(path.rpartition(".")[0] for path in paths))}
    return sorted(paths, key=lambda path: order[path.rpartition(".")[0]])


def _show_value(value: Any, limit: int) -> Cut | None:
    if value is None:
        return None
    return cut_text(value if isinstance(value, str) else str(value).lower(), limit)


def cut_text(text: str, limit: int) -> Cut:
    """The text, or its beginning with how many characters are left out."""
    return text if len(text) <= limit else (text[:limit], len(text) - limit)


def _cut_marks(marks: Marks, text: str, limit: int) -> Marks:
    if len(text) <= limit:
        return marks
    words = len(split_words(text[:limit]))
    return [(at, min(size, words - at) if isinstance(size, int) else size) for at, size in marks if at < words]

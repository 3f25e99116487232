"""Graded answers -> the pages that the merged model read worst, as the template of the report shows them.

What differs between a reference and an answer is marked, word by word and within alike words letter by letter.
"""

import base64
import io
import unicodedata
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path, PurePath
from typing import Any

from warraq.metrics.aggregate import group_answers
from warraq.metrics.arabic import normalize
from warraq.metrics.fields import Outcome, compare_fields, flatten
from warraq.metrics.grading import GradedAnswer, GradedVariants
from warraq.records import Page
from warraq.reports.answer_issues import list_issues
from warraq.reports.comparison import format_number

IMAGE_PX = (700, 1400)
Pieces = list[tuple[bool, str]]
"""The letters of words, each piece with whether it differs."""


@dataclass(frozen=True)
class Line:
    """A line of text: its direction, and its runs of words, each with whether it is marked."""

    dir: str
    runs: list[tuple[bool, Pieces]]


@dataclass(frozen=True)
class FieldValue:
    """The value of a field as text, and its direction."""

    text: str
    dir: str


@dataclass(frozen=True)
class FieldRow:
    """A field with its reference and the answer; None is null."""

    name: str
    gold: FieldValue | None
    answer: FieldValue | None
    outcome: Outcome


@dataclass(frozen=True)
class FieldGroup:
    """The fields of one object; those of the answer itself have no name."""

    name: str
    rows: list[FieldRow]


@dataclass(frozen=True)
class Tab:
    """A variant's answer: by its text (`left` the reference, `right` the answer) or by its fields."""

    variant: str
    same_as: str | None  # the variant of an earlier tab that shows the same answer
    issues: list[str]
    score: str
    raw: str
    left: list[Line] | None = None
    right: list[Line] | None = None
    groups: list[FieldGroup] | None = None
    nulls: int = 0  # fields that are null in both
    readable: bool = False  # whether the answer fits the schema


@dataclass(frozen=True)
class PageImage:
    """An image as a data address, with its size in px."""

    src: str
    width: int
    height: int


@dataclass(frozen=True)
class Sheet:
    """A page with every variant's answers: of each task its tabs, merged first."""

    page: Page
    file: tuple[str, str]  # stem and suffix
    image: PageImage
    tasks: list[tuple[str, list[Tab]]]


def show_worst(graded: GradedVariants, pages: Mapping[str, Page], folder: Path, count: int) -> list[Sheet]:
    """The `count` pages that the merged model read worst by the mean of their samples, worst first.

    `folder` is what the pages' images are relative to.
    """
    by_page = group_answers(graded, lambda one: one.sample.page_id)
    quality = {name: sum(one.quality for one in part["merged"]) / len(part["merged"]) for name, part in by_page.items()}
    worst = sorted(quality, key=quality.__getitem__)[:count]
    return [_build_sheet(pages[name], by_page[name], folder) for name in worst]


def _build_sheet(page: Page, answers: GradedVariants, folder: Path) -> Sheet:
    order = sorted(answers, key=lambda variant: variant != "merged")
    tasks = [
        (first.sample.task, _build_tabs({variant: answers[variant][index] for variant in order}))
        for index, first in enumerate(answers["merged"])
    ]
    name = PurePath(page.files[0])
    return Sheet(page, (name.stem, name.suffix), embed_image(folder / page.image), tasks)


def _build_tabs(answers: Mapping[str, GradedAnswer]) -> list[Tab]:
    """A tab a variant; an answer that an earlier one shows already is named there, not repeated."""
    tabs: list[Tab] = []
    for variant, one in answers.items():
        raw = one.prediction.text if one.prediction is not None and not one.failed else ""
        issues = list_issues(one)
        same_as = [tab.variant for tab in tabs if raw and (tab.raw, tab.issues) == (raw, issues)]
        tab = Tab(variant, same_as[0] if same_as else None, issues, _format_score(one), raw)
        if one.gold_text is not None:
            left, right = diff_texts(one.gold_text, one.answer_text or "")
            tabs.append(replace(tab, left=left, right=right))
        else:
            groups, nulls = group_fields(one)
            tabs.append(replace(tab, groups=groups, nulls=nulls, readable=one.answer is not None))
    return tabs


def _format_score(one: GradedAnswer) -> str:
    for name, label in (("cer", "CER"), ("field_f1", "F1")):
        if (value := one.value(name)) is not None:
            return f"{label} {format_number(value)}"
    return ""


def embed_image(path: Path) -> PageImage:
    """A page image, made to fit IMAGE_PX, as a data address."""
    from PIL import Image

    with Image.open(path) as original:
        small = original.convert("RGB")
    small.thumbnail(IMAGE_PX)
    stream = io.BytesIO()
    small.save(stream, "WEBP", quality=55, method=4)
    data = base64.b64encode(stream.getvalue()).decode("ascii")
    return PageImage(f"data:image/webp;base64,{data}", small.width, small.height)


def detect_direction(text: str) -> str:
    """`rtl` where most letters are written from right to left, else `ltr`, so that a leading code decides nothing.

    Without letters, `rtl` where there are Arabic-Indic digits.
    """
    kinds = Counter(unicodedata.bidirectional(character) for character in text)
    return "rtl" if kinds["R"] + kinds["AL"] > kinds["L"] or (kinds["AN"] and not kinds["L"]) else "ltr"


def diff_texts(reference: str, answer: str) -> tuple[list[Line], list[Line]]:
    """The lines of both, in each the words marked that the other does not have at that place."""
    from rapidfuzz.distance import Levenshtein

    left, right = reference.split(), answer.split()
    lost: dict[int, Pieces] = {}
    added: dict[int, Pieces] = {}
    for change in Levenshtein.opcodes(list(map(normalize, left)), list(map(normalize, right))):
        if change.tag == "replace":
            for i in range(change.src_start, change.src_end):
                j = i - change.src_start + change.dest_start
                lost[i], added[j] = diff_words(left[i], right[j])
        elif change.tag != "equal":
            lost |= {i: [(False, left[i])] for i in range(change.src_start, change.src_end)}
            added |= {j: [(False, right[j])] for j in range(change.dest_start, change.dest_end)}
    return _mark_lines(reference, lost), _mark_lines(answer, added)


def diff_words(word: str, other: str) -> tuple[Pieces, Pieces]:
    """Two words in pieces that differ or not; whole where they have less than half in common."""
    from rapidfuzz.distance import Levenshtein

    if Levenshtein.normalized_similarity(word, other) < 0.5:
        return [(False, word)], [(False, other)]
    changes = Levenshtein.opcodes(word, other)
    ours = [(change.tag != "equal", word[change.src_start : change.src_end]) for change in changes]
    theirs = [(change.tag != "equal", other[change.dest_start : change.dest_end]) for change in changes]
    return [piece for piece in ours if piece[1]], [piece for piece in theirs if piece[1]]


def _mark_lines(text: str, marked: Mapping[int, Pieces]) -> list[Line]:
    words = enumerate(text.split())
    lines = []
    for line in text.split("\n"):
        own = [next(words) for _ in line.split()]
        runs: list[tuple[bool, Pieces]] = []
        for mark, group in groupby(own, key=lambda word: word[0] in marked):
            pieces = [marked.get(index, [(False, word)]) for index, word in group]
            spaced = [piece for index, part in enumerate(pieces) for piece in ([(False, " ")] * bool(index) + part)]
            runs.append((mark, spaced if mark else [(False, "".join(text for _, text in spaced))]))
        lines.append(Line(detect_direction(line), runs))
    return lines


def group_fields(one: GradedAnswer) -> tuple[list[FieldGroup], int]:
    """The fields by the object they are in; and the number of those that are null in both."""
    gold, answer = flatten(one.gold), flatten(one.answer or {})
    outcomes = compare_fields(one.gold, one.answer, one.kinds)
    paths = [path for path in dict.fromkeys((*gold, *answer)) if outcomes.get(path, "correct_null") != "correct_null"]
    groups = []
    for name, part in groupby(paths, key=lambda path: path.rpartition(".")[0]):
        group = FieldGroup(name, [])
        for path in part:
            right, written = (_show_value(fields.get(path)) for fields in (gold, answer))
            group.rows.append(FieldRow(path.rpartition(".")[2], right, written, outcomes[path]))
        groups.append(group)
    return groups, sum(outcome == "correct_null" for outcome in outcomes.values())


def _show_value(value: Any) -> FieldValue | None:
    if value is None:
        return None
    text = value if isinstance(value, str) else str(value).lower()
    return FieldValue(text, detect_direction(text))

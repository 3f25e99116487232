"""metrics, the rows of the plots and the worst pages -> report.html, one file that needs nothing else.

No script and no address outside the file: the page's policy allows inline style and embedded images alone, so that
whatever a document or a model wrote stays text. Marked words stand in <bdi>, or the bidi algorithm would mix them with
their neighbours.
"""

import base64
import io
import unicodedata
from collections import Counter
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path, PurePath
from typing import Any

from warraq.metrics.arabic import normalize
from warraq.metrics.catalogue import GROUPS, PRIMARY, SCORES
from warraq.metrics.fields import compare_fields, flatten
from warraq.metrics.grading import FieldCounts, GradedAnswer, GradedVariants, group_answers
from warraq.records import Page
from warraq.reports import charts, comparison
from warraq.reports.answer_issues import list_issues
from warraq.reports.comparison import Metrics

IMAGE_PX = (700, 1400)
OPEN = 3  # pages unfolded at first
LETTERS = 24  # pairs shown
Run = tuple[bool, list[tuple[bool, str]]]
"""Words that are marked or not, and the letters in them that differ or not."""


@dataclass(frozen=True)
class Sheet:
    """A page with every variant's answers, in the same order of tasks."""

    page: Page
    answers: GradedVariants


def pick_worst(graded: GradedVariants, pages: dict[str, Page], count: int) -> list[Sheet]:
    """The pages that the merged model read worst by the mean of their samples, worst first."""
    by_page = group_answers(graded, lambda one: one.sample.page_id)
    quality = {page: sum(one.quality for one in part["merged"]) / len(part["merged"]) for page, part in by_page.items()}
    return [Sheet(pages[page], by_page[page]) for page in sorted(quality, key=quality.__getitem__)[:count]]


def detect_direction(text: str) -> str:
    """rtl where letters written from right to left are in the majority, so that a leading code decides nothing; without
    letters, rtl where there are Arabic-Indic digits."""
    kinds = Counter(unicodedata.bidirectional(character) for character in text)
    return "rtl" if kinds["R"] + kinds["AL"] > kinds["L"] or (kinds["AN"] and not kinds["L"]) else "ltr"


def diff_texts(reference: str, answer: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The lines of both, in each the runs of words that the other does not have at that place, and in words that are
    alike the letters."""
    from rapidfuzz.distance import Levenshtein

    left, right = reference.split(), answer.split()
    lost: dict[int, list[tuple[bool, str]]] = {}
    added: dict[int, list[tuple[bool, str]]] = {}
    for change in Levenshtein.opcodes([normalize(word) for word in left], [normalize(word) for word in right]):
        if change.tag == "replace":
            for i in range(change.src_start, change.src_end):
                j = i - change.src_start + change.dest_start
                lost[i], added[j] = diff_words(left[i], right[j])
        elif change.tag != "equal":
            lost |= {i: [(False, left[i])] for i in range(change.src_start, change.src_end)}
            added |= {j: [(False, right[j])] for j in range(change.dest_start, change.dest_end)}
    return _mark_lines(reference, lost), _mark_lines(answer, added)


def diff_words(word: str, other: str) -> tuple[list[tuple[bool, str]], list[tuple[bool, str]]]:
    """Two words in pieces that differ or not; whole where they have less than half in common."""
    from rapidfuzz.distance import Levenshtein

    if Levenshtein.normalized_similarity(word, other) < 0.5:
        return [(False, word)], [(False, other)]
    changes = Levenshtein.opcodes(word, other)
    ours = [(change.tag != "equal", word[change.src_start : change.src_end]) for change in changes]
    theirs = [(change.tag != "equal", other[change.dest_start : change.dest_end]) for change in changes]
    return [piece for piece in ours if piece[1]], [piece for piece in theirs if piece[1]]


def _mark_lines(text: str, marked: dict[int, list[tuple[bool, str]]]) -> list[dict[str, Any]]:
    words = enumerate(text.split())
    lines = []
    for line in text.split("\n"):
        own = [next(words) for _ in line.split()]
        runs: list[Run] = []
        for mark, group in groupby(own, key=lambda word: word[0] in marked):
            pieces = [marked.get(index, [(False, word)]) for index, word in group]
            spaced = [piece for index, part in enumerate(pieces) for piece in ([(False, " ")] * bool(index) + part)]
            runs.append((mark, spaced if mark else [(False, "".join(text for _, text in spaced))]))
        lines.append({"dir": detect_direction(line), "runs": runs})
    return lines


def group_fields(one: GradedAnswer) -> tuple[list[dict[str, Any]], int]:
    """The fields by the object they are in, with reference, answer and outcome; the number that are null in both."""
    wanted, given, found = flatten(one.gold), flatten(one.answer or {}), compare_fields(one.gold, one.answer, one.kinds)
    paths = [path for path in dict.fromkeys((*wanted, *given)) if found.get(path, "correct_null") != "correct_null"]
    rows = [
        {
            "group": path.rpartition(".")[0],
            "name": path.rpartition(".")[2],
            "gold": _format_value(wanted.get(path)),
            "answer": _format_value(given.get(path)),
            "outcome": found[path],
        }
        for path in paths
    ]
    groups = [{"name": name, "rows": list(part)} for name, part in groupby(rows, key=lambda row: row["group"])]
    return groups, sum(outcome == "correct_null" for outcome in found.values())


def _format_value(value: Any) -> dict[str, str] | None:
    if value is None:
        return None
    text = value if isinstance(value, str) else str(value).lower()
    return {"text": text, "dir": detect_direction(text)}


def embed_image(path: Path) -> dict[str, Any]:
    """A page image made small, as a data address."""
    from PIL import Image

    with Image.open(path) as original:
        small = original.convert("RGB")
    small.thumbnail(IMAGE_PX)
    stream = io.BytesIO()
    small.save(stream, "WEBP", quality=55, method=4)
    data = base64.b64encode(stream.getvalue()).decode("ascii")
    return {"src": f"data:image/webp;base64,{data}", "width": small.width, "height": small.height}


def _build_tab(variant: str, one: GradedAnswer, earlier: dict[str, GradedAnswer]) -> dict[str, Any]:
    """What one variant's tab shows; an answer that an earlier tab shows already is named, not repeated."""
    raw = _raw_text(one)
    alike = [
        name
        for name, other in earlier.items()
        if raw and (_raw_text(other), list_issues(other)) == (raw, list_issues(one))
    ]
    tab = {"variant": variant, "same": alike[:1], "flags": list_issues(one), "score": _format_score(one), "raw": raw}
    if one.gold_text is not None:
        left, right = diff_texts(one.gold_text, one.answer_text or "")
        return tab | {"left": left, "right": right}
    groups, nulls = group_fields(one)
    return tab | {"groups": groups, "nulls": nulls, "readable": one.answer is not None}


def _raw_text(one: GradedAnswer) -> str:
    return one.prediction.text if one.prediction is not None and not one.failed else ""


def _format_score(one: GradedAnswer) -> str:
    for name in ("cer", "field_f1"):
        if (value := one.value(name)) is not None:
            return f"{'CER' if name == 'cer' else 'F1'} {comparison.format_number(value)}"
    return ""


def _build_sheet(sheet: Sheet, pages: Path) -> dict[str, Any]:
    exercises = []
    for index, first in enumerate(sheet.answers["merged"]):
        order = sorted(sheet.answers, key=lambda variant: variant != "merged")
        answers = {variant: sheet.answers[variant][index] for variant in order}
        tabs = [_build_tab(v, one, dict(list(answers.items())[:i])) for i, (v, one) in enumerate(answers.items())]
        exercises.append({"task": first.sample.task, "tabs": tabs})
    file = PurePath(sheet.page.files[0])
    return {
        "file": (file.stem, file.suffix),
        "page": sheet.page,
        "image": embed_image(pages / sheet.page.image),
        "exercises": exercises,
    }


def _group_by_task(fields: FieldCounts) -> dict[str, FieldCounts]:
    """By task and path, without what is null everywhere; the sum of a task stands at the empty path."""
    tasks: dict[str, FieldCounts] = {}
    for field, variants in fields.items():
        task, _, path = field.partition(".")
        rows = tasks.setdefault(task, {"": {variant: Counter() for variant in variants}})
        for variant, counts in variants.items():
            rows[""][variant] += counts
        if any(set(counts) - {"correct_null"} for counts in variants.values()):
            rows[path] = variants
    return tasks


def _build_row(metrics: Metrics, name: str) -> dict[str, Any]:
    """A line of the table of scores."""
    keys = [f"{variant}_{name}" for variant in comparison.list_variants(metrics)]
    return {
        "label": SCORES[name].label,
        "text": SCORES[name].text,
        "cells": [(comparison.format_number(metrics[key]), comparison.format_interval(metrics, key)) for key in keys],
        "change": "" if metrics.get(f"merged_minus_base_{name}") is None else comparison.format_change(metrics, name),
        "verdict": comparison.judge_score(metrics, name),
        "unseen": comparison.format_detectable(metrics, name),
    }


def render_report(
    metrics: Metrics, plots: charts.Plots, fields: FieldCounts, sheets: list[Sheet], pages: Path, title: str
) -> str:
    """The report as HTML; `pages` is the folder that the sheets' images are relative to."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    word, sentence, rest = comparison.decide_verdict(metrics)
    names = [name for name in SCORES if comparison.has_score(metrics, name)]
    read = [row for row in plots["letters"] if row["variant"] == "merged" and row["reference"] and row["answer"]]
    return environment.get_template("report.html").render(
        title=title,
        metrics=metrics,
        size=comparison.describe_size(metrics),
        tuned=comparison.TUNED[metrics["tuning"]],
        vouched=comparison.VOUCHED[metrics["reference"]],
        word=word,
        sentence=sentence,
        rest=rest,
        left_out=comparison.list_left_out(metrics),
        worse=comparison.describe_losses(metrics),
        charts=[charts.build_bars(metrics, name) for name in PRIMARY if metrics.get(f"merged_{name}") is not None],
        variants=comparison.list_variants(metrics),
        headline=[_build_row(metrics, name) for name in comparison.HEADLINE if name in names],
        groups={
            group: [_build_row(metrics, name) for name in scores if name in names] for group, scores in GROUPS.items()
        },
        curves=charts.build_curves(plots, comparison.list_variants(metrics)),
        letters=[(_show_letter(row["reference"]), _show_letter(row["answer"]), row["count"]) for row in read[:LETTERS]],
        confidence=[row for row in plots["confidence"] if row["variant"] == "merged"],
        review=[row for row in plots["review"] if row["variant"] == "merged"],
        review_note=comparison.describe_review(metrics),
        fields=_group_by_task(fields),
        sheets=[_build_sheet(sheet, pages) for sheet in sheets],
        open=OPEN,
        fewest=comparison.FEWEST_DOCUMENTS,
        number=comparison.format_number,
    )


def _show_letter(letter: str) -> str:
    """A letter as it can be seen: spaces and marks by their code point."""
    plain = letter.isprintable() and not letter.isspace() and not unicodedata.combining(letter)
    return letter if plain else "␣" if letter == " " else f"U+{ord(letter):04X}"

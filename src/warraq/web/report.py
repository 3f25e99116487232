"""metrics, field counts and the worst pages -> report.html, one file that needs nothing else.

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

from warraq.metrics.grading import DIFFERENCES, Graded, Variants
from warraq.metrics.json import compared, flattened
from warraq.metrics.text import encoded
from warraq.records import Page
from warraq.web import comparison
from warraq.web.comparison import Metrics

IMAGE_PX = (700, 1400)
OPEN = 3  # pages unfolded at first
TABS = ("merged", "base", "onnx")


@dataclass(frozen=True)
class Sheet:
    """A page with every variant's answers, in the same order of tasks."""

    page: Page
    answers: Variants


def direction(text: str) -> str:
    """rtl where letters written from right to left are in the majority, so that a leading code decides nothing; without
    letters, rtl where there are Arabic-Indic digits."""
    kinds = Counter(unicodedata.bidirectional(character) for character in text)
    return "rtl" if kinds["R"] + kinds["AL"] > kinds["L"] or (kinds["AN"] and not kinds["L"]) else "ltr"


def differences(reference: str, answer: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The lines of both, in each the runs of words that the other does not have at that place: `(marked, text)`."""
    from rapidfuzz.distance import Levenshtein

    changes = [
        change
        for change in Levenshtein.opcodes(*([encoded(word) for word in text.split()] for text in (reference, answer)))
        if change.tag != "equal"
    ]
    lost = {index for change in changes for index in range(change.src_start, change.src_end)}
    added = {index for change in changes for index in range(change.dest_start, change.dest_end)}
    return _lines(reference, lost), _lines(answer, added)


def _lines(text: str, marked: set[int]) -> list[dict[str, Any]]:
    words = enumerate(text.split())
    lines = []
    for line in text.split("\n"):
        own = [next(words) for _ in line.split()]
        runs = groupby(own, key=lambda word: word[0] in marked)
        texts = [(mark, " ".join(word for _, word in run)) for mark, run in runs]
        lines.append({"dir": direction(line), "runs": texts})
    return lines


def field_groups(gold: dict[str, Any], answer: dict[str, Any] | None) -> tuple[list[dict[str, Any]], int]:
    """The fields by the object they are in, with reference, answer and outcome; the number that are null in both."""
    wanted, given, found = flattened(gold), flattened(answer or {}), compared(gold, answer)
    paths = [path for path in dict.fromkeys((*wanted, *given)) if found.get(path, "correct_null") != "correct_null"]
    rows = [
        {
            "group": path.rpartition(".")[0],
            "name": path.rpartition(".")[2],
            "gold": _value(wanted.get(path)),
            "answer": _value(given.get(path)),
            "outcome": found[path],
        }
        for path in paths
    ]
    groups = [{"name": name, "rows": list(part)} for name, part in groupby(rows, key=lambda row: row["group"])]
    return groups, sum(outcome == "correct_null" for outcome in found.values())


def _value(value: Any) -> dict[str, str] | None:
    if value is None:
        return None
    text = value if isinstance(value, str) else str(value).lower()
    return {"text": text, "dir": direction(text)}


def image(path: Path) -> dict[str, Any]:
    """A page image made small, as a data address."""
    from PIL import Image

    with Image.open(path) as original:
        small = original.convert("RGB")
    small.thumbnail(IMAGE_PX)
    stream = io.BytesIO()
    small.save(stream, "WEBP", quality=55, method=4)
    data = base64.b64encode(stream.getvalue()).decode("ascii")
    return {"src": f"data:image/webp;base64,{data}", "width": small.width, "height": small.height}


def flags(one: Graded) -> list[str]:
    """Why an answer is none, or none that can be read; empty for a sound one."""
    if one.prediction is None:
        return ["no prediction"]
    if one.failed:
        return [f"failed: {one.prediction.message or 'no reason given'}"]
    unread = [] if one.answer is not None else ["does not fit the schema" if one.strict else "not JSON"]
    return ["cut at the token limit", *unread] if one.truncated else unread


def _tab(variant: str, one: Graded, earlier: dict[str, Graded]) -> dict[str, Any]:
    """What one variant's tab shows; an answer that an earlier tab shows already is named, not repeated."""
    raw = _raw(one)
    alike = [name for name, other in earlier.items() if raw and (_raw(other), flags(other)) == (raw, flags(one))]
    tab = {"variant": variant, "same": alike[:1], "flags": flags(one), "score": _score(one), "raw": raw}
    if one.gold_text is not None:
        left, right = differences(one.gold_text, raw if one.answer_text is None else one.answer_text)
        return tab | {"left": left, "right": right}
    groups, nulls = field_groups(one.gold, one.answer)
    return tab | {"groups": groups, "nulls": nulls, "readable": one.answer is not None}


def _raw(one: Graded) -> str:
    return one.prediction.text if one.prediction is not None and not one.failed else ""


def _score(one: Graded) -> str:
    if one.characters is not None:
        return f"CER {comparison.number(one.characters.errors / max(one.characters.reference, 1))}"
    return f"F1 {comparison.number(one.fields.f1)}" if one.fields is not None else ""


def _sheet(sheet: Sheet, pages: Path) -> dict[str, Any]:
    exercises = []
    for index, first in enumerate(sheet.answers["merged"]):
        answers = {variant: sheet.answers[variant][index] for variant in TABS}
        tabs = [_tab(v, one, dict(list(answers.items())[:i])) for i, (v, one) in enumerate(answers.items())]
        exercises.append({"task": first.sample.task, "tabs": tabs})
    file = PurePath(sheet.page.files[0])
    return {
        "file": (file.stem, file.suffix),
        "page": sheet.page,
        "image": image(pages / sheet.page.image),
        "exercises": exercises,
    }


def _by_task(fields: dict[str, dict[str, Counter[str]]]) -> dict[str, dict[str, dict[str, Counter[str]]]]:
    """By task and path, without what is null everywhere; the sum of a task stands at the empty path."""
    tasks: dict[str, dict[str, dict[str, Counter[str]]]] = {}
    for field, variants in fields.items():
        task, _, path = field.partition(".")
        rows = tasks.setdefault(task, {"": {variant: Counter() for variant in variants}})
        for variant, counts in variants.items():
            rows[""][variant] += counts
        if any(set(counts) - {"correct_null"} for counts in variants.values()):
            rows[path] = variants
    return tasks


def _chart(metrics: Metrics, name: str) -> dict[str, Any]:
    """A score of all variants on a scale from 0 to 1; what lies beyond 1, as a CER may, is drawn at the end."""

    def percent(value: float | None) -> float | None:
        return None if value is None else round(100 * min(max(value, 0), 1), 2)

    bars = []
    for variant in comparison.VARIANTS:
        key = f"{variant}_{name}"
        bars.append(
            {
                "variant": variant,
                "number": comparison.number(metrics[key]),
                "interval": comparison.interval(metrics, key),
                "lo": percent(metrics[f"{key}_lo"]),
                "value": percent(metrics[key]),
                "hi": percent(metrics[f"{key}_hi"]),
            }
        )
    return {
        "label": comparison.ROWS[name],
        "lower": name in comparison.LOWER_IS_BETTER,
        "bars": bars,
        "difference": None if metrics[f"merged_minus_base_{name}"] is None else comparison.change(metrics, name),
        "verdict": comparison.direction(metrics, name),
    }


def build(
    metrics: Metrics, fields: dict[str, dict[str, Counter[str]]], sheets: list[Sheet], pages: Path, title: str
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
    word, sentence, rest = comparison.verdict(metrics)
    table = []
    for name, label in comparison.ROWS.items():
        keys = [f"{variant}_{name}" for variant in comparison.VARIANTS]
        table.append((label, [(comparison.number(metrics[key]), comparison.interval(metrics, key)) for key in keys]))
    return environment.get_template("report.html").render(
        title=title,
        metrics=metrics,
        size=comparison.size(metrics),
        tuned=comparison.TUNED[metrics["tuning"]],
        vouched=comparison.VOUCHED[metrics["reference"]],
        word=word,
        sentence=sentence,
        rest=rest,
        left_out=comparison.left_out(metrics),
        charts=[_chart(metrics, name) for name in DIFFERENCES if metrics[f"merged_{name}"] is not None],
        variants=comparison.VARIANTS,
        table=table,
        fields=_by_task(fields),
        sheets=[_sheet(sheet, pages) for sheet in sheets],
        open=OPEN,
        fewest=comparison.FEWEST_DOCUMENTS,
    )

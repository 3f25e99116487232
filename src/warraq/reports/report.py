"""metrics, the tables of the plots and the pages -> report.html, one file that needs nothing else.

The page's policy allows its own script and style by their hashes, embedded images, and no address outside the file.
What a document or a model wrote goes to the script as JSON in an element that no browser runs, and from there into
text nodes alone.
"""

import base64
import hashlib
import json
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from warraq.files import JsonObject
from warraq.metrics.aggregate import FieldCounts
from warraq.metrics.catalogue import GROUPS, PRIMARY, SCORES
from warraq.metrics.grading import GradedVariants
from warraq.metrics.plot_tables import Plots
from warraq.reports import charts, comparison
from warraq.reports.comparison import Judgement
from warraq.reports.student_metrics import StudentMetrics

STYLE, SCRIPTS = "report.css", ("page.js", "report.js")
LETTERS = 24  # pairs shown


@dataclass(frozen=True)
class ScoreRow:
    """A line of the tables of scores."""

    label: str
    text: str
    cells: list[tuple[str, str]]  # of each variant the number and its interval
    gain: str
    judgement: Judgement
    detectable: str


@dataclass(frozen=True)
class ReportContent:
    """What the report shows: the numbers of all tasks and of each, tables, and what the script is given of pages."""

    title: str
    metrics: StudentMetrics
    tasks: Mapping[str, StudentMetrics]
    plots: Plots
    fields: FieldCounts
    views: JsonObject
    files: Sequence[str]  # beside the report
    lengths: str
    draws: str


def render_report(content: ReportContent) -> str:
    """The report as HTML."""
    import jinja2
    from markupsafe import Markup

    folder = Path(__file__).parent
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style, *scripts = (folder.joinpath(name).read_text(encoding="utf-8") for name in (STYLE, *SCRIPTS))
    metrics, plots = content.metrics, content.plots
    letters = [row for row in plots["letters"] if row["variant"] == "merged" and row["reference"] and row["answer"]]
    return environment.get_template("report.html").render(
        title=content.title,
        policy=write_policy(style, scripts),
        style=Markup(style),
        scripts=list(map(Markup, scripts)),
        data=Markup(embed_json(content.views)),
        metrics=metrics.values,
        size=comparison.describe_size(metrics),
        tuning=comparison.describe_tuning(metrics),
        reference=comparison.describe_reference(metrics),
        verdict=comparison.decide_verdict(metrics),
        left_out=comparison.list_left_out(metrics),
        lost=comparison.describe_lost(metrics),
        people=comparison.describe_people(metrics),
        primary=[SCORES[name].label for name in PRIMARY],
        losses=comparison.describe_losses(metrics),
        charts=[
            charts.build_bars(metrics, name) for name in PRIMARY if metrics.get_score("merged", name).value is not None
        ],
        variants=metrics.variants,
        headline=_build_rows(metrics, comparison.HEADLINE),
        groups={group: _build_rows(metrics, part) for group, part in GROUPS.items()},
        tasks={
            task: _build_rows(part, dict.fromkeys((*comparison.HEADLINE, *SCORES)))
            for task, part in content.tasks.items()
        },
        curves=charts.build_curves(plots, metrics.variants),
        letters=[(*map(_show_letter, (row["reference"], row["answer"])), row["count"]) for row in letters[:LETTERS]],
        confidence=[row for row in plots["confidence"] if row["variant"] == "merged"],
        review=[row for row in plots["review"] if row["variant"] == "merged"],
        review_note=comparison.describe_review(metrics),
        fields=_group_by_task(content.fields),
        bounds=describe_bounds(content.views),
        files=content.files,
        lengths=content.lengths,
        draws=content.draws,
        fewest=comparison.count_documents_wanted(metrics),
        number=comparison.format_number,
    )


def write_policy(style: str, scripts: Sequence[str]) -> str:
    """The Content-Security-Policy: this style, these scripts, embedded images, nothing else."""

    def hash_text(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    return (
        f"default-src 'none'; script-src {' '.join(map(hash_text, scripts))}; style-src {hash_text(style)}; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def embed_json(value: JsonObject) -> str:
    """JSON that ends no element: `<` is written as its escape."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")


def describe_bounds(views: JsonObject) -> str:
    """What of the pages is not in the file, in words."""
    without = sum(page["image"] is None for page in views["pages"])
    images = f"{comparison.format_count(without, 'image')} did not fit into the file, those of the pages read best. "
    return f"{images if without else ''}Of a text or value the first {views['limit']:,} characters are shown."


def describe_lengths(graded: GradedVariants) -> str:
    """How long the longest answer of each variant is, and how many were cut at the token limit, in words."""
    sentences = []
    for variant, part in graded.items():
        cut = sum(one.truncated for one in part)
        end = f"{comparison.format_count(cut, 'answer')} cut at the token limit" if cut else "no answer cut"
        longest = max((one.prediction.tokens for one in part if one.prediction), default=0)
        sentences += [f"{variant}: {end}, the longest has {longest:,} tokens."] if longest else []
    return " ".join(sentences)


def _build_rows(metrics: StudentMetrics, names: Iterable[str]) -> list[ScoreRow]:
    return [_build_row(metrics, name) for name in names if metrics.has_score(name)]


def _build_row(metrics: StudentMetrics, name: str) -> ScoreRow:
    scores = [metrics.get_score(variant, name) for variant in metrics.variants]
    gain = metrics.get_gain(name)
    return ScoreRow(
        label=SCORES[name].label, text=SCORES[name].text,
        cells=[(comparison.format_number(one.value), comparison.format_interval(one)) for one in scores],
        gain="" if gain is None else comparison.format_gain(gain),
        judgement=comparison.judge_score(metrics, name), detectable=comparison.format_detectable(metrics, name),
    )  # fmt: skip


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


def _show_letter(letter: str) -> str:
    """A letter as it can be seen: spaces and marks by their code point."""
    plain = letter.isprintable() and not letter.isspace() and not unicodedata.combining(letter)
    return letter if plain else "␣" if letter == " " else f"U+{ord(letter):04X}"

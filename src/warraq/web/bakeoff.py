"""Folders that evaluate wrote -> one table of several students, or of one before and after, as Markdown.

Scores of different test sets are never put side by side. Differences between students are not tested here: where
intervals overlap, the table does not say which is better.
"""

import csv
from pathlib import Path

from warraq.metrics.catalogue import SCORES
from warraq.records import InputError, read_json
from warraq.web import comparison
from warraq.web.comparison import HEADLINE, Metrics

PAGES = 10  # shown of those that became worse
_WORSE = {"cer": 1, "insertion_rate": 1, "field_f1": -1}  # the sign of a change for the worse


def build(folders: list[Path], variant: str) -> str:
    """Raises InputError where a folder has no such variant, or the test sets differ."""
    reports = [read_json(folder / "metrics.json") for folder in folders]
    for folder, metrics in zip(folders, reports, strict=True):
        if variant not in comparison.variants(metrics):
            raise InputError(f"{folder} has no predictions of {variant!r}, only of {metrics['variants']}.")
        for key in ("test_sha256", "reference", "images_sha256"):
            if metrics[key] != reports[0][key]:
                raise InputError(
                    f"{folder} was scored on another test set than {folders[0]} ({key} {metrics[key]}, not "
                    f"{reports[0][key]}); run `dvc repro` for both."
                )
    head = ["", *(str(folder) for folder in folders)]
    lines = [_line(head), _line(["---"] * len(head))]
    for name in HEADLINE:
        if any(metrics.get(f"{variant}_{name}") is not None for metrics in reports):
            lines.append(_line([SCORES[name].label, *(_cell(metrics, variant, name) for metrics in reports)]))
    lines += ["", f"{variant}; {comparison.size(reports[0])}, scored against {_vouched(reports[0])}. "
              "Brackets: 95 % intervals over documents."]  # fmt: skip
    return "\n".join(lines + (_regressions(folders[0], folders[1], variant) if len(folders) == 2 else []))


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(metrics: Metrics, variant: str, name: str) -> str:
    key = f"{variant}_{name}"
    return f"{comparison.number(metrics.get(key))} {comparison.interval(metrics, key)}".strip()


def _vouched(metrics: Metrics) -> str:
    return comparison.VOUCHED[metrics["reference"]]


def _regressions(before: Path, after: Path, variant: str) -> list[str]:
    """The pages that became worse, by the score that they lost most in."""
    old, new = _pages(before, variant), _pages(after, variant)
    worse = []
    for page in old.keys() & new.keys():
        losses = [
            (sign * (float(new[page][name]) - float(old[page][name])), name)
            for name, sign in _WORSE.items()
            if old[page][name] and new[page][name]
        ]
        loss, name = max(losses, default=(0.0, ""))
        if loss > 0:
            change = f"{SCORES[name].label} {float(old[page][name]):.3f} → {float(new[page][name]):.3f}"
            worse.append((-loss, page, change))
    if not worse:
        return ["", "No page became worse."]
    shown = [f"* {page}: {change}" for _, page, change in sorted(worse)[:PAGES]]
    more = f", the {PAGES} most of all" if len(worse) > PAGES else ""
    return ["", f"{comparison.counted(len(worse), 'page')} became worse{more}:", "", *shown]


def _pages(folder: Path, variant: str) -> dict[str, dict[str, str]]:
    path = folder / "plots/pages.csv"
    if not path.exists():
        raise InputError(f"{path} is missing; run `dvc repro evaluate` or `dvc pull`.")
    with path.open(encoding="utf-8", newline="") as stream:
        return {row["page_id"]: row for row in csv.DictReader(stream) if row["variant"] == variant}

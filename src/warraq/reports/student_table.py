"""Folders that evaluate wrote -> one table of several students, or of one before and after, as Markdown.

Scores of different test sets are never put side by side. Differences between students are not tested here: where
intervals overlap, the table does not say which is better.
"""

import csv
import os
from pathlib import Path
from tempfile import TemporaryDirectory

from warraq.errors import InputError
from warraq.metrics.catalogue import SCORES
from warraq.reports import comparison
from warraq.reports.comparison import HEADLINE
from warraq.reports.student_metrics import StudentMetrics

PAGES = 10  # shown of those that became worse
_WORSE = {"cer": 1, "insertion_rate": 1, "field_f1": -1}  # the sign of a change for the worse


def compare_revision(folder: Path, revision: str, variant: str) -> str:
    """The same folder as a git revision has it, and as it is now.

    Raises:
        InputError: the revision has no such folder, or its pages.csv is neither in the cache nor in the remote of DVC.
    """
    import dvc.api
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    with TemporaryDirectory() as scratch:
        before = Path(scratch)
        try:
            root = Repo.find_root()
            for name in ("metrics.json", "plots/pages.csv"):
                path = os.path.relpath(folder.resolve() / name, root)
                text = dvc.api.read(path, repo=root, rev=revision)
                (before / name).parent.mkdir(parents=True, exist_ok=True)
                (before / name).write_text(text, encoding="utf-8")
        except DvcException as error:
            raise InputError(
                f"{folder} cannot be had as it was at {revision}: {str(error).rstrip('.')}; metrics.json must be in "
                "git and plots/ in DVC's cache (`dvc fetch --all-commits`)."
            ) from None
        return compare_students([(f"{folder} at {revision}", before), (str(folder), folder)], variant)


def compare_students(folders: list[tuple[str, Path]], variant: str) -> str:
    """The table of `folders`, each with its name; raises InputError where one has no such variant, or the test sets
    differ."""
    reports = [StudentMetrics.read(folder / "metrics.json") for _, folder in folders]
    names = [name for name, _ in folders]
    for name, metrics in zip(names, reports, strict=True):
        _check_comparable(name, metrics, names[0], reports[0], variant)
    lines = [_format_line(["", *names]), _format_line(["---"] * (1 + len(names)))]
    for score in HEADLINE:
        scores = [metrics.get_score(variant, score) for metrics in reports]
        if any(one.value is not None for one in scores):
            lines.append(_format_line([SCORES[score].label, *map(comparison.format_score, scores)]))
    size, reference = comparison.describe_size(reports[0]), comparison.describe_reference(reports[0])
    lines += ["", f"{variant}; {size}, scored against {reference}. Brackets: 95 % intervals over documents."]
    return "\n".join(lines + (_list_regressions(folders[0][1], folders[1][1], variant) if len(folders) == 2 else []))


def _check_comparable(name: str, metrics: StudentMetrics, first: str, others: StudentMetrics, variant: str) -> None:
    if variant not in metrics.variants:
        raise InputError(f"{name} has no predictions of {variant!r}, only of {metrics.get_text('variants')}.")
    for key in ("test_sha256", "reference", "images_sha256"):
        if metrics.get_text(key) != others.get_text(key):
            raise InputError(
                f"{name} was scored on another test set than {first} ({key} {metrics.get_text(key)}, not "
                f"{others.get_text(key)}); run `dvc repro` for both."
            )


def _format_line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _list_regressions(before: Path, after: Path, variant: str) -> list[str]:
    """The pages that became worse, by the score that they lost most in."""
    old, new = _read_pages(before, variant), _read_pages(after, variant)
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
    return ["", f"{comparison.format_count(len(worse), 'page')} became worse{more}:", "", *shown]


def _read_pages(folder: Path, variant: str) -> dict[str, dict[str, str]]:
    path = folder / "plots/pages.csv"
    if not path.exists():
        raise InputError(f"{path} is missing; run `dvc repro evaluate` or `dvc pull`.")
    with path.open(encoding="utf-8", newline="") as stream:
        return {row["page_id"]: row for row in csv.DictReader(stream) if row["variant"] == variant}

"""The numbers of a report -> a run in Weights & Biases, with a table of the pages, worst first.

Numbers and page ids alone: what stands on a page, its image or its text, never leaves the machine this way, nor does
wandb look about in it. The commit goes with them, which metrics.json cannot name, being part of it. Where the run goes
is wandb's own business: WANDB_API_KEY, WANDB_MODE=offline, WANDB_PROJECT.
"""

import csv
import os
import shutil
import subprocess
from pathlib import Path

from warraq.errors import InputError
from warraq.files import read_json

PROJECT = "warraq"


def describe_commit(folder: Path) -> str | None:
    """The commit of the checkout that `folder` is in, with `+dirty` where a tracked file differs from it; None outside
    of git, or where git is not installed."""
    if shutil.which("git") is None:
        return None
    git = ["git", "-C", str(folder)]
    head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    if head.returncode:
        return None
    changed = subprocess.run([*git, "status", "--porcelain", "--untracked-files=no"], capture_output=True, check=True)
    return head.stdout.strip() + "+dirty" * bool(changed.stdout)


def log_run(reports: Path, folder: Path) -> str:
    """Log what evaluate wrote to `reports`; wandb writes under `folder`. Returns where the run is."""
    if not os.environ.get("WANDB_API_KEY") and os.environ.get("WANDB_MODE") != "offline":
        raise InputError("Weights & Biases needs WANDB_API_KEY, or WANDB_MODE=offline to keep the run in wandb/.")
    metrics = read_json(reports / "metrics.json")
    with (reports / "plots/pages.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    rows.sort(key=lambda row: (-float(row["cer"] or 0), float(row["field_f1"] or 1), row["page_id"], row["variant"]))
    import wandb

    config = {key: value for key, value in metrics.items() if isinstance(value, str)} | {
        "commit": describe_commit(reports)
    }
    numbers = {key: value for key, value in metrics.items() if isinstance(value, int | float)}
    name = reports.resolve().name
    project = os.environ.get("WANDB_PROJECT", PROJECT)
    settings = wandb.Settings(
        silent=True, console="off", x_disable_stats=True, x_disable_meta=True, disable_git=True, disable_code=True
    )
    with wandb.init(
        project=project, name=name, config=config, dir=folder, job_type="evaluate", settings=settings
    ) as run:
        run.summary.update(numbers)
        columns: list[str | int] = list(rows[0]) if rows else ["page_id"]
        run.log({"pages": wandb.Table(columns=columns, data=[[row[key] for key in columns] for row in rows])})
        place = run.url or str(Path(run.dir).parent)
    wandb.teardown()  # its own process may still be writing after the run has ended
    return place

"""The numbers of a report -> a run in Weights & Biases, with a table of the pages, worst first.

Numbers and page ids alone: what stands on a page, its image or its text, never leaves the machine this way, nor does
wandb look about in it. Where the run goes is wandb's own business: WANDB_API_KEY, WANDB_MODE=offline, WANDB_PROJECT.
"""

import csv
import os
from pathlib import Path

from warraq.records import InputError, read_json

PROJECT = "warraq"


def track(reports: Path, folder: Path) -> str:
    """Log what evaluate wrote to `reports`; wandb writes under `folder`. Returns where the run is."""
    if not os.environ.get("WANDB_API_KEY") and os.environ.get("WANDB_MODE") != "offline":
        raise InputError("Weights & Biases needs WANDB_API_KEY, or WANDB_MODE=offline to keep the run in wandb/.")
    metrics = read_json(reports / "metrics.json")
    with (reports / "plots/pages.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    rows.sort(key=lambda row: (-float(row["cer"] or 0), float(row["field_f1"] or 1), row["page_id"], row["variant"]))
    import wandb

    config = {key: value for key, value in metrics.items() if isinstance(value, str)}
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

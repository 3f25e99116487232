"""The command for people who label, correct and check. Modules are imported inside it, as `--help` needs none."""

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from warraq.cli.terminal import exit_on_failure, load_params, path_option


def percent_option(name: str, default: float, description: str) -> Callable[[Any], Any]:
    """An option from 0 to 100."""
    return click.option(name, type=click.FloatRange(0, 100), default=default, show_default=True, help=description)


@click.command()
@click.option(
    "--data", type=click.Path(path_type=Path), default=Path("data"), show_default=True,
    help="Folder of raw, pages, labels, ledger and reviews; drafts are kept in it too.",
)  # fmt: skip
@click.option(
    "--reports", type=click.Path(path_type=Path), default=Path("reports"), show_default=True,
    help="Folder of <student>/<variant>/predictions.jsonl.",
)  # fmt: skip
@path_option("--model", "Folder of a finished model, which then reads the pages that nobody has answered.", False)
@click.option("--reviewer", envvar="USER", default="", help="Your name in the reviews. Default: that of your account.")
@percent_option("--share", 100, "Percent of each document's pages without a label that people label.")
@percent_option("--sample", 10, "Percent of accepted labels looked at at random.")
@percent_option("--second", 0, "Percent of reviewed pages that a second person reads, blind.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Another one needs a token in WARRAQ_TOKEN.")
@click.option("--port", type=click.IntRange(1, 65535), default=8090, show_default=True, help="Where it listens.")
@click.option(
    "--progress", is_flag=True, help="Only tell how far it is, how well teacher and people agree, what is next."
)
@click.option(
    "--export", "exported", type=click.Choice(["label-studio", "jsonl", "csv"]),
    help="Only write all reviews to standard output.",
)  # fmt: skip
@click.option(
    "--import", "imported", type=click.Path(path_type=Path),
    help="Only take in such a file, or a folder of texts and answers that are named like the pages.",
)  # fmt: skip
@click.pass_context
@exit_on_failure
def review(
    context: click.Context, data: Path, reports: Path, model: Path | None, reviewer: str, share: float, sample: float,
    second: float, host: str, port: int, progress: bool, exported: str | None, imported: Path | None,
) -> None:  # fmt: skip
    """Label, correct and check pages in the browser; nothing leaves this machine."""
    params = load_params(context)
    from warraq.reviewing import exchange
    from warraq.reviewing.progress import Wanted, describe_progress
    from warraq.reviewing.project import ReviewFolders, ReviewProject
    from warraq.reviewing.queues import Shares

    project = ReviewProject(ReviewFolders(data, reports, model), params.tasks)
    shares = Shares(todo=share / 100, sample=sample / 100, second=second / 100)
    wanted = Wanted(params.dataset.test_share, params.dataset.validation_share, params.evaluate.accepted_error)
    if exported:
        click.echo(exchange.export_reviews(project, exported), nl=False)  # type: ignore[arg-type]
        return
    if imported:
        counts = exchange.import_reviews(project, imported, reviewer)
        click.echo("\n".join(f"{count} {name}" for name, count in sorted(counts.items())) or "nothing to import")
    if imported or progress:
        click.echo(describe_progress(project, wanted))
        return
    from warraq.local_server import refuse_taken_port
    from warraq.reviewing import server

    refuse_taken_port(host, port)
    logging.getLogger("warraq").info("%s", describe_progress(project, wanted))
    logging.getLogger("warraq").info("http://%s:%d, %d pages; end it with Ctrl+C", host, port, len(project.pages))
    token = os.environ.get("WARRAQ_TOKEN")
    server.serve(project, shares, wanted, reviewer=reviewer, host=host, port=port, token=token)

"""The `warraq` command."""

import io
import logging
import os
import sys
from pathlib import Path

import click

from warraq.cli import stages, tools
from warraq.cli.cloud import cloud
from warraq.cli.prove_endpoint import prove_endpoint
from warraq.cli.read import read
from warraq.cli.review import review
from warraq.cli.serve import serve
from warraq.cli.terminal import Terminal


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="warraq")
@click.option(
    "--params", type=click.Path(path_type=Path), default=Path("params.yaml"), show_default=True,
    help="Every number and name that changes a result.",
)  # fmt: skip
@click.pass_context
def main(context: click.Context, params: Path) -> None:
    """Turn a folder of PDFs into a small vision-language model that you run alone."""
    context.obj = params
    if isinstance(sys.stdout, io.TextIOWrapper):  # a terminal without the letters of an answer ends no run of minutes
        sys.stdout.reconfigure(errors="backslashreplace")
    # Threads of torch that spin while they wait make a shared machine ten times slower; on a quiet one it is free.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    logger = logging.getLogger("warraq")
    if not logger.handlers:
        logger.addHandler(Terminal())
        logger.setLevel(logging.INFO)
        logger.propagate = False


for _command in (*stages.COMMANDS, read, review, serve, cloud, prove_endpoint, *tools.COMMANDS):
    main.add_command(_command)

"""Commands for a rented GPU."""

import sys
from pathlib import Path

import click

from warraq.cli.terminal import exit_on_failure, load_params


@click.group()
def cloud() -> None:
    """A rented GPU: pack what may travel, run there, bring the results home."""


@cloud.command()
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--remote", required=True, help="URL of an empty place for DVC, as of `dvc remote add`.")
@click.option("--own-host", is_flag=True, help="The machine is yours: every page travels, whatever documents.csv says.")
@click.option("--dry-run", is_flag=True, help="Only tell what would travel; write and send nothing.")
@click.pass_context
@exit_on_failure
def pack(context: click.Context, out: Path, remote: str, own_host: bool, dry_run: bool) -> None:
    """Make OUT, a project of the pages that may leave, push it to an empty remote, and tell what travels."""
    params = load_params(context)
    from warraq.cloud import clearing
    from warraq.cloud import pack as packer

    if dry_run:
        click.echo(clearing.choose_pages(Path(), own_host=own_host).describe())
    else:
        click.echo(packer.pack(Path(), out, remote, params, own_host=own_host).describe())


@cloud.command()
@click.argument("student")
@click.option("--own-host", is_flag=True, help="The machine is yours, and may see a project that was not packed.")
@click.pass_context
@exit_on_failure
def run(context: click.Context, student: str, own_host: bool) -> None:
    """Run the pipeline for STUDENT on this machine; what comes of it goes to the remote at once."""
    chosen = load_params(context).find_student(student)
    from warraq.cloud import run as runner

    sys.exit(runner.run(Path(), student, chosen, own_host=own_host))


@cloud.command()
@click.argument("student")
@click.pass_context
@exit_on_failure
def collect(context: click.Context, student: str) -> None:
    """Bring the results for STUDENT home, into the project that `pack` made."""
    load_params(context).find_student(student)
    from warraq.cloud import run as runner

    is_new = runner.collect(Path(), student)
    click.echo(f"models/{student} and reports/{student} are here" if is_new else "there is nothing new on the remote")

"""`warraq read`. Modules are imported inside it, as `--help` needs none."""

import logging
from pathlib import Path
from typing import Literal

import click

from warraq.cli.terminal import exit_on_failure, path_option


@click.command()
@click.argument("files", type=click.Path(path_type=Path, exists=True), nargs=-1, required=True)
@path_option("--model", "Folder that export or merge wrote.")
@path_option("--out", "Folder for the answers in their forms; default: JSON Lines to standard output.", False)
@click.option(
    "--forms", default="json,markdown,csv,xlsx,jsonl", show_default=True,
    help="What is written to --out; also pdf, a searchable one a document.",
)  # fmt: skip
@click.option("--headers", type=click.Choice(["en", "ar"]), default="en", show_default=True, help="Language of tables.")
@click.option("--task", "tasks", multiple=True, help="A task of the model; may be repeated. Default: all.")
@click.option("--pages", metavar="RANGES", help="Only these pages of each document, like 1-3,7,9-.")
@click.option(
    "--runtime", type=click.Choice(["onnx", "gguf", "torch", "endpoint"]), help="Default: what the folder is for."
)
@click.option("--workers", type=click.IntRange(1, 64), default=4, show_default=True, help="Pages asked at once.")
@path_option(
    "--review", "The review.json of evaluate: less sure answers are marked as in need of review.", required=False
)
@click.option("--ask-too-small", is_flag=True, help="Ask about pages too small for the model too; marks the answers.")
@exit_on_failure
def read(
    files: tuple[Path, ...], model: Path, out: Path | None, forms: str, headers: Literal["en", "ar"],
    tasks: tuple[str, ...], pages: str | None, runtime: str | None, workers: int, review: Path | None,
    ask_too_small: bool,
) -> None:  # fmt: skip
    """Read documents (PDF, PNG, JPEG, TIFF, or folders of them) with a finished model."""
    import json
    import tempfile

    from warraq.serving import files as reader
    from warraq.serving.finished_model import load_finished_model
    from warraq.serving.forms import parse_forms

    wanted = parse_forms(forms)
    finished = load_finished_model(model, tasks, runtime, review, ask_too_small)
    if out is not None:
        for document in reader.run(
            files=files, out=out, model=finished, pages=pages, batch_size=workers, forms=wanted, headers=headers
        ):
            logging.getLogger("warraq").info("%s", document.files[0])
        return
    with tempfile.TemporaryDirectory() as work:
        for document in reader.run(files=files, out=Path(work), model=finished, pages=pages, batch_size=workers):
            click.echo(json.dumps(document.to_json(), ensure_ascii=False))

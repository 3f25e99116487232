"""The command that serves a finished model. Modules are imported inside it, as `--help` needs none."""

import os
from pathlib import Path

import click

from warraq.cli.terminal import exit_on_failure, path_option


@click.command()
@path_option("--model", "Folder that export or merge wrote.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Another one needs a token in WARRAQ_TOKEN.")
@click.option("--port", type=click.IntRange(1, 65535), default=8080, show_default=True, help="Where it listens.")
@click.option(
    "--runtime", type=click.Choice(["onnx", "gguf", "torch", "endpoint"]), help="Default: what the folder is for."
)
@path_option(
    "--review", "The review.json of evaluate: less sure answers are marked as in need of review.", required=False
)
@click.option("--ask-too-small", is_flag=True, help="Ask about pages too small for the model too; marks the answers.")
@click.option("--queue", type=click.IntRange(1, 1000), default=8, show_default=True, help="Requests that may wait.")
@click.option("--max-mib", type=click.IntRange(1, 4096), default=64, show_default=True, help="Of a request.")
@click.option("--max-pages", type=click.IntRange(1, 2000), default=50, show_default=True, help="Read of a document.")
@click.option(
    "--max-seconds", type=click.IntRange(1, 86400), default=900, show_default=True, help="Of a request's turn."
)
@click.option("--max-images", type=click.IntRange(1, 1000), default=8, show_default=True, help="Of a chat completion.")
@click.option(
    "--max-prompt-tokens", type=click.IntRange(1, 10**6), default=4096, show_default=True,
    help="Of a chat completion with its images.",
)  # fmt: skip
@click.option(
    "--data", type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder of raw and reviews, where the page saves corrected answers. Default: data of the project that is the "
    "current folder; elsewhere nothing is saved.",
)  # fmt: skip
@click.pass_context
@exit_on_failure
def serve(
    context: click.Context, model: Path, host: str, port: int, runtime: str | None, review: Path | None,
    ask_too_small: bool, queue: int, max_mib: int, max_pages: int, max_seconds: int, max_images: int,
    max_prompt_tokens: int, data: Path | None,
) -> None:  # fmt: skip
    """Read documents over HTTP with a finished model, and in the browser, where answers are corrected and saved."""
    from warraq.local_server import refuse_taken_port
    from warraq.serving import server
    from warraq.serving.corrections import CorrectionFolder
    from warraq.serving.finished_model import load_finished_model
    from warraq.serving.queue import ReadService, ServiceLimits

    refuse_taken_port(host, port)
    if data is None and context.obj.is_file() and Path("data").is_dir():
        data = Path("data")
    folder = CorrectionFolder(data) if data else None
    limits = ServiceLimits(queue, max_mib, max_pages, max_seconds, max_images, max_prompt_tokens)
    service = ReadService(load_finished_model(model, (), runtime, review, ask_too_small), limits)
    server.serve(service, host, port, os.environ.get("WARRAQ_TOKEN"), folder)

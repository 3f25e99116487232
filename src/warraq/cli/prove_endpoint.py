"""The command that tells whether a server answers as the model that it should serve."""

from pathlib import Path

import click

from warraq.cli.terminal import exit_on_failure


@click.command("prove-endpoint")
@click.argument("url")
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--served", metavar="NAME", help="What the server calls the model. Default: the first that it lists.")
@click.option(
    "--dataset", type=click.Path(path_type=Path), default=Path("data/dataset"), show_default=True,
    help="What dataset wrote; its validation samples are asked.",
)  # fmt: skip
@click.option(
    "--pages", type=click.Path(path_type=Path), default=Path("data/pages"), show_default=True,
    help="What render wrote.",
)  # fmt: skip
@click.option("--questions", type=click.IntRange(1, 1000), default=4, show_default=True, help="Samples asked.")
@click.option("--tokens", type=click.IntRange(1, 32768), default=256, show_default=True, help="Of an answer, at most.")
@click.option(
    "--share", type=click.FloatRange(0, 1), default=0.75, show_default=True,
    help="Of the answers that have to be equal; below it the exit code is 2.",
)  # fmt: skip
@exit_on_failure
def prove_endpoint(
    url: str, model: Path, served: str | None, dataset: Path, pages: Path, questions: int, tokens: int, share: float
) -> None:
    """Compare the answers of the OpenAI-compatible server at URL, on this machine, with those of MODEL, the folder that
    merge wrote, in fp32; pages are prepared as its processor does."""
    from warraq.runtimes import read_requests
    from warraq.runtimes.endpoint import ServedModel, check_near, find_served_model
    from warraq.runtimes.endpoint_proof import choose_questions
    from warraq.runtimes.endpoint_proof import prove_endpoint as prove
    from warraq.runtimes.manifest import read_manifest

    views = read_manifest(model).views
    chosen = choose_questions(read_requests(dataset / "val.json", pages, views), questions)
    check_near(url, "URL")
    proof = prove(ServedModel(url, served or find_served_model(url), model), model, chosen, tokens)
    proof.check(url, share)
    click.echo(str(proof))

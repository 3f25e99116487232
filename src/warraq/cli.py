"""The `warraq` command: one command a stage of dvc.yaml, and a few for people. The only module that prints.

Modules are imported inside the commands, so that `--help` needs none of them.
"""

import functools
import logging
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click


class Terminal(logging.Handler):
    """Log lines to standard error; progress in place on a terminal, at most one line in ten seconds elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self._in_place = sys.stderr.isatty()
        self._shown = time.monotonic()
        self._open = False

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if record.levelno >= logging.WARNING:
            text = f"warning: {text}"
        if getattr(record, "progress", False):
            last = getattr(record, "last", False)
            if self._in_place:
                click.echo(f"\r\033[K{text}", nl=last, err=True)
                self._open = not last
                return
            if not last and time.monotonic() - self._shown < 10:
                return
            self._shown = time.monotonic()
        if self._open:
            click.echo(err=True)
            self._open = False
        click.echo(text, err=True)


def _params(context: click.Context) -> Any:
    from warraq import params

    return params.load(context.obj)


def _guarded(function: Callable[..., Any]) -> Callable[..., Any]:
    """A bad input is one sentence and exit code 2; a stage that failed, or whose proof does, one and exit code 1."""

    @functools.wraps(function)
    def run(*arguments: Any, **options: Any) -> None:
        from warraq.errors import InputError

        try:
            function(*arguments, **options)
        except InputError as error:
            click.echo(f"warraq: {error}", err=True)
            sys.exit(2)
        except RuntimeError as error:
            if type(error) is not RuntimeError:  # a library's own kind: its traceback says more
                raise
            click.echo(f"warraq: {error}", err=True)
            sys.exit(1)

    return run


def folder(name: str, text: str, required: bool = True) -> Callable[..., Any]:
    return click.option(name, type=click.Path(path_type=Path), required=required, help=text)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="warraq")
@click.option("--params", type=click.Path(path_type=Path), default=Path("params.yaml"), show_default=True)
@click.pass_context
def main(context: click.Context, params: Path) -> None:
    """Turn a folder of PDFs into a small vision-language model that you run alone."""
    context.obj = params
    # Threads of torch that spin while they wait make a shared machine ten times slower; on a quiet one it is free.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    logger = logging.getLogger("warraq")
    if not logger.handlers:
        logger.addHandler(Terminal())
        logger.setLevel(logging.INFO)
        logger.propagate = False


@main.command()
@folder("--raw", "Folder of PDF, PNG, JPEG and TIFF files.")
@folder("--out", "Folder for page images, pages.jsonl and rejected.jsonl.", required=False)
@click.option("--check", is_flag=True, help="Only tell what would be rejected, and why; keep nothing.")
@click.pass_context
@_guarded
def render(context: click.Context, raw: Path, out: Path | None, check: bool) -> None:
    """Files to page images."""
    branch = _params(context).render
    from warraq.stages import render as stage

    if check:
        click.echo(stage.check(raw, branch))
    elif out:
        stage.run(raw, out, branch)
    else:
        raise click.UsageError("Missing option '--out'.")


@main.command()
@click.option("--task", required=True, help="A task of params.yaml.")
@folder("--raw", "The files themselves; documents.csv among them says which may be sent to a cloud teacher.")
@folder("--pages", "What render wrote.")
@folder("--reviews", "Folder of human answers, <task>.jsonl.")
@folder("--ledger", "Folder of the ledger: what was asked, answered and paid, of all tasks. Keep it.")
@folder("--out", "File for the labels, JSON Lines.")
@folder("--metrics", "File for the counts of answers, refusals and doubts, JSON.")
@click.option("--dry-run", is_flag=True, help="Only tell what would be bought and what it would cost; send nothing.")
@click.option("--pilot", type=click.IntRange(1), help="Buy so many pages, then tell what the others would cost.")
@click.option("--retry", metavar="REASON", help="Ask again for pages that have this reason in place of an answer.")
@click.pass_context
@_guarded
def label(
    context: click.Context, task: str, raw: Path, pages: Path, reviews: Path, ledger: Path, out: Path, metrics: Path,
    dry_run: bool, pilot: int | None, retry: str | None,
) -> None:  # fmt: skip
    """Pages to labels, by the teachers of params.yaml."""
    params = _params(context)
    if task not in params.tasks:
        raise click.BadParameter(f"params.yaml has the tasks {', '.join(params.tasks)}.", param_hint="--task")
    from warraq.stages import label as stage

    if dry_run or pilot:
        click.echo(stage.preview(raw, pages, reviews, ledger, out, task, params.label, 0 if dry_run else pilot or 0))
    else:
        stage.run(raw, pages, reviews, ledger, out, metrics, task, params.label, retry)


@main.command()
@folder("--pages", "What render wrote.")
@folder("--labels", "Folder of <task>.jsonl.")
@folder("--reviews", "Folder of human answers, <task>.jsonl.")
@folder("--out", "Folder for the ShareGPT dataset.")
@click.pass_context
@_guarded
def dataset(context: click.Context, pages: Path, labels: Path, reviews: Path, out: Path) -> None:
    """Labels and reviews to train, val and test samples, split by document."""
    params = _params(context)
    from warraq.stages import dataset as stage

    stage.run(pages, labels, reviews, out, params.tasks, params.dataset)


@main.command()
@click.option("--student", required=True, help="A student of params.yaml.")
@folder("--base", "Folder of the base model.")
@folder("--dataset", "What dataset wrote.")
@folder("--pages", "What render wrote.")
@folder("--out", "Folder for the adapters, one a tier.")
@folder("--metrics", "File for the audit of the samples, JSON: tokens, px, what was left out.")
@folder("--curve", "File for the tokens by percent of the samples, CSV.")
@click.option("--dry-run", is_flag=True, help="Only audit: samples, trainable modules, memory; train nothing.")
@click.pass_context
@_guarded
def train(
    context: click.Context, student: str, base: Path, dataset: Path, pages: Path, out: Path, metrics: Path,
    curve: Path, dry_run: bool,
) -> None:  # fmt: skip
    """The dataset to adapters, by LLaMA-Factory, once every sample is proved to fit the student."""
    params = _params(context)
    chosen = params.student(student)
    from warraq.stages import train as stage

    stage.run(base, dataset, pages, out, metrics, curve, chosen, params.train, dry_run)


@main.command()
@click.option("--student", required=True, help="A student of params.yaml.")
@folder("--base", "Folder of the base model.")
@folder("--adapter", "What train wrote.")
@folder("--dataset", "What dataset wrote; its val pages are the fixed pages of the proof.")
@folder("--pages", "What render wrote.")
@folder("--out", "Folder for the merged model; the proof is <out>.parity.json beside it.")
@click.pass_context
@_guarded
def merge(
    context: click.Context, student: str, base: Path, adapter: Path, dataset: Path, pages: Path, out: Path
) -> None:
    """Base and adapter to one model, with a proof."""
    params = _params(context)
    chosen = params.student(student)
    from warraq.rendering.pages import Look
    from warraq.stages import merge as stage

    look = {name: getattr(params.render, name) for name in Look.model_fields}
    stage.run(base, adapter, dataset, pages, out, chosen, look, params.merge)


@main.command()
@click.option("--student", required=True, help="A student of params.yaml.")
@folder("--merged", "What merge wrote.")
@folder("--dataset", "What dataset wrote; its val pages are the fixed pages of the proof.")
@folder("--pages", "What render wrote.")
@folder("--out", "Folder for the ONNX graphs, processor and parity.json.")
@click.pass_context
@_guarded
def export(context: click.Context, student: str, merged: Path, dataset: Path, pages: Path, out: Path) -> None:
    """The merged model to ONNX, with a proof."""
    params = _params(context)
    chosen = params.student(student)
    from warraq.stages import export as stage

    if student in params.export.left_out:
        stage.leave_out(out, chosen)
    else:
        stage.run(merged, dataset, pages, out, chosen, params.export)


@main.command()
@folder("--model", "Folder of a Hugging Face or ONNX model.")
@folder("--dataset", "What dataset wrote; its validation and test samples are asked.")
@folder("--pages", "What render wrote.")
@folder("--out", "File for the predictions, JSON Lines.")
@click.pass_context
@_guarded
def predict(context: click.Context, model: Path, dataset: Path, pages: Path, out: Path) -> None:
    """A model's answers to the validation and test samples."""
    branch = _params(context).predict
    from warraq.stages import predict as stage

    stage.run(model, dataset, pages, out, branch)


@main.command()
@folder("--dataset", "What dataset wrote.")
@folder("--pages", "What render wrote.")
@folder("--labels", "What label wrote: the teacher is scored where people answered too.", required=False)
@folder("--predictions", "Folder of <variant>/predictions.jsonl.")
@folder("--proof", "The parity.json that merge wrote: which base, tuned how.")
@folder("--out", "Folder for metrics.json, review.json, report.html, model_card.md and plots.")
@click.pass_context
@_guarded
def evaluate(
    context: click.Context, dataset: Path, pages: Path, labels: Path | None, predictions: Path, proof: Path, out: Path
) -> None:
    """Predictions to metrics and a report; prints the comparison."""
    params = _params(context)
    from warraq.stages import evaluate as stage

    click.echo(stage.run(dataset, pages, labels, predictions, proof, out, params.evaluate))


@main.command()
@click.argument("files", type=click.Path(path_type=Path, exists=True), nargs=-1, required=True)
@folder("--model", "Folder that export or merge wrote.")
@folder("--out", "Folder for a JSON and a Markdown file a document; default: JSON Lines to standard output.", False)
@click.option("--task", "tasks", multiple=True, help="A task of the model; may be repeated. Default: all.")
@click.option("--pages", metavar="RANGES", help="Only these pages of each document, like 1-3,7,9-.")
@click.option("--runtime", type=click.Choice(["onnx", "torch", "endpoint"]), help="Default: what the folder is for.")
@click.option("--workers", type=click.IntRange(1, 64), default=4, show_default=True, help="Pages asked at once.")
@folder("--review", "The review.json of evaluate: less sure answers are marked as in need of review.", required=False)
@_guarded
def read(
    files: tuple[Path, ...], model: Path, out: Path | None, tasks: tuple[str, ...], pages: str | None,
    runtime: str | None, workers: int, review: Path | None,
) -> None:  # fmt: skip
    """Read documents (PDF, PNG, JPEG, TIFF, or folders of them) with a finished model."""
    import json
    import tempfile

    from warraq.serving import files as reader
    from warraq.serving.finished_model import known

    finished = known(model, tasks, runtime, review)
    if out is not None:
        for document in reader.run(files, out, finished, pages, workers):
            logging.getLogger("warraq").info("%s", document["files"][0])
        return
    with tempfile.TemporaryDirectory() as work:
        for document in reader.run(files, Path(work), finished, pages, workers):
            click.echo(json.dumps(document, ensure_ascii=False))


@main.command()
@folder("--model", "Folder that export or merge wrote.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Another one needs a token in WARRAQ_TOKEN.")
@click.option("--port", type=click.IntRange(1, 65535), default=8080, show_default=True)
@click.option("--runtime", type=click.Choice(["onnx", "torch", "endpoint"]), help="Default: what the folder is for.")
@folder("--review", "The review.json of evaluate: less sure answers are marked as in need of review.", required=False)
@click.option("--queue", type=click.IntRange(1, 1000), default=8, show_default=True, help="Requests that may wait.")
@click.option("--max-mib", type=click.IntRange(1, 4096), default=64, show_default=True, help="Of a request.")
@click.option("--max-pages", type=click.IntRange(1, 2000), default=50, show_default=True, help="Of a document.")
@click.option("--max-seconds", type=click.IntRange(1, 86400), default=900, show_default=True, help="Of a document.")
@_guarded
def serve(
    model: Path, host: str, port: int, runtime: str | None, review: Path | None, queue: int, max_mib: int,
    max_pages: int, max_seconds: int,
) -> None:  # fmt: skip
    """Read documents over HTTP with a finished model, and in the browser."""
    from warraq.serving import server
    from warraq.serving.finished_model import known
    from warraq.serving.queue import Desk, Limits

    desk = Desk(known(model, (), runtime, review), Limits(queue, max_mib, max_pages, max_seconds))
    server.serve(desk, host, port, os.environ.get("WARRAQ_TOKEN"))


@main.command()
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--documents", type=click.IntRange(1), default=60, show_default=True, help="PDF files, or pages.")
@click.option("--seed", type=int, default=1, show_default=True, help="Equal seeds give equal bytes.")
@click.option("--planted", is_flag=True, help="Pages with planted errors instead, as a test set.")
@_guarded
def synth(out: Path, documents: int, seed: int, planted: bool) -> None:
    """Write synthetic PDF files to OUT/raw and their true answers to OUT/reviews."""
    if planted:
        from warraq.synth import planted as test_set

        test_set.write(out, documents, seed)
    else:
        from warraq import synth as writer

        writer.write(out, documents, seed)


@main.command()
@click.argument("student")
@click.pass_context
@_guarded
def fetch(context: click.Context, student: str) -> None:
    """Put the base model of STUDENT, at its pinned revision, into models/STUDENT/base."""
    chosen = _params(context).student(student)
    from warraq.students import fetch as fetcher

    fetcher.fetch(student, chosen, Path("models") / student / "base")


@main.group("import")
def import_() -> None:
    """Data sets of others as pages, labels and a dataset."""


@import_.command()
@click.argument("source")
@click.option("--revision", help="The commit of a data set on the hub, 40 digits.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("tableqa"), show_default=True)
@click.pass_context
@_guarded
def tableqa(context: click.Context, source: str, revision: str | None, out: Path) -> None:
    """Visual-TableQA, SOURCE on the hub or a folder of parquet, to OUT/pages, OUT/labels and OUT/dataset."""
    branch = _params(context).dataset
    from warraq.importers import tableqa as importer
    from warraq.stages import dataset as stage

    importer.run(source, revision, out)
    stage.run(out / "pages", out / "labels", out / "reviews", out / "dataset", ["table_qa"], branch)


@main.command()
@click.argument("student", required=False)
@click.pass_context
@_guarded
def doctor(context: click.Context, student: str | None) -> None:
    """Tell what this machine lacks, and what training STUDENT would need at most."""
    chosen = _params(context).student(student) if student else None
    from warraq.training import hardware

    lines = hardware.report(student or "", chosen, Path("models") / (student or "") / "base")
    for right, text in lines:
        click.echo(f"{'ok ' if right else '!! '} {text}")
    sys.exit(0 if all(right for right, _ in lines) else 1)


@main.command()
@click.argument("reports", type=click.Path(path_type=Path))
@_guarded
def show(reports: Path) -> None:
    """Print the comparison in REPORTS, the folder that evaluate wrote."""
    from warraq.files import read_json
    from warraq.reports import comparison

    click.echo(comparison.terminal(read_json(reports / "metrics.json"), str(reports / "report.html")))


@main.command()
@click.argument("reports", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option("--variant", default="merged", show_default=True, help="base, merged, onnx or another that was asked.")
@click.option("--rev", metavar="REVISION", help="Compare REPORTS with itself at a git revision, say HEAD or v1.0.")
@_guarded
def compare(reports: tuple[Path, ...], variant: str, rev: str | None) -> None:
    """Print several students' scores side by side; of two REPORTS also the pages that became worse."""
    if rev is not None and len(reports) > 1:
        raise click.BadParameter("takes one folder of reports.", param_hint="--rev")
    from warraq.reports import student_table

    if rev is None:
        click.echo(student_table.build([(str(folder), folder) for folder in reports], variant))
    else:
        click.echo(student_table.since(reports[0], rev, variant))


@main.command()
@click.argument("reports", type=click.Path(path_type=Path))
@click.option("--ledger", type=click.Path(path_type=Path), default=Path("data/ledger"), show_default=True)
@click.option("--usd-per-hour", type=click.FloatRange(0), required=True, help="What the student's machine costs.")
@click.pass_context
@_guarded
def cost(context: click.Context, reports: Path, ledger: Path, usd_per_hour: float) -> None:
    """Print what 1,000 pages cost, of the teacher by the ledger and of the student by REPORTS, and the break-even."""
    from warraq.files import read_json
    from warraq.reports import cost as account
    from warraq.teachers.remote.ledger import Ledger

    params = _params(context)
    model = params.label.gemini.model
    with Ledger.open(ledger, write=False) as book:
        means = [mean for mean in (book.means(task, model) for task in params.tasks) if mean is not None]
        usd, seconds = sum(mean.usd for mean in means), sum(mean.seconds for mean in means)
        teacher = account.Teacher(model, usd, seconds) if means else None
        click.echo(account.build(read_json(reports / "metrics.json"), teacher, book.spent(), usd_per_hour))


@main.command()
@click.argument("reports", type=click.Path(path_type=Path))
@_guarded
def track(reports: Path) -> None:
    """Log the numbers in REPORTS to Weights & Biases; never a page's image or text."""
    from warraq.reports import tracking

    click.echo(tracking.track(reports, Path()))


@main.command("pretrain-nano")
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--steps", type=click.IntRange(1), default=20_000, show_default=True, help="Updates in all.")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Of the weights and the pages.")
@click.option("--batch-size", type=click.IntRange(1), default=16, show_default=True, help="Pages an update.")
@_guarded
def pretrain_nano(out: Path, steps: int, seed: int, batch_size: int) -> None:
    """Teach the embedded student to read synthetic pages; OUT becomes a folder like models/nano/base."""
    from warraq.nano import pretrain

    scores = pretrain.run(out, steps, seed, batch_size)
    click.echo(", ".join(f"{name} {value:.3f}" for name, value in sorted(scores.items())))

"""One command a stage of dvc.yaml. Modules are imported inside the commands, so that `--help` needs none of them."""

from pathlib import Path

import click

from warraq.cli.terminal import exit_on_failure, load_params, path_option, refuse_unknown_task


@click.command()
@path_option("--source", "Folder of the package, src/warraq.")
@path_option("--lock", "The file requirements.lock.")
@path_option("--out", "Folder for the digests, a file a stage.")
@click.pass_context
@exit_on_failure
def code(context: click.Context, source: Path, lock: Path, out: Path) -> None:
    """The code and the lock to a digest a stage, by which DVC knows what to run again."""
    tasks = load_params(context).tasks
    from warraq import code as stage

    stage.run(source=source, lock=lock, out=out, tasks=tasks)


@click.command()
@path_option("--raw", "Folder of PDF files and images.")
@path_option("--out", "Folder for page images, pages.jsonl and rejected.jsonl.", required=False)
@click.option("--check", is_flag=True, help="Only tell what would be rejected, and why; keep nothing.")
@click.pass_context
@exit_on_failure
def render(context: click.Context, raw: Path, out: Path | None, check: bool) -> None:
    """Files to page images."""
    branch = load_params(context).render
    from warraq.stages import render as stage

    if check:
        click.echo(stage.check(raw=raw, parameters=branch))
    elif out:
        stage.run(raw=raw, out=out, parameters=branch)
    else:
        raise click.UsageError("Missing option '--out'.")


@click.command()
@click.option("--task", required=True, help="A task of params.yaml.")
@path_option("--raw", "The files themselves; documents.csv among them says which may be sent to a cloud teacher.")
@path_option("--pages", "What render wrote.")
@path_option("--reviews", "Folder of human answers, <task>.jsonl.")
@path_option("--ledger", "Folder of the ledger: what was asked, answered and paid, of all tasks. Keep it.")
@path_option("--out", "File for the labels, JSON Lines.")
@path_option("--metrics", "File for the counts of answers, refusals and doubts, JSON.")
@click.option("--check", is_flag=True, help="Ask one real request for each task of params.yaml, and tell what came.")
@click.option("--dry-run", is_flag=True, help="Only tell what would be bought and what it would cost; send nothing.")
@click.option("--pilot", type=click.IntRange(1), help="Buy so many pages, then tell what the others would cost.")
@click.option("--clearance", is_flag=True, help="Only tell which documents may be sent, and why the others not.")
@click.option("--retry", metavar="REASON", help="Ask again for pages that have this reason in place of an answer.")
@click.pass_context
@exit_on_failure
def label(
    context: click.Context, task: str, raw: Path, pages: Path, reviews: Path, ledger: Path, out: Path, metrics: Path,
    check: bool, dry_run: bool, pilot: int | None, clearance: bool, retry: str | None,
) -> None:  # fmt: skip
    """Pages to labels, by the teachers of params.yaml."""
    params = load_params(context)
    refuse_unknown_task(task, params.tasks, "--task")
    from warraq.stages import label as stage

    files = stage.LabelFiles(raw, pages, reviews, ledger, out)
    if clearance:
        click.echo(files.describe_clearance())
    elif check:
        click.echo(stage.check(files=files, names=params.tasks, parameters=params.label))
    elif dry_run or pilot:
        click.echo(stage.preview(files=files, task=task, parameters=params.label, pilot=0 if dry_run else pilot or 0))
    else:
        stage.run(files=files, metrics=metrics, task=task, parameters=params.label, retry=retry)


@click.command()
@path_option("--pages", "What render wrote.")
@path_option("--labels", "Folder of <task>.jsonl.")
@path_option("--reviews", "Folder of human answers, <task>.jsonl.")
@path_option("--splits", "CSV of the side of each document: read, and new documents are added.")
@path_option("--out", "Folder for the ShareGPT dataset.")
@click.pass_context
@exit_on_failure
def dataset(context: click.Context, pages: Path, labels: Path, reviews: Path, splits: Path, out: Path) -> None:
    """Labels and reviews to train, val and test samples, split by document."""
    params = load_params(context)
    from warraq.stages import dataset as stage

    stage.run(
        pages=pages, labels=labels, reviews=reviews, splits=splits, out=out, tasks=params.tasks,
        parameters=params.dataset,
    )  # fmt: skip


@click.command()
@click.option("--student", required=True, help="A student of params.yaml.")
@path_option("--base", "Folder of the base model.")
@path_option("--dataset", "What dataset wrote.")
@path_option("--pages", "What render wrote.")
@path_option("--out", "Folder for the adapters, one a tier.")
@path_option("--metrics", "File for the audit of the samples, JSON: tokens, px, what was left out.")
@path_option("--curve", "File for the tokens by percent of the samples, CSV.")
@path_option("--losses", "File for the losses at each evaluation of each tier, CSV.")
@click.option("--dry-run", is_flag=True, help="Only audit: samples, trainable modules, memory; train nothing.")
@click.pass_context
@exit_on_failure
def train(
    context: click.Context, student: str, base: Path, dataset: Path, pages: Path, out: Path, metrics: Path,
    curve: Path, losses: Path, dry_run: bool,
) -> None:  # fmt: skip
    """The dataset to adapters, by LLaMA-Factory, once every sample is proved to fit the student."""
    params = load_params(context)
    chosen = params.find_student(student)
    from warraq.stages import train as stage

    stage.run(
        base=base, dataset=dataset, pages=pages, out=out, metrics=metrics, curve=curve, losses=losses, student=chosen,
        parameters=params.train, dry_run=dry_run,
    )  # fmt: skip


@click.command()
@click.option("--student", required=True, help="A student of params.yaml.")
@path_option("--base", "Folder of the base model.")
@path_option("--adapter", "What train wrote.")
@path_option("--dataset", "What dataset wrote; its val pages are the fixed pages of the proof.")
@path_option("--pages", "What render wrote.")
@path_option("--out", "Folder for the merged model; the proof is <out>.parity.json beside it.")
@click.pass_context
@exit_on_failure
def merge(
    context: click.Context, student: str, base: Path, adapter: Path, dataset: Path, pages: Path, out: Path
) -> None:
    """Base and adapter to one model, with a proof."""
    params = load_params(context)
    chosen = params.find_student(student)
    from warraq.stages import merge as stage

    stage.run(
        base=base, adapter=adapter, dataset=dataset, pages=pages, out=out, student=chosen, parameters=params.merge
    )


@click.command()
@click.option("--student", required=True, help="A student of params.yaml.")
@path_option("--merged", "What merge wrote.")
@path_option("--dataset", "What dataset wrote; its val pages are the fixed pages of the proof.")
@path_option("--pages", "What render wrote.")
@path_option("--out", "Folder for the ONNX graphs, processor and parity.json.")
@click.pass_context
@exit_on_failure
def export(context: click.Context, student: str, merged: Path, dataset: Path, pages: Path, out: Path) -> None:
    """The merged model to ONNX, with a proof."""
    params = load_params(context)
    chosen = params.find_student(student)
    from warraq.stages import export as stage

    stage.run(merged=merged, dataset=dataset, pages=pages, out=out, student=chosen, parameters=params.export)


@click.command()
@click.option("--student", required=True, help="A student of params.yaml.")
@path_option("--merged", "What merge wrote.")
@path_option("--dataset", "What dataset wrote; its val pages are the fixed pages of the proof.")
@path_option("--pages", "What render wrote.")
@path_option("--out", "Folder for the GGUF files, processor, Modelfile and parity.json.")
@click.pass_context
@exit_on_failure
def gguf(context: click.Context, student: str, merged: Path, dataset: Path, pages: Path, out: Path) -> None:
    """The merged model to GGUF, with a proof."""
    params = load_params(context)
    chosen = params.find_student(student)
    from warraq.stages import gguf as stage

    stage.run(merged=merged, dataset=dataset, pages=pages, out=out, student=chosen, parameters=params.gguf)


@click.command()
@click.option("--student", help="A student of params.yaml, whose views of a page are shown.", metavar="STUDENT")
@path_option("--model", "Folder of a Hugging Face, ONNX or GGUF model.")
@path_option("--dataset", "What dataset wrote; its validation and test samples are asked.")
@path_option("--pages", "What render wrote.")
@path_option("--out", "File for the predictions, JSON Lines.")
@click.pass_context
@exit_on_failure
def predict(context: click.Context, student: str | None, model: Path, dataset: Path, pages: Path, out: Path) -> None:
    """A model's answers to the validation and test samples."""
    params = load_params(context)
    views = params.find_student(student).views if student else None
    from warraq.stages import predict as stage

    stage.run(model=model, dataset=dataset, pages=pages, out=out, parameters=params.predict, views=views)


@click.command()
@path_option("--dataset", "What dataset wrote.")
@path_option("--pages", "What render wrote.")
@path_option("--labels", "What label wrote: the teacher is scored where people answered too.", required=False)
@path_option("--reviews", "What people said: how far two of them agree is the ceiling of every score.", required=False)
@path_option("--predictions", "Folder of <variant>/predictions.jsonl.")
@path_option("--proof", "The parity.json that merge wrote: which base, tuned how.")
@path_option("--out", "Folder for metrics.json, review.json, report.html, model_card.md and plots.")
@click.pass_context
@exit_on_failure
def evaluate(
    context: click.Context, dataset: Path, pages: Path, labels: Path | None, reviews: Path | None, predictions: Path,
    proof: Path, out: Path,
) -> None:  # fmt: skip
    """Predictions to metrics and a report; prints the comparison."""
    params = load_params(context)
    from warraq.stages import evaluate as stage

    text = stage.run(
        dataset=dataset, pages=pages, labels=labels, reviews=reviews, predictions=predictions, proof=proof, out=out,
        parameters=params.evaluate,
    )  # fmt: skip
    click.echo(text)


COMMANDS = (code, render, label, dataset, train, merge, export, gguf, predict, evaluate)

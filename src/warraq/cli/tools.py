"""Commands for people, beside those of the stages. Modules are imported inside them, as `--help` needs none."""

import sys
from pathlib import Path

import click

from warraq.cli.terminal import exit_on_failure, load_params, refuse_unknown_task


@click.command()
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--documents", type=click.IntRange(1), default=60, show_default=True, help="PDF files, or pages.")
@click.option("--seed", type=int, default=1, show_default=True, help="Equal seeds give equal bytes.")
@click.option("--planted", is_flag=True, help="Pages with planted errors instead, as a test set.")
@exit_on_failure
def synth(out: Path, documents: int, seed: int, planted: bool) -> None:
    """Write synthetic PDF files to OUT/raw and their true answers to OUT/reviews."""
    if planted:
        from warraq.synth.planted import write_planted

        write_planted(out, pages=documents, seed=seed)
    else:
        from warraq.synth.corpus import write_documents

        write_documents(out, documents=documents, seed=seed)


@click.command()
@click.argument("student")
@click.pass_context
@exit_on_failure
def fetch(context: click.Context, student: str) -> None:
    """Put the base model of STUDENT, at its pinned revision, into models/STUDENT/base."""
    chosen = load_params(context).find_student(student)
    from warraq.students import fetch as fetcher

    fetcher.fetch_base(student, chosen, Path("models") / student / "base")


@click.group("import")
def import_() -> None:
    """Data sets of others as pages, labels and a dataset."""


@import_.command()
@click.argument("source")
@click.option("--revision", help="The commit of a data set on the hub, 40 digits.")
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("tableqa"), show_default=True,
    help="Folder for pages, labels and dataset.",
)  # fmt: skip
@click.pass_context
@exit_on_failure
def tableqa(context: click.Context, source: str, revision: str | None, out: Path) -> None:
    """Visual-TableQA, SOURCE on the hub or a folder of parquet, to OUT/pages, OUT/labels and OUT/dataset."""
    branch = load_params(context).dataset
    from warraq.importers import tableqa as importer
    from warraq.stages import dataset as stage

    importer.run(source=source, revision=revision, out=out)
    stage.run(
        pages=out / "pages", labels=out / "labels", reviews=out / "reviews", splits=out / "splits.csv",
        out=out / "dataset", tasks=["table_qa"], parameters=branch,
    )  # fmt: skip


@click.command()
@click.argument("student", required=False)
@click.pass_context
@exit_on_failure
def doctor(context: click.Context, student: str | None) -> None:
    """Tell what this machine lacks; of STUDENT, fetched or not, what training needs and costs by GPU."""
    chosen = load_params(context).find_student(student) if student else None
    from warraq.training.doctor import check_machine, describe_rent

    base = Path("models") / (student or "") / "base"
    lines = check_machine(student or "", chosen, base)
    for right, text in lines:
        click.echo(f"{'ok ' if right else '!! '} {text}")
    for text in describe_rent(student or "", chosen, base, Path()) if chosen else ():
        click.echo(f"    {text}")
    sys.exit(0 if all(right for right, _ in lines) else 1)


@click.command()
@click.argument("student", default="nano")
@click.pass_context
@exit_on_failure
def status(context: click.Context, student: str) -> None:
    """Tell how far the project is, what would run again for STUDENT (default: nano), and the next command."""
    params = load_params(context)
    params.find_student(student)
    from warraq.status import describe_project, read_project

    lines = describe_project(read_project(Path(), params.tasks, student), student)
    width = max(len(heading) for heading, _ in lines)
    for heading, text in lines:
        click.echo(f"{heading:{width}}  {text}")


@click.command()
@click.pass_context
@exit_on_failure
def prepare(context: click.Context) -> None:
    """Check params.yaml, mend what an interrupted run or a lost cache left, bring data/raw where it is versioned."""
    if context.obj.exists():  # a graph of others may have none
        load_params(context)
    from warraq.dvc_repo import prepare_checkout

    prepare_checkout(Path())


@click.command()
@click.argument("task")
@click.option("--template", is_flag=True, help="An answer to fill in instead, with every field once.")
@click.pass_context
@exit_on_failure
def schema(context: click.Context, task: str, template: bool) -> None:
    """Print the JSON Schema of the answers of TASK, one of params.yaml."""
    import json

    refuse_unknown_task(task, load_params(context).tasks, "TASK")
    from warraq import tasks

    loaded = tasks.load(task)
    value = tasks.fill_template(loaded.label or loaded.answer) if template else loaded.schema
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))


@click.command()
@click.argument("reports", type=click.Path(path_type=Path))
@click.option("--all", "everything", is_flag=True, help="All headline scores of the report, not only the first ten.")
@exit_on_failure
def show(reports: Path, everything: bool) -> None:
    """Print the comparison in REPORTS, the folder that evaluate wrote."""
    from warraq.reports import comparison
    from warraq.reports.student_metrics import StudentMetrics

    metrics = StudentMetrics.read(reports / "metrics.json")
    names = comparison.HEADLINE if everything else comparison.SUMMARY
    click.echo(comparison.format_terminal(metrics, str(reports / "report.html"), names))


@click.command()
@click.argument("reports", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option("--variant", default="merged", show_default=True, help="base, merged, onnx or another that was asked.")
@click.option("--rev", metavar="REVISION", help="Compare REPORTS with itself at a git revision, say HEAD or v1.0.")
@exit_on_failure
def compare(reports: tuple[Path, ...], variant: str, rev: str | None) -> None:
    """Print several students' scores side by side; of two REPORTS also the pages that became worse."""
    if rev is not None and len(reports) > 1:
        raise click.BadParameter("takes one folder of reports.", param_hint="--rev")
    from warraq.reports import student_table

    if rev is None:
        click.echo(student_table.compare_students([(str(folder), folder) for folder in reports], variant))
    else:
        click.echo(student_table.compare_revision(reports[0], rev, variant))


@click.command()
@click.argument("reports", type=click.Path(path_type=Path))
@click.option(
    "--ledger", type=click.Path(path_type=Path), default=Path("data/ledger"), show_default=True,
    help="Folder of the ledger, as label wrote it.",
)  # fmt: skip
@click.option("--usd-per-hour", type=click.FloatRange(0), required=True, help="What the student's machine costs.")
@click.pass_context
@exit_on_failure
def cost(context: click.Context, reports: Path, ledger: Path, usd_per_hour: float) -> None:
    """Print what 1,000 pages cost, of the teacher by the ledger and of the student by REPORTS, and the break-even."""
    from warraq.reports import cost as account
    from warraq.reports.student_metrics import StudentMetrics
    from warraq.teachers.remote.ledger import Ledger

    params = load_params(context)
    model = params.label.gemini.model
    with Ledger.open(ledger, write=False) as book:
        usages = [usage for usage in (book.mean_usage(task, model) for task in params.tasks) if usage is not None]
        usd, seconds = sum(usage.usd for usage in usages), sum(usage.seconds for usage in usages)
        teacher = account.TeacherCost(model, usd, seconds) if usages else None
        metrics = StudentMetrics.read(reports / "metrics.json")
        click.echo(account.render_cost_table(metrics, teacher, book.total_usd(), usd_per_hour))


@click.command()
@click.argument("reports", type=click.Path(path_type=Path))
@exit_on_failure
def track(reports: Path) -> None:
    """Log the numbers in REPORTS to Weights & Biases; never a page's image or text."""
    from warraq.reports import tracking

    click.echo(tracking.log_run(reports, Path()))


@click.command("pretrain-nano")
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--steps", type=click.IntRange(1), default=None, help="Updates in all.")
@click.option("--minutes", type=click.FloatRange(min=0, min_open=True), default=None, help="In place of --steps.")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Of the weights and the pages.")
@click.option("--batch-size", type=click.IntRange(1), default=16, show_default=True, help="Pages an update.")
@exit_on_failure
def pretrain_nano(out: Path, steps: int | None, minutes: float | None, seed: int, batch_size: int) -> None:
    """Teach the embedded student to read synthetic pages; OUT becomes a folder like models/nano/base."""
    from warraq.nano import pretrain

    scores = pretrain.run(out=out, steps=steps, minutes=minutes, seed=seed, batch_size=batch_size)
    click.echo(", ".join(f"{name} {value:.3f}" for name, value in sorted(scores.items())))


COMMANDS = (
    status,
    prepare,
    schema,
    synth,
    fetch,
    import_,
    doctor,
    show,
    compare,
    cost,
    track,
    pretrain_nano,
)

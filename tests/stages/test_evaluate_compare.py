"""What people do with the folders that evaluate wrote: compare, cost, track."""

import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from dvc.repo import Repo

from support import PARAMS
from support.evaluate_project import (
    DOCUMENTS,
    VARIANTS,
    change_prediction,
    make_gold,
    make_page_id,
    make_prediction,
    make_sample,
    rewrite,
    run_evaluate,
    write_dataset,
    write_predictions,
)
from warraq import tasks
from warraq.cli.main import main
from warraq.records import Page, read_rows
from warraq.reports.tracking import describe_commit
from warraq.teachers.remote.ledger import Ledger


def compared(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["compare", *map(str, arguments)])


def test_students_stand_side_by_side_and_pages_that_became_worse_are_named(folder: Path) -> None:
    run_evaluate(folder)
    wrong = make_gold(1, "invoice") | {"total": "1"}
    change_prediction(folder, "merged", 1, "invoice", rewrite(tasks.dumps(wrong)))
    run_evaluate(folder, "after")
    output = compared(folder / "out", folder / "after").stdout
    assert "| field F1 | 1.000 [0.647, 1.000] | 0.982 [" in output
    assert f"1 page became worse:\n\n* {make_page_id(1)}: field F1 1.000 → 0.857" in output
    assert "No page became worse." in compared(folder / "after", folder / "out").stdout
    three = compared(folder / "out", folder / "after", folder / "out", "--variant=onnx").stdout
    assert three.splitlines()[0].count("|") == 5 and "became worse" not in three


def test_a_terminal_shows_ten_scores_unless_asked_for_all(folder: Path) -> None:
    told = run_evaluate(folder).stdout
    assert CliRunner().invoke(main, ["show", str(folder / "out")]).stdout.strip() in told
    everything = CliRunner().invoke(main, ["show", "--all", str(folder / "out")]).stdout
    few, all_of_them = (text.split("\n\n")[0].splitlines()[1:] for text in (told, everything))
    assert len(few) <= 11 < len(all_of_them) and set(few) < set(all_of_them)


def test_different_test_sets_are_not_put_side_by_side(folder: Path) -> None:
    run_evaluate(folder)
    write_dataset(folder, [make_sample(number, "invoice") for number in range(DOCUMENTS)])
    for variant in VARIANTS:
        write_predictions(
            folder / f"predictions/{variant}/predictions.jsonl",
            [make_prediction(n, "invoice") for n in range(DOCUMENTS)],
        )
    run_evaluate(folder, "other")
    result = compared(folder / "out", folder / "other")
    assert result.exit_code == 2 and "was scored on another test set" in result.stderr
    assert "no predictions of 'teacher'" in compared(folder / "out", "--variant=teacher").stderr


def test_a_report_is_held_against_itself_at_a_revision(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)

    def git(*words: str) -> None:
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b.c", *words], check=True, capture_output=True)

    run_evaluate(folder)
    git("init")
    Repo.init(str(folder)).close()
    git("add", ".dvc", "out")
    git("commit", "-m", "before")
    wrong = make_gold(1, "invoice") | {"total": "1"}
    change_prediction(folder, "merged", 1, "invoice", rewrite(tasks.dumps(wrong)))
    run_evaluate(folder)
    output = compared("out", "--rev=HEAD").stdout
    assert output.splitlines()[0] == "|  | out at HEAD | out |"
    assert f"1 page became worse:\n\n* {make_page_id(1)}: field F1 1.000 → 0.857" in output
    unknown = compared("out", "--rev=v9")
    assert unknown.exit_code == 2 and "cannot be had as it was at v9: unknown Git revision 'v9'" in unknown.stderr
    assert str(describe_commit(folder / "out")).endswith("+dirty")
    monkeypatch.setenv("PATH", "")
    assert describe_commit(folder / "out") is None


def test_the_cost_of_teacher_and_student_and_where_they_meet(folder: Path) -> None:
    run_evaluate(folder)
    page = read_rows(folder / "pages/pages.jsonl", Page)[0]
    with Ledger.open(folder / "ledger", write=True) as book:
        for task in ("content", "metadata"):
            number = book.begin_request("key", page, task, "gemini-3.8-flash", "standard", 0.01)
            book.record_response(number, "{}", "STOP", 0.01, (3000, 2000), 0.1, 4.0)
    command = ["--params", str(PARAMS), "cost", str(folder / "out"), "--usd-per-hour=3.6"]
    output = CliRunner().invoke(main, [*command, f"--ledger={folder / 'ledger'}"]).stdout
    assert "| gemini-3.8-flash | 20.00 | 8000, one at a time |" in output
    assert "| merged | 1.00 | 1000 |" in output  # a page a second, a thousandth of a USD each
    assert "Labels cost 0.02 USD" in output and "merged: cheaper than the teacher from 2 pages on" in output
    nothing = CliRunner().invoke(main, [*command, f"--ledger={folder / 'none'}"]).stdout
    assert "No page was bought" in nothing and "cheaper" not in nothing


def test_numbers_go_to_weights_and_biases_and_no_text_does(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run_evaluate(folder)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    refused = CliRunner().invoke(main, ["track", str(folder / "out")])
    assert refused.exit_code == 2 and "WANDB_MODE=offline" in refused.stderr
    monkeypatch.setenv("WANDB_MODE", "offline")
    done = CliRunner().invoke(main, ["track", str(folder / "out")])
    assert done.exit_code == 0, done.output
    logged = b"".join(path.read_bytes() for path in (tmp_path / "wandb").rglob("*") if path.is_file())
    assert b"merged_field_f1" in logged and make_page_id(3).encode() in logged
    assert "المدير".encode() not in logged and b"MIME" not in logged

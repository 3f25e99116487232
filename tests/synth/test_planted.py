"""`warraq synth --planted`: a test set whose errors tell a copyist from a mender."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from support import PARAMS
from warraq import tasks
from warraq.cli.main import main
from warraq.files import write_json
from warraq.records import Planted, Prediction, read_rows, read_samples, write_rows

PAGES = 8


def synth(out: Path, *options: str) -> Result:
    return CliRunner().invoke(main, ["synth", str(out), "--planted", f"--documents={PAGES}", *options])


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("planted")
    assert synth(folder).exit_code == 0
    return folder


def test_equal_seeds_give_equal_bytes(planted: Path, tmp_path: Path) -> None:
    synth(tmp_path)
    names = sorted(path.relative_to(planted) for path in planted.rglob("*.*"))
    assert len(names) == PAGES + 3
    assert all((planted / name).read_bytes() == (tmp_path / name).read_bytes() for name in names)
    synth(tmp_path / "other", "--seed=2")
    assert (tmp_path / "other/dataset/planted.jsonl").read_bytes() != (tmp_path / "dataset/planted.jsonl").read_bytes()


def test_each_page_prints_its_errors_once_and_never_the_right_form(planted: Path) -> None:
    texts = {sample.page_id: sample.conversations[-1].content for sample in read_samples(planted / "dataset/test.json")}
    rows = read_rows(planted / "dataset/planted.jsonl", Planted)
    assert len(rows) == 3 * PAGES and {row.kind for row in rows} == {"spelling", "digits", "name"}
    assert all(texts[row.page_id].count(row.printed) == 1 and row.mended not in texts[row.page_id] for row in rows)


def test_a_copyist_and_a_mender_are_told_apart(planted: Path, tmp_path: Path) -> None:
    plants = read_rows(planted / "dataset/planted.jsonl", Planted)
    mended, copied, silent = [], [], []
    for sample in read_samples(planted / "dataset/test.json"):
        text = sample.conversations[-1].content
        row = Prediction(
            page_id=sample.page_id, task="content", split="test", text=text, finish_reason="stop", tokens=1, seconds=1
        )
        copied.append(row)
        silent.append(row.model_copy(update={"text": tasks.dumps({"blocks": []})}))
        for plant in (plant for plant in plants if plant.page_id == sample.page_id):
            text = text.replace(plant.printed, plant.mended)
        mended.append(row.model_copy(update={"text": text}))
    for variant, rows in (("base", mended), ("merged", copied), ("onnx", silent)):
        write_rows(tmp_path / variant / "predictions.jsonl", rows, key=lambda row: row.page_id)
    write_json(tmp_path / "proof.json", {"base": "nano", "revision": "0" * 64, "tuning": "full"})
    command = ["--params", str(PARAMS), "evaluate", f"--dataset={planted / 'dataset'}", f"--pages={planted / 'pages'}",
               f"--predictions={tmp_path}", f"--proof={tmp_path / 'proof.json'}", f"--out={tmp_path}"]  # fmt: skip
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 0, result.output
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    shares = {variant: (metrics[f"{variant}_planted_copied_share"], metrics[f"{variant}_planted_fixed_share"])
              for variant in ("base", "merged", "onnx")}  # fmt: skip
    assert shares == {"base": (0, 1), "merged": (1, 0), "onnx": (0, 0)}
    assert "planted errors copied" in result.stdout
    assert not (tmp_path / "model_card.md").exists()


def test_a_folder_that_holds_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "letters").mkdir()
    result = synth(tmp_path)
    assert result.exit_code == 2
    assert "letters; name a new folder" in result.stderr

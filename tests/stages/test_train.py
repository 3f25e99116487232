"""base + dataset -> adapter, through `warraq train`, killed and taken up again."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from warraq import params as tree
from warraq.cli import main
from warraq.records import write_json
from warraq.stages.train import collect
from warraq.students import llamafactory

ROOT = Path(__file__).parents[2]
NANO = ROOT / "models/nano/base"
Params = Callable[..., Path]


def arguments(params: Path, lessons: Path, out: Path, base: Path = NANO) -> list[str]:
    places = {"--base": base, "--dataset": lessons / "dataset", "--pages": lessons / "pages", "--out": out}
    flat = [text for key, place in places.items() for text in (key, str(place))]
    return ["--params", str(params), "train", "--student", "nano", *flat]


def start(params: Path, lessons: Path, out: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "warraq", *arguments(params, lessons, out)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment, cwd=ROOT)


def until(true: Callable[[], Any], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def inside(folder: Path) -> list[int]:
    """Processes that work in a folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                found += [int(entry.name)] * ((entry / "cwd").readlink() == folder)
            except OSError:
                continue  # ended meanwhile, or another user's
    return found


@pytest.fixture
def refused(params: Params, lessons: Path, tmp_path: Path) -> Callable[..., str]:
    """The sentence that refuses to train on the lessons once `spoil` has changed a copy of them."""

    def sentence(spoil: Callable[[Path], None] = lambda folder: None, base: Path = NANO, **changes: object) -> str:
        copy = tmp_path / "lessons"
        shutil.copytree(lessons, copy)
        spoil(copy)
        result = CliRunner().invoke(main, arguments(params(**changes), copy, tmp_path / "adapter", base))
        assert result.exit_code == 2, result.output
        assert not (tmp_path / "adapter.part").exists()
        return result.output

    return sentence


def rewrite(path: Path, change: Callable[[list[dict[str, Any]]], Any]) -> None:
    rows = json.loads(path.read_text())
    change(rows)
    write_json(path, rows)


def test_a_sample_that_would_be_cut_is_named(refused: Callable[..., str]) -> None:
    text = refused(cutoff_len=64)
    assert "10 of 10 samples" in text  # the test split is not trained on
    assert "000000000000-p0001 invoice: 4" in text


def test_a_missing_page_is_named(refused: Callable[..., str]) -> None:
    assert "000000000009/0001.png" in refused(lambda copy: (copy / "pages/000000000009/0001.png").unlink())


def test_an_image_mark_too_many_is_named(refused: Callable[..., str]) -> None:
    def spoil(copy: Path) -> None:
        def change(rows: list[dict[str, Any]]) -> None:
            rows[3]["conversations"][1]["content"] += "<image>"

        rewrite(copy / "dataset/train.json", change)

    assert "000000000003-p0001" in refused(spoil)


def test_no_validation_sample_is_refused(refused: Callable[..., str]) -> None:
    assert "val.json has no samples" in refused(lambda copy: rewrite(copy / "dataset/val.json", list.clear))


def test_other_weights_than_params_names_are_refused(refused: Callable[..., str], tmp_path: Path) -> None:
    base = tmp_path / "base"
    shutil.copytree(NANO, base)
    with (base / "model.safetensors").open("r+b") as weights:
        weights.seek(-1, os.SEEK_END)
        weights.write(b"\x01")
    assert "has SHA-256" in refused(base=base)


def test_killed_training_goes_on_and_ends_as_if_never_killed(params: Params, lessons: Path, tmp_path: Path) -> None:
    settings, whole, out = params(tuning="full"), tmp_path / "whole/adapter", tmp_path / "killed/adapter"
    part = out.with_name("adapter.part")
    child = start(settings, lessons, out)
    until(lambda: (part / "output/checkpoint-2/trainer_state.json").exists() or child.poll() is not None, 120)
    assert inside(part), child.communicate()[1]
    child.send_signal(signal.SIGKILL)
    child.wait()
    until(lambda: not inside(part), 5)  # the trainer does not outlive us
    steps = sorted(int(path.name.split("-")[1]) for path in (part / "output").glob("checkpoint-*"))
    torn = part / "output" / f"checkpoint-{steps[-1] + 1}"
    torn.mkdir()
    (torn / "model.safetensors").write_bytes(b"half")

    again = start(settings, lessons, out)
    assert again.communicate()[1].count("going on from step") == 1
    assert again.returncode == 0
    assert not part.exists()

    assert start(settings, lessons, whole).communicate()[1].count("from the base") == 1
    names = sorted(path.name for path in whole.iterdir())
    assert names == sorted(path.name for path in out.iterdir())
    assert [name for name in names if (whole / name).read_bytes() != (out / name).read_bytes()] == []
    assert "training_loss.png" in names
    assert not {"README.md", "training_args.bin"} & set(names)

    state = json.loads((whole / "trainer_state.json").read_text())
    assert [row["step"] for row in state["log_history"] if "eval_loss" in row] == [2, 4, 6, 8]
    log = [json.loads(line) for line in (whole / "trainer_log.jsonl").read_text().splitlines()]
    assert [row["current_steps"] for row in log if "loss" in row] == list(range(1, 9))
    assert log[-1]["eval_loss"] < log[2]["eval_loss"]
    texts = [(whole / name).read_text() for name in ("train.yaml", "lineage.json", "config.json", "trainer_state.json")]
    assert not any('"/' in text or "_runtime" in text for text in texts)  # no absolute path, no clock


def test_settings_name_every_part_of_a_full_tuning_and_only_paths_of_the_project(tmp_path: Path) -> None:
    student = tree.load(ROOT / "params.yaml").student("nano").model_copy(update={"tuning": "full"})
    told = llamafactory.training(student, 100, seed=1, checkpoints=2)
    path = tmp_path / "models/nano/adapter.part/train.yaml"
    llamafactory.write(path, told, {"dataset_dir": tmp_path / "data/dataset"})
    read = yaml.safe_load(path.read_text())
    assert read["dataset_dir"] == "../../../data/dataset"
    assert [value for key, value in read.items() if key.startswith("freeze_")] == [False] * 3


def test_one_evaluation_where_eval_steps_exceed_all_steps() -> None:
    student = tree.load(ROOT / "params.yaml").student("nano").model_copy(update={"eval_steps": 1000, "epochs": 3})
    told = llamafactory.training(student, 9, seed=1, checkpoints=2)
    assert told["eval_steps"] == told["save_steps"] == llamafactory.updates(9, student) == 6


@pytest.mark.parametrize("name", ["nano", "gemma3_4b"])
def test_llama_factory_accepts_the_settings(name: str, tmp_path: Path, lessons: Path) -> None:
    from llamafactory.hparams import get_train_args

    told = llamafactory.training(tree.load(ROOT / "params.yaml").student(name), 100, seed=1, checkpoints=2)
    places = {"model_name_or_path": str(NANO), "dataset_dir": str(lessons / "dataset"), "output_dir": str(tmp_path)}
    model, data, training, tuning, _ = get_train_args({**told, **places, "use_cpu": True, "bf16": False})
    assert (data.cutoff_len, model.image_max_pixels) == (told["cutoff_len"], told["image_max_pixels"])
    assert training.eval_steps == told["eval_steps"]
    assert (tuning.lora_rank == 96) == (name == "gemma3_4b")


def ended(folder: Path, step: int, waited: int) -> Path:
    """What a trainer leaves after `step` of 8 updates, having waited `waited` of 3 evaluations for a gain."""
    stopping = {"args": {"early_stopping_patience": 3}, "attributes": {"early_stopping_patience_counter": waited}}
    state = {"global_step": step, "max_steps": 8, "stateful_callbacks": {"EarlyStoppingCallback": stopping}}
    for name in ("adapter_model.safetensors", "train_results.json", "eval_results.json"):
        (folder / name).touch()
    write_json(folder / "trainer_state.json", state)
    return folder


@pytest.mark.parametrize(("step", "waited", "whole"), [(8, 0, True), (5, 3, True), (5, 2, False)])
def test_success_is_read_from_what_is_there(tmp_path: Path, step: int, waited: int, whole: bool) -> None:
    assert llamafactory.finished(ended(tmp_path, step, waited)) == whole


@pytest.mark.parametrize("name", ["adapter_model.safetensors", "train_results.json", "eval_results.json"])
def test_no_success_without_weights_and_results(tmp_path: Path, name: str) -> None:
    (ended(tmp_path, 8, 0) / name).unlink()
    assert not llamafactory.finished(tmp_path)


def test_the_best_checkpoint_is_kept_not_the_last(tmp_path: Path) -> None:
    output = tmp_path / "output"
    for folder, weights in ((output, b"last"), (output / "checkpoint-4", b"best")):
        folder.mkdir(parents=True)
        (folder / "model.safetensors").write_bytes(weights)
    write_json(output / "trainer_state.json", {"best_global_step": 4, "log_history": []})
    (output / "trainer_log.jsonl").touch()
    (tmp_path / "train.yaml").touch()
    final = collect(
        tmp_path, NANO, tree.load(ROOT / "params.yaml").student("nano").model_copy(update={"tuning": "full"}), {}
    )
    assert (final / "model.safetensors").read_bytes() == b"best"


def test_the_last_error_is_what_is_told(tmp_path: Path) -> None:
    log = tmp_path / "train.log"
    log.write_text("ValueError: first\n<start_of_turn>private\nRuntimeError: No space left on device\n  0%| | 0/4\n")
    assert llamafactory.complaint(log) == "RuntimeError: No space left on device"

"""`warraq train` killed and taken up again: the same training, or another one that begins afresh."""

import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from support import ROOT
from support.train_project import find_processes, train_arguments
from support.waiting import wait_until
from warraq.cli.main import main
from warraq.files import read_json, write_json
from warraq.training import trainer_output

pytestmark = pytest.mark.slow

Params = Callable[..., Path]


ONE_THREAD = {"OMP_NUM_THREADS": "1"}
TWO = {"FORCE_TORCHRUN": "1", "NPROC_PER_NODE": "2"}


def start(params: Path, training_data: Path, out: Path, **variables: str) -> "subprocess.Popen[str]":
    """In a process of its own, to be killed."""
    command = [sys.executable, "-m", "warraq", *train_arguments(params, training_data, out)]
    environment = {**os.environ, **ONE_THREAD, **variables}
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment, cwd=ROOT)


def train(params: Path, training_data: Path, out: Path, **variables: str) -> str:
    """What a training says that goes to its end."""
    result = CliRunner().invoke(main, train_arguments(params, training_data, out), env={**ONE_THREAD, **variables})
    assert result.exit_code == 0, result.output
    return result.output


def test_killed_training_goes_on_and_ends_as_if_never_killed(
    params: Params, training_data: Path, tmp_path: Path
) -> None:
    """The killed one is in a folder that is a link to another disk, in the midst of its second epoch of two updates."""
    settings = params(tuning="full", epochs=4.5, eval_steps=3)
    (tmp_path / "disk/models").mkdir(parents=True)
    (tmp_path / "models").symlink_to(tmp_path / "disk/models")
    whole, out = tmp_path / "whole/adapter", tmp_path / "models/nano/adapter"
    part = out.resolve().with_name("adapter.part")
    child = start(settings, training_data, out)
    wait_until(lambda: (part / "1/output/checkpoint-3/trainer_state.json").exists() or child.poll() is not None)
    assert find_processes(part / "1"), child.communicate()[1]
    child.send_signal(signal.SIGKILL)
    child.wait()
    wait_until(lambda: not find_processes(part / "1"))  # the trainer does not outlive us
    log = (part / "1/train.log").read_text()
    samples = json.loads((training_data / "dataset/train.json").read_text())
    assert not any(
        turn["content"] in log for sample in samples for turn in sample["conversations"]
    )  # documents are private
    steps = sorted(int(path.name.split("-")[1]) for path in (part / "1/output").glob("checkpoint-*"))
    torn = part / "1/output" / f"checkpoint-{steps[-1] + 1}"
    torn.mkdir()
    (torn / "model.safetensors").write_bytes(b"half")

    assert train(settings, training_data, out).count("going on from step") == 1
    assert not part.exists()

    assert train(settings, training_data, whole).count("from the base") == 1
    names = sorted(str(path.relative_to(whole)) for path in whole.rglob("*") if path.is_file())
    assert names == sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file())
    assert [name for name in names if (whole / name).read_bytes() != (out / name).read_bytes()] == []
    assert {"lineage.json", "1/training_loss.png"} <= set(names)
    assert not {"1/README.md", "1/training_args.bin"} & set(names)

    tier = whole / "1"
    state = json.loads((tier / "trainer_state.json").read_text())
    assert [row["step"] for row in state["log_history"] if "eval_loss" in row] == [3, 6, 9]
    rows = [json.loads(line) for line in (tier / "trainer_log.jsonl").read_text().splitlines()]
    assert [row["current_steps"] for row in rows if "loss" in row] == list(range(1, 10))
    assert rows[-1]["eval_loss"] < next(row["eval_loss"] for row in rows if "eval_loss" in row)
    texts = [(tier / name).read_text() for name in ("train.yaml", "config.json", "trainer_state.json")]
    texts.append((whole / "lineage.json").read_text())
    assert not any('"/' in text or "_runtime" in text for text in texts)  # no absolute path, no clock


def test_two_processes_learn_as_one_and_go_on_as_if_never_killed(
    params: Params, training_data: Path, tmp_path: Path
) -> None:
    """Killed in the middle of the second epoch of two updates."""
    settings = params(epochs=3, eval_steps=3, eval_batch_size=2, learning_rate=0.001)
    part = tmp_path / "killed/adapter.part/1"
    last = {"rng_state_0.pth", "rng_state_1.pth", "trainer_state.json"}
    child = start(settings, training_data, tmp_path / "killed/adapter", **TWO)
    wait_until(lambda: last <= {path.name for path in part.glob("output/checkpoint-3/*")} or child.poll() is not None)
    child.send_signal(signal.SIGKILL)
    child.wait()
    wait_until(lambda: not find_processes(part))
    assert "going on from step 3" in train(settings, training_data, tmp_path / "killed/adapter", **TWO)

    losses = {}
    for name, variables in (("two", TWO), ("one", {})):
        train(settings, training_data, tmp_path / name / "adapter", **variables)
        state = read_json(tmp_path / name / "adapter/1/trainer_state.json")
        losses[name] = [row["loss"] for row in state["log_history"] if "loss" in row]
    assert losses["two"] == pytest.approx(losses["one"], rel=0.01) and len(losses["two"]) == 6
    whole, resumed = (read_json(tmp_path / name / "adapter/lineage.json")["tiers"] for name in ("two", "killed"))
    assert whole == resumed


def test_early_stopping_waits_no_longer_because_of_a_kill(params: Params, training_data: Path, tmp_path: Path) -> None:
    """Nothing is learned, so that the first evaluation is the best one and each later one is waited for."""
    settings, out = params(learning_rate=1e-15, eval_steps=1, patience=4), tmp_path / "adapter"
    checkpoints = tmp_path / "adapter.part/1/output"
    child = start(settings, training_data, out)
    wait_until(lambda: (checkpoints / "checkpoint-3/trainer_state.json").exists() or child.poll() is not None)
    child.send_signal(signal.SIGKILL)
    child.wait()
    wait_until(lambda: not find_processes(tmp_path / "adapter.part/1"))
    assert train(settings, training_data, out).count("going on from step") == 1
    state = read_json(out / "1/trainer_state.json")
    assert (state["best_global_step"], state["global_step"], state["max_steps"]) == (1, 5, 8)


@pytest.mark.parametrize(("waited", "step"), [(2, 4), (3, 2)])
def test_the_trainer_comes_once_more_to_the_checkpoint_at_which_it_was_stopped(
    tmp_path: Path, waited: int, step: int
) -> None:
    for number, count in ((2, 0), (4, waited)):
        folder = tmp_path / f"checkpoint-{number}"
        folder.mkdir()
        for name in ("optimizer.pt", "scheduler.pt", "rng_state.pth", "adapter_model.safetensors"):
            (folder / name).touch()
        stopping = {"args": {"early_stopping_patience": 3}, "attributes": {"early_stopping_patience_counter": count}}
        write_json(folder / "trainer_state.json", {"stateful_callbacks": {"EarlyStoppingCallback": stopping}})
    assert trainer_output.find_resumable_step(tmp_path, 1) == step


@pytest.fixture
def begin(
    params: Params, training_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, str]]:
    """Exit code and output of a training that ends before its trainer starts, in a place with these variables."""

    def stop(*arguments: Any) -> None:
        raise RuntimeError("stopped")

    monkeypatch.setattr("warraq.training.tier_training.run_trainer", stop)

    def run(**environment: str) -> tuple[int, str]:
        arguments = train_arguments(params(), training_data, tmp_path / "adapter")
        result = CliRunner().invoke(main, arguments, env=environment)
        return result.exit_code, result.output

    return run


def test_on_another_number_of_devices_training_begins_afresh(begin: Callable[..., tuple[int, str]]) -> None:
    assert "afresh" not in begin()[1]
    assert "afresh" not in begin()[1]
    assert "was begun with other data, parameters or devices: starting afresh" in begin(**TWO)[1]
    assert "afresh" not in begin(**TWO)[1]


def test_two_trainings_never_share_a_folder(begin: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    with (tmp_path / "adapter.lock.part").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        code, output = begin()
    assert (code, "adapter.part is being trained in by another `warraq train`; wait for its end" in output) == (2, True)
    assert not (tmp_path / "adapter.part").exists()
    assert begin()[0] == 1

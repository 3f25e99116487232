"""`cloud/run.sh` on machines that vanish: TERM, then kill -9, each time a fresh clone with an empty cache goes on.

The whole graph runs, which takes five minutes of a processor: only where WARRAQ_TEST_REMOTE names a remote, as a folder
or as prove_on_s3.sh does.
"""

import json
import os
import re
import shutil
import signal
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from support.cloud_project import Packed, find_leaks, run, start_machine, stop_machine
from support.waiting import wait_until
from warraq.cli.main import main
from warraq.cloud.remote import RemoteFolder

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(7200),
    pytest.mark.skipif("WARRAQ_TEST_REMOTE" not in os.environ, reason="WARRAQ_TEST_REMOTE names no remote"),
]
LONGEST_S = 1800  # a machine is set up, and begins to train
STEP = re.compile(r"going on from step (\d+)")


def list_sent(url: str) -> set[str]:
    """Steps of the checkpoints that are on the remote."""
    listed = RemoteFolder.of_url(url).read("warraq/nano/unfinished.json") or b"{}"
    return {step for path in json.loads(listed) for step in re.findall(r"checkpoint-(\d+)/", path)}


def last_step(folder: Path) -> int:
    """Of the trainer's log on a machine."""
    log = folder / "models/nano/adapter.part/1/output/trainer_log.jsonl"
    rows = [json.loads(line) for line in log.read_bytes().splitlines() if line.endswith(b"}")]
    return max(int(row["current_steps"]) for row in rows)


def hash_adapter(folder: Path) -> str:
    lineage = json.loads((folder / "models/nano/adapter/lineage.json").read_bytes())
    return str(lineage["tiers"][0]["sha256"])


def test_a_run_survives_its_machines(packed: Packed, tmp_path: Path) -> None:
    whole = shutil.copytree(packed.out, tmp_path / "whole")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PATH", path)
        run(whole, sys.executable, "-m", "dvc", "repro", "--quiet", "train@nano")

    first = start_machine(tmp_path / "first", packed.url)
    wait_until(lambda: "4" in list_sent(packed.url) or first.poll() is not None, LONGEST_S)
    first.send_signal(signal.SIGTERM)
    told = first.communicate()[0]
    assert first.returncode == 143, told
    sent, reached = max(map(int, list_sent(packed.url))), last_step(tmp_path / "first")
    assert reached - sent <= 2  # a checkpoint is written at every second step

    second = start_machine(tmp_path / "second", packed.url)
    wait_until(lambda: str(sent + 4) in list_sent(packed.url) or second.poll() is not None, LONGEST_S)
    stop_machine(tmp_path / "second")
    told = second.communicate()[0]
    assert STEP.findall(told) == [str(sent)] and second.returncode == -signal.SIGKILL, told

    third = start_machine(tmp_path / "third", packed.url)
    told = third.communicate()[0]
    assert third.returncode == 0, told
    (step,) = map(int, STEP.findall(told))
    assert step >= sent + 4 and "Running stage 'render'" not in told
    assert hash_adapter(tmp_path / "third") == hash_adapter(whole)
    assert list_sent(packed.url) == set()

    fourth = start_machine(tmp_path / "fourth", packed.url)
    told = fourth.communicate()[0]
    assert fourth.returncode == 0 and "Running stage" not in told, told

    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(packed.out)
        result = CliRunner().invoke(main, ["cloud", "collect", "nano"])
    assert result.exit_code == 0, result.output
    assert hash_adapter(packed.out) == hash_adapter(whole)
    assert (packed.out / "reports/nano/report.html").exists()
    assert find_leaks(packed.home, packed.url, tmp_path / "everything") == []

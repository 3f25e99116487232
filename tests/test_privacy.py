"""No library reports to its maker; tests/test_demo.py watches the commands of the graph."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support import ROOT
from support.network import find_requests, trace_system_calls
from warraq.environment import TELEMETRY_OFF


@pytest.mark.parametrize("name", ["Makefile", "Dockerfile"])
def test_what_runs_beside_the_package_is_told_the_same(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    for variable, value in TELEMETRY_OFF.items():
        assert f"{variable}={value}" in text or f"export {variable} := {value}\n" in text, variable


def test_the_server_of_compose_is_told_as_well() -> None:
    text = (ROOT / "compose.yaml").read_text(encoding="utf-8")
    for variable in ("VLLM_NO_USAGE_STATS", "DO_NOT_TRACK", "HF_HUB_DISABLE_TELEMETRY"):
        assert f"{variable}={TELEMETRY_OFF[variable]}" in text


def test_dvc_reports_nothing() -> None:
    assert "analytics = false" in (ROOT / ".dvc/config").read_text(encoding="utf-8")


@pytest.mark.parametrize("module", ["warraq", "warraq.runtimes.onnx", "warraq.training.trainer", "warraq.workers"])
def test_every_way_to_a_library_turns_its_telemetry_off(module: str) -> None:
    """Before it is loaded, and whatever the environment says."""
    code = f"import os, {module}; print(dict(os.environ))"
    environment = dict.fromkeys(TELEMETRY_OFF, "no")
    told = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert all(f"'{name}': '{value}'" in told.stdout for name, value in TELEMETRY_OFF.items())


def test_the_watch_sees_whom_a_process_asks(tmp_path: Path) -> None:
    """Python's own calls, and the system's where there is a strace."""
    (tmp_path / "network").mkdir()
    code = (
        "import socket; one = socket.socket(); one.setblocking(False); one.connect_ex(('192.0.2.1', 9)); "
        "other = socket.socket(); other.connect_ex(('127.0.0.1', 9)); socket.getaddrinfo('localhost', 9)"
    )
    own = {"TRACE_NETWORK": str(tmp_path / "network"), "PYTHONPATH": str(ROOT / "tests/support/traced")}
    watch = trace_system_calls(tmp_path)

    subprocess.run([*watch, sys.executable, "-c", code], env=os.environ | own, check=True)

    assert find_requests(tmp_path / "network") == {"socket.connect 192.0.2.1", *(["192.0.2.1 9"] if watch else [])}

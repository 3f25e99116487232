"""Models to read with: a scripted one behind HTTP, and nano cut to two layers as ONNX."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import NANO, export_project
from support.scripted_model import ScriptedModel, describe_model
from support.serving import Start, start_server
from warraq.files import write_json


@pytest.fixture
def server() -> Iterator[ScriptedModel]:
    with ScriptedModel() as scripted:
        threading.Thread(target=scripted.serve_forever, daemon=True).start()
        yield scripted
        scripted.shutdown()


@pytest.fixture
def model(server: ScriptedModel, tmp_path: Path) -> Path:
    """A model of the tasks content and invoice behind `server`."""
    folder = tmp_path / "model"
    url = f"http://127.0.0.1:{server.server_port}/v1"
    write_json(folder / "config.json", {"runtime": "endpoint", "url": url, "model": "scripted"})
    return describe_model(folder, "content", "invoice")


@pytest.fixture
def start(model: Path) -> Iterator[Start]:
    """Start a server with these options, of `model` or another folder; returns its address."""
    running = []

    def started(*options: str, folder: Path | None = None, **environment: str) -> str:
        process, url = start_server(folder or model, *options, **environment)
        running.append(process)
        return url

    yield started
    for process in running:
        process.terminate()
        process.wait()


@pytest.fixture(scope="session")
def cut(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`merged` and `onnx`: nano cut to two layers, of which the answers are never what was asked for."""
    folder = export_project.copy_exported(tmp_path_factory)
    own = json.loads((NANO / "generation_config.json").read_text())
    for name in ("merged", "onnx"):
        write_json(folder / name / "generation_config.json", own | {"max_new_tokens": 40})
        describe_model(folder / name, "content", "invoice", "metadata")
    return folder

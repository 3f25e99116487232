"""The launchers only fetch what was packed and call `cloud/run.sh`.

dstack's and SkyPilot's own packages read theirs where they are installed: each wants an environment of its own.
"""

import json
import os
from pathlib import Path

import pytest
import yaml

from support import ROOT

CLOUD = ROOT / "cloud"
LAUNCHERS = (CLOUD / "dstack.yml", CLOUD / "sky.yaml", CLOUD / "vast.md", CLOUD / "colab.ipynb", ROOT / "docs/cloud.md")


@pytest.mark.parametrize("path", LAUNCHERS, ids=lambda path: path.name)
def test_a_launcher_takes_what_was_packed_and_nothing_else(path: Path) -> None:
    text = path.read_text(encoding="utf-8").replace("\\", "")
    assert 'dvc get-url "$WARRAQ_REMOTE/warraq/project.bundle" project.bundle' in text
    assert "git clone --quiet project.bundle project" in text and "project/cloud/run.sh" in text
    if path.suffix in (".yml", ".yaml"):
        assert not {"workdir", "file_mounts", "files", "repos", "volumes"} & set(yaml.safe_load(text))


@pytest.mark.parametrize(("gpu", "starts"), [("Tesla T4, 7.5", False), ("", False), ("NVIDIA L4, 8.9", True)])
def test_colab_stops_without_bf16(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gpu: str, starts: bool) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\necho '{gpu}'\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    cells = json.loads((CLOUD / "colab.ipynb").read_text(encoding="utf-8"))["cells"]
    (check,) = ("".join(cell["source"]) for cell in cells if "compute_cap" in "".join(cell["source"]))
    if starts:
        exec(check, {})
    else:
        with pytest.raises(SystemExit, match="needs bf16"):
            exec(check, {})


def test_dstack_reads_its_file() -> None:
    configurations = pytest.importorskip("dstack._internal.core.models.configurations")
    task = configurations.parse_run_configuration(yaml.safe_load((CLOUD / "dstack.yml").read_text(encoding="utf-8")))
    assert task.max_price and {event.value for event in task.retry.on_events} == {"no-capacity", "interruption"}


def test_skypilot_reads_its_file() -> None:
    sky = pytest.importorskip("sky")
    keys = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "HF_TOKEN")
    tree = yaml.safe_load((CLOUD / "sky.yaml").read_text(encoding="utf-8"))
    task = sky.Task.from_yaml_config(
        tree, env_overrides=[("WARRAQ_REMOTE", "s3://b/p")], secrets_overrides=[(key, "-") for key in keys]
    )
    assert {one.use_spot for one in task.resources} == {True} and set(task.secrets) == set(keys)

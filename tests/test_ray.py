"""WARRAQ_ON=ray: the same bytes as here, also when a machine dies midway. Needs the extra `ray`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from rendering import PARAMETERS, content, render
from warraq.cli import main

NAMES = ("letter.pdf", "scan.pdf", "picture.png", "truncated.pdf", "owner.pdf", "encrypted.pdf", "empty.pdf")

DRIVER = """
import sys
from pathlib import Path
import ray
from ray.cluster_utils import Cluster
from warraq import workers
from warraq.stages import render
raw, out, parameters, killing = sys.argv[1:]
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
other = cluster.add_node(num_cpus=1)
ray.init(address=cluster.address, log_to_driver=False)
workers.BLOCK = 1
save, nodes = render.save, []
def watched(*given):
    save(*given)
    nodes.append(sum(node["Alive"] for node in ray.nodes()))
    if killing and len(nodes) == 1:
        cluster.remove_node(other, allow_graceful=False)
render.save = watched
render.run(Path(raw), Path(out), render.Render(**eval(parameters)))
print("\\nmachines", nodes[0], nodes[-1])
ray.shutdown()
cluster.shutdown()
"""


@pytest.mark.parametrize("killing", ["", "killing"])
def test_two_machines_give_the_bytes_of_one_also_when_one_dies(raw, tmp_path: Path, killing: str) -> None:
    pytest.importorskip("ray")
    folder = raw(*NAMES)
    environment = {**os.environ, "WARRAQ_ON": "ray", "RAY_raylet_start_wait_time_s": "120", "WARRAQ_WORKERS": "2"}
    given = [str(folder), str(tmp_path / "ray"), repr(PARAMETERS.model_dump()), killing]
    done = subprocess.run([sys.executable, "-c", DRIVER, *given], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert f"machines 2 {1 if killing else 2}" in done.stdout.splitlines()  # among what Ray has to say
    render(folder, tmp_path / "here")
    assert content(tmp_path / "ray") == content(tmp_path / "here")


def test_what_is_not_there_is_one_sentence(raw, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    params = str(Path(__file__).parents[1] / "params.yaml")
    words = ["--params", params, "render", "--raw", str(raw("scan.pdf")), "--out", str(tmp_path / "out")]
    for place, sentence in (
        ("ray", "WARRAQ_ON is ray and Ray is not installed; install warraq[ray]."),
        ("mars", "WARRAQ_ON is 'mars'; it must be ray, or not be set."),
    ):
        monkeypatch.setenv("WARRAQ_ON", place)
        result = CliRunner().invoke(main, words)
        assert (result.exit_code, result.stderr) == (2, f"warraq: {sentence}\n")

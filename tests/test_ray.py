"""WARRAQ_ON=ray: the same bytes as here, also when a machine dies midway. Needs the extra `ray`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from support import NANO, PARAMS
from support.params import params_yaml
from support.rendering import PARAMETERS, Raw, read_files, render
from warraq.cli.main import main
from warraq.files import write_json
from warraq.records import Prediction, read_rows

pytestmark = pytest.mark.slow

NAMES = ("letter.pdf", "scan.pdf", "picture.png", "truncated.pdf", "owner.pdf", "encrypted.pdf", "empty.pdf")

DRIVER = """
import os, signal, sys, threading
from pathlib import Path
import ray
from ray.cluster_utils import Cluster
from warraq import workers
from warraq.rendering import document_loop
from warraq.stages import render
raw, out, parameters, caught = sys.argv[1:]
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0 if caught else 1, "include_dashboard": False})
other = cluster.add_node(num_cpus=1, env_vars={"DOOMED": caught})
ray.init(address=cluster.address, log_to_driver=False)
workers.BLOCK = 1
read = document_loop.render_attempt
def doomed(out, settings, limits, attempt):
    if os.environ.get("DOOMED") and attempt.source.names == ("owner.pdf",):
        Path(caught).write_text("midway")
        signal.pause()
    return (yield from read(out, settings, limits, attempt))
if caught:
    os.mkfifo(caught)
    document_loop.render_attempt = doomed
given = {"raw": Path(raw), "out": Path(out), "parameters": render.Render(**eval(parameters))}
running = threading.Thread(target=render.run, kwargs=given)
running.start()
if caught:
    print("\\ndies", Path(caught).read_text())
    cluster.remove_node(other, allow_graceful=False)
    cluster.add_node(num_cpus=1)
running.join()
ray.shutdown()
cluster.shutdown()
"""


ASKED = """
import os, signal, sys, threading
from pathlib import Path
import ray
from ray.cluster_utils import Cluster
from warraq.cli.main import main
from warraq.stages import predict
caught, *words = sys.argv[1:]
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
other = cluster.add_node(num_cpus=1, env_vars={"DOOMED": caught})
ray.init(address=cluster.address, log_to_driver=False)
answer = predict.answer_batch
def doomed(*given, **more):
    if os.environ.get("DOOMED"):
        Path(os.environ["DOOMED"]).write_text("midway")
        signal.pause()
    return answer(*given, **more)
predict.answer_batch = doomed
os.mkfifo(caught)
running = threading.Thread(target=main, args=(words,), kwargs={"standalone_mode": False})
running.start()
print("\\ndies", Path(caught).read_text())
cluster.remove_node(other, allow_graceful=False)
running.join()
ray.shutdown()
cluster.shutdown()
"""


def test_a_model_on_two_machines_answers_as_on_one_also_when_one_dies(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    samples = []
    for number in range(1, 6):
        image = f"0123456789ab/{number:04}.png"
        (tmp_path / "pages" / image).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (310, 440), 50 * number).save(tmp_path / "pages" / image)
        turns = [{"role": "user", "content": "<image>Copy the page."}, {"role": "assistant", "content": "{}"}]
        row = {"page_id": f"0123456789ab-p{number:04}", "document": "0123456789ab", "task": "content"}
        samples.append({**row, "reference": "gold", "images": [image], "conversations": turns})
    write_json(tmp_path / "dataset/test.json", samples)
    (tmp_path / "params.yaml").write_text(params_yaml({"predict.max_new_tokens": 6}))
    places = [f"--model={NANO}", f"--dataset={tmp_path / 'dataset'}", f"--pages={tmp_path / 'pages'}"]
    words = ["--params", str(tmp_path / "params.yaml"), "predict", *places]
    environment = {**os.environ, "WARRAQ_BATCH": "2", "OMP_NUM_THREADS": "1", "RAY_raylet_start_wait_time_s": "120"}
    for place, command in (
        ("", ["-m", "warraq", *words, f"--out={tmp_path / 'here.jsonl'}"]),
        ("ray", ["-c", ASKED, str(tmp_path / "caught"), *words, f"--out={tmp_path / 'ray.jsonl'}"]),
    ):
        given = environment | {"WARRAQ_ON": place}
        done = subprocess.run([sys.executable, *command], env=given, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    assert "dies midway" in done.stdout.splitlines()
    here, there = (
        [row.model_copy(update={"seconds": 0}) for row in read_rows(tmp_path / f"{name}.jsonl", Prediction)]
        for name in ("here", "ray")
    )
    assert here == there and len(here) == len(samples)


@pytest.mark.parametrize("killing", [False, True])
def test_two_machines_give_the_bytes_of_one_also_when_one_dies(raw: Raw, tmp_path: Path, killing: bool) -> None:
    pytest.importorskip("ray")
    folder = raw(*NAMES)
    environment = {**os.environ, "WARRAQ_ON": "ray", "RAY_raylet_start_wait_time_s": "120"}
    given = [str(folder), str(tmp_path / "ray"), repr(PARAMETERS.model_dump()), str(tmp_path / "caught") * killing]
    done = subprocess.run([sys.executable, "-c", DRIVER, *given], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert ("dies midway" in done.stdout.splitlines()) == killing, done.stdout
    render(folder, tmp_path / "here")
    assert read_files(tmp_path / "ray") == read_files(tmp_path / "here")


def test_what_is_not_there_is_one_sentence(raw: Raw, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    words = ["--params", str(PARAMS), "render", "--raw", str(raw("scan.pdf")), "--out", str(tmp_path / "out")]
    for place, sentence in (
        ("ray", "WARRAQ_ON is ray and Ray is not installed; install warraq[ray]."),
        ("mars", "WARRAQ_ON is 'mars'; it must be ray, or not be set."),
    ):
        monkeypatch.setenv("WARRAQ_ON", place)
        result = CliRunner().invoke(main, words)
        assert (result.exit_code, result.stderr) == (2, f"warraq: {sentence}\n")

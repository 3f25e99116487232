"""The whole pipeline on the nano student, with a smaller budget than the demo's."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pymupdf
import pytest
import yaml

from support import NANO, ROOT
from support.cloud_project import lend_environment
from support.network import find_requests, trace_system_calls
from support.params import params_yaml
from support.serving import is_healthy
from support.waiting import wait_until
from warraq.environment import TELEMETRY_OFF

pytestmark = [pytest.mark.slow, pytest.mark.timeout(7200)]  # the graph runs in the first test
TRACED = ROOT / "tests/support/traced"
GAIN = 0.2  # of field F1, at least; 0.33 when last looked at
DIGESTS = {
    "render": "render", "label": "label/{task}", "dataset": "dataset", "train": "train/gemma3", "merge": "merge/gemma3",
    "export": "export/gemma3", "predict": "predict", "evaluate": "evaluate",
}  # fmt: skip
BUDGET = {
    "dataset.test_share": 0.1,
    "students.nano.batch_size": 2,
    "students.nano.tiers.0.epochs": 2,
    "students.nano.eval_steps": 92,
    "predict.max_new_tokens": 400,
    "evaluate.drawings": 2000,
}


def watch(folder: Path, *command: str) -> tuple[list[str], dict[str, str]]:
    """A command of the environment and its variables, so that what it loads and whom it asks is told in `folder`."""
    path = f"{TRACED}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    untold = {name: text for name, text in os.environ.items() if name not in TELEMETRY_OFF}  # the package has to say it
    own = {
        "PATH": path, "HOME": str(folder / "home"), "HF_HUB_OFFLINE": "1", "TRACE": str(folder / "trace"),
        "TRACE_STAGE": "", "TRACE_NETWORK": str(folder / "network"),
        "PYTHONPATH": f"{TRACED}:{os.environ.get('PYTHONPATH', '')}",
    }  # fmt: skip
    return [*trace_system_calls(folder), *command], untold | own


def call(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a program of the environment in `folder`; its output is both streams."""
    watched, environment = watch(folder, *command)
    return subprocess.run(
        watched, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )


def repro(folder: Path, target: str, *options: str) -> str:
    result = call(folder, "dvc", "repro", *options, target)
    assert result.returncode == 0, result.stdout
    return result.stdout


def ran(output: str) -> set[str]:
    return {line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage")}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout with 72 synthetic documents where the graph has run, LoRA with a quarter of the demo's updates, on
    half as many samples each."""
    folder = tmp_path_factory.mktemp("checkout")
    shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    shutil.copytree(NANO, folder / "models/nano/base")
    for name in ("trace", "network", "home"):
        (folder / name).mkdir()
    for name in ("dvc.yaml", ".dvcignore", "requirements.lock"):
        shutil.copy(ROOT / name, folder)
    (folder / "params.yaml").write_text(params_yaml(BUDGET), encoding="utf-8")
    assert call(folder, "dvc", "init", "--no-scm", "--quiet").returncode == 0
    shutil.copy(ROOT / ".dvc/config", folder / ".dvc/config")
    assert call(folder, "dvc", "config", "core.no_scm", "true").returncode == 0
    result = call(folder, "warraq", "synth", "data", "--documents", "72", "--seed", "3")
    assert result.returncode == 0, result.stdout
    (folder / "repro.log").write_text(repro(folder, "evaluate@nano"), encoding="utf-8")
    return folder


def test_no_command_asks_for_another_machine(checkout: Path) -> None:
    """Those of the graph, `read` and `serve`; nor is a library's telemetry left in the home folder, which was empty."""
    document = sorted((checkout / "data/raw").glob("*.pdf"))[0]
    result = call(checkout, "warraq", "read", str(document), "--model", "models/nano/onnx", "--out", "read")
    assert result.returncode == 0, result.stdout
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command, environment = watch(
        checkout, sys.executable, "-m", "warraq", "serve", "--model", "models/nano/onnx", "--port", str(port)
    )
    with subprocess.Popen(command, cwd=checkout, env=environment, start_new_session=True) as serving:
        try:
            url = f"http://127.0.0.1:{port}"
            wait_until(lambda: is_healthy(url))
            files = {"file": ("page.pdf", document.read_bytes())}
            reply = httpx2.post(f"{url}/v1/read", files=files, timeout=600, trust_env=False)
            assert reply.status_code == 200, reply.text
        finally:
            os.killpg(serving.pid, signal.SIGTERM)

    assert find_requests(checkout / "network") == set()
    written = {str(path.relative_to(checkout / "home")) for path in (checkout / "home").rglob("*") if path.is_file()}
    assert all(path.startswith(".cache/matplotlib/") for path in written), written  # the fonts that it found here


def test_every_variant_is_measured(checkout: Path) -> None:
    metrics = json.loads((checkout / "reports/nano/metrics.json").read_text())
    for variant in ("base", "merged", "onnx"):
        for name in ("schema_valid_share", "strict_json_share", "field_f1", "cer", "wer", "pages_per_s"):
            assert metrics[f"{variant}_{name}"] is not None, f"{variant}_{name}"
    assert metrics["reference"] == "gold"
    assert metrics["base_cer"] >= 0
    assert abs(metrics["onnx_field_f1"] - metrics["merged_field_f1"]) <= 0.1, "int8 is weighed before it is shipped"


def test_a_part_of_the_demo_teaches_the_tasks(checkout: Path) -> None:
    metrics = json.loads((checkout / "reports/nano/metrics.json").read_text())
    assert metrics["merged_field_f1"] >= metrics["base_field_f1"] + GAIN


def test_the_comparison_is_shown(checkout: Path) -> None:
    table = call(checkout, "warraq", "show", "reports/nano").stdout
    assert all(word in table for word in ("base", "merged", "onnx", "field F1", "report.html"))


def test_merge_and_export_are_proved(checkout: Path) -> None:
    assert json.loads((checkout / "models/nano/merged.parity.json").read_text())
    assert json.loads((checkout / "models/nano/onnx/parity.json").read_text())


def test_held_out_documents_are_never_trained_on(checkout: Path) -> None:
    sides = {
        side: {one["document"] for one in json.loads((checkout / f"data/dataset/{side}.json").read_text())}
        for side in ("train", "val", "test")
    }
    assert not sides["train"] & sides["test"] and not sides["train"] & sides["val"] and not sides["val"] & sides["test"]


def test_second_run_runs_nothing(checkout: Path) -> None:
    assert ran(repro(checkout, "evaluate@nano")) == set()


def test_a_fresh_clone_with_a_remote_runs_no_stage(checkout: Path, tmp_path: Path) -> None:
    """`make repro` where there is what git would have, and the rest on a remote, people's files among it."""
    project, clone = tmp_path / "project", tmp_path / "clone"
    shutil.copytree(checkout, project, symlinks=True)
    commands = (["remote", "add", "--default", "store", str(tmp_path / "store")], ["add", "data/raw", "data/reviews"])
    for command in (*commands, ["push"]):
        assert (done := call(project, "dvc", *command)).returncode == 0, done.stdout
    shutil.copytree(project / "src", clone / "src")
    shutil.copytree(NANO, clone / "models/nano/base")
    tracked = [
        "dvc.yaml",
        "dvc.lock",
        ".dvcignore",
        "params.yaml",
        "requirements.lock",
        ".dvc/config",
        "data/splits.csv",
    ]
    tracked += ["data/raw.dvc", "data/reviews.dvc", "reports/nano/audit.json", "reports/nano/metrics.json"]
    tracked += [f"reports/labels/{task}.json" for task in ("content", "metadata", "invoice")]
    for name in tracked:
        (clone / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(project / name, clone / name)
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, clone)
    for name in ("trace", "network", "home"):
        (clone / name).mkdir()
    done = call(clone, "make", "repro", f"VENV={lend_environment(clone)}")
    assert done.returncode == 0 and ran(done.stdout) == set(), done.stdout
    assert (clone / "models/nano/onnx").is_dir() and (clone / "reports/nano/report.html").exists()


def test_an_export_parameter_retrains_nothing(checkout: Path) -> None:
    path = checkout / "params.yaml"
    text = path.read_text(encoding="utf-8")
    path.write_text(params_yaml(BUDGET | {"export.pages": 1}), encoding="utf-8")
    would = ran(repro(checkout, "evaluate@nano", "--dry"))
    path.write_text(text, encoding="utf-8")
    assert "export@nano" in would and not would & {"render", "dataset", "train@nano", "merge@nano"}


def test_a_digest_holds_all_that_its_stage_loads(checkout: Path) -> None:
    """What measures a model is loaded by `train` and `merge`, and does not count: it makes no model."""
    traced: dict[str, set[str]] = {}
    for path in (checkout / "trace").iterdir():
        command, *loaded = path.read_text(encoding="utf-8").splitlines()
        words = command.split()
        if words and words[0] in DIGESTS:
            task = words[words.index("--task") + 1] if "--task" in words else ""
            traced.setdefault(DIGESTS[words[0]].format(task=task), set()).update(loaded)
    assert len(traced) == len(DIGESTS) + 2, "label has three tasks"
    for digest, modules in traced.items():
        counted = {line.split()[0] for line in (checkout / "code" / digest).read_text().splitlines()}
        seen = {module for module in modules if not module.startswith("warraq.cli")}
        if digest.startswith(("train", "merge")):
            seen = {module for module in seen if not module.startswith(("warraq.metrics", "warraq.tasks.scoring"))}
        assert f"warraq.stages.{digest.split('/')[0]}" in seen, digest
        assert seen <= counted, digest


Changed = Callable[..., set[str]]
"""An edit and the files that it is made in -> the stages that are to run then."""


def stale_stages(checkout: Path) -> set[str]:
    status = json.loads(call(checkout, "dvc", "status", "--json").stdout)
    return {stage.split(":")[-1] for stage in status}


@pytest.fixture(scope="module")
def waiting(checkout: Path) -> set[str]:
    """Stages that have not run: those of the other students."""
    return stale_stages(checkout)


@pytest.fixture
def changed(checkout: Path, waiting: set[str], tmp_path: Path) -> Iterator[Changed]:
    """Change files of the checkout, run `code`, and tell which stages are to run; at the end all is as it was."""
    before: dict[Path, bytes] = {checkout / "dvc.lock": (checkout / "dvc.lock").read_bytes()}
    shutil.copytree(checkout / "code", tmp_path / "code")

    def change(edit: Callable[[str], str], *names: str) -> set[str]:
        for name in names:
            path = checkout / name
            before.setdefault(path, path.read_bytes())
            text = path.read_text(encoding="utf-8")
            assert edit(text) != text
            path.write_text(edit(text), encoding="utf-8")
        assert names == ("params.yaml",) or stale_stages(checkout) - waiting == {"code"}, "only `code` looks at it"
        repro(checkout, "code")
        return stale_stages(checkout) - waiting

    yield change
    for path, data in before.items():
        path.write_bytes(data)
    shutil.rmtree(checkout / "code")
    shutil.copytree(tmp_path / "code", checkout / "code")


def test_a_comment_runs_nothing(changed: Changed) -> None:
    files = ("metrics/arabic.py", "training/trainer.py", "records.py", "tasks/__init__.py")
    would = changed(
        lambda text: text.replace('"""\n', '"""\n# a remark\n', 1), *(f"src/warraq/{file}" for file in files)
    )
    assert would == set()


def test_what_measures_a_model_retrains_none(changed: Changed) -> None:
    would = changed(lambda text: text + "\nMORE = 1\n", "src/warraq/metrics/arabic.py")
    assert "evaluate@nano" in would and "dataset" in would
    assert not would & {"render", "train@nano", "merge@nano", "predict@nano-merged"}


def test_a_new_pin_of_transformers_runs_what_rests_on_it(changed: Changed) -> None:
    pin = re.compile(r"^transformers==\S+", re.M)
    would = changed(lambda text: pin.sub("transformers==9.9.9", text, count=1), "requirements.lock")
    predictions = {f"predict@nano-{variant}" for variant in ("base", "merged", "onnx")}
    assert {"train@nano", "merge@nano", "export@nano", *predictions} <= would
    assert not would & {"render", "dataset", "label@content", "evaluate@nano"}


def test_a_new_student_runs_nothing_else(checkout: Path, changed: Changed) -> None:
    students = yaml.safe_load((checkout / "params.yaml").read_text(encoding="utf-8"))["students"]
    more = students | {"pico": students["nano"]}
    would = changed(lambda _: params_yaml(BUDGET | {"students": more}), "params.yaml")
    assert would == {stage for stage in would if re.search(r"@pico\b", stage)} and "train@pico" in would


def test_one_touched_pdf_is_rendered_and_labelled_alone(checkout: Path) -> None:
    path = next(iter(sorted((checkout / "data/raw").glob("*.pdf"))))
    before = {page.parent.name for page in (checkout / "data/pages").glob("*/0001.png")}
    with pymupdf.open(path) as document:
        document.set_metadata({"title": "touched"})
        touched = document.tobytes()
    path.write_bytes(touched)
    output = repro(checkout, "label@content")
    after = {page.parent.name for page in (checkout / "data/pages").glob("*/0001.png")}
    assert len(before - after) == len(after - before) == 1
    (rendered,) = map(int, re.findall(r"(\d+) rendered", output))
    ((pages, known),) = re.findall(r"label content: (\d+) pages, (\d+) known", output)
    assert (
        rendered
        == int(pages) - int(known)
        == len(list((checkout / "data/pages" / (after - before).pop()).glob("*.png")))
    )


def test_bad_files_are_rows_with_distinct_reasons_and_the_run_completes(checkout: Path) -> None:
    raw = checkout / "data/raw"
    good = sorted(raw.glob("*.pdf"))[1].read_bytes()
    (raw / "cut.pdf").write_bytes(good[: len(good) // 2])
    (raw / "empty.pdf").write_bytes(b"")
    (raw / "note.pdf").write_text("minutes of the meeting")
    with pymupdf.open(stream=good) as document:
        document.save(raw / "locked.pdf", encryption=5, owner_pw="o", user_pw="u")
    output = repro(checkout, "dataset")
    rows = [json.loads(line) for line in (checkout / "data/pages/rejected.jsonl").read_text().splitlines()]
    reasons = {name: {row["reason"] for row in rows if row["file"] == name}
               for name in ("cut.pdf", "empty.pdf", "note.pdf", "locked.pdf")}  # fmt: skip
    assert all(reasons.values()) and len(set.union(*reasons.values())) >= 4, reasons
    assert "rejected" in output

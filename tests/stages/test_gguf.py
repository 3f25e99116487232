"""The GGUF files are the model: proved through llama.cpp on a nano cut to two layers, refused with a fault planted."""

import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from support import PARAMS
from support.export_project import PROMPT
from support.llama_server import serve_files, serve_wrongly
from support.params import params_yaml
from warraq import params
from warraq.cli.main import main
from warraq.errors import InputError
from warraq.exporters.gguf import conversion, has_route
from warraq.files import read_json, write_json
from warraq.records import Prediction, read_rows
from warraq.runtimes import Request, endpoint_proof
from warraq.runtimes.endpoint import drop_special
from warraq.runtimes.gguf import GgufRuntime
from warraq.runtimes.torch import TorchRuntime
from warraq.stages.predict import Predict

pytestmark = pytest.mark.slow

CHANGES: dict[str, object] = {
    "students.nano.export": ["onnx", "gguf"], "gguf.max_new_tokens": 12, "gguf.precisions": ["q8_0", "f32"],
    "gguf.answers": 2, "gguf.answer_tokens": 12, "gguf.cer_bound": 0,
}  # fmt: skip
PAGES = [f"pages/0123456789ab/{number:04}.png" for number in (1, 2, 3)]


def run_gguf(project: Path, out: str, changes: Mapping[str, object] | None = None, student: str = "nano") -> Result:
    place = project / f"{out}.yaml"
    place.write_text(params_yaml({**CHANGES, **(changes or {})}), encoding="utf-8")
    names = {"merged": "merged", "dataset": "dataset", "pages": "pages", "out": out}
    options = [word for name, folder in names.items() for word in (f"--{name}", str(project / folder))]
    return CliRunner().invoke(main, ["--params", str(place), "gguf", "--student", student, *options])


@pytest.fixture(scope="module")
def project(exportable: Path) -> Path:
    """`gguf` holds the files, proved; in f32, since nothing lower costs less than nothing."""
    result = run_gguf(exportable, "gguf", {"gguf.precisions": ["f32"]})
    assert result.exit_code == 0, result.output
    return exportable


def test_proof_holds_on_pages_and_fixed_cases(project: Path) -> None:
    proof = read_json(project / "gguf/parity.json")
    assert {"text only", "two images", "beyond the window"} < {row["case"] for row in proof["cases"]}
    assert all(row["equal"] and row["tokens"] for row in proof["cases"])
    assert max(row["logprob_difference"] for row in proof["cases"]) < 5e-3
    assert proof["shipped"] == "f32" and not (project / "gguf.part").exists()


def test_answers_are_those_of_transformers(project: Path) -> None:
    requests = [Request((project / page,), prompt) for page in PAGES for prompt in (PROMPT, "Read it.")]
    ours = GgufRuntime(project / "gguf").answer(requests, 40)
    truth = [TorchRuntime(project / "merged", dtype="float32").answer([request], 40)[0] for request in requests]
    assert [answer.text for answer in ours] == [drop_special(project / "merged", answer.text) for answer in truth]
    assert [answer.prompt_tokens for answer in ours] == [answer.prompt_tokens for answer in truth]


def test_files_are_the_same_bytes_again_and_name_no_path(project: Path, tmp_path: Path) -> None:
    conversion.write_files(project / "merged", tmp_path, "f32", project.name)
    for name in ("model.gguf", "mmproj.gguf"):
        written = (tmp_path / name).read_bytes()
        assert written == (project / "gguf" / name).read_bytes()
        assert b"/tmp" not in written and b"merged" not in written


def test_a_model_read_with_answers_pages(project: Path, tmp_path: Path) -> None:
    words = ["read", str(project / PAGES[0]), "--model", str(project / "gguf"), "--runtime", "gguf"]
    result = CliRunner().invoke(main, [*words, "--out", str(tmp_path / "read")])
    assert result.exit_code == 0, result.output
    assert len(list((tmp_path / "read").glob("*.json"))) == 1


def test_a_precision_that_costs_little_is_shipped_and_smaller(project: Path) -> None:
    result = run_gguf(project, "small", {"gguf.precisions": ["q4_0", "f32"], "gguf.cer_bound": 9.0})
    assert result.exit_code == 0, result.output
    proof, exact = read_json(project / "small/parity.json"), (project / "gguf/model.gguf").stat().st_size
    (row,) = proof["precisions"].values()
    assert proof["shipped"] == "q4_0" and row["answers"] == 2
    assert row["cer_added_lo"] is None or row["cer_added_lo"] <= row["cer_added_hi"]
    assert (project / "small/model.gguf").stat().st_size < exact / 4
    assert not [path for path in (project / "small").iterdir() if path.is_dir()]


def test_a_model_without_its_layers_pattern_is_refused(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """llama.cpp takes five layers of six for sliding ones."""
    monkeypatch.setattr(conversion, "_complete", lambda *_: None)
    result = run_gguf(project, "wrong")
    assert result.exit_code == 1 and "GGUF files are not" in result.output
    assert not (project / "wrong").exists() and not read_json(project / "wrong.part/parity.json")["passed"]


def test_a_student_whose_export_names_no_gguf_has_a_folder_that_says_so(project: Path) -> None:
    result = run_gguf(project, "none", {"students.nano.export": "onnx"})
    assert result.exit_code == 0 and read_json(project / "none/config.json")["runtime"] == "none"


def test_every_student_has_a_route_or_names_no_gguf() -> None:
    tree = params.load(PARAMS)
    assert not any("gguf" in one.exports for one in tree.students.values() if not has_route(one.family))


def test_a_student_without_a_route_is_refused(project: Path) -> None:
    student = "qwen3_vl_4b"
    result = run_gguf(project, "none", {f"students.{student}.export": "gguf"}, student)
    assert result.exit_code == 2 and result.output.count("\n") == 1
    assert "No way to GGUF is proved right for the family qwen3_vl; use" in result.output


@pytest.mark.parametrize("package", ["conversion", "xllamacpp"])
def test_a_missing_package_is_named(project: Path, monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    result = run_gguf(project, "missing")
    assert result.exit_code == 2 and "is not installed; `uv pip install" in result.output
    assert not (project / "missing").exists()


def test_a_tokenizer_that_llama_cpp_would_take_for_another_is_refused(project: Path, tmp_path: Path) -> None:
    merged = shutil.copytree(project / "merged", tmp_path / "merged")
    tokenizer = read_json(merged / "tokenizer.json")
    tokenizer["model"]["merges"] = ["a b"]
    write_json(merged / "tokenizer.json", tokenizer)
    with pytest.raises(InputError, match=r"tokenizer\.model is missing"):
        conversion.write_files(merged, tmp_path, "f32", "nano")


def test_broken_files_are_one_sentence(project: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(project / "gguf", tmp_path / "gguf")
    (folder / "model.gguf").write_bytes((folder / "model.gguf").read_bytes()[:1000])
    with pytest.raises(InputError, match=r"llama\.cpp cannot load"):
        GgufRuntime(folder)


def drop_images(parts: list[dict[str, str]]) -> list[dict[str, str]]:
    return [part for part in parts if part["type"] == "text"]


def put_images_last(parts: list[dict[str, str]]) -> list[dict[str, str]]:
    return sorted(parts, key=lambda part: part["type"] == "image_url")


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """`predict` proves an endpoint by the begin of each answer."""
    monkeypatch.setattr(endpoint_proof, "ANSWER_TOKENS", 12)


def prove(project: Path, url: str, *options: str) -> Result:
    places = [f"--{name}={project / name}" for name in ("dataset", "pages")]
    return CliRunner().invoke(main, ["prove-endpoint", url, str(project / "merged"), *places, "--tokens=24", *options])


def test_a_server_of_the_model_is_proved(project: Path) -> None:
    with serve_files(project / "gguf") as url:
        result = prove(project, url, "--share=1")
    assert result.exit_code == 0 and result.output == "3 of 3 answers are those of the merged model.\n", result.output


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("change", [drop_images, put_images_last])
def test_a_server_that_answers_as_another_model_is_caught(project: Path, change: object, tmp_path: Path) -> None:
    """Before any page of the set is asked."""
    write_json(project / "dataset/test.json", json.loads((project / "dataset/val.json").read_text()))
    with serve_files(project / "gguf") as right, serve_wrongly(right, change) as url:  # type: ignore[arg-type]
        result = prove(project, url)
        assert result.exit_code == 2 and "answers as another model: " in result.output
        assert "its prompt has " in result.output and result.output.count("\n") == 1
        config = {"runtime": "endpoint", "url": url, "model": "any", "merged": str(project / "merged")}
        write_json(tmp_path / "model/config.json", config)
        paths = [f"--model={tmp_path / 'model'}", *(f"--{name}={project / name}" for name in ("dataset", "pages"))]
        result = CliRunner().invoke(main, ["predict", *paths, f"--out={tmp_path / 'out.jsonl'}"])
    assert result.exit_code == 2 and "answers as another model: " in result.output
    assert not (tmp_path / "out.jsonl").exists()


@pytest.mark.usefixtures("short")
def test_predictions_of_a_proved_server_are_those_of_the_model(project: Path, tmp_path: Path) -> None:
    from warraq.stages import predict

    write_json(project / "dataset/test.json", json.loads((project / "dataset/val.json").read_text()))
    places = {"dataset": project / "dataset", "pages": project / "pages", "parameters": Predict(max_new_tokens=24)}
    with serve_files(project / "gguf") as url:
        config = {"runtime": "endpoint", "url": url, "model": "any", "merged": str(project / "merged")}
        write_json(tmp_path / "model/config.json", config)
        predict.run(model=tmp_path / "model", out=tmp_path / "server.jsonl", **places)  # type: ignore[arg-type]
    predict.run(model=project / "gguf", out=tmp_path / "files.jsonl", **places)  # type: ignore[arg-type]
    texts = [[row.text for row in read_rows(tmp_path / name, Prediction)] for name in ("server.jsonl", "files.jsonl")]
    assert texts[0] == texts[1] and len(texts[0]) == 6


def test_a_server_elsewhere_or_nowhere_is_one_sentence(project: Path) -> None:
    for url, why in (("http://10.0.0.7/v1", "is not on this machine"), ("http://127.0.0.1:9/v1", "start the server")):
        result = prove(project, url)
        assert result.exit_code == 2 and why in result.output and result.output.count("\n") == 1

"""A model of bands: its graphs are proved on them, and base, merged model and graphs are asked with the same."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from support import NANO
from support.export_project import CHANGES, make_project, run_export
from support.params import params_yaml
from support.scripted_model import describe_model
from warraq.cli.main import main
from warraq.exporters.onnx import gemma3
from warraq.files import read_json, write_json
from warraq.records import Prediction, read_rows
from warraq.runtimes import manifest

VIEWS = "page + 2 bands"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    make_project(tmp_path)
    describe_model(tmp_path / "merged", "content", views=VIEWS)
    write_json(tmp_path / "dataset/test.json", read_json(tmp_path / "dataset/val.json"))
    changes = {**CHANGES, "export.pages": 1, "predict.max_new_tokens": 8, "students.nano.views": VIEWS}
    (tmp_path / "params.yaml").write_text(params_yaml(changes), encoding="utf-8")
    return tmp_path


def predict(project: Path, model: Path, *options: str) -> Result:
    places = {"model": model, "dataset": project / "dataset", "pages": project / "pages", "out": project / "out.jsonl"}
    words = [word for name, place in places.items() for word in (f"--{name}", str(place))]
    return CliRunner().invoke(main, ["--params", str(project / "params.yaml"), "predict", *words, *options])


@pytest.mark.slow
def test_the_graphs_are_proved_and_asked_on_bands(
    project: Path, exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(merged: Path, out: Path) -> None:  # the same graphs again, without the time to trace them
        for path in exported.glob("*.onnx*"):
            shutil.copyfile(path, out / path.name)

    monkeypatch.setattr(gemma3, "write", write)
    result = run_export(project, "onnx")
    assert result.exit_code == 0, result.output
    cases = {
        row["case"]: row["prompt_tokens"] for row in json.loads((project / "onnx/parity.json").read_text())["cases"]
    }
    assert cases["0123456789ab-p0001 content"] > 3 * 400 and cases["two images"] > 6 * 400
    assert manifest.read_manifest(project / "onnx").views == VIEWS
    answers = []
    for name in ("merged", "onnx"):
        assert predict(project, project / name, "--student", "nano").exit_code == 0
        answers.append([(row.page_id, row.text) for row in read_rows(project / "out.jsonl", Prediction)])
    assert answers[0] == answers[1] and len(answers[0]) == 6


def test_a_model_of_other_views_than_params_names_is_not_asked(project: Path) -> None:
    describe_model(project / "merged", "content")
    result = predict(project, project / "merged", "--student", "nano")
    assert result.exit_code == 2
    assert "was trained with views 'page', not 'page + 2 bands'" in result.output


def test_a_base_is_shown_what_its_student_is_and_a_baseline_what_it_names(project: Path) -> None:
    assert manifest.choose_views(NANO, VIEWS) == VIEWS
    assert manifest.choose_views(NANO, None) == "page"
    write_json(project / "baseline/config.json", {"runtime": "endpoint", "url": "http://localhost/v1", "model": "x"})
    assert manifest.choose_views(project / "baseline", None) == "page"
    write_json(project / "baseline/config.json", {"runtime": "endpoint", "views": "page + 1 bands"})
    result = predict(project, project / "baseline")
    assert (result.exit_code, "names the views 'page + 1 bands'" in result.output) == (2, True)

"""A model that was trained on bands is shown bands, by whatever runtime and in whatever way it is asked."""

import base64
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from PIL import Image

from support.scripted_model import ScriptedModel, describe_model
from support.serving import Start, ask, send, write_parts
from warraq.cli.main import main
from warraq.files import read_json
from warraq.runtimes import manifest
from warraq.views import PAGE, list_boxes

VIEWS = "page + 2 bands"


def sizes_shown(body: dict[str, Any]) -> list[tuple[int, int]]:
    """(width, height) of the images in a request to the model's server."""
    urls = [part["image_url"]["url"] for part in body["messages"][-1]["content"] if part["type"] == "image_url"]
    return [Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))).size for url in urls]


def test_a_server_gets_the_page_and_its_bands_whether_read_or_served(
    model: Path, server: ScriptedModel, start: Start, documents: dict[str, bytes]
) -> None:
    describe_model(model, "content", views=VIEWS)
    url = start()
    assert send(url, documents["picture.png"], "picture.png").status_code == 200
    assert ask(url, write_parts("Read.", documents["picture.png"])).status_code == 200
    assert len(server.asked) == 2
    for body in server.asked:
        page, *bands = sizes_shown(body)
        assert [page, *bands] == [(right, bottom - top) for _, top, right, bottom in list_boxes(*page, VIEWS)]


def test_views_that_are_cut_otherwise_today_are_refused(
    model: Path, raw: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    describe_model(model, "content", views=VIEWS)
    monkeypatch.setattr("warraq.views.SHARED", 6)
    result = CliRunner().invoke(main, ["read", "--model", str(model), str(raw("picture.png"))])
    assert (result.exit_code, "train it anew" in result.output) == (2, True)


@pytest.mark.slow
def test_torch_and_onnx_read_bands_alike_and_otherwise_than_the_page(
    cut: Path, raw: Callable[..., Path], tmp_path: Path
) -> None:
    pytest.importorskip("llguidance")
    found = []
    for name, views in (("merged", VIEWS), ("onnx", VIEWS), ("onnx", PAGE)):
        folder = shutil.copytree(cut / name, tmp_path / f"{name} {views}")
        describe_model(folder, "invoice", views=views)
        assert manifest.read_manifest(folder).views == views
        result = CliRunner().invoke(main, ["read", "--model", str(folder), str(raw("picture.png"))])
        assert result.exit_code == 0, result.output
        found.append(json.loads(result.stdout)["pages"][0]["answers"]["invoice"])
    torch, onnx, alone = found
    assert torch["answer"] == onnx["answer"] and torch["tokens"] == onnx["tokens"]
    assert torch["confidence_by_field"] == pytest.approx(onnx["confidence_by_field"], abs=2e-4)
    assert alone["answer"] != onnx["answer"]


def test_a_manifest_of_before_there_were_views_is_of_pages_alone(model: Path) -> None:
    before = {key: value for key, value in read_json(model / manifest.NAME).items() if key != "views"}
    (model / manifest.NAME).write_text(json.dumps(before))
    assert manifest.read_manifest(model).views == PAGE

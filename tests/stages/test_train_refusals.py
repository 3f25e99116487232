"""What `warraq train` refuses before its first step, each with a sentence of its own."""

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from PIL import Image

from support import NANO
from support.train_project import train_arguments
from warraq.cli.main import main
from warraq.files import write_json

Params = Callable[..., Path]


@pytest.fixture
def refused(params: Params, training_data: Path, tmp_path: Path) -> Callable[..., str]:
    """The sentence that refuses to train on the training_data once `spoil` has changed a copy of them."""

    def sentence(spoil: Callable[[Path], None] = lambda folder: None, place: Path = NANO, **changes: object) -> str:
        copy = tmp_path / "training_data"
        shutil.copytree(training_data, copy)
        spoil(copy)
        result = CliRunner().invoke(main, train_arguments(params(**changes), copy, tmp_path / "adapter", place))
        assert result.exit_code == 2, result.output
        assert not (tmp_path / "adapter.part").exists()
        return result.output

    return sentence


def rewrite(path: Path, change: Callable[[list[dict[str, Any]]], Any]) -> None:
    rows = json.loads(path.read_text())
    change(rows)
    write_json(path, rows)


def test_a_sample_that_would_be_cut_is_named(refused: Callable[..., str]) -> None:
    text = refused(cutoff_len=64)
    assert "10 of 10 samples" in text  # the test split is not trained on
    assert "000000000000-p0001 invoice: 4" in text


def test_a_page_that_is_shrunk_out_of_sight_is_named(refused: Callable[..., str]) -> None:
    text = refused(min_line_px=99)
    assert "show lines of text lower than min_line_px 99" in text
    assert re.search(r"00000000000\d-p0001 invoice: \d+\.\d px", text)
    assert "no views of up to 8 bands would do" in text


def test_a_control_token_in_the_text_is_named(refused: Callable[..., str]) -> None:
    def spoil(copy: Path) -> None:
        def change(rows: list[dict[str, Any]]) -> None:
            rows[3]["conversations"][1]["content"] += "<end_of_turn>"

        rewrite(copy / "dataset/train.json", change)

    assert "hold a control token of the student in their text (000000000003-p0001 invoice: <end_of_turn>)" in refused(
        spoil
    )


@pytest.mark.parametrize(("mode", "said"), [
    ("1", "has 1 bit a pixel"), ("P", "has a palette"), ("I;16", "not of 8 bits"), ("LA", "has transparency"),
    ("RGBA", "has transparency"),
])  # fmt: skip
def test_an_image_that_the_trainer_would_spoil_is_named(refused: Callable[..., str], mode: str, said: str) -> None:
    def spoil(copy: Path) -> None:
        Image.new(mode, (160, 200)).save(copy / "pages/000000000004/0001.png")

    text = refused(spoil)
    assert "000000000004/0001.png" in text and said in text


def test_a_turned_image_is_named(refused: Callable[..., str]) -> None:
    def spoil(copy: Path) -> None:
        exif = Image.Exif()
        exif[0x0112] = 6
        Image.new("L", (160, 200)).save(copy / "pages/000000000004/0001.png", exif=exif)

    assert "turned by its EXIF tags" in refused(spoil)


def test_misfits_may_be_left_out_and_are_counted(params: Params, training_data: Path, tmp_path: Path) -> None:
    copy = tmp_path / "training_data"
    shutil.copytree(training_data, copy)

    def change(rows: list[dict[str, Any]]) -> None:
        rows[3]["conversations"][1]["content"] += "7" * 800

    rewrite(copy / "dataset/train.json", change)
    settings = params(cutoff_len=1000, misfits="leave_out")
    result = CliRunner().invoke(main, [*train_arguments(settings, copy, tmp_path / "adapter"), "--dry-run"])
    assert result.exit_code == 0, result.output
    audit = json.loads((tmp_path / "audit.json").read_text())
    assert audit["left_out"] == {"too_long": ["000000000003-p0001 invoice"]}
    assert audit["tasks"]["invoice"]["samples"] == 9
    assert audit["tasks"]["invoice"]["image_tokens"]["p50"] == 400
    assert not (tmp_path / "adapter.part").exists()


def test_a_missing_page_is_named(refused: Callable[..., str]) -> None:
    assert "000000000009/0001.png" in refused(lambda copy: (copy / "pages/000000000009/0001.png").unlink())


def test_an_image_mark_too_many_is_named(refused: Callable[..., str]) -> None:
    def spoil(copy: Path) -> None:
        def change(rows: list[dict[str, Any]]) -> None:
            rows[3]["conversations"][1]["content"] += "<image>"

        rewrite(copy / "dataset/train.json", change)

    assert "000000000003-p0001" in refused(spoil)


def test_too_few_documents_are_refused_with_what_would_help(refused: Callable[..., str]) -> None:
    text = refused(min_documents=11)
    assert "10 labelled documents are too few to learn from, 11 are the least: label more (`make review`)" in text


def test_no_validation_sample_is_refused(refused: Callable[..., str]) -> None:
    assert "val.json has no samples" in refused(lambda copy: rewrite(copy / "dataset/val.json", list.clear))


def test_other_weights_than_params_names_are_refused(refused: Callable[..., str], tmp_path: Path) -> None:
    base = tmp_path / "base"
    shutil.copytree(NANO, base)
    with (base / "model.safetensors").open("r+b") as weights:
        weights.seek(-1, os.SEEK_END)
        weights.write(b"\x01")
    assert "has SHA-256" in refused(place=base)


def test_an_answer_that_is_none_of_its_task_is_named(refused: Callable[..., str]) -> None:
    def spoil(copy: Path) -> None:
        def change(rows: list[dict[str, Any]]) -> None:
            rows[1]["conversations"][1]["content"] = '{"total":5'

        rewrite(copy / "dataset/val.json", change)

    assert "the answer of sample 000000000009-p0001 invoice does not fit its task" in refused(spoil)


HEAD, EMBEDDING = "language_model.lm_head.weight", "language_model.model.embed_tokens.weight"


@pytest.mark.parametrize(("change", "said"), [
    (lambda one: one.pop("language_model.model.norm.weight"), "lacks model.language_model.norm.weight, which its"),
    (lambda one: one.update({"model.language_model.norm.weight": one["language_model.model.norm.weight"] + 1}),
     "stores model.language_model.norm.weight twice"),
    (lambda one: one.update({"language.norm": one["language_model.model.norm.weight"] + 1}),
     "stores language.norm, which no gemma3 model has"),
    (lambda one: one.update({EMBEDDING: one[EMBEDDING][:-1].clone()}), "model.language_model.embed_tokens.weight is ["),
    (lambda one: one.update({HEAD: one[EMBEDDING] + 1}), "stores lm_head.weight with other values than"),
])  # fmt: skip
def test_a_base_that_transformers_would_not_load_whole_is_refused(
    refused: Callable[..., str], tmp_path: Path, change: Callable[[dict[str, Any]], None], said: str
) -> None:
    from safetensors.torch import load_file, save_file

    shutil.copytree(NANO, base := tmp_path / "base")
    tensors = load_file(NANO / "model.safetensors")
    change(tensors)
    save_file(tensors, base / "model.safetensors", {"format": "pt"})
    assert said in refused(place=base, base="tiny/x", revision="0" * 40)


LEAK = """
import sys

if "train.yaml" in sys.orig_argv:
    from llamafactory.model import adapter

    named = adapter.patch_target_modules
    adapter.patch_target_modules = lambda *arguments: [
        *named(*arguments), "model.vision_tower.encoder.layers.0.mlp.fc1"
    ]
"""


@pytest.mark.slow
def test_a_leaked_module_stops_the_training_before_its_first_step(
    params: Params, training_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A LLaMA-Factory that makes more of the names than they say: one layer of the vision tower is trained."""
    (tmp_path / "sitecustomize.py").write_text(LEAK)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    result = CliRunner().invoke(main, train_arguments(params(), training_data, tmp_path / "adapter"))
    assert result.exit_code == 2, result.output
    assert "warraq: vision is trained (1 modules, 24,576 weights), although the tier does not name it" in result.output
    assert "correct the student's tiers in params.yaml, or install the packages of the lock" in result.output
    assert not (tmp_path / "adapter").exists()
    assert not list((tmp_path / "adapter.part/1/output").iterdir())

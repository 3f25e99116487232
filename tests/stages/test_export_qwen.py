"""Qwen2.5-VL as ONNX goes through the same gates: positions in three dimensions, images of any size, windows."""

import dataclasses
import json
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from onnx import numpy_helper
from PIL import Image
from safetensors.torch import load_file, save_file

from support import export_project, tiny
from support.export_project import PROMPT, assert_refused, drop_vision_weight, swap_embeddings
from support.params import params_yaml
from support.scripted_model import describe_model
from warraq.exporters.onnx import quantize, qwen2_5_vl
from warraq.exporters.onnx.quantize import Precision
from warraq.image_settings import read_image_settings
from warraq.runtimes import ImageError, Request, parity, processor
from warraq.runtimes.onnx import OnnxRuntime
from warraq.runtimes.torch import TorchRuntime

pytestmark = pytest.mark.slow

STUDENT = "qwen2_5_vl_7b_tableqa"
PAGE = "pages/0123456789ab/0001.png"


@pytest.fixture(scope="module")
def qwen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a tiny Qwen2.5-VL in the form of its publisher's folder: all that is a default is left out."""
    folder = tmp_path_factory.mktemp("qwen")
    export_project.make_project(folder)
    shutil.rmtree(folder / "merged")
    merged = tiny.make_model("qwen2_5_vl", folder / "merged")
    weights = load_file(merged / "model.safetensors")
    louder = {name: value * (8 if value.ndim > 1 else 1) for name, value in weights.items()}  # so that faults are heard
    save_file(louder, merged / "model.safetensors", {"format": "pt"})
    settings = read_image_settings(merged)
    settings |= {"min_pixels": settings["size"]["shortest_edge"], "max_pixels": settings["size"]["longest_edge"]}
    (merged / "processor_config.json").unlink()
    kept = ("min_pixels", "max_pixels", "patch_size", "temporal_patch_size", "merge_size", "image_mean", "image_std",
            "image_processor_type")  # fmt: skip
    (merged / "preprocessor_config.json").write_text(json.dumps({name: settings[name] for name in kept}))
    template = (merged / "chat_template.jinja").read_text()
    (merged / "chat_template.json").write_text(json.dumps({"chat_template": template}))
    (merged / "chat_template.jinja").unlink()
    config = json.loads((merged / "config.json").read_text())
    text = config.pop("text_config")
    (merged / "config.json").write_text(json.dumps(text | config))
    describe_model(merged, "content")
    (folder / "params.yaml").write_text(params_yaml(export_project.CHANGES | {f"students.{STUDENT}.export": "onnx"}))
    assert export_project.run_export(folder, "onnx", student=STUDENT).exit_code == 0
    return folder


def page(qwen: Path) -> Request:
    return Request((qwen / PAGE,), PROMPT)


def test_proof_holds(qwen: Path) -> None:
    proof = json.loads((qwen / "onnx/parity.json").read_text())
    assert {"text only", "two images", "left-padded batch"} < {row["case"] for row in proof["cases"]}
    assert all(row["prompts_equal"] and row["tokens_equal"] and row["pixel_difference"] == 0 for row in proof["cases"])
    assert proof["largest_logit_difference"] < 1e-4


def flat_positions(folder: Path) -> None:
    """Heights and widths count as times do."""
    path = folder / "decoder_model_merged.onnx"
    model = onnx.load(path, load_external_data=False)
    model.graph.initializer.append(numpy_helper.from_array(np.zeros(3, dtype=np.int64), "planted"))
    for node in model.graph.node:
        for place, name in enumerate(node.input):
            if name == "position_ids":
                node.input[place] = "position_ids.flat"
    gather = onnx.helper.make_node("Gather", ["position_ids", "planted"], ["position_ids.flat"], axis=0)
    model.graph.node.insert(0, gather)
    onnx.save(model, path)


def no_windows(folder: Path) -> None:
    """Every block of the vision encoder attends to the whole image."""
    path = folder / "vision_encoder.onnx"
    model = onnx.load(path, load_external_data=False)
    attending = [node for node in model.graph.node if node.op_type == "PackedMultiHeadAttention"]
    for node in attending[2:]:
        node.input[4:6] = attending[1].input[4:6]  # block 1 is one that sees everything
    onnx.save(model, path)


@pytest.mark.parametrize("plant", [flat_positions, no_windows, drop_vision_weight, swap_embeddings])
def test_planted_fault_is_refused(qwen: Path, plant: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch) -> None:
    assert_refused(qwen, qwen / "onnx", qwen2_5_vl, plant, monkeypatch, STUDENT)


def test_answers_of_a_batch_with_pages_of_two_shapes_equal_transformers(qwen: Path, tmp_path: Path) -> None:
    Image.open(qwen / PAGE).crop((0, 0, 250, 90)).save(tmp_path / "wide.png")
    requests = [Request((qwen / PAGE,), PROMPT), Request((tmp_path / "wide.png",), f"{PROMPT} {PROMPT}")]
    together = OnnxRuntime(qwen / "onnx").answer(requests, 24)
    assert together == TorchRuntime(qwen / "merged", dtype="float32").answer(requests, 24)
    assert together == [answer for request in requests for answer in OnnxRuntime(qwen / "onnx").answer([request], 24)]


@pytest.mark.parametrize("kind", ["int8", "int8_dynamic", "int4"])
def test_a_lower_precision_is_nearly_the_same_model(qwen: Path, tmp_path: Path, kind: Precision) -> None:
    folder = shutil.copytree(qwen / "onnx", tmp_path / kind, ignore=shutil.ignore_patterns("*.onnx*"))
    quantize.quantize_graphs(qwen / "onnx", folder, kind, 32)
    forced, request = np.zeros((1, 8), dtype=np.int64), page(qwen)
    ours, truth = (OnnxRuntime(place).trace([request], [0, 40], forced) for place in (folder, qwen / "onnx"))
    assert 0 < np.abs(ours.step_logits - truth.step_logits).mean() < 0.5 * truth.step_logits.std()


@given(width=st.integers(1, 900), height=st.integers(1, 900))
def test_sizes_are_those_of_transformers(qwen: Path, width: int, height: int) -> None:
    from transformers.models.qwen2_vl.image_processing_qwen2_vl import smart_resize

    assume(max(width, height) <= 200 * min(width, height))  # transformers refuses others
    ours = processor.load_processor(qwen / "onnx")
    assert isinstance(ours, processor.QwenVLProcessor)
    assert ours.fit(width, height)[::-1] == smart_resize(height, width, 28, *ours.bounds_px)


def test_an_image_that_transformers_refuses_is_refused(qwen: Path, tmp_path: Path) -> None:
    Image.new("RGB", (1001, 4)).save(tmp_path / "line.png")
    requests = [page(qwen), Request((tmp_path / "line.png",), PROMPT)]
    for runtime in (OnnxRuntime(qwen / "onnx"), TorchRuntime(qwen / "merged", dtype="float32")):
        with pytest.raises(ImageError, match=r"line\.png cannot be opened"):
            runtime.answer(requests, 4)


def test_an_image_cut_otherwise_is_not_the_same(qwen: Path) -> None:
    """Fewer patches are a difference, not an error of the proof."""
    truth = OnnxRuntime(qwen / "onnx").trace([page(qwen)], [0], np.zeros((1, 1), dtype=np.int64))
    fewer = dataclasses.replace(truth, pixel_values=truth.pixel_values[:-4])
    assert parity.compare_traces(truth, fewer, [0], [1])["pixel_difference"] == float("inf")


def test_a_head_shared_with_the_embedding_and_a_padding_token(qwen: Path, tmp_path: Path) -> None:
    """The 3B has such a head, and some copies such a token."""
    merged = shutil.copytree(qwen / "merged", tmp_path / "merged")
    config = json.loads((merged / "config.json").read_text()) | {"tie_word_embeddings": True, "pad_token_id": 256}
    (merged / "config.json").write_text(json.dumps(config))
    weights = load_file(merged / "model.safetensors")
    del weights["lm_head.weight"]
    save_file(weights, merged / "model.safetensors", {"format": "pt"})
    out = shutil.copytree(qwen / "onnx", tmp_path / "onnx", ignore=shutil.ignore_patterns("*.onnx*"))
    qwen2_5_vl.write(merged, out)
    wanted = TorchRuntime(merged, dtype="float32").trace([page(qwen)], [0, 40], 4)
    ours = OnnxRuntime(out).trace([page(qwen)], [0, 40], wanted.tokens)
    assert np.abs(ours.step_logits - wanted.step_logits).max() < 1e-4


def test_a_missing_package_is_named(qwen: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mobius", None)
    result = export_project.run_export(qwen, "none", student=STUDENT)
    assert result.exit_code == 2 and "uv pip install mobius-onnx==0.1.0" in result.output
    assert not (qwen / "none").exists()


def test_a_model_of_another_family_is_refused(qwen: Path) -> None:
    result = export_project.run_export(qwen, "none", student="nano")
    assert result.exit_code == 2 and re.search("is a qwen2_5_vl model, not a gemma3; correct", result.output)

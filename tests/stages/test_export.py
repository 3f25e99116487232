"""The ONNX graphs are the model: proved on a nano cut to two layers, and refused when a fault is planted."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from click.testing import CliRunner
from onnx import numpy_helper

from support import NANO, PARAMS, ROOT
from support.export_project import CHANGES, PROMPT, assert_refused, drop_vision_weight, run_export, swap_embeddings
from support.params import params_yaml
from warraq import params
from warraq.cli.main import main
from warraq.exporters.onnx import gemma3, has_route, quantize
from warraq.exporters.onnx.constants import compare_constants, find_fault
from warraq.exporters.onnx.precision import select_precision
from warraq.exporters.onnx.quantize import Block, Precision
from warraq.files import read_json, write_json
from warraq.records import Prediction, Sample, read_rows
from warraq.runtimes import Request, Trace, manifest, parity, read_requests
from warraq.runtimes.onnx import OnnxRuntime
from warraq.runtimes.processor import load_processor
from warraq.runtimes.torch import TorchRuntime
from warraq.views import PAGE

pytestmark = pytest.mark.slow

GRAPHS = ("vision_encoder", "embed_tokens", "decoder_model_merged")


def test_proof_holds_on_pages_and_fixed_cases(exported: Path) -> None:
    proof = json.loads((exported / "parity.json").read_text())
    cases = {row["case"]: row for row in proof["cases"]}
    assert {"text only", "two images", "beyond the window", "left-padded batch"} < set(cases)
    assert all(row["prompts_equal"] and row["tokens_equal"] and row["pixel_difference"] == 0 for row in proof["cases"])
    assert proof["largest_logit_difference"] < 1e-4
    window = json.loads((exported / "config.json").read_text())["text_config"]["sliding_window"]
    assert 1.5 * window < cases["beyond the window"]["prompt_tokens"] <= 2 * window
    assert set(proof["versions"]) == {"torch", "transformers", "onnx", "onnxruntime"}
    assert not exported.with_name("onnx.part").exists() and not any(path.is_dir() for path in exported.iterdir())


def test_graphs_are_the_same_bytes_again_and_name_no_path(exportable: Path, exported: Path) -> None:
    (exportable / "again").mkdir()
    gemma3.write(exportable / "merged", exportable / "again")
    for path in sorted((exportable / "again").iterdir()):
        assert path.read_bytes() == (exported / path.name).read_bytes()
    for name in GRAPHS:
        graph = (exported / f"{name}.onnx").read_bytes()
        assert not any(word in graph for word in (str(ROOT).encode(), sys.prefix.encode(), b".py", b"site-packages"))


def test_the_folder_says_how_the_merged_model_was_asked(exported: Path) -> None:
    held, merged = manifest.read_manifest(exported), manifest.read_manifest(exported.with_name("merged"))
    assert (held.look, held.recipe, held.tasks) == (merged.look, merged.recipe, merged.tasks)
    assert set(held.files) == {path.name for path in exported.iterdir()} - {"warraq.json"}
    assert held.hash_contents() != merged.hash_contents()


@pytest.mark.parametrize(
    ("precisions", "bound", "shipped"),
    [(["int4", "int8", "fp32"], 9.0, "int4"), (["int4", "int8_dynamic", "fp32"], -9.0, "fp32")],
)
def test_the_first_precision_within_the_bound_is_shipped(
    exportable: Path, exported: Path, tmp_path: Path, precisions: list[Precision], bound: float, shipped: str
) -> None:
    part = shutil.copytree(exported, tmp_path / "part")
    asked = read_requests(exportable / "dataset" / "val.json", exportable / "pages", PAGE)
    found, costs = select_precision(part, asked, precisions, block=32, answers=2, answer_tokens=12, cer_bound=bound)
    assert found == shipped and list(costs) == precisions[:-1]
    assert all(row["answers"] == 2 and -1 <= row["cer_added_lo"] <= row["cer_added_hi"] for row in costs.values()
               if row["cer_added_lo"] is not None)  # fmt: skip
    decoder = onnx.load(part / "decoder_model_merged.onnx", load_external_data=False)
    assert ("MatMulNBits" in {node.op_type for node in decoder.graph.node}) == (shipped == "int4")
    assert size(part) == costs.get(shipped, {"bytes": size(exported)})["bytes"]
    assert not [path for path in part.iterdir() if path.is_dir()]


def test_heads_that_share_no_keys_are_the_same_model_too(exportable: Path, exported: Path, tmp_path: Path) -> None:
    from transformers import Gemma3Config, Gemma3ForConditionalGeneration

    folders = [tmp_path / "merged", tmp_path / "onnx"]
    for folder in folders:
        shutil.copytree(exported, folder, ignore=shutil.ignore_patterns("*.onnx*"))
    config = Gemma3Config.from_pretrained(exportable / "merged", dtype="float32")
    config.text_config.num_key_value_heads = config.text_config.num_attention_heads
    Gemma3ForConditionalGeneration(config).save_pretrained(folders[0])
    gemma3.write(*folders)
    request = Request((exportable / "pages/0123456789ab/0001.png",), PROMPT)
    wanted = TorchRuntime(folders[0]).trace([request], [0, 40], 4)
    ours = OnnxRuntime(folders[1]).trace([request], [0, 40], wanted.tokens)
    assert np.abs(ours.step_logits - wanted.step_logits).max() < 1e-4


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("*.onnx*"))


def test_lower_precisions_are_nearly_the_same_model(exportable: Path, exported: Path, tmp_path: Path) -> None:
    request = Request((exportable / "pages/0123456789ab/0001.png",), PROMPT)
    truth = OnnxRuntime(exported).trace([request], [0, 40], np.zeros((1, 8), dtype=np.int64))
    spread = truth.step_logits.std()
    kinds: list[tuple[Precision, Block, float]] = [
        ("int8", 32, 0.05), ("int8", 128, 0.05), ("int8_dynamic", 32, 0.15), ("int4", 32, 0.5),
    ]  # fmt: skip
    for kind, block, bound in kinds:
        folder = shutil.copytree(exported, tmp_path / f"{kind}{block}", ignore=shutil.ignore_patterns("*.onnx*"))
        quantize.quantize_graphs(exported, folder, kind, block)
        ours = OnnxRuntime(folder).trace([request], [0, 40], np.zeros((1, 8), dtype=np.int64))
        assert 0 < np.abs(ours.step_logits - truth.step_logits).mean() < bound * spread, kind
        assert size(folder) < size(exported)
        wanted = {"int8": {8: {block}}, "int8_dynamic": {}, "int4": {4: {block}}}
        assert blocks_of(folder) == wanted[kind]


def blocks_of(folder: Path) -> dict[int, set[int]]:
    """By bits: how many weights share a scale."""
    found: dict[int, set[int]] = {}
    for name in ("vision_encoder", "decoder_model_merged"):
        for node in onnx.load(folder / f"{name}.onnx", load_external_data=False).graph.node:
            if node.op_type == "MatMulNBits":
                sizes = {attribute.name: attribute.i for attribute in node.attribute}
                found.setdefault(sizes["bits"], set()).add(sizes["block_size"])
    return found


def causal_images(folder: Path) -> None:
    """The decoder takes no token for an image's."""
    edit(folder, "Equal", "token_type_ids", 7)


def no_window(folder: Path) -> None:
    edit(folder, "Less", None, 10**9)


def edit(folder: Path, operator: str, input_name: str | None, value: int) -> None:
    """Give the only such node of the decoder another constant."""
    path = folder / "decoder_model_merged.onnx"
    model = onnx.load(path, load_external_data=False)
    nodes = [node for node in model.graph.node if node.op_type == operator]
    (node,) = [node for node in nodes if input_name in (None, node.input[0])]
    model.graph.initializer.append(numpy_helper.from_array(np.array(value, dtype=np.int64), "planted"))
    node.input[1] = "planted"
    onnx.save(model, path)


@pytest.mark.parametrize("plant", [causal_images, no_window, drop_vision_weight, swap_embeddings])
def test_planted_fault_is_refused(
    exportable: Path, exported: Path, plant: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert_refused(exportable, exported, gemma3, plant, monkeypatch)


def exact_gelu(model: Any) -> None:
    node = [node for node in model.graph if node.op_type == "Gelu"][-1]
    node.attributes["approximate"] = ir.AttrString("approximate", "none")


def other_epsilon(model: Any) -> None:
    node = [node for node in model.graph if node.op_type == "RMSNormalization"][-1]
    node.attributes["epsilon"] = ir.AttrFloat32("epsilon", 1e-5)


def one_weight(model: Any) -> None:
    change(model, "up_proj", lambda array: array * np.where(array == array.max(), 1.1, 1))


def rounded_head(model: Any) -> None:
    """It is the embedding, which the other graph has right."""
    change(model, "head.weight", lambda array: array.astype(np.float16))


def folded_norm(model: Any) -> None:
    change(model, "add_", lambda array: array * 1.01)


def change(model: Any, part: str, function: Callable[[np.ndarray], np.ndarray]) -> None:
    name, value = next((name, value) for name, value in model.graph.initializers.items() if part in name)
    value.const_value = ir.tensor(function(value.const_value.numpy()).astype(np.float32), name=name)


@pytest.mark.parametrize("plant", [exact_gelu, other_epsilon, one_weight, rounded_head, folded_norm])
def test_a_number_that_is_nearly_right_is_found(
    exportable: Path, exported: Path, tmp_path: Path, plant: Callable[[Any], None]
) -> None:
    """Which moves no logit by more than rounding does."""
    reference = TorchRuntime(exportable / "merged").model
    assert find_fault(compare_constants(exportable / "merged", exported, reference)) is None
    part, name = shutil.copytree(exported, tmp_path / "part"), "decoder_model_merged.onnx"
    model = ir.load(exported / name)
    plant(model)
    ir.save(model, part / name, external_data=f"{name}_data")
    assert find_fault(compare_constants(exportable / "merged", part, reference))


def test_only_what_follows_a_stop_token_is_not_compared() -> None:
    """Transformers pads an answer that ends before another one of its batch; the graphs go on."""
    logits = np.arange(24, dtype=np.float32).reshape(2, 4, 3)
    ones, none = np.ones((2, 1), dtype=np.int64), np.zeros((0, 3, 1, 1))
    tokens = np.array([[7, 5, 0, 0], [7, 7, 7, 7]])
    truth = Trace(ones, ones, none, logits[:, :1], logits, tokens)
    for step, equal in ((1, False), (2, True), (3, True)):
        other, own = logits.copy(), tokens.copy()
        other[0, step], own[0, step] = 9.0, 9
        row = parity.compare_traces(truth, Trace(ones, ones, none, logits[:, :1], other, own), [0], [5])
        assert (row["tokens_equal"], row["step_logit_difference"] == 0) == (equal, equal)


@pytest.mark.parametrize("room", [6000, 100_000])
def test_the_prompt_beyond_the_window_is_twice_as_long_or_fills_the_context(room: int) -> None:
    """Llama.cpp refuses a prompt that is longer."""
    window = read_json(NANO / "config.json")["text_config"]["sliding_window"]
    turns = [{"role": "user", "content": PROMPT}, {"role": "assistant", "content": "{}"}]
    row = {"page_id": "a-p0001", "document": "a", "task": "content", "reference": "gold", "images": []}
    sample = Sample.model_validate({**row, "conversations": turns})
    processor = load_processor(NANO)
    cases = dict(parity.build_cases([(sample, Request((), PROMPT))], 1, processor, window, room))
    tokens = len(processor.encode_prompt(cases["beyond the window"][0]))
    assert 0 <= min(2 * window, room) - tokens < len(processor.encode_prompt(Request((), PROMPT)))


def test_every_student_has_a_route_or_is_left_out() -> None:
    tree = params.load(PARAMS)
    assert not any(one.exports for one in tree.students.values() if not has_route(one.family))


def test_a_student_without_a_route_is_refused_unless_it_is_left_out(exportable: Path) -> None:
    """Then there is a folder without a model, which is asked nothing."""
    place, student = exportable / "params.yaml", "qwen3_vl_4b"
    text = place.read_text()
    place.write_text(params_yaml(CHANGES | {f"students.{student}.export": "onnx"}))
    result = run_export(exportable, "left_out", student=student)
    place.write_text(text)
    assert result.exit_code == 2 and "proved right for the family qwen3_vl; use" in result.output
    assert "set the student's export to none in params.yaml" in result.output and result.output.count("\n") == 1

    result = run_export(exportable, "left_out", student=student)
    assert result.exit_code == 0 and "no way to ONNX is proved right for qwen3_vl" in result.output
    assert read_json(exportable / "left_out/config.json")["runtime"] == "none"
    places = {"model": "left_out", "dataset": "dataset", "pages": "pages", "out": "predictions.jsonl"}
    words = [f"--{name}={exportable / place}" for name, place in places.items()]
    shutil.copyfile(exportable / "dataset/val.json", exportable / "dataset/test.json")
    result = CliRunner().invoke(main, ["--params", str(place), "predict", *words])
    assert result.exit_code == 0 and "holds no model" in result.output
    assert read_rows(exportable / "predictions.jsonl", Prediction) == []
    assert (exportable / "predictions.jsonl").stat().st_size, "DVC warns of an empty file"
    result = CliRunner().invoke(main, ["read", "--model", str(exportable / "left_out"), str(exportable / "pages")])
    assert result.exit_code == 2 and "qwen3_vl; name the merged model" in result.output


def test_a_disk_without_room_stops_before_work(exportable: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = shutil.disk_usage(exportable)._replace(free=1_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: full)
    result = run_export(exportable, "none")
    assert result.exit_code == 2 and result.output.count("\n") == 1
    assert "has 0.0 GB free, and the export of" in result.output and "make room" in result.output
    assert not (exportable / "none.part").exists()


def test_no_validation_sample_stops_before_work(exportable: Path) -> None:
    write_json(exportable / "empty" / "val.json", [])
    result = run_export(exportable, "none", dataset="empty")
    assert result.exit_code == 2
    assert "has no samples" in result.output
    assert not (exportable / "none.part").exists()

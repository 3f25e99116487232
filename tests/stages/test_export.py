"""The ONNX graphs are the model: proved on a nano cut to two layers, and refused when a fault is planted."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner, Result
from onnx import numpy_helper
from PIL import Image, ImageDraw

from scripted_model import described
from warraq import params
from warraq.cli import main
from warraq.records import Prediction, read_json, read_rows, write_json
from warraq.runtimes import Request, Trace, manifest, open_image, parity, questions
from warraq.runtimes.onnx import OnnxRuntime, Processor, _Run
from warraq.runtimes.torch import TorchRuntime
from warraq.stages.export import Export, routed, weighed
from warraq.students import gemma3_onnx, precision
from warraq.students.precision import Precision

ROOT = Path(__file__).parents[2]
GRAPHS = ("vision_encoder", "embed_tokens", "decoder_model_merged")
PROMPT = "You are a professional OCR details extractor. Answer in JSON only."


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A merged model, a dataset and its pages."""
    import tiny

    folder = tmp_path_factory.mktemp("export")
    tiny.nano(folder / "merged")
    samples = []
    for number in (1, 2, 3):
        image = f"0123456789ab/{number:04}.png"
        draw(folder / "pages" / image, number)
        turns = [{"role": "user", "content": "<image>" + PROMPT}, {"role": "assistant", "content": "{}"}]
        row = {"page_id": f"0123456789ab-p{number:04}", "document": "0123456789ab", "task": "content"}
        samples.append({**row, "reference": "gold", "images": [image], "conversations": turns})
    write_json(folder / "dataset" / "val.json", samples)
    described(folder / "merged", "content")
    text = (ROOT / "params.yaml").read_text().replace("max_new_tokens: 48", "max_new_tokens: 12")
    text = text.replace("precisions: [int8, fp32]", "precisions: [fp32]")
    (folder / "params.yaml").write_text(text)
    return folder


@pytest.fixture(scope="module")
def exported(work: Path) -> Path:
    result = export(work, "onnx")
    assert result.exit_code == 0, result.output
    return work / "onnx"


def draw(path: Path, number: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("RGB", (310, 440), "white")
    for line in range(8):
        ImageDraw.Draw(image).text((20, 20 + 50 * line), f"{number} total {number * line}.50", "black", font_size=24)
    image.save(path)


def export(work: Path, out: str, dataset: str = "dataset", student: str = "nano") -> Result:
    names = {"merged": "merged", "dataset": dataset, "pages": "pages", "out": out}
    options = [word for name, folder in names.items() for word in (f"--{name}", str(work / folder))]
    return CliRunner().invoke(main, ["--params", str(work / "params.yaml"), "export", "--student", student, *options])


def test_proof_holds_on_pages_and_fixed_cases(exported: Path) -> None:
    proof = json.loads((exported / "parity.json").read_text())
    cases = {row["case"]: row for row in proof["cases"]}
    assert {"text only", "two images", "beyond the window", "left-padded batch"} < set(cases)
    assert all(row["prompts_equal"] and row["tokens_equal"] and row["pixel_difference"] == 0 for row in proof["cases"])
    assert proof["largest_logit_difference"] < 1e-4
    window = json.loads((exported / "config.json").read_text())["text_config"]["sliding_window"]
    assert cases["beyond the window"]["prompt_tokens"] > 2 * window
    assert set(proof["versions"]) == {"torch", "transformers", "onnx", "onnxruntime"}
    assert not exported.with_name("onnx.part").exists()


def test_graphs_are_the_same_bytes_again_and_name_no_path(work: Path, exported: Path) -> None:
    (work / "again").mkdir()
    gemma3_onnx.write(work / "merged", work / "again")
    for path in sorted((work / "again").iterdir()):
        assert path.read_bytes() == (exported / path.name).read_bytes()
    for name in GRAPHS:
        graph = (exported / f"{name}.onnx").read_bytes()
        assert not any(word in graph for word in (str(ROOT).encode(), sys.prefix.encode(), b".py", b"site-packages"))


def test_the_folder_says_how_the_merged_model_was_asked(exported: Path) -> None:
    held, merged = manifest.read(exported), manifest.read(exported.with_name("merged"))
    assert (held.look, held.recipe, held.tasks) == (merged.look, merged.recipe, merged.tasks)
    assert set(held.files) == {path.name for path in exported.iterdir()} - {"warraq.json"}
    assert held.key() != merged.key()


@pytest.mark.parametrize(
    ("precisions", "bound", "shipped"),
    [(["int4", "int8", "fp32"], 9.0, "int4"), (["int4", "int8_dynamic", "fp32"], -9.0, "fp32")],
)
def test_the_first_precision_within_the_bound_is_shipped(
    work: Path, exported: Path, tmp_path: Path, precisions: list[Precision], bound: float, shipped: str
) -> None:
    part = shutil.copytree(exported, tmp_path / "part")
    parameters = Export.model_construct(precisions=precisions, block=32, cer_bound=bound, answers=2, answer_tokens=12)
    asked = questions(work / "dataset" / "val.json", work / "pages")
    found, costs = weighed(part, asked, parameters)
    assert found == shipped and list(costs) == precisions[:-1]
    assert all(row["answers"] == 2 and -1 <= row["cer_added_lo"] <= row["cer_added_hi"] for row in costs.values()
               if row["cer_added_lo"] is not None)  # fmt: skip
    decoder = onnx.load(part / "decoder_model_merged.onnx", load_external_data=False)
    assert ("MatMulNBits" in {node.op_type for node in decoder.graph.node}) == (shipped == "int4")
    assert size(part) == costs.get(shipped, {"bytes": size(exported)})["bytes"]
    assert not [path for path in part.iterdir() if path.is_dir()]


def test_heads_that_share_no_keys_are_the_same_model_too(work: Path, exported: Path, tmp_path: Path) -> None:
    from transformers import Gemma3Config, Gemma3ForConditionalGeneration

    folders = [tmp_path / "merged", tmp_path / "onnx"]
    for folder in folders:
        shutil.copytree(exported, folder, ignore=shutil.ignore_patterns("*.onnx*"))
    config = Gemma3Config.from_pretrained(work / "merged", dtype="float32")
    config.text_config.num_key_value_heads = config.text_config.num_attention_heads
    Gemma3ForConditionalGeneration(config).save_pretrained(folders[0])
    gemma3_onnx.write(*folders)
    request = Request((work / "pages/0123456789ab/0001.png",), PROMPT)
    wanted = TorchRuntime(folders[0]).trace([request], [0, 40], 4)
    ours = OnnxRuntime(folders[1]).trace([request], [0, 40], wanted.tokens)
    assert np.abs(ours.step_logits - wanted.step_logits).max() < 1e-4


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("*.onnx*"))


def test_lower_precisions_are_nearly_the_same_model(work: Path, exported: Path, tmp_path: Path) -> None:
    request = Request((work / "pages/0123456789ab/0001.png",), PROMPT)
    truth = OnnxRuntime(exported).trace([request], [0, 40], np.zeros((1, 8), dtype=np.int64))
    spread = truth.step_logits.std()
    for kind, block, bound in (("int8", 32, 0.05), ("int8", 128, 0.05), ("int8_dynamic", 32, 0.15), ("int4", 32, 0.5)):
        folder = shutil.copytree(exported, tmp_path / f"{kind}{block}", ignore=shutil.ignore_patterns("*.onnx*"))
        precision.write(exported, folder, kind, block)
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


def dropped_vision_weight(folder: Path) -> None:
    path = folder / "vision_encoder.onnx_data"
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 65536] = bytes(65536)
    path.write_bytes(data)


def swapped_embeddings(folder: Path) -> None:
    path = folder / "embed_tokens.onnx_data"
    rows = json.loads((folder / "config.json").read_text())["text_config"]["vocab_size"]
    path.write_bytes(np.frombuffer(path.read_bytes(), dtype=np.float32).reshape(rows, -1)[::-1].tobytes())


@pytest.mark.parametrize("plant", [causal_images, no_window, dropped_vision_weight, swapped_embeddings])
def test_planted_fault_is_refused(
    work: Path, exported: Path, plant: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(merged: Path, out: Path) -> None:
        for name in GRAPHS:
            for suffix in (".onnx", ".onnx_data"):
                shutil.copyfile(exported / f"{name}{suffix}", out / f"{name}{suffix}")
        shutil.copyfile(merged / "config.json", out / "config.json")
        plant(out)

    monkeypatch.setattr(gemma3_onnx, "write", write)
    result = export(work, plant.__name__)
    assert result.exit_code == 1
    assert "ONNX graphs are not" in result.output
    assert not (work / plant.__name__).exists()
    proof = json.loads((work / f"{plant.__name__}.part" / "parity.json").read_text())
    assert not proof["passed"]
    text_only = next(row for row in proof["cases"] if row["case"] == "text only")
    assert text_only["passed"] == (plant is not swapped_embeddings)


def test_only_what_follows_a_stop_token_is_not_compared() -> None:
    """transformers pads an answer that ends before another one of its batch; the graphs go on."""
    logits = np.arange(24, dtype=np.float32).reshape(2, 4, 3)
    ones, none = np.ones((2, 1), dtype=np.int64), np.zeros((0, 3, 1, 1))
    tokens = np.array([[7, 5, 0, 0], [7, 7, 7, 7]])
    truth = Trace(ones, ones, none, logits[:, :1], logits, tokens)
    for step, equal in ((1, False), (2, True), (3, True)):
        other, own = logits.copy(), tokens.copy()
        other[0, step], own[0, step] = 9.0, 9
        row = parity.compare(truth, Trace(ones, ones, none, logits[:, :1], other, own), [0], [5])
        assert (row["tokens_equal"], row["step_logit_difference"] == 0) == (equal, equal)


def test_the_cache_is_written_to_in_place(work: Path, exported: Path) -> None:
    """No step copies it, but for those where it grows."""
    runtime = OnnxRuntime(exported)
    run = _Run(runtime, runtime.processor([Request((work / "pages/0123456789ab/0001.png",), PROMPT)]))
    run.prompt([-1])
    (name, cache), *_ = run.cache.items()
    before, place = cache.copy(), run.used
    run.next(np.array([7]))
    assert run.cache[name] is cache and np.abs(cache[:, :, place]).sum() > 0
    np.testing.assert_array_equal(np.delete(cache, place, axis=2), np.delete(before, place, axis=2))


def test_answers_equal_transformers_in_a_padded_batch(work: Path, exported: Path) -> None:
    requests = [
        Request((work / "pages/0123456789ab/0001.png",), PROMPT),
        Request((work / "pages/0123456789ab/0002.png",), f"{PROMPT} {PROMPT}"),
    ]
    together = OnnxRuntime(exported).answer(requests, 24)
    assert together == TorchRuntime(work / "merged", dtype="float32").answer(requests, 24)
    assert together == [answer for request in requests for answer in OnnxRuntime(exported).answer([request], 24)]


def test_stops_at_the_stop_token(work: Path, exported: Path) -> None:
    onnx, torch = OnnxRuntime(exported), TorchRuntime(work / "merged", dtype="float32")
    request = Request((work / "pages/0123456789ab/0001.png",), PROMPT)
    chosen = torch.trace([request], [0], 12).tokens[0].tolist()
    onnx.stops = torch.stops = [chosen[5]]
    (answer,) = onnx.answer([request], 12)
    assert answer == torch.answer([request], 12)[0]
    assert (answer.finish_reason, answer.tokens) == ("stop", chosen.index(chosen[5]))


@pytest.mark.parametrize("mode", ["RGB", "L", "LA", "P", "RGBA", "1"])
def test_pixels_equal_the_slow_processor(exported: Path, tmp_path: Path, mode: str) -> None:
    from transformers import AutoImageProcessor

    draw(tmp_path / "page.png", 4)
    Image.open(tmp_path / "page.png").convert(mode).save(tmp_path / "page.png")
    image = open_image(tmp_path / "page.png")
    truth = AutoImageProcessor.from_pretrained(exported, use_fast=False)(image)["pixel_values"][0]
    np.testing.assert_array_equal(Processor(exported).pixels(image), truth)


def test_runtime_needs_neither_torch_nor_transformers(work: Path, exported: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from warraq.runtimes import Request, load\n"
        f"answer, = load(Path({str(exported)!r})).answer([Request((), {PROMPT!r})], 4)\n"
        "print(answer.tokens, 'torch' in sys.modules, 'transformers' in sys.modules, 'onnx' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split()[1:] == ["False"] * 3


def test_every_student_has_a_route_or_is_left_out() -> None:
    tree = params.load(ROOT / "params.yaml")
    assert {name for name, one in tree.students.items() if not routed(one)} == set(tree.export.left_out)


def test_a_student_without_a_route_is_refused_unless_it_is_left_out(work: Path) -> None:
    """Then there is a folder without a model, which is asked nothing."""
    place, student = work / "params.yaml", "qwen2_5_vl_7b_tableqa"
    text = place.read_text()
    place.write_text(re.sub(r"left_out: \[.*?\]", "left_out: []", text))
    refused = export(work, "left_out", student=student)
    place.write_text(text)
    assert refused.exit_code == 2 and "proved right for the family qwen2_5_vl; use" in refused.output
    assert "name the student under export.left_out" in refused.output and refused.output.count("\n") == 1

    result = export(work, "left_out", student=student)
    assert result.exit_code == 0 and "no way to ONNX is proved right for qwen2_5_vl" in result.output
    assert read_json(work / "left_out/config.json")["runtime"] == "none"
    words = ["--model", work / "left_out", "--dataset", work / "dataset", "--pages", work / "pages"]
    words = [*map(str, words), "--out", str(work / "predictions.jsonl")]
    shutil.copyfile(work / "dataset/val.json", work / "dataset/test.json")
    result = CliRunner().invoke(main, ["--params", str(place), "predict", *words])
    assert result.exit_code == 0 and "holds no model" in result.output
    assert read_rows(work / "predictions.jsonl", Prediction) == []
    result = CliRunner().invoke(main, ["read", "--model", str(work / "left_out"), str(work / "pages")])
    assert result.exit_code == 2 and "qwen2_5_vl; name the merged model" in result.output


def test_no_validation_sample_stops_before_work(work: Path) -> None:
    write_json(work / "empty" / "val.json", [])
    result = export(work, "none", dataset="empty")
    assert result.exit_code == 2
    assert "has no samples" in result.output
    assert not (work / "none.part").exists()

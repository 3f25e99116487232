"""Faults that exports have had, planted in the graphs and files of a nano cut to two layers: the proof finds each."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest

from support.export_project import PROMPT
from warraq.exporters.onnx.constants import ConstantProof, compare_constants, find_fault
from warraq.files import read_json, write_json
from warraq.runtimes import Request, Trace, parity
from warraq.runtimes.onnx import OnnxRuntime
from warraq.runtimes.processor import Gemma3Processor
from warraq.runtimes.torch import TorchRuntime

pytestmark = pytest.mark.slow

BOUND = 1e-3  # of a logit; a nano of two layers is within 1e-4
Change = Callable[[Any], object]


@dataclass(frozen=True)
class Model:
    """The merged model, its graphs, and what the first says."""

    exported: Path
    cases: list[parity.Case]
    truths: list[tuple[list[int], Trace]]
    stops: list[int]
    compare: Callable[[Path], ConstantProof]

    def prove(self, folder: Path) -> tuple[bool, str | None]:
        """Whether the graphs answer alike, and which of their numbers is not the model's."""
        proof = parity.prove_graphs(OnnxRuntime(folder), self.cases, self.truths, self.stops, BOUND)
        return proof["passed"], find_fault(self.compare(folder))


@pytest.fixture(scope="module")
def model(exportable: Path, exported: Path) -> Model:
    torch, processor = TorchRuntime(exportable / "merged"), Gemma3Processor(exported)
    first, last = (Request((exportable / f"pages/0123456789ab/000{number}.png",), PROMPT) for number in (1, 2))
    cases: list[parity.Case] = [
        ("two images", [Request(first.images + last.images, PROMPT)]),
        ("beyond the window", [Request((), " ".join([PROMPT] * 400))]),
        ("left-padded batch", [first, Request(last.images, f"{PROMPT} {PROMPT}")]),
    ]
    truths = parity.trace_reference(torch, cases, processor, 6)
    return Model(
        exported, cases, truths, torch.stops,
        lambda folder: compare_constants(exportable / "merged", folder, torch.model),
    )  # fmt: skip


def find(graph: Any, operator: str) -> list[Any]:
    return [node for node in graph.graph if node.op_type == operator]


def get(graph: Any, name: str) -> tuple[str, np.ndarray]:
    found = next(key for key in graph.graph.initializers if name in key)
    return found, graph.graph.initializers[found].const_value.numpy()


def put(graph: Any, name: str, array: Any) -> None:
    kind = graph.graph.initializers[name].dtype.numpy()
    graph.graph.initializers[name].const_value = ir.tensor(np.ascontiguousarray(array, dtype=kind), name=name)


def change(name: str, function: Callable[[np.ndarray], Any]) -> Change:
    """Another value of the first initializer with such a name."""

    def plant(graph: Any) -> None:
        found, array = get(graph, name)
        put(graph, found, function(array.copy()))

    return plant


def change_input(operator: str, number: int, place: int, function: Callable[[np.ndarray], Any]) -> Change:
    """Another value of what such an operator is given."""

    def plant(graph: Any) -> None:
        name = find(graph, operator)[number].inputs[place].name
        put(graph, name, function(graph.graph.initializers[name].const_value.numpy().copy()))

    return plant


def add(graph: Any, name: str, array: Any) -> Any:
    value = ir.val(name, const_value=ir.tensor(array, name=name))
    graph.graph.register_initializer(value)
    return value


def follow(graph: Any, value: Any, *nodes: tuple[str, list[Any], dict[str, int]]) -> None:
    """Send a value through these operators before it is used."""
    uses, outputs, producer, last = list(value.uses()), list(graph.graph.outputs), value.producer(), value
    first = next(iter(graph.graph))
    for operator, inputs, attributes in nodes:
        node = ir.node(operator, [last, *inputs], attributes=attributes or None)
        graph.graph.insert_after(producer, node) if producer else graph.graph.insert_before(first, node)
        producer, last = node, node.outputs[0]
    for user, place in uses:
        user.replace_input_with(place, last)
    for place, output in enumerate(outputs):
        if output is value:
            last.name, value.name = value.name, f"{value.name}_before"
            last.type, last.shape = value.type, value.shape
            graph.graph.outputs[place] = last


def round_half(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float16)


def round_step(operator: str, number: int) -> Change:
    """What such an operator says goes on in half precision."""

    def plant(graph: Any) -> None:
        half, full = ir.DataType.FLOAT16.value, ir.DataType.FLOAT.value
        follow(graph, find(graph, operator)[number].outputs[0], ("Cast", [], {"to": half}), ("Cast", [], {"to": full}))

    return plant


def one_larger(array: np.ndarray) -> np.ndarray:
    array[np.unravel_index(np.abs(array).argmax(), array.shape)] *= 1.1
    return array


def quantize(array: np.ndarray) -> Any:
    scale = np.abs(array).max(axis=0) / 127
    return np.round(array / scale) * scale


def set_float(operator: str, attribute: str, function: Callable[[float], float]) -> Change:
    """In all such operators."""

    def plant(graph: Any) -> None:
        for node in find(graph, operator):
            old = node.attributes.get(attribute)
            node.attributes[attribute] = ir.AttrFloat32(attribute, function(old.as_float() if old else 0.0))

    return plant


def exact_gelu(graph: Any) -> None:
    find(graph, "Gelu")[-1].attributes["approximate"] = ir.AttrString("approximate", "none")


def give(operator: str, place: int, value: int) -> Change:
    """Another input of the first such operator."""

    def plant(graph: Any) -> None:
        find(graph, operator)[0].replace_input_with(place, add(graph, "planted", np.array(value)))

    return plant


def swap_inputs(operator: str, place: int, *numbers: int) -> Change:
    """What two such operators are given."""

    def plant(graph: Any) -> None:
        one, other = (find(graph, operator)[number] for number in numbers)
        first, second = one.inputs[place], other.inputs[place]
        one.replace_input_with(place, second)
        other.replace_input_with(place, first)

    return plant


def shift_tokens(graph: Any) -> None:
    order = add(graph, "planted", np.roll(np.arange(400), 1))
    follow(graph, graph.graph.outputs[0], ("Gather", [order], {"axis": 1}))


def cool_logits(graph: Any) -> None:
    follow(graph, graph.graph.outputs[0], ("Mul", [add(graph, "planted", np.float32(0.9999))], {}))


def stick_cache(graph: Any) -> None:
    """All tokens after the first 430 are written to one place of the cache."""
    place = next(value for value in graph.graph.inputs if value.name == "cache_position")
    follow(graph, place, ("Min", [add(graph, "planted", np.array(430))], {}))


def shift_after_image(graph: Any) -> None:
    """The positions after 410 are one further."""
    place = next(value for value in graph.graph.inputs if value.name == "position_ids")
    bound, one = add(graph, "planted", np.array(410)), add(graph, "planted_one", np.array(1))
    uses = list(place.uses())
    later = ir.node("Greater", [place, bound])
    step = ir.node("Cast", later.outputs, attributes={"to": ir.DataType.INT64.value})
    further = ir.node("Mul", [step.outputs[0], one])
    moved = ir.node("Add", [place, further.outputs[0]])
    graph.graph.insert_before(next(iter(graph.graph)), [later, step, further, moved])
    for user, number in uses:
        user.replace_input_with(number, moved.outputs[0])


def swap_bases(graph: Any) -> None:
    """Layers that slide turn as slowly as the others, which turn as fast as they."""
    one, other = (name for name, value in graph.graph.initializers.items() if tuple(value.shape) == (1, 16, 1))
    values = [get(graph, name)[1].copy() for name in (one, other)]
    put(graph, other, values[0])
    put(graph, one, values[1])


def join_blocks(graph: Any) -> None:
    """All images are one block, whose tokens see each other."""
    find(graph, "Where")[0].replace_input_with(1, add(graph, "planted", np.array(1)))


DECODER, VISION, EMBEDDING = "decoder_model_merged", "vision_encoder", "embed_tokens"
UP = "layers.1.mlp.up_proj"
FAULTS: dict[str, tuple[str, Change]] = {
    "causal images": (DECODER, give("Equal", 1, 7)),
    "images see each other": (DECODER, join_blocks),
    "no window": (DECODER, give("Less", 1, 10**9)),
    "window one longer": (DECODER, give("Less", 1, 1025)),
    "pattern of layers swapped": (DECODER, swap_inputs("Attention", 3, 0, 1)),
    "cache stuck": (DECODER, stick_cache),
    "positions after the image": (DECODER, shift_after_image),
    "bases of rope swapped": (DECODER, swap_bases),
    "layer off by 1 %": (DECODER, change(UP, lambda array: array * 1.01)),
    "weight off by a tenth": (DECODER, change(UP, one_larger)),
    "transposed matrix": (DECODER, change_input("MatMul", 2, 1, lambda array: array.T)),
    "quantized layer": (DECODER, change("layers.1.mlp.down_proj", quantize)),
    "head in half precision": (DECODER, change("head.weight", round_half)),
    "head cut off": (DECODER, change("head.weight", lambda array: array * (np.arange(array.shape[1]) < 1200))),
    "steps in half precision": (DECODER, round_step("RMSNormalization", 6)),
    "logits capped": (DECODER, set_float("Attention", "softcap", lambda _: 50)),
    "logits cooled": (DECODER, cool_logits),
    "scale of attention": (DECODER, set_float("Attention", "scale", lambda scale: scale * 1.001)),
    "epsilon": (DECODER, set_float("RMSNormalization", "epsilon", lambda _: 1e-5)),
    "exact GELU": (DECODER, exact_gelu),
    "norms swapped": (DECODER, swap_inputs("RMSNormalization", 1, 1, 2)),
    "scale of embeddings lost": (EMBEDDING, change("embed_scale", lambda _: 1)),
    "scale of embeddings in bf16": (EMBEDDING, change("embed_scale", lambda _: 11.3125)),
    "vocabulary cut off": (EMBEDDING, change("tokens.weight", lambda array: array * (np.arange(1216) < 1200)[:, None])),
    "image tokens shifted": (VISION, shift_tokens),
    "bias lost": (VISION, change("fc2.bias", lambda array: array * 0)),
    "vision in half precision": (VISION, change("fc1.weight", round_half)),
    "vision's steps in half precision": (VISION, round_step("LayerNormalization", 1)),
    "vision's epsilon": (VISION, set_float("LayerNormalization", "epsilon", lambda _: 1e-5)),
    "vision's scale": (VISION, set_float("MultiHeadAttention", "scale", lambda scale: scale * 1.01)),
    "patches shifted": (VISION, change("position_embedding", lambda array: np.roll(array, 1, axis=0))),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_the_graphs_is_found(model: Model, fault: str, tmp_path: Path) -> None:
    name, plant = FAULTS[fault]
    folder = shutil.copytree(model.exported, tmp_path / "onnx")
    graph = ir.load(model.exported / f"{name}.onnx")
    plant(graph)
    ir.save(graph, folder / f"{name}.onnx", external_data=f"{name}.onnx_data")
    alike, foreign = model.prove(folder)
    assert not alike or foreign


FILES: dict[str, dict[str, object]] = {
    "mean of px": {"image_mean": [0.5, 0.5, 0.501]},
    "deviation of px": {"image_std": [0.5, 0.5, 0.501]},
    "filter": {"resample": 3},
}


@pytest.mark.parametrize("fault", FILES)
def test_a_fault_in_the_settings_of_images_is_found(model: Model, fault: str, tmp_path: Path) -> None:
    folder = shutil.copytree(model.exported, tmp_path / "onnx")
    settings = read_json(folder / "processor_config.json")
    settings["image_processor"] |= FILES[fault]
    write_json(folder / "processor_config.json", settings)
    assert not model.prove(folder)[0]


def test_an_image_without_its_line_breaks_is_found(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Gemma3Processor, "padding", "")
    assert not model.prove(model.exported)[0]


def test_the_right_graphs_are_found_right(model: Model) -> None:
    assert model.prove(model.exported) == (True, None)

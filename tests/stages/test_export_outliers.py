"""Activations of which a few channels are a hundred times the others, as large models have them, against int8.

MatMulNBits rounds activations in blocks of 32 to 8 bits (accuracy level 4): beside such a channel 31 others become 0.
"""

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest

from warraq.exporters.onnx.precision import select_precision
from warraq.records import Sample, Turn
from warraq.runtimes import Request, read_requests
from warraq.runtimes.onnx import OnnxRuntime
from warraq.views import PAGE

pytestmark = pytest.mark.slow

DECODER = "decoder_model_merged.onnx"
TOKENS = 24


def plant_outliers(source: Path, out: Path, factor: float) -> None:
    """Copy the graphs with every 32nd channel inside the MLPs `factor` times as large, and undone by what reads it: a
    power of two, so that in fp32 no bit of an answer changes."""
    shutil.copytree(source, out)
    model = ir.load(source / DECODER)
    for name, value in list(model.graph.initializers.items()):
        if "up_proj" in name or "down_proj" in name:
            scale = _scale(value, factor if "up_proj" in name else 1 / factor)
            value.const_value = ir.tensor(scale, name=name)
    ir.save(model, out / DECODER, external_data=f"{DECODER}_data")


def _scale(value: Any, factor: float) -> np.ndarray:
    array = np.array(value.const_value.numpy())
    (axis,) = [axis for axis, size in enumerate(array.shape) if size == max(array.shape)]
    place: list[Any] = [slice(None)] * array.ndim
    place[axis] = slice(None, None, 32)
    array[tuple(place)] *= np.float32(factor)
    return array


def answer(folder: Path, asked: list[tuple[Sample, Request]]) -> list[str]:
    return [one.text for one in OnnxRuntime(folder).answer([request for _, request in asked], TOKENS)]


@pytest.mark.parametrize(("factor", "shipped"), [(1.0, "int8"), (1024.0, "fp32")])
def test_the_gate_hears_massive_activations(
    exportable: Path, exported: Path, tmp_path: Path, factor: float, shipped: str
) -> None:
    read = read_requests(exportable / "dataset" / "val.json", exportable / "pages", PAGE)
    asked = [(sample, dataclasses.replace(request, prompt="Read it.")) for sample, request in read]
    plant_outliers(exported, tmp_path / "part", factor)
    truth = answer(exported, asked)
    assert answer(tmp_path / "part", asked) == truth
    labelled = [
        (sample.model_copy(update={"conversations": (sample.conversations[0], Turn(role="assistant", content=text))}),
         request)
        for (sample, request), text in zip(asked, truth, strict=True)
    ]  # fmt: skip
    found, costs = select_precision(
        tmp_path / "part", labelled, ["int8", "fp32"], block=32, answers=3, answer_tokens=TOKENS, cer_bound=0.005
    )
    assert found == shipped, costs

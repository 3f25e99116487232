"""merged model + fp32 graphs -> whether the numbers in the graphs are the model's, whatever they are called there.

Logits tell little of a number that is nearly right. Each tensor is looked for by the hash of its values in fp32: as it
is, turned, or with one added, as Gemma's norms hold it.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

if TYPE_CHECKING:
    import numpy as np

GRAPHS = ("vision_encoder", "embed_tokens", "decoder_model_merged")
EPSILON = 1e-5  # of an operator that names none


class ConstantProof(TypedDict):
    """What is not the model's; the graphs are right where all lists are empty."""

    tensors: int  # that were looked for
    missing: list[str]  # tensors that no graph holds
    unknown: list[str]  # large values of a graph that no tensor has
    operators: list[str]  # that have another epsilon or another GELU than any layer of the model


def compare_constants(merged: Path, part: Path, model: Any) -> ConstantProof:
    """Look for the tensors of `merged` and the settings of its `model`'s layers in the graphs in `part`.

    One tensor at a time is in memory. Values of a graph up to `graphs.SMALL` elements may be computed from others when
    it is written, and are not looked for in the model.
    """
    from warraq.exporters.onnx.graphs import SMALL, find_tensors

    loaded = {name: _load(part, name) for name in GRAPHS}
    held, large = dict[str, bytes](), set[str]()
    for name, array in _list_floats(loaded):
        held[name] = _hash_values(array)
        if array.size > SMALL:
            large.add(name)
    hashes, known, missing, tensors = set(held.values()), set[bytes](), list[str](), find_tensors(merged)
    for name, read in tensors.items():
        forms = {_hash_values(form) for form in _list_forms(read().numpy())}
        known |= forms
        if not forms & hashes:
            missing.append(name)
    return {
        "tensors": len(tensors),
        "missing": sorted(missing),
        "unknown": sorted(name for name in large if held[name] not in known),
        "operators": sorted(_find_foreign_operators(loaded, model)),
    }


def find_fault(proof: ConstantProof) -> str | None:
    """The first number that is not the model's."""
    return next(iter((*proof["missing"], *proof["unknown"], *proof["operators"])), None)


def _load(part: Path, name: str) -> Any:
    import onnx_ir

    return onnx_ir.load(part / f"{name}.onnx")


def _list_floats(loaded: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """The initializers of each graph, by its name and theirs."""
    import onnx_ir

    for graph, model in loaded.items():
        for name, value in model.graph.initializers.items():
            if value.dtype == onnx_ir.DataType.FLOAT:
                yield f"{graph} {name}", value.const_value


def _list_forms(array: "np.ndarray") -> "Iterator[np.ndarray]":
    yield array
    yield array + 1 if array.ndim == 1 else array.reshape(len(array), -1).T


def _hash_values(array: Any) -> bytes:
    import numpy as np

    return hashlib.sha256(np.ascontiguousarray(array, dtype=np.float32).data).digest()


def _find_foreign_operators(loaded: dict[str, Any], model: Any) -> Iterator[str]:
    """Nodes of norms and GELUs that are like no layer of the torch module `model`."""
    import numpy as np

    layers = list(model.modules())
    numbers = [getattr(layer, name, None) for layer in layers for name in ("eps", "variance_epsilon")]
    epsilons = {np.float32(number) for number in numbers if number is not None}
    kinds = [type(layer).__name__.casefold() for layer in layers]
    approximations = {"tanh" if "tanh" in kind else "none" for kind in kinds if "gelu" in kind}
    for graph, one in loaded.items():
        for node in one.graph:
            if node.op_type.endswith("Normalization"):
                attribute = node.attributes.get("epsilon")
                foreign = np.float32(attribute.as_float() if attribute else EPSILON) not in epsilons
            elif node.op_type == "Gelu":
                attribute = node.attributes.get("approximate")
                foreign = (attribute.as_string() if attribute else "none") not in approximations
            else:
                continue
            if foreign:
                yield f"{graph} {node.op_type} {node.name}"

"""A module without its weights, and the files that hold them -> an ONNX graph with its weights beside it.

A model of 4 billion weights does not fit twice into the memory of the machines that it is exported on. So the module is
traced without any (fake tensors), and each weight goes from its file to the graph's file by itself.
"""

import shutil
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from warraq.errors import InputError
from warraq.files import write_json
from warraq.students.weights import INDEX, Weights

OPSET = 23  # the first with Attention, RMSNormalization and RotaryEmbedding
FILE = 1 << 28  # bytes of weights that are written at once
SMALL = 16384  # elements of a weight that is read at once, as the graph may be simplified by it

Weight = Callable[[], torch.Tensor]


def find_tensors(merged: Path) -> dict[str, Weight]:
    """How to get each tensor of a model's files in fp32, by its name there."""
    stored = Weights(merged)
    return {name: partial(_read_float32, stored, name) for name in stored.places}


def _read_float32(stored: Weights, name: str) -> torch.Tensor:
    return stored[name].float()


def copy_float32(merged: Path, folder: Path) -> None:
    """Copy a model with its weights in fp32, in files that transformers maps: they take no memory of its process."""
    from safetensors.torch import save_file

    ignored = shutil.ignore_patterns("*.safetensors", INDEX)
    shutil.copytree(merged, folder, ignore=ignored)
    waiting: dict[str, torch.Tensor] = {}
    places: dict[str, str] = {}
    tensors = find_tensors(merged)
    for name, weight in tensors.items():
        waiting[name] = weight()
        if sum(tensor.nbytes for tensor in waiting.values()) < FILE and len(places) + len(waiting) < len(tensors):
            continue
        file = f"model-{len(set(places.values())) + 1:05}.safetensors"
        save_file(waiting, folder / file, {"format": "pt"})
        places |= dict.fromkeys(waiting, file)
        waiting.clear()
    write_json(folder / INDEX, {"metadata": {}, "weight_map": places})


def match_weights(merged: Path, model: Any, buffers: Mapping[str, torch.Tensor]) -> dict[int, Weight]:
    """How to get the value of each parameter and buffer of the outline `model`, by its identity.

    Raises:
        InputError: no file in `merged` holds a parameter.
    """
    from transformers.conversion_mapping import get_model_conversion_mapping

    tensors: dict[str, Weight] = {}
    for name, weight in find_tensors(merged).items():
        for renaming in get_model_conversion_mapping(model):
            name, _ = renaming.rename_source_key(name)
        tensors[name] = weight
    named = list(model.named_parameters(remove_duplicate=False))
    weights = {id(value): tensors[name] for name, value in named if name in tensors}
    for name, value in named:
        if id(value) not in weights:
            raise InputError(f"{merged} holds no weight {name}; merge again.")
    return weights | {id(value): partial(buffers.__getitem__, name) for name, value in model.named_buffers()}


def _transpose(weight: Weight) -> torch.Tensor:
    return weight().T.contiguous()


def export_graph(
    module: nn.Module,
    weights: dict[int, Weight],
    path: Path,
    outputs: list[str],
    inputs: dict[str, tuple[Any, Any]],  # an example and the names of its free axes
    listed: Sequence[str] = (),  # names of the inputs in a list, which comes last
) -> None:
    """Export one graph."""
    from onnxscript.optimizer import optimize_ir
    from onnxscript.rewriter.onnx_fusions import fuse

    plain = [name for name, (example, _) in inputs.items() if not isinstance(example, list)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's, about its own use of torch and onnx
        program = torch.onnx.export(
            module.eval(),
            kwargs={name: example for name, (example, _) in inputs.items()},
            dynamic_shapes={name: axes for name, (_, axes) in inputs.items()},
            input_names=[*plain, *listed],
            output_names=outputs,
            opset_version=OPSET,
            dynamo=True,
            optimize=False,  # it would compute with weights that are not there
            verbose=False,
        )
    assert program is not None  # dynamo=True returns one or raises
    model = program.model
    _bind_weights(model.graph, module, weights)
    optimize_ir(model)
    fuse(model)
    save_graph(model, path)


def save_graph(model: Any, path: Path) -> None:
    """Equal weights give equal bytes: what tells of the code and its paths is taken out."""
    import onnx_ir

    for node in model.graph:
        node.doc_string = None
        node.metadata_props.clear()
    produced = [value for node in model.graph for value in node.outputs]
    for value in (*model.graph.inputs, *model.graph.initializers.values(), *produced):
        value.doc_string = None
        value.metadata_props.clear()
    model.graph.metadata_props.clear()
    model.metadata_props.clear()
    onnx_ir.save(model, path, external_data=f"{path.name}_data")


def _bind_weights(graph: Any, module: nn.Module, weights: dict[int, Weight]) -> None:
    """Let each initializer be read from its file when it is written; turned matrices are their own initializers."""
    import onnx_ir

    named = dict([*module.named_parameters(remove_duplicate=False), *module.named_buffers()])
    for name, value in list(graph.initializers.items()):
        if name not in named:
            continue
        weight = weights[id(named[name])]
        if value.const_value.size <= SMALL:
            value.const_value = onnx_ir.tensor(weight().numpy(), name=name)
            continue
        value.const_value = _lazy_tensor(name, weight, list(value.shape))
        for node, _ in tuple(value.uses()):
            if node.op_type != "Transpose" or list(node.attributes["perm"].as_ints()) != [1, 0]:
                continue
            turned = f"{name}.T"
            if turned not in graph.initializers:
                shape = list(value.shape)[::-1]
                tensor = _lazy_tensor(turned, partial(_transpose, weight), shape)
                graph.register_initializer(onnx_ir.val(turned, const_value=tensor))
            onnx_ir.convenience.replace_all_uses_with(node.outputs[0], graph.initializers[turned])
            graph.remove(node, safe=True)
        if not value.uses():
            del graph.initializers[name]


def _lazy_tensor(name: str, weight: Weight, shape: list[int]) -> Any:
    import onnx_ir

    def read() -> Any:
        return onnx_ir.tensor(weight().numpy(), name=name)

    return onnx_ir.LazyTensor(read, onnx_ir.DataType.FLOAT, onnx_ir.Shape(shape), name=name)

"""fp32 graphs -> the same with weights of 8 or 4 bits.

One weight at a time is read from disk in fp32; what is held is the smaller model. The matrices of the decoder become
int8 or int4 in blocks that share a scale (MatMulNBits, sums in int8), or int8 by column with activations quantised as
they come (`int8_dynamic`, also of the vision encoder: one scale for a whole activation, fast and coarse). Embeddings
stay, and so does the vision encoder otherwise: in blocks of 8 bits it is hardly faster.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np
    import onnx_ir as ir

Precision = Literal["fp32", "int8", "int8_dynamic", "int4"]
Block = Literal[32, 64, 128]  # rows of a weight that share a scale

COLUMNS = 1024  # of a matrix that are read at once: no second copy of a large one is made
ACCURACY = 4  # int8 sums; with 0, the default, there is no kernel for 8 bits: 23 times slower


def quantize_graphs(source: Path, out: Path, precision: Precision, block: Block) -> None:
    """Write the three graphs of `source`, which are fp32, to `out`; `int8_dynamic` has no blocks."""
    import onnx_ir as ir

    for name in ("vision_encoder", "embed_tokens", "decoder_model_merged"):
        path = f"{name}.onnx"
        model = ir.load(source / path)
        if precision == "int8_dynamic" and name != "embed_tokens":
            _replace_products(model, _quantize_columns)
        elif precision in ("int8", "int4") and name == "decoder_model_merged":
            _replace_products(model, _quantize_blocks(8 if precision == "int8" else 4, block))
            model.opset_imports["com.microsoft"] = 1
        ir.save(model, out / path, external_data=f"{path}_data")


Replacement = Callable[[Any, "ir.Graph", "np.ndarray"], "list[ir.Node]"]


def _replace_products(model: "ir.Model", replacement: Replacement) -> None:
    """Put what `replacement` makes of it in the place of each product with a constant matrix, and drop the matrix."""
    import onnx_ir as ir

    graph = model.graph
    for node in list(graph):
        constant: Any = node.inputs[1] if node.op_type == "MatMul" else None
        if constant is None or constant.name not in graph.initializers or len(constant.shape) != 2:
            continue
        new = replacement(node, graph, constant.const_value.numpy())
        ir.convenience.replace_nodes_and_values(graph, node, [node], new, [node.outputs[0]], [new[-1].outputs[0]])
        if not constant.uses():
            del graph.initializers[constant.name]
            if isinstance(constant.const_value, ir.ExternalTensor):
                constant.const_value.release()


def _quantize_blocks(bits: int, block: int) -> Replacement:
    def replacement(node: Any, graph: "ir.Graph", weight: "np.ndarray") -> "list[ir.Node]":
        import numpy as np
        import onnx_ir as ir
        from onnxruntime.capi import _pybind_state as library

        rows, columns = weight.shape
        blocks = -(-rows // block)
        packed = np.zeros((columns, blocks, block * bits // 8), dtype=np.uint8)
        scales = np.zeros((columns, blocks), dtype=np.float32)
        unused = np.zeros((columns, -(-blocks * bits // 8)), dtype=np.uint8)  # zero points: the scale is symmetric
        quantize = library.quantize_matmul_8bits if bits == 8 else library.quantize_matmul_4bits
        for part in _column_slices(columns):
            own = np.ascontiguousarray(np.pad(weight[:, part], ((0, blocks * block - rows), (0, 0))))
            quantize(packed[part], own, scales[part], unused[part], block, own.shape[1], rows, True)
        inputs = [
            node.inputs[0],
            _add_constant(graph, node, "packed", packed),
            _add_constant(graph, node, "scales", scales),
        ]
        sizes = {"K": rows, "N": columns, "bits": bits, "block_size": block, "accuracy_level": ACCURACY}
        return [ir.node("MatMulNBits", inputs, sizes, domain="com.microsoft")]

    return replacement


def _column_slices(columns: int) -> list[slice]:
    return [slice(start, start + COLUMNS) for start in range(0, columns, COLUMNS)]


def _quantize_columns(node: Any, graph: "ir.Graph", weight: "np.ndarray") -> "list[ir.Node]":
    import numpy as np
    import onnx_ir as ir

    scale, whole = np.empty(weight.shape[1], dtype=np.float32), np.empty(weight.shape, dtype=np.int8)
    for part in _column_slices(weight.shape[1]):
        scale[part] = np.maximum(np.abs(weight[:, part]).max(axis=0), np.finfo(np.float32).tiny) / 127
        whole[:, part] = np.clip(np.rint(weight[:, part] / scale[part]), -127, 127)
    known = [user for user, _ in node.inputs[0].uses() if user.op_type == "DynamicQuantizeLinear"]
    activation = known[0] if known else ir.node("DynamicQuantizeLinear", [node.inputs[0]], num_outputs=3)
    values, step, zero = activation.outputs
    product = ir.node("MatMulInteger", [values, _add_constant(graph, node, "int8", whole), zero])
    real = ir.node("Cast", [product.outputs[0]], {"to": ir.DataType.FLOAT})
    steps = ir.node("Mul", [step, _add_constant(graph, node, "scales", scale)])
    new = [product, real, steps, ir.node("Mul", [real.outputs[0], steps.outputs[0]])]
    return new if known else [activation, *new]


def _add_constant(graph: "ir.Graph", node: Any, name: str, array: "np.ndarray") -> "ir.Value":
    import onnx_ir as ir

    full = f"{node.inputs[1].name}.{name}"
    if full in graph.initializers:  # a matrix of several products
        return graph.initializers[full]
    value = ir.val(full, const_value=ir.tensor(array, name=full))
    graph.register_initializer(value)
    return value

"""A Qwen2.5-VL folder -> vision_encoder, embed_tokens and decoder_model_merged as ONNX.

The vision encoder, which takes images of any size and attends in windows, is built by mobius-onnx, an optional package.
Its other two graphs are not used: in a batch every row would get the first one's images, and logits are computed at all
places of a prompt. Positions have three dimensions here (time, height, width); the runtime counts them.
"""

import dataclasses
from pathlib import Path
from typing import Any

import torch
from onnxscript import FLOAT, INT32, opset23, script
from onnxscript.values import Opset

from warraq.errors import InputError
from warraq.exporters.onnx import decoder, graphs
from warraq.students.weights import Weights

op: Any = opset23
microsoft: Any = Opset("com.microsoft", 1)
own = Opset("warraq", 1)


@script(own, default_opset=op)
def PackedMultiHeadAttention(  # noqa: N802 - the name of onnxruntime's operator
    query: FLOAT, key: FLOAT, value: FLOAT, bias: FLOAT, token_offset: INT32, cumulative: INT32, num_heads: int,
    scale: float,
) -> FLOAT:  # fmt: skip
    """The operator of this name of onnxruntime, which it has for GPUs alone: each window attends to itself.

    Args:
        query: (patches, hidden), as `key` and `value`; windows one after another.
        token_offset: (windows, longest); the places of the patches in windows padded on the right come first.
        cumulative: (windows + 1), the patches before each window.
    """
    width = op.Shape(query, start=1, end=2)
    shape = op.Concat(op.Shape(token_offset), width, axis=0)
    flat = op.Concat([-1], width, axis=0)
    empty = op.Expand(0.0, op.Concat(op.Reshape(op.Size(token_offset), [1]), width, axis=0))
    offsets = op.Slice(op.Reshape(token_offset, [-1]), [0], op.Shape(query, start=0, end=1))
    places = op.Unsqueeze(op.Cast(offsets, to=7), [1])
    queries = op.Reshape(op.ScatterND(empty, places, query), shape)
    keys = op.Reshape(op.ScatterND(empty, places, key), shape)
    values = op.Reshape(op.ScatterND(empty, places, value), shape)
    if op.Squeeze(op.Equal(op.Shape(token_offset, start=0, end=1), 1)):  # without a mask there is no table of weights
        answer = microsoft.MultiHeadAttention(queries, keys, values, num_heads=num_heads, scale=scale)
    else:
        lengths = op.Sub(op.Slice(cumulative, [1], [2147483647]), op.Slice(cumulative, [0], [-1]))
        places_in = op.Range(0, op.Squeeze(op.Shape(token_offset, start=1, end=2)), 1)
        real = op.Less(op.Unsqueeze(places_in, [0]), op.Unsqueeze(op.Cast(lengths, to=7), [1]))
        answer = microsoft.MultiHeadAttention(
            queries, keys, values, None, op.Cast(real, to=6), num_heads=num_heads, scale=scale
        )
    return op.GatherND(op.Reshape(answer, flat), places)  # type: ignore[no-any-return]  # onnxscript reads this line


def sliding_window(config: Any) -> int | None:
    """Tokens that a sliding layer looks back; None, as no published one has such layers."""
    return None


def make_masks(attention_mask: torch.Tensor, cache_position: torch.Tensor, _: None) -> dict[str, torch.Tensor]:
    """Each token sees itself and what stands before it: booleans (batch, 1, length, capacity)."""
    causal = torch.arange(attention_mask.shape[1])[None, :] <= cache_position[:, None]
    return {"full_attention": (causal & (attention_mask[:, None, :] == 1))[:, None]}


def write(merged: Path, out: Path) -> None:
    """Write the three graphs of the model in `merged` to `out`, weights beside them as `.onnx_data`, in fp32.

    Raises:
        InputError: mobius-onnx is not installed, or the model has layers with a sliding window.
    """
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    config, small = (Qwen2_5_VLConfig.from_pretrained(merged, dtype="float32") for _ in range(2))
    if "sliding_attention" in config.text_config.layer_types:
        raise InputError(
            f"{merged / 'config.json'} asks for a sliding window, which is not supported; set use_sliding_window "
            "to false."
        )
    small.vision_config.depth = small.text_config.num_hidden_layers = small.text_config.vocab_size = 1
    small.text_config.pad_token_id = None
    model, buffers = decoder.build_outline(Qwen2_5_VLForConditionalGeneration, config, small)
    weights = graphs.match_weights(merged, model, buffers)
    graphs.save_graph(build_vision(merged, config), out / "vision_encoder.onnx")
    decoder.export_decoder(model, weights, out, make_masks, axes=(3,), typed=False)


def build_vision(merged: Path, config: Any) -> Any:
    """The vision encoder.

    It takes pixel_values (patches, width of a patch) and image_grid_thw (images, 3), and gives image_features
    (tokens, hidden).
    """
    import onnx_ir

    try:
        import mobius
    except ImportError:
        raise InputError(
            "Qwen2.5-VL becomes ONNX with the package mobius-onnx, which is not installed: "
            "`uv pip install mobius-onnx==0.1.0`, or set the student's export to none in params.yaml."
        ) from None

    shape = mobius.ArchitectureConfig.from_transformers(config.text_config, parent_config=config)
    shape = dataclasses.replace(shape, tie_word_embeddings=False)  # it would look for the head, which is not used
    module = mobius.models.Qwen25VLCausalLMModel(shape)
    # As for a GPU: for a CPU each block would attend with one table of weights over all patches of the page.
    model = mobius.build_from_module(module, shape, module.default_task, execution_provider="cuda")["vision_encoder"]
    function: Any = onnx_ir.from_proto(PackedMultiHeadAttention.to_function_proto())
    function.opset_imports[microsoft.domain] = model.opset_imports[own.domain] = 1
    model.functions[function.identifier()] = function
    for node in model.graph:
        if node.op_type == function.name:
            node.domain = own.domain
    stored = Weights(merged)
    state = {name.removeprefix("model."): stored[name] for name in stored.places if "visual." in name}
    mobius.apply_weights(model, module.preprocess_weights(state))  # made fp32 one at a time, as it is written
    return model

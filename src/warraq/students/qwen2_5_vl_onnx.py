"""A Qwen2.5-VL folder -> vision_encoder, embed_tokens and decoder_model_merged as ONNX.

The vision encoder, which takes images of any size and attends in windows, is built by mobius-onnx, an optional package.
Its other two graphs are not used: a batch gets the images of its first row in each, and every prompt's logits are
computed at all places. Positions have three dimensions here (time, height, width); the runtime counts them.
"""

from pathlib import Path
from typing import Any

import torch

from warraq.records import InputError
from warraq.students import decoder, graphs


def window(config: Any) -> int | None:
    """Tokens that a sliding layer looks back; None, as no published one has such layers."""
    return None


def masks(attention_mask: torch.Tensor, cache_position: torch.Tensor, _: None) -> dict[str, torch.Tensor]:
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
            f"{merged / 'config.json'} asks for a sliding window, which is not supported; set it to false."
        )
    graphs.save(vision(merged, config), out / "vision_encoder.onnx")
    small.vision_config.depth = small.text_config.num_hidden_layers = small.text_config.vocab_size = 1
    model, buffers = decoder.outline(Qwen2_5_VLForConditionalGeneration, config, small)
    decoder.write(model, graphs.stored(merged, model, buffers), out, masks, axes=(3,), typed=False)


def vision(merged: Path, config: Any) -> Any:
    """pixel_values (patches, width of a patch), image_grid_thw (images, 3) -> image_features (tokens, hidden)."""
    try:
        import mobius
    except ImportError:
        raise InputError(
            "Qwen2.5-VL becomes ONNX with the package mobius-onnx, which is not installed: "
            "`uv pip install mobius-onnx==0.1.0`, or name the student under export.left_out in params.yaml."
        ) from None

    shape = mobius.ArchitectureConfig.from_transformers(config.text_config, parent_config=config)
    module = mobius.models.Qwen25VLCausalLMModel(shape)
    model = mobius.build_from_module(module, shape, task=module.default_task)["vision_encoder"]
    stored = graphs.tensors(merged).items()
    state = {name.removeprefix("model."): weight() for name, weight in stored if "visual." in name}
    mobius.apply_weights(model, module.preprocess_weights(state))
    return model

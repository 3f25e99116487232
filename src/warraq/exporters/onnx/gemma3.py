"""A Gemma-3 folder -> vision_encoder, embed_tokens and decoder_model_merged as ONNX, opset 23.

Gemma-3 attends both ways inside the block of an image's tokens and causally elsewhere; public exporters lose the first
half. Here the masks are built from `token_type_ids`, an input of the decoder, with plain operators. Kept apart from the
training side of the family, so that a change here trains nothing again.
"""

from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from warraq.exporters.onnx import decoder, graphs


def sliding_window(config: Any) -> int | None:
    """Tokens that a sliding layer looks back."""
    tokens: int | None = config.text_config.sliding_window
    return tokens


def make_masks(
    attention_mask: torch.Tensor, cache_position: torch.Tensor, token_type_ids: torch.Tensor, window: int
) -> dict[str, torch.Tensor]:
    """Which key each query may see, as `transformers.models.gemma3` 5.6 defines it.

    Args:
        attention_mask: (batch, capacity), 0 on padding and where nothing is yet.
        cache_position: (length), the places of this step's tokens in the cache.
        token_type_ids: (batch, length), 1 on image tokens; what was there before counts as text, as no block is split.
        window: tokens a sliding layer looks back, its own included.

    Returns:
        Booleans (batch, 1, length, capacity) by layer type.
    """
    key = torch.arange(attention_mask.shape[1])[None, :]
    query = cache_position[:, None]
    causal = key <= query
    image = token_type_ids == 1
    first = image & ~torch.cat((torch.zeros_like(image[:, :1]), image[:, :-1]), dim=1)
    block = torch.where(image, first.to(torch.int64).cumsum(dim=1), 0)  # 1, 2, … for each image; 0 on text
    key_block = torch.zeros_like(attention_mask).scatter(1, cache_position[None, :].expand_as(block), block)
    same = (block[:, :, None] == key_block[:, None, :]) & (block[:, :, None] > 0)
    real = attention_mask[:, None, :] == 1
    return {
        "full_attention": ((causal | same) & real)[:, None],
        "sliding_attention": (((causal & (query - key < window)) | same) & real)[:, None],
    }


def _attend_image(module: nn.Module, query: Any, key: Any, value: Any, _: Any, **options: Any) -> tuple[Any, None]:
    """All patches of a page see each other, in onnxruntime's operator, which never holds their whole table of weights.

    With 4096 patches, as in a 4B model, that is 1 GB for each layer, and the standard operator takes twice the time.
    """
    batch, heads, length, width = query.shape
    rows = [part.transpose(1, 2).reshape(batch, length, heads * width) for part in (query, key, value)]
    settings: dict[str, Any] = {"num_heads": heads, "scale": options["scaling"]}
    answer = torch.onnx.ops.symbolic(
        "com.microsoft::MultiHeadAttention", rows, settings, dtype=query.dtype, shape=rows[0].shape, version=1
    )
    return answer.reshape(batch, length, heads, width), None


class VisionEncoder(nn.Module):
    """pixel_values (images, 3, height, width) -> image_features (images, tokens, hidden)."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.tower, self.projector = model.model.vision_tower, model.model.multi_modal_projector

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """As the class says."""
        features: torch.Tensor = self.projector(self.tower(pixel_values=pixel_values).last_hidden_state)
        return features


def write(merged: Path, out: Path) -> None:
    """Write the three graphs of the model in `merged` to `out`, weights beside them as `.onnx_data`, in fp32.

    The graphs are traced without weights, which then go from file to file one at a time.
    """
    from transformers import AttentionInterface, Gemma3Config, Gemma3ForConditionalGeneration

    config, small = (Gemma3Config.from_pretrained(merged, dtype="float32") for _ in range(2))
    small.vision_config.num_hidden_layers = 1
    small.text_config.layer_types = sorted(set(small.text_config.layer_types))  # each has its own frequencies
    small.text_config.num_hidden_layers = len(small.text_config.layer_types)
    small.text_config.vocab_size = 1 + int(small.text_config.pad_token_id or 0)
    model, buffers = decoder.build_outline(Gemma3ForConditionalGeneration, config, small)
    weights = graphs.match_weights(merged, model, buffers)

    AttentionInterface.register("warraq_image", _attend_image)
    model.model.vision_tower.config._attn_implementation = "warraq_image"
    vision = config.vision_config
    # Two images: the exporter would take one for a constant.
    pixels = torch.zeros(2, vision.num_channels, vision.image_size, vision.image_size)
    graphs.export_graph(
        VisionEncoder(model),
        weights,
        out / "vision_encoder.onnx",
        ["image_features"],
        {"pixel_values": (pixels, {0: "images"})},
    )
    windowed = partial(make_masks, window=config.text_config.sliding_window)
    decoder.export_decoder(model, weights, out, windowed, axes=(), typed=True)

"""A Gemma-3 folder -> vision_encoder, embed_tokens and decoder_model_merged as ONNX, opset 23.

Gemma-3 attends both ways inside the block of an image's tokens and causally elsewhere; public exporters lose the first
half. Here the masks are built from `token_type_ids`, an input of the decoder, with plain operators, so one graph serves
the prompt and every later step, with any batch and length. A step writes its keys and values to their places in a cache
with room to spare, `cache_position`, so that a runtime may give the same memory as `past_key_values` and `present`.
Kept apart from the training side of the family, so that a change here trains nothing again.
"""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from warraq.students import graphs


def masks(
    attention_mask: torch.Tensor, token_type_ids: torch.Tensor, cache_position: torch.Tensor, window: int
) -> dict[str, torch.Tensor]:
    """Which key each query may see, as `transformers.models.gemma3` 4.57 defines it.

    Args:
        attention_mask: (batch, capacity), 0 on padding and where nothing is yet.
        token_type_ids: (batch, length), 1 on image tokens; what was there before counts as text, as no block is split.
        cache_position: (length), the places of this step's tokens in the cache.
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


def _attention(module: nn.Module, query: Any, key: Any, value: Any, mask: Any, **options: Any) -> tuple[Any, None]:
    """Grouped-query attention as one operator; transformers' own call branches on sizes that are unknown in a graph."""
    shared = query.shape[1] != key.shape[1]
    answer = nn.functional.scaled_dot_product_attention(
        query, key, value, attn_mask=mask, scale=options["scaling"], enable_gqa=shared
    )
    return answer.transpose(1, 2).contiguous(), None


def _image_attention(module: nn.Module, query: Any, key: Any, value: Any, _: Any, **options: Any) -> tuple[Any, None]:
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


class _Cache:
    """Keys and values (batch, heads, capacity, width) by layer; nothing falls out, as the mask is the window."""

    def __init__(self, past: list[torch.Tensor], position: torch.Tensor) -> None:
        self.layers, self.position = list(past), position[None, None, :, None]

    def update(self, key: Any, value: Any, layer: int, _: Any) -> tuple[Any, Any]:
        for place, new in ((2 * layer, key), (2 * layer + 1, value)):
            self.layers[place] = self.layers[place].scatter(2, self.position.expand_as(new), new)
        return self.layers[2 * layer], self.layers[2 * layer + 1]


class VisionEncoder(nn.Module):
    """pixel_values (images, 3, height, width) -> image_features (images, tokens, hidden)."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.tower, self.projector = model.model.vision_tower, model.model.multi_modal_projector

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        return self.projector(self.tower(pixel_values=pixel_values).last_hidden_state)


class Decoder(nn.Module):
    """Embeddings and cache -> logits at the places `logits_idx`, and the cache with this step in it."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.text, self.head = model.model.language_model, model.lm_head
        self.window = model.config.text_config.sliding_window

    def forward(
        self,
        inputs_embeds: torch.Tensor,  # (batch, length, hidden)
        attention_mask: torch.Tensor,  # (batch, capacity)
        position_ids: torch.Tensor,  # (batch, length)
        cache_position: torch.Tensor,  # (length)
        token_type_ids: torch.Tensor,  # (batch, length)
        logits_idx: torch.Tensor,  # (places), of this step
        past: list[torch.Tensor],
    ) -> tuple[torch.Tensor, ...]:
        lowest = torch.finfo(inputs_embeds.dtype).min  # finite: a padding row sees nothing and must not become NaN
        seen = {
            kind: torch.where(mask, 0.0, lowest)
            for kind, mask in masks(attention_mask, token_type_ids, cache_position, self.window).items()
        }
        cache = _Cache(past, cache_position)
        hidden = self.text(
            inputs_embeds=inputs_embeds,
            attention_mask=seen,
            position_ids=position_ids,
            past_key_values=cache,
            use_cache=True,
            cache_position=cache_position,
        ).last_hidden_state
        return (self.head(hidden.index_select(1, logits_idx)), *cache.layers)


def _outline(merged: Path) -> tuple[Any, dict[str, Any]]:
    """The model without its weights, which take no memory, and its buffers, which no file holds."""
    from torch._subclasses.fake_tensor import FakeTensorMode
    from transformers import AttentionInterface, Gemma3Config, Gemma3ForConditionalGeneration

    AttentionInterface.register("warraq_gqa", _attention)
    AttentionInterface.register("warraq_image", _image_attention)
    small = Gemma3Config.from_pretrained(merged, dtype="float32")
    small.text_config.num_hidden_layers = small.vision_config.num_hidden_layers = 1
    small.text_config.layer_types = small.text_config.layer_types[:1]
    small.text_config.vocab_size = 1 + int(small.text_config.pad_token_id or 0)
    buffers = dict(Gemma3ForConditionalGeneration(small).named_buffers())
    config = Gemma3Config.from_pretrained(merged, dtype="float32")
    with FakeTensorMode(allow_non_fake_inputs=True):
        model = Gemma3ForConditionalGeneration(config)
    model.eval().requires_grad_(False)
    model.model.language_model.config._attn_implementation = "warraq_gqa"
    model.model.vision_tower.config._attn_implementation = "warraq_image"
    return model, buffers


def write(merged: Path, out: Path) -> None:
    """Write the three graphs of the model in `merged` to `out`, weights beside them as `.onnx_data`, in fp32.

    The graphs are traced without weights, which then go from file to file one at a time.
    """
    model, buffers = _outline(merged)
    weights = graphs.stored(merged, model, buffers)
    vision, text = model.config.vision_config, model.config.text_config

    # Example sizes differ from each other and from 0 and 1, which the exporter would take for constants.
    pixels = torch.zeros(2, vision.num_channels, vision.image_size, vision.image_size)
    graphs.write(
        VisionEncoder(model),
        weights,
        out / "vision_encoder.onnx",
        ["image_features"],
        {"pixel_values": (pixels, {0: "images"})},
    )

    step = {0: "batch", 1: "length"}
    ids = torch.zeros(2, 3, dtype=torch.int64)
    embedding = model.get_input_embeddings()
    graphs.write(embedding, weights, out / "embed_tokens.onnx", ["inputs_embeds"], {"input_ids": (ids, step)})

    names = [f"{layer}.{part}" for layer in range(text.num_hidden_layers) for part in ("key", "value")]
    past = [torch.zeros(2, text.num_key_value_heads, 9, text.head_dim) for _ in names]
    graphs.write(
        Decoder(model),
        weights,
        out / "decoder_model_merged.onnx",
        ["logits", *(f"present.{name}" for name in names)],
        {
            "inputs_embeds": (torch.zeros(2, 3, text.hidden_size), step),
            "attention_mask": (torch.ones(2, 9, dtype=torch.int64), {0: "batch", 1: "capacity"}),
            "position_ids": (torch.arange(5, 8).repeat(2, 1), step),
            "cache_position": (torch.arange(5, 8), {0: "length"}),
            "token_type_ids": (torch.tensor([[0, 1, 1], [0, 1, 1]]), step),
            "logits_idx": (torch.tensor([0, 1, 2, 2]), {0: "places"}),
            "past": (past, [{0: "batch", 2: "capacity"} for _ in names]),
        },
        [f"past_key_values.{name}" for name in names],
    )

"""The language half of a model -> embed_tokens and decoder_model_merged as ONNX, the same way for every family.

One graph serves the prompt and every later step, with any batch and length. A step writes its keys and values to their
places in a cache with room to spare, `cache_position`, so that a runtime may give the same memory as `past_key_values`
and `present`. What a token may see is the family's own.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from warraq.exporters.onnx import graphs

# (attention_mask, cache_position, token_type_ids) -> booleans (batch, 1, length, capacity) by layer type
Masks = Callable[[torch.Tensor, torch.Tensor, Any], dict[str, torch.Tensor]]
NAME = "warraq_gqa"  # of the attention below, in transformers


def attend(module: nn.Module, query: Any, key: Any, value: Any, mask: Any, **options: Any) -> tuple[Any, None]:
    """Grouped-query attention as one operator; transformers' own call branches on sizes that are unknown in a graph."""
    shared = query.shape[1] != key.shape[1]
    answer = nn.functional.scaled_dot_product_attention(
        query, key, value, attn_mask=mask, scale=options["scaling"], enable_gqa=shared
    )
    return answer.transpose(1, 2).contiguous(), None


class Embedding(nn.Module):
    """input_ids (batch, length) -> inputs_embeds (batch, length, hidden)."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.tokens = model.get_input_embeddings()

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        """As the class says."""
        embeddings: torch.Tensor = self.tokens(input_ids)
        return embeddings


class _Cache:
    """Keys and values (batch, heads, capacity, width) by layer; nothing falls out, as a mask is the window."""

    def __init__(self, past: list[torch.Tensor], position: torch.Tensor) -> None:
        self.layers, self.position = list(past), position[None, None, :, None]

    def update(self, key: Any, value: Any, layer: int) -> tuple[Any, Any]:
        for place, new in ((2 * layer, key), (2 * layer + 1, value)):
            self.layers[place] = self.layers[place].scatter(2, self.position.expand_as(new), new)
        return self.layers[2 * layer], self.layers[2 * layer + 1]


class Decoder(nn.Module):
    """Embeddings and cache -> logits at the places `logits_idx`, and the cache with this step in it."""

    def __init__(self, model: Any, masks: Masks) -> None:
        super().__init__()
        self.text, self.head, self.masks = model.model.language_model, model.lm_head, masks

    def forward(
        self,
        inputs_embeds: torch.Tensor,  # (batch, length, hidden)
        attention_mask: torch.Tensor,  # (batch, capacity), 0 on padding and where nothing is yet
        position_ids: torch.Tensor,  # (batch, length), or (3, batch, length)
        cache_position: torch.Tensor,  # (length), the places of this step's tokens in the cache
        logits_idx: torch.Tensor,  # (places), of this step
        past: list[torch.Tensor],
        token_type_ids: torch.Tensor | None = None,  # (batch, length), 1 on image tokens; where the masks ask for it
    ) -> tuple[torch.Tensor, ...]:
        """Logits (batch, places, vocabulary), and keys and values by layer."""
        lowest = torch.finfo(inputs_embeds.dtype).min  # finite: a padding row sees nothing and must not become NaN
        masks = self.masks(attention_mask, cache_position, token_type_ids)
        cache = _Cache(past, cache_position)
        hidden = self.text(
            inputs_embeds=inputs_embeds,
            attention_mask={kind: torch.where(mask, 0.0, lowest) for kind, mask in masks.items()},
            position_ids=position_ids,
            past_key_values=cache,
            use_cache=True,
        ).last_hidden_state
        return (self.head(hidden.index_select(1, logits_idx)), *cache.layers)


def build_outline(kind: Any, config: Any, small: Any) -> tuple[Any, dict[str, torch.Tensor]]:
    """The model without its weights, which take no memory, and its buffers, which no file holds.

    Args:
        kind: its class in transformers.
        small: a second configuration with as few layers as the buffers need.
    """
    from torch._subclasses.fake_tensor import FakeTensorMode
    from transformers import AttentionInterface

    AttentionInterface.register(NAME, attend)
    buffers = dict(kind(small).named_buffers())
    with FakeTensorMode(allow_non_fake_inputs=True):
        model = kind(config)
    model.eval().requires_grad_(False)
    model.model.language_model.config._attn_implementation = NAME
    return model, buffers


def export_decoder(
    model: Any, weights: dict[int, graphs.Weight], out: Path, masks: Masks, axes: tuple[int, ...], typed: bool
) -> None:
    """Write the two graphs.

    Args:
        axes: of position_ids, before (batch, length).
        typed: whether the masks ask for `token_type_ids`.
    """
    text = model.model.language_model.config
    step = {0: "batch", 1: "length"}
    # Example sizes differ from each other and from 0 and 1, which the exporter would take for constants.
    ids = torch.zeros(2, 3, dtype=torch.int64)
    graphs.export_graph(
        Embedding(model), weights, out / "embed_tokens.onnx", ["inputs_embeds"], {"input_ids": (ids, step)}
    )

    width = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    names = [f"{layer}.{part}" for layer in range(text.num_hidden_layers) for part in ("key", "value")]
    past = [torch.zeros(2, text.num_key_value_heads, 9, width) for _ in names]
    graphs.export_graph(
        Decoder(model, masks),
        weights,
        out / "decoder_model_merged.onnx",
        ["logits", *(f"present.{name}" for name in names)],
        {
            "inputs_embeds": (torch.zeros(2, 3, text.hidden_size), step),
            "attention_mask": (torch.ones(2, 9, dtype=torch.int64), {0: "batch", 1: "capacity"}),
            "position_ids": (
                torch.arange(5, 8).expand(*axes, 2, 3).contiguous(),
                {len(axes): "batch", len(axes) + 1: "length"},
            ),
            "cache_position": (torch.arange(5, 8), {0: "length"}),
            **({"token_type_ids": (torch.tensor([[0, 1, 1], [0, 1, 1]]), step)} if typed else {}),
            "logits_idx": (torch.tensor([0, 1, 2, 2]), {0: "places"}),
            "past": (past, [{0: "batch", 2: "capacity"} for _ in names]),
        },
        [f"past_key_values.{name}" for name in names],
    )

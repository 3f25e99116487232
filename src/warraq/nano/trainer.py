"""Batches -> a student that reads: one update at a time, with the supervision that only pre-training has."""

import math
from functools import partial
from typing import TYPE_CHECKING, Any

from warraq.nano import architecture
from warraq.nano.batches import IGNORED, PARTS, SLOTS, Batch
from warraq.nano.exchanges import TokenIds
from warraq.nano.text_lines import CHARACTERS
from warraq.nano.training_pages import STATES

if TYPE_CHECKING:
    import torch
    from transformers import Gemma3Config, Gemma3ForConditionalGeneration

LAST_LAYER, FOLLOWING_LAYER = 1, 3  # whose first head is told where the last and the next character stand
GUIDANCE = 0.3  # weight of that loss
DESCRIBING = 0.3  # weight of the loss on a page's parts and wear
SEEING_SHARE = 0.25  # learning rate of the vision while the decoder learns too
WAVES = 8  # a direction

TrainerState = dict[str, Any]
"""What PyTorch saves of the modules and optimisers, by name."""


def attend_to_neighbours(model: "Gemma3ForConditionalGeneration", side: int) -> None:
    """Start each head of the vision layers as one that attends to a patch near its own.

    Positions become waves in both directions; a query is the wave pattern of the patch that many columns and rows away.
    """
    import torch

    tower = model.model.vision_tower
    numbers = torch.arange(side**2)
    frequencies = [0.75 * math.pi * 0.5 ** (index / 2) for index in range(WAVES)]
    waves = [
        wave(frequency * axis) for frequency in frequencies for axis in (numbers % side, numbers // side)
        for wave in (torch.cos, torch.sin)
    ]  # fmt: skip
    with torch.no_grad():
        positions = tower.embeddings.position_embedding.weight
        positions.zero_()[:, : len(waves)] = torch.stack(waves, dim=1)
        tower.embeddings.patch_embedding.weight[: len(waves)] = 0
        for number, layer in enumerate(tower.encoder.layers):
            attention = layer.self_attn
            reach = 1 + number % 2
            offsets = [(0, 0), (-reach, 0), (reach, 0), (0, -1), (0, 1)]
            attention.q_proj.weight.mul_(0.1)
            attention.k_proj.weight.mul_(0.1)
            for head in range(attention.num_heads):
                for index, frequency in enumerate(frequencies):
                    for axis, offset in enumerate(offsets[head % len(offsets)]):
                        at = 4 * index + 2 * axis
                        row = head * attention.head_dim + at
                        cos, sin = 2 * math.cos(frequency * offset), 2 * math.sin(frequency * offset)
                        turn = torch.tensor([[cos, -sin], [sin, cos]])
                        attention.q_proj.weight[row : row + 2, at : at + 2] = turn
                        attention.k_proj.weight[row : row + 2, at : at + 2] = 2 * torch.eye(2)


def attend_guided(
    module: Any, query: "torch.Tensor", key: "torch.Tensor", value: "torch.Tensor",
    attention_mask: "torch.Tensor", scaling: float, guided: dict[int, "torch.Tensor"], **_: Any,
) -> tuple["torch.Tensor", None]:  # fmt: skip
    """Attention in plain products, whose weights in the first head, which is guided, go apart into `guided`.

    On a CPU the fused kernel's way back takes longer than these, and it keeps no weights.
    """
    import torch

    pages, heads, tokens, width = query.shape
    if query.is_cuda and module.layer_idx not in (LAST_LAYER, FOLLOWING_LAYER):
        states = (part.repeat_interleave(heads // part.shape[1], dim=1) for part in (query, key, value))
        asked, keys, values = (part.to(attention_mask.dtype) for part in states)
        out = torch.nn.functional.scaled_dot_product_attention(asked, keys, values, attention_mask, scale=scaling)
        return out.transpose(1, 2).contiguous(), None
    grouped = (query * scaling).reshape(pages, key.shape[1], -1, width) @ key.transpose(2, 3)
    weights = torch.softmax(grouped.view(pages, heads, tokens, -1) + attention_mask, dim=-1)
    if module.layer_idx in (LAST_LAYER, FOLLOWING_LAYER):
        guided[module.layer_idx] = weights[:, 0]
    out = (weights.view_as(grouped) @ value).view(pages, heads, tokens, width)
    return out.transpose(1, 2).contiguous(), None


def average(values: "torch.Tensor", counted: "torch.Tensor") -> "torch.Tensor":
    """The mean of the values that are counted, 0 if none is; a GPU need not be waited for."""
    return (values * counted).sum() / counted.sum().clamp(min=1)


def _normalise(values: "torch.Tensor", eps: float) -> "torch.Tensor":
    """What Gemma3RMSNorm computes in five operations, in one."""
    import torch

    return torch.nn.functional.rms_norm(values, values.shape[-1:], eps=eps)


class Trainer:
    """The student, its auxiliary head and its optimisers at one step; `state_dict` is all that a checkpoint holds."""

    def __init__(self, config: "Gemma3Config", token_ids: TokenIds, seed: int, device: "torch.device") -> None:
        import torch
        from transformers import AttentionInterface
        from transformers.models.gemma3.modeling_gemma3 import Gemma3RMSNorm

        from warraq.nano.muon import StackedMuon

        self.token_ids, self.device = token_ids, device
        side = config.vision_config.image_size // config.vision_config.patch_size
        self.model = architecture.build_model(config, seed).float()
        attend_to_neighbours(self.model, side)
        AttentionInterface.register("guided", attend_guided)
        self.model.model.language_model.set_attn_implementation("guided")
        for module in self.model.modules():
            if isinstance(module, Gemma3RMSNorm):
                module._norm = partial(_normalise, eps=module.eps)
        torch.manual_seed(seed)
        self.head_sizes = [SLOTS * (len(CHARACTERS) + 1), len(PARTS) + 1, len(STATES)]
        self.head = torch.nn.Linear(config.text_config.hidden_size, sum(self.head_sizes))
        self.model.to(device)
        self.head.to(device)
        model = self.model.model
        self.vision_weights = [
            *model.vision_tower.parameters(),
            *model.multi_modal_projector.parameters(),
            *self.head.parameters(),
        ]
        self.decoder_weights = list(model.language_model.parameters())
        layers = (model.vision_tower.encoder.layers, model.language_model.layers)
        matrices = {id(weight) for stack in layers for weight in stack.parameters() if weight.ndim == 2}

        def group_weights(of_layers: bool) -> list[dict[str, Any]]:
            parts = (self.vision_weights, self.decoder_weights)
            return [{"params": [weight for weight in part if (id(weight) in matrices) == of_layers]} for part in parts]

        self.optimisers: list[torch.optim.Optimizer] = [
            StackedMuon(group_weights(True), weight_decay=0.0, adjust_lr_fn="match_rms_adamw"),
            torch.optim.AdamW(
                group_weights(False), betas=(0.9, 0.98), weight_decay=0.0, fused=device.type == "cuda" or None
            ),
        ]

    def state_dict(self) -> TrainerState:
        """All that a checkpoint holds."""
        optimisers = [optimiser.state_dict() for optimiser in self.optimisers]
        return {"model": self.model.state_dict(), "head": self.head.state_dict(), "optimisers": optimisers}

    def load_state_dict(self, state: TrainerState) -> None:
        """Go on from what `state_dict` gave."""
        self.model.load_state_dict(state["model"])
        self.head.load_state_dict(state["head"])
        for optimiser, saved in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)

    def update(self, batch: Batch, name: str, rate: float) -> "dict[str, torch.Tensor]":
        """One update in the phase `name`; what was measured on the way, each a number still on the device."""
        import torch

        with torch.autocast(self.device.type, torch.bfloat16):
            with torch.set_grad_enabled(name != "decoder"):
                encoded = self.encode_images(batch)
            loss = torch.zeros((), device=self.device)
            metrics: dict[str, torch.Tensor] = {}
            if name != "decoder":
                loss, metrics = self.compute_naming_loss(encoded, batch)
            if name != "vision":
                written, more = self.compute_writing_loss(encoded, batch)
                loss, metrics = loss + written, metrics | more
        loss.backward()
        for weights in (self.vision_weights, self.decoder_weights):
            torch.nn.utils.clip_grad_norm_(weights, 1.0)
        for optimiser in self.optimisers:
            vision, decoder = optimiser.param_groups
            vision["lr"], decoder["lr"] = rate if name == "vision" else SEEING_SHARE * rate, rate
            optimiser.step()
            optimiser.zero_grad()
        return metrics

    def encode_images(self, batch: Batch) -> "torch.Tensor":
        """(pages, views, kept, width): what the model makes of the kept patches, by the weights and layers for images.

        Pages are grey, so the three channels' weights add up.
        """
        import torch

        tower, projector = self.model.model.vision_tower, self.model.model.multi_modal_projector
        grey = batch.patches.flatten(0, 1).float() / 127.5 - 1
        kernel = tower.embeddings.patch_embedding.weight.sum(1).flatten(1)
        places = tower.embeddings.position_embedding(batch.kept.flatten(0, 1))
        patches = torch.nn.functional.linear(grey, kernel, tower.embeddings.patch_embedding.bias) + places
        encoded = tower.post_layernorm(tower.encoder(inputs_embeds=patches).last_hidden_state)
        features: torch.Tensor = projector.mm_soft_emb_norm(encoded) @ projector.mm_input_projection_weight
        return features.view(*batch.kept.shape, -1)

    def compute_naming_loss(
        self, encoded: "torch.Tensor", batch: Batch
    ) -> "tuple[torch.Tensor, dict[str, torch.Tensor]]":
        """The loss on the characters of each patch, those that are there and those that are not in equal parts.

        To it comes what part of the page the patch belongs to, and of all patches together the page's wear.
        """
        from torch.nn import functional

        names, parts, states = self.head(encoded).float().split(self.head_sizes, dim=3)
        labels = batch.characters.flatten()
        scores = names.reshape(len(labels), -1)
        losses = functional.cross_entropy(scores, labels, reduction="none", ignore_index=IGNORED)
        present = labels > 0
        loss = average(losses, present) + average(losses, labels == 0)
        part = functional.cross_entropy(parts.flatten(0, 2), batch.parts.flatten(), ignore_index=IGNORED)
        seen, clear = states.mean((1, 2)), batch.states != IGNORED
        wear = functional.binary_cross_entropy_with_logits(seen, batch.states.clamp(0, 1).float(), reduction="none")
        metrics = {
            "named": average(scores.argmax(1) == labels, present),
            "parts": average(parts.argmax(3) == batch.parts, batch.parts != IGNORED),
            "wear": average((seen > 0) == (batch.states > 0), clear),
        }
        return loss + DESCRIBING * (part + average(wear, clear)), metrics

    def compute_writing_loss(
        self, encoded: "torch.Tensor", batch: Batch
    ) -> "tuple[torch.Tensor, dict[str, torch.Tensor]]":
        """The loss on the text and on where two attention heads look."""
        import torch

        language = self.model.model.language_model
        views, image = encoded.shape[1:3]
        head, step = len(self.token_ids.before), image + len(self.token_ids.between)
        starts = [head + view * step for view in range(views)]
        before = starts[-1] + image
        embedded = language.embed_tokens(batch.ids)
        pieces = [embedded[:, :head]]
        mask = torch.full((batch.ids.shape[1],) * 2, -torch.inf, dtype=torch.bfloat16, device=self.device).triu(1)
        for view, start in enumerate(starts):
            following = starts[view + 1] if view + 1 < views else None
            pieces += [encoded[:, view].to(embedded.dtype), embedded[:, start + image : following]]
            mask[start : start + image, start : start + image] = 0  # the tokens of an image see each other
        mask = mask.expand(len(batch.ids), 1, -1, -1)
        guided: dict[int, torch.Tensor] = {}
        decoded = language(
            inputs_embeds=torch.cat(pieces, dim=1),
            attention_mask={"full_attention": mask, "sliding_attention": mask},
            position_ids=batch.positions,
            use_cache=False,
            guided=guided,
        )
        labels = batch.labels[:, before:]
        scores = self.model.lm_head(decoded.last_hidden_state[:, before:]).float()
        loss = torch.nn.functional.cross_entropy(scores.flatten(0, 1), labels.flatten(), ignore_index=IGNORED)
        right, shown = scores.argmax(2) == labels, batch.following[:, before:] >= 0
        metrics = {"text": loss.detach(), "letters": average(right, shown)}
        metrics["outline"] = average(right, (labels != IGNORED) & ~shown)
        for name, layer, tokens in (
            ("last", LAST_LAYER, batch.last), ("following", FOLLOWING_LAYER, batch.following),
        ):  # fmt: skip
            attention = guided[layer].gather(2, tokens.clamp(min=0)[:, :, None])[:, :, 0].float()
            loss = loss - GUIDANCE * average((attention + 1e-5).log(), tokens >= 0)
            metrics[name] = average(attention.detach(), tokens >= 0)
        return loss, metrics

"""Model families: what training has to know of a kind of model, a `Family` each in a module of its own.

A family with a correct route to ONNX has its graphs in `exporters/onnx/<family>.py`.
"""

import importlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

MODULES = {
    "gemma3": "gemma3",
    "gemma4": "gemma4",
    "qwen2_5_vl": "qwen_vl",
    "qwen3_vl": "qwen_vl",
    "llava_1_5": "llava",
    "llava_next": "llava",
}
"""Family, as params.yaml names it -> its module here, in which it stands by its name in capitals."""

Settings = dict[str, Any]
"""What a processor does to an image (`read_image_settings`), with its own settings over it where both are
meant; or another JSON file of a model."""

Component = Literal["language", "projector", "vision"]
COMPONENTS: tuple[Component, ...] = ("language", "projector", "vision")


class VisionSize(NamedTuple):
    """What the processor makes of an image."""

    width_px: int
    height_px: int
    tokens: int


class Chat(NamedTuple):
    """A question and its answer as the template writes them, in the pieces that are tokenized apart."""

    prompt: list[str]  # with one image token in place of each image
    target: list[str]


@dataclass(frozen=True)
class Family:
    """How models of one kind are laid out, asked and shown pages. Patterns are regular expressions."""

    model_type: str  # in config.json
    template: str  # LLaMA-Factory's
    renamed: Mapping[str, str]  # pattern of a stored tensor's name -> what it begins with in transformers
    components: Mapping[Component, str]  # pattern of the module names, from their start; the first that fits counts
    language_layers: str  # pattern of the linear layers that a tier with `language` trains
    projector_layers: str | None  # the same for `projector`
    whole_projector: str | None  # a projector without linear layers, which is trained whole
    vision_attention: str  # pattern of the attention of a vision block, its number the first group
    unused_vision_blocks: int  # at the end, of which the projector sees nothing
    has_fused_loss: bool  # liger-kernel's, by LLaMA-Factory
    image_mark: str  # what stands for an image in a question
    system: str  # the message before a question, or ""
    render_chat: Callable[[str, str], Chat]  # question, answer -> the chat
    vision_size: Callable[[int, int, Settings], VisionSize]  # width and height in px, settings -> what the model sees
    cap_pixels: Callable[
        [Settings, int | None], Settings
    ]  # settings, px at most -> settings that training and serving use
    find_unused: Callable[[Settings], str] = lambda _: r"(?!)"  # config.json -> pattern of stored tensors of no effect

    def module_name(self, stored: str) -> str:
        """The name in transformers of what is stored under a name."""
        for pattern, replacement in self.renamed.items():
            stored = re.sub(pattern, replacement, stored)
        return stored

    def component_of(self, name: str) -> str:
        """The component of a module or parameter by its name in transformers, or `other`."""
        return next((part for part, pattern in self.components.items() if re.match(pattern, name)), "other")


def keep_pixels(settings: Settings, max_pixels: int | None) -> Settings:
    """`cap_pixels` of a family whose images have a fixed size."""
    return settings


def load(name: str) -> Family:
    """The family that params.yaml calls `name`, which has been checked; no module of another family is loaded."""
    family: Family = getattr(importlib.import_module(f"warraq.students.families.{MODULES[name]}"), name.upper())
    return family

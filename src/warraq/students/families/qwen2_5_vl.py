"""The Qwen2.5-VL family: Qwen/Qwen2.5-VL-7B-Instruct and its kin.

A page keeps its shape; its sides become multiples of a patch of 2 x 2, and its px at most the budget that stands in
preprocessor_config.json. Served by transformers and vLLM, which read the budget there. vLLM drops adapters of vision
layers: serve the merged model.
"""

import math
from typing import Any

MODEL = "qwen2_5_vl"
TEMPLATE = "qwen2_vl"
MODULES = {
    r"^visual": "model.visual",
    r"^model(?!\.(language_model|visual))": "model.language_model",
}
COMPONENTS = {
    "projector": r"model\.visual\.merger\.",
    "vision": r"model\.visual\.",
    "language": r"model\.language_model\.|lm_head",
}
LANGUAGE = r"model\.language_model\.layers\.\d+\.(self_attn|mlp)\.\w+_proj"
PROJECTOR = r"model\.visual\.merger\.mlp\.\d+"
PROJECTOR_WHOLE = None
ATTENTION = r"model\.visual\.blocks\.(\d+)\.attn\.(qkv|proj)"
UNUSED = 0
IMAGE = "<|image_pad|>"
MARK = "<image>"
SYSTEM = "You are a helpful assistant."


def spelled(prompt: str, answer: str) -> tuple[list[str], list[str]]:
    asked = prompt.replace(MARK, f"<|vision_start|>{IMAGE}<|vision_end|>")
    turn = f"<|im_start|>user\n{asked}<|im_end|>\n<|im_start|>assistant\n"
    return [f"<|im_start|>system\n{SYSTEM}<|im_end|>\n", turn], [f"{answer}<|im_end|>\n"]


def seen(width: int, height: int, settings: dict[str, Any]) -> tuple[int, int, int]:
    """The smart_resize of transformers."""
    factor = settings["patch_size"] * settings["merge_size"]
    least, most = settings["min_pixels"], settings["max_pixels"]
    rows, columns = round(height / factor), round(width / factor)
    if rows * columns * factor**2 > most:
        shrink = math.sqrt(height * width / most)
        rows, columns = (max(1, math.floor(side / shrink / factor)) for side in (height, width))
    elif rows * columns * factor**2 < least:
        grow = math.sqrt(least / (height * width))
        rows, columns = (math.ceil(side * grow / factor) for side in (height, width))
    return columns * factor, rows * factor, rows * columns


def budget(settings: dict[str, Any], max_pixels: int | None) -> dict[str, Any]:
    """Both ways in which processors read it: the slow one ignores `size`, the fast one prefers it."""
    size = settings.get("size", {})
    least = settings.get("min_pixels") or size.get("shortest_edge") or 56 * 56
    most = max_pixels or settings.get("max_pixels") or size.get("longest_edge") or 28 * 28 * 1280
    return settings | {
        "min_pixels": least,
        "max_pixels": most,
        "size": {"shortest_edge": least, "longest_edge": most},
    }

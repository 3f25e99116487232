"""The Qwen3-VL family, Instruct: Qwen/Qwen3-VL-8B-Instruct and its kin.

The template is `qwen3_vl_nothink`: `qwen3_vl` would train an empty <think></think> before every answer. Images are as
in Qwen2.5-VL with patches of 16 px; the mergers of the deepstack count as projector. Served by transformers and vLLM.
What it shares with Qwen2.5-VL stands here again: a change of one family trains no student of another anew.
"""

import math
from typing import Any

MODEL = "qwen3_vl"
TEMPLATE = "qwen3_vl_nothink"
MODULES: dict[str, str] = {}
COMPONENTS = {
    "projector": r"model\.visual\.(merger|deepstack_merger_list)\.",
    "vision": r"model\.visual\.",
    "language": r"model\.language_model\.|lm_head",
}
LANGUAGE = r"model\.language_model\.layers\.\d+\.(self_attn|mlp)\.\w+_proj"
PROJECTOR = r"model\.visual\.(merger|deepstack_merger_list\.\d+)\.linear_fc[12]"
PROJECTOR_WHOLE = None
ATTENTION = r"model\.visual\.blocks\.(\d+)\.attn\.(qkv|proj)"
UNUSED = 0
IMAGE = "<|image_pad|>"
MARK = "<image>"
SYSTEM = ""


def spelled(prompt: str, answer: str) -> tuple[list[str], list[str]]:
    asked = prompt.replace(MARK, f"<|vision_start|>{IMAGE}<|vision_end|>")
    return [f"<|im_start|>user\n{asked}<|im_end|>\n<|im_start|>assistant\n"], [f"{answer}<|im_end|>\n"]


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

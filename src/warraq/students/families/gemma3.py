"""The Gemma-3 family: google/gemma-3-4b-it and its kin, and the embedded nano.

Every image is one square of fixed size and a fixed number of tokens, whatever its own size. Served by transformers,
vLLM, Ollama; with the eager or SDPA attention, since flash attention drops what image tokens see of each other.
"""

from typing import Any

MODEL = "gemma3"
TEMPLATE = "gemma3"
MODULES = {
    r"^language_model\.model": "model.language_model",
    r"^language_model\.lm_head": "lm_head",
    r"^vision_tower": "model.vision_tower",
    r"^multi_modal_projector": "model.multi_modal_projector",
}
COMPONENTS = {
    "projector": r"model\.multi_modal_projector\.",
    "vision": r"model\.vision_tower\.",
    "language": r"model\.language_model\.|lm_head",
}
LANGUAGE = r"model\.language_model\.layers\.\d+\.(self_attn|mlp)\.\w+_proj"
PROJECTOR = None
PROJECTOR_WHOLE = "multi_modal_projector"
ATTENTION = r"model\.vision_tower\.vision_model\.encoder\.layers\.(\d+)\.self_attn\.(q|k|v|out)_proj"
UNUSED = 0
IMAGE = "<image_soft_token>"
MARK = "<image>"
SYSTEM = ""


def spelled(prompt: str, answer: str) -> tuple[list[str], list[str]]:
    asked = prompt.replace(MARK, f"\n\n<start_of_image>{IMAGE}<end_of_image>\n\n")
    turn = f"<start_of_turn>user\n{asked}<end_of_turn>\n<start_of_turn>model\n"
    return ["<bos>", turn], [f"{answer}<end_of_turn>\n"]


def seen(width: int, height: int, settings: dict[str, Any]) -> tuple[int, int, int]:
    """`settings`: preprocessor_config.json with processor_config.json over it."""
    return settings["size"]["width"], settings["size"]["height"], settings["image_seq_length"]


def budget(settings: dict[str, Any], max_pixels: int | None) -> dict[str, Any]:
    return settings

"""The LLaVA-1.5 family in the layout of llava-hf: llava-hf/llava-1.5-7b-hf.

Every image becomes one square of 336 px, too small for a page of text. The base's processor crops the square out of the
middle; here the whole page is squeezed into it, in training and serving, so that nothing is cut off. The last vision
block is not used (`vision_feature_layer` is -2), so that it would get no gradient. The model's own chat template puts
a line break after the image and no system message before it, and so does training here.
Served by transformers and vLLM.
"""

from typing import Any

MODEL = "llava"
TEMPLATE = "llava"
MODULES = {
    r"^language_model\.model": "model.language_model",
    r"^language_model\.lm_head": "lm_head",
    r"^vision_tower": "model.vision_tower",
    r"^multi_modal_projector": "model.multi_modal_projector",
    r"^image_newline": "model.image_newline",
}
COMPONENTS = {
    "projector": r"model\.(multi_modal_projector\.|image_newline)",
    "vision": r"model\.vision_tower\.",
    "language": r"model\.language_model\.|lm_head",
}
LANGUAGE = r"model\.language_model\.layers\.\d+\.(self_attn|mlp)\.\w+_proj"
PROJECTOR = r"model\.multi_modal_projector\.linear_[12]"
PROJECTOR_WHOLE = None
ATTENTION = r"model\.vision_tower\.vision_model\.encoder\.layers\.(\d+)\.self_attn\.(q|k|v|out)_proj"
UNUSED = 1
IMAGE = "<image>"
MARK = "<image>\n"
SYSTEM = "<s>"  # in place of the trainer's own message, which the model does not know; the trainer forgets <s>


def spelled(prompt: str, answer: str) -> tuple[list[str], list[str]]:
    return [SYSTEM, f"USER: {prompt} ASSISTANT:"], [answer, "</s>"]


def seen(width: int, height: int, settings: dict[str, Any]) -> tuple[int, int, int]:
    side = settings["size"]["height"]
    return side, side, (side // settings["patch_size"]) ** 2 + extra(settings)


def extra(settings: dict[str, Any]) -> int:
    """The token of the class, where it is not dropped."""
    dropped = settings.get("vision_feature_select_strategy", "default") == "default"
    return settings.get("num_additional_image_tokens", 0) - dropped


def budget(settings: dict[str, Any], max_pixels: int | None) -> dict[str, Any]:
    return settings | {"do_center_crop": False, "size": settings["crop_size"]}

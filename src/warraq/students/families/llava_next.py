"""The LLaVA-NeXT family with the vicuna backbone, in the layout of llava-hf: llava-hf/llava-v1.6-vicuna-7b-hf.

A page is seen once small and whole, and once as tiles of the best grid of `image_grid_pinpoints`. Backbones other than
vicuna have other templates. All else is as in LLaVA-1.5, and stands here again: a change of one family trains no
student of another anew. Served by transformers and vLLM.
"""

from typing import Any

MODEL = "llava_next"
TEMPLATE = "llava_next"
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
    """Grid and padding as in transformers' LlavaNextProcessor; the px are those of the page within the grid."""
    side, patches = settings["crop_size"]["height"], settings["crop_size"]["height"] // settings["patch_size"]

    def fit(grid: list[int]) -> tuple[int, int]:
        scale = min(grid[1] / width, grid[0] / height)
        used = min(int(width * scale) * int(height * scale), width * height)
        return used, used - grid[0] * grid[1]

    rows_px, columns_px = max(settings["image_grid_pinpoints"], key=fit)
    rows, columns = patches * (rows_px // side), patches * (columns_px // side)
    if width / height > columns / rows:
        rows -= (rows - int(round(height * (columns / width), 7))) // 2 * 2
    else:
        columns -= (columns - int(round(width * (rows / height), 7))) // 2 * 2
    tokens = rows * columns + rows + patches**2 + extra(settings)
    return columns * settings["patch_size"], rows * settings["patch_size"], tokens


def extra(settings: dict[str, Any]) -> int:
    """The token of the class, where it is not dropped."""
    dropped = settings.get("vision_feature_select_strategy", "default") == "default"
    return settings.get("num_additional_image_tokens", 0) - dropped


def budget(settings: dict[str, Any], max_pixels: int | None) -> dict[str, Any]:
    return settings

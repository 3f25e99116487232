"""The LLaVA-NeXT family with the vicuna backbone, in the layout of llava-hf: llava-hf/llava-v1.6-vicuna-7b-hf.

A page is seen once small and whole, and once as tiles of the best grid of `image_grid_pinpoints`. Backbones other than
vicuna have other templates. All else is as in LLaVA-1.5. Served by transformers and vLLM.
"""

from typing import Any

from warraq.students import llava_1_5

MODEL = "llava_next"
TEMPLATE = "llava_next"
MODULES = llava_1_5.MODULES
COMPONENTS = llava_1_5.COMPONENTS
LANGUAGE = llava_1_5.LANGUAGE
PROJECTOR = llava_1_5.PROJECTOR
PROJECTOR_WHOLE = None
ATTENTION = llava_1_5.ATTENTION
UNUSED = 1
IMAGE = llava_1_5.IMAGE
MARK = llava_1_5.MARK
SYSTEM = llava_1_5.SYSTEM
spelled = llava_1_5.spelled


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
    tokens = rows * columns + rows + patches**2 + llava_1_5.extra(settings)
    return columns * settings["patch_size"], rows * settings["patch_size"], tokens


def budget(settings: dict[str, Any], max_pixels: int | None) -> dict[str, Any]:
    return settings

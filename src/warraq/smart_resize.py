"""The size at which a model of the Qwen-VL families sees an image; training and serving count with the same one."""

import math


def smart_resize(width: int, height: int, factor: int, min_pixels: int, max_pixels: int) -> tuple[int, int]:
    """(width, height) in px, each a multiple of `factor`, their product within the bounds, the shape nearly kept.

    Source: `smart_resize` of `transformers.models.qwen2_vl.image_processing_qwen2_vl` 5.6.
    """
    rows, columns = round(height / factor), round(width / factor)
    if rows * columns * factor**2 > max_pixels:
        shrink = math.sqrt(height * width / max_pixels)
        rows, columns = (max(1, math.floor(length / shrink / factor)) for length in (height, width))
    elif rows * columns * factor**2 < min_pixels:
        grow = math.sqrt(min_pixels / (height * width))
        rows, columns = (math.ceil(length * grow / factor) for length in (height, width))
    return columns * factor, rows * factor

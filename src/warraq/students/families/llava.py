"""The LLaVA families in the layout of llava-hf.

LLaVA-1.5 (llava-hf/llava-1.5-7b-hf) sees every image as one square of 336 px, too small for a page of text. The base's
processor crops the square out of the middle; here the whole page is squeezed into it, in training and serving, so that
nothing is cut off. LLaVA-NeXT with the vicuna backbone (llava-hf/llava-v1.6-vicuna-7b-hf; other backbones have other
templates) sees a page once small and whole, and once as tiles of the best grid of `image_grid_pinpoints`.

The last vision block is not used (`vision_feature_layer` is -2), so that it would get no gradient. The model's own chat
template puts a line break after the image and no system message before it, and so does training here. Served by
transformers and vLLM.
"""

from dataclasses import replace

from warraq.students.families import Chat, Family, Settings, VisionSize, keep_pixels

SYSTEM = "<s>"  # in place of the trainer's own message, which the model does not know; the trainer forgets <s>


def render_chat(prompt: str, answer: str) -> Chat:
    """The templates `llava` and `llava_next`, with the message of the family before them."""
    return Chat([SYSTEM, f"USER: {prompt} ASSISTANT:"], [answer, "</s>"])


def class_tokens(settings: Settings) -> int:
    """The token of the class, where it is not dropped."""
    dropped = settings.get("vision_feature_select_strategy", "default") == "default"
    return int(settings.get("num_additional_image_tokens", 0) - dropped)


def square_size(width: int, height: int, settings: Settings) -> VisionSize:
    """LLaVA-1.5: the same for every image."""
    length = settings["size"]["height"]
    return VisionSize(length, length, (length // settings["patch_size"]) ** 2 + class_tokens(settings))


def tiled_size(width: int, height: int, settings: Settings) -> VisionSize:
    """LLaVA-NeXT: grid and padding as in transformers' LlavaNextProcessor; the px are those of the page in the grid."""
    tile_px = settings["crop_size"]["height"]
    patches = tile_px // settings["patch_size"]

    def fit(grid: list[int]) -> tuple[int, int]:
        scale = min(grid[1] / width, grid[0] / height)
        used = min(int(width * scale) * int(height * scale), width * height)
        return used, used - grid[0] * grid[1]

    rows_px, columns_px = max(settings["image_grid_pinpoints"], key=fit)
    rows, columns = patches * (rows_px // tile_px), patches * (columns_px // tile_px)
    if width / height > columns / rows:
        rows -= (rows - int(round(height * (columns / width), 7))) // 2 * 2
    else:
        columns -= (columns - int(round(width * (rows / height), 7))) // 2 * 2
    tokens = rows * columns + rows + patches**2 + class_tokens(settings)
    return VisionSize(columns * settings["patch_size"], rows * settings["patch_size"], tokens)


def squeeze(settings: Settings, max_pixels: int | None) -> Settings:
    """LLaVA-1.5: the whole page in the square instead of its middle."""
    return settings | {"do_center_crop": False, "size": settings["crop_size"]}


LLAVA_1_5 = Family(
    model_type="llava",
    template="llava",
    renamed={
        r"^language_model\.model": "model.language_model",
        r"^language_model\.lm_head": "lm_head",
        r"^vision_tower": "model.vision_tower",
        r"^model\.vision_tower\.vision_model": "model.vision_tower",
        r"^multi_modal_projector": "model.multi_modal_projector",
        r"^image_newline": "model.image_newline",
    },
    components={
        "projector": r"model\.(multi_modal_projector\.|image_newline)",
        "vision": r"model\.vision_tower\.",
        "language": r"model\.language_model\.|lm_head",
    },
    language_layers=r"model\.language_model\.layers\.\d+\.(self_attn|mlp)\.\w+_proj",
    projector_layers=r"model\.multi_modal_projector\.linear_[12]",
    whole_projector=None,
    vision_attention=r"model\.vision_tower\.encoder\.layers\.(\d+)\.self_attn\.(q|k|v|out)_proj",
    unused_vision_blocks=1,
    has_fused_loss=False,
    image_mark="<image>\n",
    system=SYSTEM,
    render_chat=render_chat,
    vision_size=square_size,
    cap_pixels=squeeze,
)
LLAVA_NEXT = replace(
    LLAVA_1_5, model_type="llava_next", template="llava_next", vision_size=tiled_size, cap_pixels=keep_pixels
)

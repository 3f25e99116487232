"""The Gemma-4 family: google/gemma-4-E2B-it and google/gemma-4-E4B-it.

A page keeps its shape and is enlarged or shrunk to a budget of tokens, 1,120 at most: 2.6 million px, an em of 10 pt on
A4 being 23 px high. The base's own budget is 280; what the student's `image_max_pixels` allows is written into its
processor, which training and serving read. Image tokens see only what stands before them.

The model can think; asked without `<|think|>` it does not, and its chat template begins no answer with a thought. Only
text and images are used: the audio tower of the base goes along untouched. Served by transformers and vLLM.
"""

import math

from warraq.students.families import Chat, Family, Settings, VisionSize

MARK = "<image>"
BUDGETS = (70, 140, 280, 560, 1120)  # tokens an image; the model knows no others


def render_chat(prompt: str, answer: str) -> Chat:
    """The template `gemma4` without its thoughts."""
    question = prompt.replace(MARK, "<|image><|image|><image|>")
    return Chat(["<bos>", f"<|turn>user\n{question}<turn|>\n<|turn>model\n"], [f"{answer}<turn|>\n"])


def vision_size(width: int, height: int, settings: Settings) -> VisionSize:
    """The largest size of about the same shape within the budget.

    Source: `get_aspect_ratio_preserving_size` of `transformers.models.gemma4` 5.6.
    """
    side, budget = settings["patch_size"] * settings["pooling_kernel_size"], settings["max_soft_tokens"]
    scale = math.sqrt(budget * side**2 / (width * height))
    columns, rows = (math.floor(scale * length / side) for length in (width, height))
    if rows == 0:
        columns, rows = min(width // height, budget), 1
    elif columns == 0:
        columns, rows = 1, min(height // width, budget)
    return VisionSize(columns * side, rows * side, columns * rows)


def cap_pixels(settings: Settings, max_pixels: int | None) -> Settings:
    """The largest budget whose px are allowed, the smallest where none is."""
    if max_pixels is None:
        return settings
    side = settings["patch_size"] * settings["pooling_kernel_size"]
    allowed = [tokens for tokens in BUDGETS if tokens * side**2 <= max_pixels]
    return settings | {"max_soft_tokens": max(allowed, default=BUDGETS[0])}


def find_unused(config: Settings) -> str:
    """The last layers take keys and values of earlier ones; their own are stored, and transformers passes over them."""
    text = config["text_config"]
    layers = range(text["num_hidden_layers"] - text["num_kv_shared_layers"], text["num_hidden_layers"])
    return rf"model\.language_model\.layers\.({'|'.join(map(str, layers))})\.self_attn\.[kv]_(proj|norm)\."


GEMMA4 = Family(
    model_type="gemma4",
    template="gemma4",
    renamed={},
    components={
        "projector": r"model\.embed_vision\.",
        "vision": r"model\.vision_tower\.",
        "language": r"model\.language_model\.|lm_head",
    },
    language_layers=r"model\.language_model\.layers\.\d+\.(self_attn|mlp)\.\w+_proj",
    projector_layers=r"model\.embed_vision\.embedding_projection",
    whole_projector=None,
    vision_attention=r"model\.vision_tower\.encoder\.layers\.(\d+)\.self_attn\.(q|k|v|o)_proj\.linear",
    unused_vision_blocks=0,
    has_fused_loss=False,
    image_mark=MARK,
    system="",
    render_chat=render_chat,
    vision_size=vision_size,
    cap_pixels=cap_pixels,
    find_unused=find_unused,
)

"""The Gemma-3 family: google/gemma-3-4b-it and its kin, and the embedded nano.

Every image is one square of fixed size and a fixed number of tokens, whatever its own size. Served by transformers,
vLLM, Ollama; with the eager or SDPA attention, since flash attention drops what image tokens see of each other.
"""

from warraq.students.families import Chat, Family, Settings, VisionSize, keep_pixels

MARK = "<image>"


def render_chat(prompt: str, answer: str) -> Chat:
    """The template `gemma3`."""
    question = prompt.replace(MARK, "\n\n<start_of_image><image_soft_token><end_of_image>\n\n")
    turn = f"<start_of_turn>user\n{question}<end_of_turn>\n<start_of_turn>model\n"
    return Chat(["<bos>", turn], [f"{answer}<end_of_turn>\n"])


def vision_size(width: int, height: int, settings: Settings) -> VisionSize:
    """The same for every image."""
    return VisionSize(settings["size"]["width"], settings["size"]["height"], settings["image_seq_length"])


GEMMA3 = Family(
    model_type="gemma3",
    template="gemma3",
    renamed={
        r"^language_model\.model": "model.language_model",
        r"^language_model\.lm_head": "lm_head",
        r"^vision_tower": "model.vision_tower",
        r"^model\.vision_tower\.vision_model": "model.vision_tower",
        r"^multi_modal_projector": "model.multi_modal_projector",
    },
    components={
        "projector": r"model\.multi_modal_projector\.",
        "vision": r"model\.vision_tower\.",
        "language": r"model\.language_model\.|lm_head",
    },
    language_layers=r"model\.language_model\.layers\.\d+\.(self_attn|mlp)\.\w+_proj",
    projector_layers=None,
    whole_projector="multi_modal_projector",
    vision_attention=r"model\.vision_tower\.encoder\.layers\.(\d+)\.self_attn\.(q|k|v|out)_proj",
    unused_vision_blocks=0,
    has_fused_loss=True,
    image_mark=MARK,
    system="",
    render_chat=render_chat,
    vision_size=vision_size,
    cap_pixels=keep_pixels,
)

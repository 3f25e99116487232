"""The Qwen-VL families: Qwen/Qwen2.5-VL-7B-Instruct, Qwen/Qwen3-VL-8B-Instruct and their kin.

A page keeps its shape; its sides become multiples of a patch of 2 x 2, and its px at most the budget that stands in
the settings of the processor. Served by transformers and vLLM, which read the budget there. vLLM drops adapters of
vision layers: serve the merged model.

Qwen3-VL is the Instruct kind: its template is `qwen3_vl_nothink`, as `qwen3_vl` would train an empty <think></think>
before every answer. Its patches have 16 px, and the mergers of the deepstack count as projector.
"""

from dataclasses import replace

from warraq.smart_resize import smart_resize
from warraq.students.families import Chat, Family, Settings, VisionSize

MARK = "<image>"
SYSTEM = "You are a helpful assistant."


def render_turn(prompt: str, answer: str) -> Chat:
    """Qwen3-VL: a turn of each and nothing before them."""
    question = prompt.replace(MARK, "<|vision_start|><|image_pad|><|vision_end|>")
    return Chat([f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n"], [f"{answer}<|im_end|>\n"])


def render_chat(prompt: str, answer: str) -> Chat:
    """Qwen2.5-VL: the system message and a turn of each."""
    turns = render_turn(prompt, answer)
    return Chat([f"<|im_start|>system\n{SYSTEM}<|im_end|>\n", *turns.prompt], turns.target)


def vision_size(width: int, height: int, settings: Settings) -> VisionSize:
    """A token for each patch of `merge_size` x `merge_size`."""
    factor = settings["patch_size"] * settings["merge_size"]
    size = smart_resize(width, height, factor, settings["min_pixels"], settings["max_pixels"])
    return VisionSize(*size, size[0] * size[1] // factor**2)


def cap_pixels(settings: Settings, max_pixels: int | None) -> Settings:
    """Both ways in which processors read it: the slow one ignores `size`, the fast one prefers it."""
    size = settings.get("size", {})
    least = settings.get("min_pixels") or size.get("shortest_edge") or 56 * 56
    most = max_pixels or settings.get("max_pixels") or size.get("longest_edge") or 28 * 28 * 1280
    return settings | {
        "min_pixels": least,
        "max_pixels": most,
        "size": {"shortest_edge": least, "longest_edge": most},
    }


QWEN2_5_VL = Family(
    model_type="qwen2_5_vl",
    template="qwen2_vl",
    renamed={
        r"^visual": "model.visual",
        r"^model(?!\.(language_model|visual))": "model.language_model",
    },
    components={
        "projector": r"model\.visual\.merger\.",
        "vision": r"model\.visual\.",
        "language": r"model\.language_model\.|lm_head",
    },
    language_layers=r"model\.language_model\.layers\.\d+\.(self_attn|mlp)\.\w+_proj",
    projector_layers=r"model\.visual\.merger\.mlp\.\d+",
    whole_projector=None,
    vision_attention=r"model\.visual\.blocks\.(\d+)\.attn\.(qkv|proj)",
    unused_vision_blocks=0,
    has_fused_loss=True,
    image_mark=MARK,
    system=SYSTEM,
    render_chat=render_chat,
    vision_size=vision_size,
    cap_pixels=cap_pixels,
)
QWEN3_VL = replace(
    QWEN2_5_VL,
    model_type="qwen3_vl",
    has_fused_loss=False,
    template="qwen3_vl_nothink",
    renamed={},
    components={**QWEN2_5_VL.components, "projector": r"model\.visual\.(merger|deepstack_merger_list)\."},
    projector_layers=r"model\.visual\.(merger|deepstack_merger_list\.\d+)\.linear_fc[12]",
    system="",
    render_chat=render_turn,
)

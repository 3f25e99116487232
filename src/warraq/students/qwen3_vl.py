"""The Qwen3-VL family, Instruct: Qwen/Qwen3-VL-8B-Instruct and its kin.

The template is `qwen3_vl_nothink`: `qwen3_vl` would train an empty <think></think> before every answer. Images are as
in Qwen2.5-VL with patches of 16 px; the mergers of the deepstack count as projector. Served by transformers and vLLM.
"""

from warraq.students import qwen2_5_vl

MODEL = "qwen3_vl"
TEMPLATE = "qwen3_vl_nothink"
MODULES: dict[str, str] = {}
COMPONENTS = qwen2_5_vl.COMPONENTS
LANGUAGE = qwen2_5_vl.LANGUAGE
PROJECTOR = r"model\.visual\.(merger|deepstack_merger_list\.\d+)\.linear_fc[12]"
PROJECTOR_WHOLE = None
ATTENTION = qwen2_5_vl.ATTENTION
UNUSED = 0
IMAGE = qwen2_5_vl.IMAGE
MARK = "<image>"
SYSTEM = ""
seen = qwen2_5_vl.seen
budget = qwen2_5_vl.budget


def spelled(prompt: str, answer: str) -> tuple[list[str], list[str]]:
    return [qwen2_5_vl.turn(prompt)], [f"{answer}<|im_end|>\n"]

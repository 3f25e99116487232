"""The models that learn. An entry under `students:` of params.yaml is a `Student`; a module here is a model family.

A family module has
    MODEL        `model_type` in config.json
    TEMPLATE     LLaMA-Factory's template
    MODULES      {pattern of a stored tensor's name: its module's name in transformers}
    COMPONENTS   {"projector" | "vision" | "language": pattern of the module names}; the first that fits counts
    LANGUAGE     pattern of the linear layers that a tier with `language` trains
    PROJECTOR    the same for `projector`; or PROJECTOR_WHOLE, a module without linear layers, which is trained whole
    ATTENTION    pattern of a vision block's attention, its number the first group; of `vision_attention_last`
    UNUSED       vision blocks at the end of which nothing is used
    MARK         what stands for an image in a question; SYSTEM the message before it, or ""
    spelled      question and answer as the template spells them, in the pieces that are encoded apart, an IMAGE each
    seen         what the processor makes of an image: width, height in px, and tokens
    budget       preprocessor_config.json with a cap on px; the same where the size is fixed
and `<family>_onnx` beside it the graphs, where there is a correct route to ONNX.
"""

import importlib
import re
from types import ModuleType
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from warraq.section import Section

Count = Annotated[int, Field(ge=1)]
PROCESSOR = (  # of every family: files that say how a model is asked
    "added_tokens.json", "chat_template.jinja", "chat_template.json", "merges.txt", "preprocessor_config.json",
    "processor_config.json", "special_tokens_map.json", "tokenizer.json", "tokenizer.model", "tokenizer_config.json",
    "video_preprocessor_config.json", "vocab.json",
)  # fmt: skip


class Tier(Section):
    """One LoRA adapter, trained on the base with the adapters of the tiers before it merged."""

    language: bool  # every linear layer of the language model's blocks
    projector: bool  # between vision and language
    vision_attention_last: Annotated[int, Field(ge=0, le=100)]  # blocks, counted from the last that is used
    rank: Annotated[int, Field(ge=1, le=1024)]  # LoRA rank
    alpha: Annotated[int, Field(ge=1, le=4096)]  # LoRA scale is alpha / rank
    dropout: Annotated[float, Field(ge=0, lt=1)]  # on the adapter's input, share
    learning_rate: Annotated[float, Field(gt=0, le=0.1)]
    epochs: Annotated[float, Field(gt=0, le=1000)]
    patience: Count  # evaluations without gain before training stops

    @property
    def components(self) -> set[str]:
        asked = {"language": self.language, "projector": self.projector, "vision": self.vision_attention_last > 0}
        return {name for name, wanted in asked.items() if wanted}

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.components:
            raise ValueError("trains nothing: language, projector or vision_attention_last must be set")
        return self


class Student(Section):
    """How one student is made. The defaults of no field are hidden here: params.yaml states them all."""

    family: Literal["gemma3", "qwen2_5_vl", "qwen3_vl", "llava_1_5", "llava_next"]  # module in students/
    base: str  # Hugging Face id; `warraq fetch` puts it into models/<student>/base. "nano" comes with the project
    revision: str  # the hub's commit; of "nano" the SHA-256 of its weights
    tuning: Literal["lora", "full"]
    batch_size: Count  # samples a step
    accumulation: Count  # steps added up before an update
    eval_batch_size: Count  # samples evaluated at once
    scheduler: Literal["cosine", "linear", "constant"]
    warmup_ratio: Annotated[float, Field(ge=0, lt=1)]  # share of all updates
    precision: Literal["bf16", "fp32"]
    cutoff_len: Annotated[int, Field(ge=64, le=131072)]  # tokens, prompt + image + answer, at most
    image_max_pixels: Annotated[int, Field(ge=1024)] | None  # px a page is shrunk to; None: the processor's own
    min_line_px: Annotated[float, Field(ge=0, le=100)]  # px of a text line as the model sees it, at least
    eval_steps: Count  # updates between evaluations, at most; a checkpoint is saved at each
    logging_steps: Count  # updates between lines of the log
    scored_samples: Annotated[int, Field(ge=0, le=10_000)]  # validation samples answered at each evaluation
    tiers: Annotated[list[Tier], Field(min_length=1, max_length=9)]

    @field_validator("revision")
    @classmethod
    def _pinned(cls, revision: str) -> str:
        if not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", revision):
            raise ValueError("a branch may move; `git ls-remote https://huggingface.co/<base> HEAD` tells a commit")
        return revision

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.tuning == "full" and len(self.tiers) > 1:
            raise ValueError("full tuning has one tier")
        if len(self.tiers) > 1 and self.scored_samples < 2:
            raise ValueError("a second tier is adopted by its answers: scored_samples must be 2 or more")
        return self


def family(name: str) -> ModuleType:
    """The module of a model family; `name` has been checked by the params."""
    return importlib.import_module(f"warraq.students.families.{name}")

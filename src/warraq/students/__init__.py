"""The models that learn: an entry under `students:` of params.yaml is a `Student`."""

import re
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from warraq.section import Section
from warraq.students import families
from warraq.students.families import MODULES, Component
from warraq.views import Views

Count = Annotated[int, Field(ge=1)]


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
    def components(self) -> set[Component]:
        """What of the model is trained."""
        named: dict[Component, bool] = {
            "language": self.language,
            "projector": self.projector,
            "vision": self.vision_attention_last > 0,
        }
        return {name for name, is_trained in named.items() if is_trained}

    @model_validator(mode="after")
    def _check_trained(self) -> Self:
        if not self.components:
            raise ValueError("trains nothing: language, projector or vision_attention_last must be set")
        return self


class Student(Section):
    """How one student is made. The defaults of no field are hidden here: params.yaml states them all."""

    family: str  # a model family of students/families
    base: str  # Hugging Face id; `warraq fetch` puts it into models/<student>/base. "nano" comes with the project
    revision: str  # the hub's commit; of "nano" the SHA-256 of its weights
    tuning: Literal["lora", "full"]
    batch_size: Count  # samples a step
    accumulation: Count  # steps added up before an update
    eval_batch_size: Count  # samples evaluated at once
    scheduler: Literal["cosine", "linear", "constant"]
    warmup_ratio: Annotated[float, Field(ge=0, lt=1)]  # share of all updates
    precision: Literal["bf16", "fp32"]
    fused_loss: bool  # the logits never stand in memory whole; needs a GPU, and a family that has it
    checkpointing: Literal["auto", "always", "never"]  # of gradients; auto: where they do not fit without
    quantization: Literal["none", "nf4"]  # of the frozen weights while training
    cutoff_len: Annotated[int, Field(ge=64, le=131072)]  # tokens, prompt + image + answer, at most
    image_max_pixels: Annotated[int, Field(ge=1024)] | None  # px a page is shrunk to; None: the processor's own
    views: Views  # how a page is shown: as a whole, and as so many bands beside it
    min_line_px: Annotated[float, Field(ge=0, le=100)]  # px of a text line as the model sees it, at least
    max_tokens_per_image_token: Annotated[float, Field(gt=0, le=1000)]  # of an answer, at most
    eval_steps: Count  # updates between evaluations, at most; a checkpoint is saved at each
    logging_steps: Count  # updates between lines of the log
    scored_samples: Annotated[int, Field(ge=0, le=10_000)]  # validation samples answered at each evaluation
    export: Literal["onnx", "gguf", "none"] | list[Literal["onnx", "gguf"]]  # none: measured as base and merged alone
    tiers: Annotated[list[Tier], Field(min_length=1, max_length=9)]

    @property
    def exports(self) -> frozenset[str]:
        """The forms beside the merged model."""
        return frozenset([self.export] if isinstance(self.export, str) else self.export) - {"none"}

    @field_validator("family")
    @classmethod
    def _check_family(cls, family: str) -> str:
        if family not in MODULES:
            raise ValueError(f"there is no such model family; there are {', '.join(MODULES)}")
        return family

    @field_validator("revision")
    @classmethod
    def _check_revision(cls, revision: str) -> str:
        if not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", revision):
            raise ValueError("a branch may move; `git ls-remote https://huggingface.co/<base> HEAD` tells a commit")
        return revision

    @model_validator(mode="after")
    def _check_tiers(self) -> Self:
        if self.tuning == "full" and len(self.tiers) > 1:
            raise ValueError("full tuning has one tier")
        if len(self.tiers) > 1 and self.scored_samples < 2:
            raise ValueError("a second tier is adopted by its answers: scored_samples must be 2 or more")
        return self

    @model_validator(mode="after")
    def _check_memory_savers(self) -> Self:
        if self.fused_loss and not families.load(self.family).has_fused_loss:
            raise ValueError(f"there is no fused loss for {self.family}: fused_loss must be false")
        if self.quantization != "none" and (self.tuning, self.precision, len(self.tiers)) != ("lora", "bf16", 1):
            raise ValueError("nf4 is for one LoRA tier in bf16: a second cannot stand on quantized weights")
        return self

"""The models that learn. An entry under `students:` of params.yaml is a `Student`; a module here is a model family.

A family module has
    TEMPLATE     LLaMA-Factory's template
    COMPONENTS   {"language" | "projector" | "vision": prefix of the tensor names}
    MODULES      where a module name of the trainer stands in the files
    PROCESSOR    files that must stay the base's
    lengths      tokens of a prompt, its images and its answer
and `<family>_onnx` beside it the graphs, where there is a correct route to ONNX.
"""

import importlib
from types import ModuleType
from typing import Annotated, Literal

from pydantic import Field

from warraq.section import Section

Count = Annotated[int, Field(ge=1)]


class Student(Section):
    """How one student is made. The defaults of no field are hidden here: params.yaml states them all."""

    family: Literal["gemma3"]  # module in students/
    base: str  # Hugging Face id; `warraq fetch` puts it into models/<student>/base. "nano" comes with the project
    revision: Annotated[str, Field(pattern=r"^[0-9a-f]{40}([0-9a-f]{24})?$")]  # hub commit or SHA-256
    tuning: Literal["lora", "full"]
    rank: Annotated[int, Field(ge=1, le=1024)]  # LoRA rank
    alpha: Annotated[int, Field(ge=1, le=4096)]  # LoRA scale is alpha / rank
    dropout: Annotated[float, Field(ge=0, lt=1)]  # on the adapter's input, share
    batch_size: Count  # samples a step and device
    accumulation: Count  # steps added up before an update
    learning_rate: Annotated[float, Field(gt=0, le=0.1)]
    scheduler: Literal["cosine", "linear", "constant"]
    warmup_ratio: Annotated[float, Field(ge=0, lt=1)]  # share of all updates
    precision: Literal["bf16", "fp32"]
    cutoff_len: Annotated[int, Field(ge=64, le=131072)]  # tokens, prompt + image + answer; a longer sample is an error
    image_max_pixels: Annotated[int, Field(ge=1024)]  # px, cap before the processor resizes
    epochs: Annotated[float, Field(gt=0, le=1000)]
    eval_steps: Count  # updates between evaluations; a checkpoint is saved at each
    logging_steps: Count  # updates between lines of the log
    patience: Count  # evaluations without gain before training stops


def family(name: str) -> ModuleType:
    """The module of a model family; `name` has been checked by the params."""
    return importlib.import_module(f"warraq.students.{name}")

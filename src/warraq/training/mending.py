"""What the trainer's libraries get wrong, mended in its process: a killed training that goes on is the same training,
frozen vision costs no backward pass, and an answer is trained without thoughts."""

from collections.abc import Callable
from importlib import import_module
from typing import Any


def mend(template: str) -> None:
    """Mend transformers 5.6, accelerate 1.11 and LLaMA-Factory 0.9.5 in this process, before the trainer begins.

    Args:
        template: LLaMA-Factory's, of the student's family.
    """
    from torch import serialization
    from transformers import PreTrainedModel

    trainer: Any = import_module("transformers.trainer")
    trainer.skip_first_batches = keep_epoch(trainer.skip_first_batches)
    # The second of several processes without a GPU looks for the optimizer at `cpu:1`, which torch does not know.
    after_cpu = 11  # the place among those who are asked
    serialization.register_package(after_cpu, lambda _: None, lambda storage, at: storage if at[:4] == "cpu:" else None)
    PreTrainedModel.enable_input_require_grads = require_text_gradients
    drop_thoughts(template)


def keep_epoch(skip: Callable[..., Any]) -> Callable[..., Any]:
    """`skip_first_batches` of accelerate, whose loader else takes up the first epoch's order: some samples of the epoch
    that was broken off would be learned twice and others never."""

    def skip_in_order(loader: Any, batches: int = 0) -> Any:
        rest = skip(loader, batches)
        rest.iteration = loader.iteration
        return rest

    return skip_in_order


def require_text_gradients(model: Any) -> None:
    """`enable_input_require_grads` of transformers for the embedding of text alone.

    Its own does it to the patches of images, too: a frozen vision tower would then be gone through backwards, all that
    it computed kept for that, and checkpointing would take more memory than none.
    """

    def require(_: Any, __: Any, output: Any) -> None:
        output.requires_grad_(True)

    model._require_grads_hooks = [model.get_input_embeddings().register_forward_hook(require)]


def drop_thoughts(template: str) -> None:
    """Let a template of LLaMA-Factory write an answer as it is: one for models that can think would begin each with an
    empty thought, which the model's own chat template does not ask for."""
    from llamafactory.data.template import TEMPLATES, ReasoningTemplate, Template

    if isinstance(TEMPLATES[template], ReasoningTemplate):
        TEMPLATES[template].__class__ = Template

"""What the trainer's libraries get wrong where a killed training goes on: mended, so that it is the same training."""

from collections.abc import Callable
from importlib import import_module
from typing import Any


def mend() -> None:
    """Mend transformers 4.57 and accelerate 1.11 in this process, before the trainer begins."""
    from torch import serialization

    trainer: Any = import_module("transformers.trainer")
    trainer.skip_first_batches = keep_epoch(trainer.skip_first_batches)
    # The second of several processes without a GPU looks for the optimizer at `cpu:1`, which torch does not know.
    after_cpu = 11  # the place among those who are asked
    serialization.register_package(after_cpu, lambda _: None, lambda storage, at: storage if at[:4] == "cpu:" else None)


def keep_epoch(skip: Callable[..., Any]) -> Callable[..., Any]:
    """`skip_first_batches` of accelerate, whose loader else takes up the first epoch's order: some samples of the epoch
    that was broken off would be learned twice and others never."""

    def skip_in_order(loader: Any, batches: int = 0) -> Any:
        rest = skip(loader, batches)
        rest.iteration = loader.iteration
        return rest

    return skip_in_order

"""A server + the merged model that it should serve -> the share of equal answers, so that one that answers as another
model is caught: a server that shows no image, or of which an image's tokens see only backwards, says nothing of it."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from warraq.errors import InputError
from warraq.files import read_json
from warraq.records import Sample
from warraq.runtimes import Request, Runtime
from warraq.runtimes.endpoint import EndpointRuntime, drop_special, find_merged

logger = logging.getLogger(__name__)

QUESTIONS = 4
LEAST_SHARE = 0.75
ANSWER_TOKENS = 256
CONTEXT = 20  # characters shown before and after the first difference


@dataclass(frozen=True)
class EndpointProof:
    """How many answers were those of the merged model, and where the first other one leaves it."""

    asked: int
    equal: int
    difference: str | None

    @property
    def share(self) -> float:
        """Of equal answers."""
        return self.equal / self.asked

    def __str__(self) -> str:
        """A sentence or two."""
        text = f"{self.equal} of {self.asked} answers are those of the merged model"
        return f"{text}. {self.difference}" if self.difference else f"{text}."

    def check(self, server: object, least: float) -> None:
        """Raises InputError where fewer answers are equal than a share of `least`."""
        if self.share < least:
            raise InputError(
                f"{server} answers as another model: {self} At least {least:.0%} have to be equal; serve the merged "
                "model as it is, or name a lower share if it is quantized."
            )


def choose_questions(questions: Sequence[tuple[Sample, Request]], count: int) -> list[tuple[Sample, Request]]:
    """`count` of the samples, evenly spread."""
    count = min(count, len(questions))
    return [questions[place * len(questions) // count] for place in range(count)]


def prove_endpoint(
    endpoint: Runtime, merged: Path, questions: Sequence[tuple[Sample, Request]], max_new_tokens: int
) -> EndpointProof:
    """Ask both the same, and compare the texts and, where told, the prompts' tokens, since a model that is unsure of
    nothing says the same to another question; the merged model answers through transformers in fp32."""
    from warraq.runtimes.torch import TorchRuntime

    ours = [endpoint.answer([request], max_new_tokens)[0] for _, request in questions]  # fails sooner if it must
    torch = TorchRuntime(merged, dtype="float32")
    equal, difference = 0, None
    for (sample, request), answer in zip(questions, ours, strict=True):
        truth = torch.answer([request], max_new_tokens)[0]
        wanted, found = (drop_special(merged, one.text) for one in (truth, answer))
        why = [_show_difference(wanted, found)] * (wanted != found)
        if answer.prompt_tokens not in (None, truth.prompt_tokens):
            why.append(f"its prompt has {answer.prompt_tokens} tokens for {truth.prompt_tokens}")
        equal += not why
        if why and difference is None:
            difference = f"{sample.page_id} {sample.task}: {'; '.join(why)}."
    return EndpointProof(len(questions), equal, difference)


def _show_difference(truth: str, other: str) -> str:
    place = next((at for at, (one, two) in enumerate(zip(truth, other, strict=False)) if one != two), None)
    place = min(len(truth), len(other)) if place is None else place
    wanted, found = (text[max(0, place - CONTEXT) : place + CONTEXT] for text in (truth, other))
    return f"from character {place + 1} on it says {found!r} for {wanted!r}"


def prove_served_model(folder: Path, questions: Sequence[tuple[Sample, Request]]) -> None:
    """Ask an endpoint whose config.json names the `merged` model some of the questions before it is trusted with all;
    at least the share `equal_share` of its answers, if it names one, has to be equal. Nothing is asked of others.

    Raises:
        InputError: fewer are.
    """
    if merged := find_merged(folder):
        least = float(read_json(folder / "config.json").get("equal_share", LEAST_SHARE))
        proof = prove_endpoint(EndpointRuntime(folder), merged, choose_questions(questions, QUESTIONS), ANSWER_TOKENS)
        proof.check(folder, least)
        logger.info("predict: %s", proof)

"""A question -> its tokens, counted before anything is drawn or computed, and whether the model can take them."""

from dataclasses import dataclass
from pathlib import Path

from warraq.errors import InputError
from warraq.files import read_json
from warraq.runtimes import Request
from warraq.runtimes.processor import FAMILIES, Processor, load_processor


class ContextError(InputError):
    """A question is longer than the model takes."""


@dataclass(frozen=True)
class Context:
    """How long a model's questions may be; where its tokens cannot be counted here, its server does."""

    processor: Processor | None
    prompt_tokens: int  # of a question with its images
    tokens: int | None  # of a question and its answer; None: not known

    def check_text(self, instruction: str, prompt: str, images: int) -> None:
        """Refuse what is too long whatever its images are, before they are opened.

        Raises:
            ContextError: it is too long.
            InputError: the model's chat template takes no instruction.
        """
        if self.processor is None:
            return
        if len(prompt) + len(instruction) > self.prompt_tokens * self.processor.longest_token:  # not worth counting
            raise self._explain(len(prompt) // self.processor.longest_token)
        count = len(self.processor.encode_prompt(Request((), prompt, instruction=instruction)))
        if instruction and count == len(self.processor.encode_prompt(Request((), prompt))):
            raise InputError("This model's chat template takes no system message; put it into the user's.")
        if count + images * self.processor.least_image_tokens > self.prompt_tokens:
            raise self._explain(count + images * self.processor.least_image_tokens)

    def fit_answer(self, request: Request, wanted: int | None, most: int) -> int:
        """Tokens that the answer may have: `wanted`, if the model can, else what there is room for, up to `most`.

        Raises:
            ContextError: question and answer are too long.
            ImageError: an image cannot be opened.
        """
        if self.processor is None:
            return min(wanted or most, most)
        count = len(self.processor.encode_prompt(request))
        if count > self.prompt_tokens:
            raise self._explain(count)
        room = most if self.tokens is None else min(most, self.tokens - count)
        if room < 1:
            raise self._explain(count)
        return min(wanted or room, room)

    def _explain(self, count: int) -> ContextError:
        most = min(self.prompt_tokens, (self.tokens or self.prompt_tokens + 1) - 1)
        return ContextError(
            f"The messages have {count} tokens or more with their images and {most} are allowed; ask for less at once."
        )


def load_context(folder: Path, max_prompt_tokens: int) -> Context:
    """The context of the model in `folder`."""
    config = read_json(folder / "config.json")
    if config.get("model_type") not in FAMILIES:
        return Context(None, max_prompt_tokens, None)
    tokens = config.get("text_config", config).get("max_position_embeddings")
    return Context(load_processor(folder), max_prompt_tokens, tokens)

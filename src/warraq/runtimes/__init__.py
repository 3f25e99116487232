"""How a finished model is asked: one module a runtime, all with the same answers.

A page's image is cut into the views that the model had of it in training, and goes in uncut in px: what a model sees of
a view is decided by the processor in its folder, to which merge gave the budget of px that training had.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from warraq.environment import read_count
from warraq.errors import InputError
from warraq.files import JsonObject
from warraq.records import Sample, read_samples
from warraq.views import PAGE, Views, count_views, cut_views

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

LOOP = 512  # tokens; a printed form has fewer empty cells in a row
PERIOD = 64  # tokens


@dataclass(frozen=True)
class Request:
    """One question: the images, which come first, each as its views, and the prompt without their placeholders.

    With a `schema` the answer is JSON that fits it, whatever the model would rather write, also where it is cut. With
    `stop_loops` an answer that goes round in circles ends there. The `listener` hears the text as it grows, at least
    once a token, and ends the whole batch by raising; a server elsewhere gives all of it at once.
    """

    images: tuple[Path, ...]
    prompt: str
    schema: str | None = None  # JSON Schema, as JSON
    stop_loops: bool = False
    instruction: str = ""  # of the system, before the question
    views: Views = PAGE  # of each image
    listener: Callable[[str], None] | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Answer:
    """The text up to the stop token, which `tokens` does not count; `length` if none came within the limit."""

    text: str
    finish_reason: Literal["stop", "length"]
    tokens: int
    looped: bool = False  # it was ended because it went round in circles; its finish reason is `length`
    confidence: float | None = field(default=None, compare=False)  # geometric mean of its tokens' probabilities
    logprobs: tuple[tuple[int, float], ...] = field(default=(), compare=False)  # with each token's end in `text`
    prompt_tokens: int | None = field(default=None, compare=False)  # of images, instruction and prompt, where told


@dataclass(frozen=True)
class Trace:
    """A greedy run with its numbers, which two runtimes of one model must share; float32, padded on the left."""

    input_ids: "np.ndarray"  # (batch, length)
    attention_mask: "np.ndarray"  # (batch, length)
    pixel_values: "np.ndarray"  # (images, 3, height, width), or (patches, width of a patch)
    prompt_logits: "np.ndarray"  # (batch, places, vocabulary), after the prompt's tokens at `places`
    step_logits: "np.ndarray"  # (batch, tokens, vocabulary), which chose each token
    tokens: "np.ndarray"  # (batch, tokens); what follows a stop token is no answer


class Runtime(Protocol):
    """A model that is ready to answer."""

    def answer(self, requests: Sequence[Request], max_new_tokens: int) -> list[Answer]:
        """Answer one batch, greedily.

        Raises:
            ImageError: an image cannot be opened; nothing has been generated.
        """
        ...


class ImageError(ValueError):
    """An image cannot be opened; the message says why and names no folder."""

    def __init__(self, path: Path, reason: object) -> None:
        super().__init__(f"{path.name} cannot be opened as an image: {str(reason).replace(str(path), path.name)}")
        self.path = path


def read_requests(dataset: Path, pages: Path, views: Views) -> list[tuple[Sample, Request]]:
    """The samples of a ShareGPT file as requests that show each page so, sorted by page and task.

    Raises:
        InputError: the file cannot be read, or a prompt does not begin with its images.
    """
    pairs = []
    for sample in read_samples(dataset):
        marks = "<image>" * len(sample.images)
        content = sample.conversations[0].content
        prompt = content.removeprefix(marks)
        if not content.startswith(marks) or "<image>" in prompt:
            raise InputError(
                f"{dataset}: the prompt of {sample.page_id} does not begin with its {marks}; write it again."
            )
        pairs.append((sample, Request(tuple(pages / image for image in sample.images), prompt, views=views)))
    return pairs


def build_messages(request: Request) -> list[JsonObject]:
    """The request as chat templates take it."""
    count = len(request.images) * count_views(request.views)
    content = [*({"type": "image"} for _ in range(count)), {"type": "text", "text": request.prompt}]
    system = [{"role": "system", "content": [{"type": "text", "text": request.instruction}]}]
    return [*(system if request.instruction else ()), {"role": "user", "content": content}]


def open_image(path: Path) -> "Image":
    """The whole image in RGB; a rotation in its EXIF tags is not applied, as in training."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            converted: Image.Image = image.convert("RGB")
            return converted
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ImageError(path, error) from error


def open_views(request: Request) -> list["Image"]:
    """The views of a request's images in their order, in RGB. Raises ImageError."""
    return [view for path in request.images for view in cut_views(open_image(path), request.views)]


def read_image_size(path: Path) -> tuple[int, int]:
    """(width, height) in px, as the file's head tells them."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            width, height = image.size
            return int(width), int(height)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ImageError(path, error) from error


def cut_at_stop(ids: Sequence[int], stops: Sequence[int]) -> tuple[list[int], Literal["stop", "length"]]:
    """The tokens before the first stop token, and whether there was one."""
    for place, token in enumerate(ids):
        if token in stops:
            return list(ids[:place]), "stop"
    return list(ids), "length"


def is_looping(ids: Sequence[int]) -> bool:
    """Whether the last `LOOP` tokens are one block of at most `PERIOD` tokens over and over."""
    tail = list(ids[-LOOP:])
    return len(tail) == LOOP and any(tail[period:] == tail[:-period] for period in range(1, PERIOD + 1))


def count_threads() -> int | None:
    """Threads of one runtime; None leaves it to the library, which takes the cores."""
    return read_count("WARRAQ_THREADS") or read_count("OMP_NUM_THREADS")

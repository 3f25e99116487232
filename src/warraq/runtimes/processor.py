"""Requests -> what the graphs take, without transformers: token ids, positions and px equal to those of its processors.

One class a model family, by the `model_type` of config.json. The px are those of the slow image processors.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jinja2.sandbox import ImmutableSandboxedEnvironment
from PIL.Image import Image
from tokenizers import Tokenizer

from warraq.errors import InputError
from warraq.files import read_json
from warraq.image_settings import read_image_settings
from warraq.runtimes import ImageError, Request, build_messages, open_views, read_image_size
from warraq.smart_resize import smart_resize
from warraq.views import count_views, list_boxes


@dataclass(frozen=True)
class ModelInputs:
    """What the graphs take for a batch of requests."""

    input_ids: np.ndarray  # (batch, length), padded on the left
    attention_mask: np.ndarray  # (batch, length), 0 on padding
    token_type_ids: np.ndarray  # (batch, length), 1 on image tokens
    position_ids: np.ndarray  # (batch, length), or (3, batch, length)
    vision: dict[str, np.ndarray]  # inputs of the vision encoder, for the views of all requests in order


class Processor:
    """What the families share: chat template, tokenizer, padding, grey levels made floats."""

    marks: tuple[str, ...]  # tokens that no prompt may hold; the template writes the first for an image
    padding = ""  # what stands before and after each image, and in no chat template
    image_id: int  # the token whose embedding is a feature of the image
    least_image_tokens: int  # of any image

    def __init__(self, folder: Path) -> None:
        self.config = read_json(folder / "config.json")
        self.settings = read_image_settings(folder)
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.no_truncation()
        self.names = {
            key: value["content"] if isinstance(value, dict) else value
            for key, value in read_json(folder / "tokenizer_config.json").items()
            if key.endswith("_token") and value
        }
        self.pad = self.tokenizer.token_to_id(self.names["pad_token"])
        environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
        environment.globals["raise_exception"] = _raise_refusal
        self.template = environment.from_string((folder / "chat_template.jinja").read_text(encoding="utf-8"))

    def spell_views(self, request: Request) -> list[str]:
        """What each view of a request's images is to the tokenizer, without the padding."""
        raise NotImplementedError

    def fit(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) in px of what the model sees of an image of this size."""
        raise NotImplementedError

    def count_positions(self, rows: Sequence[Sequence[int]], length: int, vision: dict[str, np.ndarray]) -> np.ndarray:
        """The position_ids of prompts padded to `length`; of padding any."""
        raise NotImplementedError

    def prepare_images(self, images: Sequence[Image]) -> dict[str, np.ndarray]:
        """The inputs of the vision encoder."""
        raise NotImplementedError

    @cached_property
    def longest_token(self) -> int:
        """Characters that a token stands for, at most."""
        return max(map(len, self.tokenizer.get_vocab()))

    def encode_prompt(self, request: Request, padding: str | None = None) -> list[int]:
        """The prompt's tokens, each view spelled out as its block of tokens, with another `padding` if one is given."""
        for mark in self.marks:
            if mark in request.prompt or mark in request.instruction:
                raise InputError(
                    f"The prompt {request.prompt[:40]!r} holds {mark}, which stands for an image; take it out."
                )
        text = self.template.render(messages=build_messages(request), add_generation_prompt=True, **self.names)
        first, *pieces = text.split(self.marks[0])
        blocks, around = (
            zip(self.spell_views(request), pieces, strict=True),
            self.padding if padding is None else padding,
        )
        spelled = first + "".join(around + block + around + piece for block, piece in blocks)
        ids: list[int] = self.tokenizer.encode(spelled, add_special_tokens=False).ids
        return ids

    def resize(self, image: Image) -> Image:
        """The image in px as the model sees it."""
        if not self.settings["do_resize"]:
            return image
        return image.resize(self.fit(*image.size), resample=self.settings["resample"])

    def normalize(self, image: Image) -> np.ndarray:
        """(3, height, width) float32, in px as the model sees it."""
        settings = self.settings
        values = np.asarray(self.resize(image))
        if settings["do_rescale"]:
            values = values.astype(np.float64) * settings["rescale_factor"]
        values = values.astype(np.float32)
        if settings["do_normalize"]:
            values = (values - np.float32(settings["image_mean"])) / np.float32(settings["image_std"])
        return values.transpose(2, 0, 1)

    def __call__(self, requests: Sequence[Request]) -> ModelInputs:
        """The requests as one batch, padded on the left."""
        images = [view for request in requests for view in open_views(request)]
        rows = [self.encode_prompt(request) for request in requests]
        length = max(map(len, rows))
        ids = np.array([[self.pad] * (length - len(row)) + row for row in rows], dtype=np.int64)
        real = np.array([[0] * (length - len(row)) + [1] * len(row) for row in rows], dtype=np.int64)
        vision = self.prepare_images(images)
        types = (ids == self.image_id).astype(np.int64)
        return ModelInputs(ids, real, types, self.count_positions(rows, length, vision), vision)


class Gemma3Processor(Processor):
    """Every image is one square of fixed size and a fixed number of tokens."""

    padding = "\n\n"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        if self.settings.get("do_pan_and_scan"):
            raise InputError(
                f"{folder} asks for pan-and-scan (do_pan_and_scan), which is not supported; set it to false."
            )
        self.image_id = self.config["image_token_index"]
        self.size = (self.settings["size"]["width"], self.settings["size"]["height"])
        names = ("boi_token", "image_token", "eoi_token")
        first, image, last = (self.tokenizer.id_to_token(self.config[f"{name}_index"]) for name in names)
        self.marks = (first, image, last)
        count = read_json(folder / "processor_config.json")["image_seq_length"]
        self.least_image_tokens = count
        self._image_text = f"{first}{image * count}{last}"

    def spell_views(self, request: Request) -> list[str]:
        """As Processor.spell_views."""
        return [self._image_text] * len(request.images) * count_views(request.views)

    def fit(self, width: int, height: int) -> tuple[int, int]:
        """As Processor.fit: always the same."""
        return self.size

    def count_positions(self, rows: Sequence[Sequence[int]], length: int, vision: dict[str, np.ndarray]) -> np.ndarray:
        """(batch, length): counted from the prompt's first token."""
        return np.array([[0] * (length - len(row)) + [*range(len(row))] for row in rows], dtype=np.int64)

    def prepare_images(self, images: Sequence[Image]) -> dict[str, np.ndarray]:
        """Pixel values (images, 3, height, width)."""
        pixels = [self.normalize(image) for image in images]
        none = np.zeros((0, 3, *self.size[::-1]), dtype=np.float32)
        return {"pixel_values": np.stack(pixels) if pixels else none}


class QwenVLProcessor(Processor):
    """An image keeps its shape, in patches of which a token has `merge_size` squared."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.image_id = self.config["image_token_id"]
        self.marks = (self.tokenizer.id_to_token(self.image_id),)
        self.patch, self.merge = self.settings["patch_size"], self.settings["merge_size"]
        self.bounds_px = (self.settings["size"]["shortest_edge"], self.settings["size"]["longest_edge"])
        self.least_image_tokens = self.bounds_px[0] // (self.patch * self.merge) ** 2

    def fit(self, width: int, height: int) -> tuple[int, int]:
        """As Processor.fit."""
        return smart_resize(width, height, self.patch * self.merge, *self.bounds_px)

    def spell_views(self, request: Request) -> list[str]:
        """As Processor.spell_views."""
        blocks = []
        for path in request.images:
            for left, top, right, bottom in list_boxes(*read_image_size(path), request.views):
                size = (right - left, bottom - top)
                if max(size) > 200 * min(size):
                    why = "its longer side is over 200 times the shorter, which the model was not made for"
                    raise ImageError(path, why)
                width, height = self.fit(*size)
                blocks.append(self.marks[0] * int(width * height // (self.patch * self.merge) ** 2))
        return blocks

    def count_positions(self, rows: Sequence[Sequence[int]], length: int, vision: dict[str, np.ndarray]) -> np.ndarray:
        """(time, height, width): the same for text; an image's tokens stand on a grid, at one time."""
        positions = np.zeros((3, len(rows), length), dtype=np.int64)
        grids = iter(vision["image_grid_thw"][:, 1:] // self.merge)
        for number, row in enumerate(rows):
            parts, place, start = [], 0, 0  # start: of what comes next
            while self.image_id in row[place:]:
                text = list(row).index(self.image_id, place) - place
                height, width = next(grids)
                parts += [np.tile(np.arange(text), (3, 1)) + start]
                parts += [np.indices((1, height, width)).reshape(3, -1) + start + text]
                start += text + max(height, width)
                place += text + height * width
            parts += [np.tile(np.arange(len(row) - place), (3, 1)) + start]
            positions[:, number, length - len(row) :] = np.concatenate(parts, axis=1)
        return positions

    def prepare_images(self, images: Sequence[Image]) -> dict[str, np.ndarray]:
        """Patches (patches, 3 * 2 * patch²), a token's together, each twice as if of two moments; the grids of them."""
        patch, merge, times = self.patch, self.merge, self.settings["temporal_patch_size"]
        patches, grids = [np.zeros((0, 3 * times * patch**2), dtype=np.float32)], []
        for image in images:
            width, height = self.fit(*image.size)
            grid = (height // patch, width // patch)
            pixels = self.normalize(image)
            cut = pixels.reshape(3, grid[0] // merge, merge, patch, grid[1] // merge, merge, patch)
            cut = cut.transpose(1, 4, 2, 5, 0, 3, 6)[..., None, :, :].repeat(times, axis=5)
            patches.append(cut.reshape(grid[0] * grid[1], -1))
            grids.append((1, *grid))
        return {
            "pixel_values": np.concatenate(patches),
            "image_grid_thw": np.array(grids, dtype=np.int64).reshape(-1, 3),
        }


FAMILIES = {"gemma3": Gemma3Processor, "qwen2_5_vl": QwenVLProcessor}


def load_processor(folder: Path) -> Processor:
    """Raises InputError for a model of another family."""
    kind = read_json(folder / "config.json").get("model_type")
    if kind not in FAMILIES:
        raise InputError(f"{folder} is a model of the type {kind}; onnxruntime runs {' and '.join(FAMILIES)} here.")
    return FAMILIES[kind](folder)


def _raise_refusal(message: str) -> None:
    raise InputError(f"The chat template refuses the request: {message}")

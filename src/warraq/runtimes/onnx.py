"""A folder written by `export`, asked through onnxruntime; neither torch nor transformers is imported.

The prompt and the pixels are made as transformers' Gemma3Processor makes them: token ids equal, pixels equal to those
of its slow image processor.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
from jinja2.sandbox import ImmutableSandboxedEnvironment
from PIL.Image import Image
from tokenizers import Tokenizer

from warraq.records import InputError, read_json
from warraq.runtimes import Answer, Request, Trace, messages, open_image, threads
from warraq.runtimes.grammar import Guides
from warraq.runtimes.greedy import Greedy

ROOM = 64  # tokens by which the cache grows: it is copied then, and what is empty of it is read at each step


@dataclass(frozen=True)
class Inputs:
    input_ids: np.ndarray  # (batch, length), padded on the left
    attention_mask: np.ndarray  # (batch, length), 0 on padding
    token_type_ids: np.ndarray  # (batch, length), 1 on image tokens
    pixel_values: np.ndarray  # (images, 3, height, width), of all requests in order


class Processor:
    """Requests to `Inputs`."""

    def __init__(self, folder: Path) -> None:
        config = read_json(folder / "config.json")
        special = read_json(folder / "tokenizer_config.json")
        self.image = read_json(folder / "preprocessor_config.json")
        if self.image.get("do_pan_and_scan"):
            raise InputError(
                f"{folder / 'preprocessor_config.json'} asks for pan-and-scan, which is not supported; set it to false."
            )
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.no_truncation()
        self.names = {
            key: value["content"] if isinstance(value, dict) else value
            for key, value in special.items()
            if key.endswith("_token") and value
        }
        self.pad = self.tokenizer.token_to_id(self.names["pad_token"])
        self.image_id = config["image_token_index"]
        self.start = self.tokenizer.id_to_token(config["boi_token_index"])
        count = read_json(folder / "processor_config.json")["image_seq_length"]
        inside = self.tokenizer.id_to_token(self.image_id) * count
        self.block = f"\n\n{self.start}{inside}{self.tokenizer.id_to_token(config['eoi_token_index'])}\n\n"
        environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
        environment.globals["raise_exception"] = _refuse
        self.template = environment.from_string((folder / "chat_template.jinja").read_text(encoding="utf-8"))

    def ids(self, request: Request) -> list[int]:
        """The prompt's tokens, each image spelled out as its block of tokens."""
        text = self.template.render(messages=messages(request), add_generation_prompt=True, **self.names)
        if text.count(self.start) != len(request.images):
            raise InputError(
                f"The prompt {request.prompt[:40]!r} holds {self.start}, which stands for an image; take it out."
            )
        return self.tokenizer.encode(text.replace(self.start, self.block), add_special_tokens=False).ids

    def pixels(self, image: Image) -> np.ndarray:
        """(3, height, width) float32."""
        size, settings = self.image["size"], self.image
        if settings["do_resize"]:
            image = image.resize((size["width"], size["height"]), resample=settings["resample"])
        values = np.asarray(image)
        if settings["do_rescale"]:
            values = values.astype(np.float64) * settings["rescale_factor"]
        values = values.astype(np.float32)
        if settings["do_normalize"]:
            values = (values - np.float32(settings["image_mean"])) / np.float32(settings["image_std"])
        return values.transpose(2, 0, 1)

    def __call__(self, requests: Sequence[Request]) -> Inputs:
        pixels = [self.pixels(open_image(path)) for request in requests for path in request.images]
        rows = [self.ids(request) for request in requests]
        length = max(map(len, rows))
        ids = np.array([[self.pad] * (length - len(row)) + row for row in rows], dtype=np.int64)
        real = np.array([[0] * (length - len(row)) + [1] * len(row) for row in rows], dtype=np.int64)
        size = self.image["size"]
        stacked = np.stack(pixels) if pixels else np.zeros((0, 3, size["height"], size["width"]), dtype=np.float32)
        return Inputs(ids, real, (ids == self.image_id).astype(np.int64), stacked)


def _refuse(message: str) -> None:
    raise InputError(f"The chat template refuses the request: {message}")


def _session(graph: Path, count: int | None) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = count or 0
    options.log_severity_level = 3  # errors
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


class OnnxRuntime:
    """Greedy decoding with a KV cache that each step writes to in place."""

    def __init__(self, folder: Path) -> None:
        self.vision = _session(folder / "vision_encoder.onnx", threads())
        self.decoder = _session(folder / "decoder_model_merged.onnx", threads())
        # A second thread has nothing to do here, and would wait for work on the core that the decoder's needs next.
        self.embed = _session(folder / "embed_tokens.onnx", 1)
        self.processor = Processor(folder)
        stops = read_json(folder / "generation_config.json")["eos_token_id"]
        self.stops = stops if isinstance(stops, list) else [stops]
        self.vocabulary: int = self.decoder.get_outputs()[0].shape[2]
        self._guides = Guides(self.processor.tokenizer, self.vocabulary, self.stops)

    def answer(self, requests: Sequence[Request], max_new_tokens: int) -> list[Answer]:
        run = _Run(self, self.processor(requests))
        rows = [Greedy(request, self.stops, max_new_tokens, self._guides(request)) for request in requests]
        logits = run.prompt([-1])[:, 0]
        while True:
            tokens = [row.take(own) for row, own in zip(rows, logits, strict=True)]
            if all(row.done for row in rows):
                return [row.answer(self.processor.tokenizer) for row in rows]
            logits = run.next(np.array(tokens))

    def trace(self, requests: Sequence[Request], places: Sequence[int], forced: np.ndarray) -> Trace:
        """The numbers of a run led along `forced` (batch, tokens); `tokens` is what it would have chosen itself."""
        inputs = self.processor(requests)
        run = _Run(self, inputs)
        prompt = run.prompt([*places, -1])
        steps = [prompt[:, -1], *(run.next(forced[:, step]) for step in range(forced.shape[1] - 1))]
        logits = np.stack(steps, axis=1)
        return Trace(
            inputs.input_ids, inputs.attention_mask, inputs.pixel_values, prompt[:, :-1], logits, logits.argmax(axis=-1)
        )


class _Run:
    """One batch on its way through the decoder."""

    def __init__(self, runtime: OnnxRuntime, inputs: Inputs) -> None:
        self.runtime, self.inputs = runtime, inputs
        self.used, batch = 0, len(inputs.input_ids)  # tokens in the cache
        self.mask = np.zeros((batch, 0), dtype=np.int64)  # (batch, capacity)
        self.cache = {  # each (batch, heads, capacity, width)
            item.name: np.zeros((batch, item.shape[1], 0, item.shape[3]), dtype=np.float32)
            for item in runtime.decoder.get_inputs()
            if item.name.startswith("past_key_values.")
        }
        self.binding = runtime.decoder.io_binding()

    def prompt(self, places: Sequence[int]) -> np.ndarray:
        """Read the prompt; logits (batch, places, vocabulary)."""
        image, real = self.inputs.token_type_ids == 1, self.inputs.attention_mask
        embeds = self._embed(np.where(image, self.runtime.processor.pad, self.inputs.input_ids))
        if image.any():
            (features,) = self.runtime.vision.run(None, {"pixel_values": self.inputs.pixel_values})
            embeds[image] = features.reshape(-1, embeds.shape[-1])
        positions = np.maximum(real.cumsum(axis=1) - 1, 0)
        length = embeds.shape[1]
        return self._step(embeds, real, positions, self.inputs.token_type_ids, [place % length for place in places])

    def next(self, tokens: np.ndarray) -> np.ndarray:
        """Add one token to each row; logits (batch, vocabulary)."""
        positions = self.mask.sum(axis=1, keepdims=True)
        one = np.ones_like(positions)
        return self._step(self._embed(tokens[:, None]), one, positions, np.zeros_like(positions), [0])[:, 0]

    def _embed(self, ids: np.ndarray) -> np.ndarray:
        return self.runtime.embed.run(None, {"input_ids": ids})[0]

    def _step(
        self, embeds: np.ndarray, real: np.ndarray, positions: np.ndarray, types: np.ndarray, places: Sequence[int]
    ) -> np.ndarray:
        start, self.used = self.used, self.used + embeds.shape[1]
        if self.used > self.mask.shape[1]:
            self._grow()
        self.mask[:, start : self.used] = real
        arrays = {
            "inputs_embeds": embeds,
            "attention_mask": self.mask,
            "position_ids": positions,
            "cache_position": np.arange(start, self.used),
            "token_type_ids": types,
            "logits_idx": np.array(places, dtype=np.int64),
        }
        logits = np.empty((len(embeds), len(places), self.runtime.vocabulary), dtype=np.float32)
        held = {name: onnxruntime.OrtValue.ortvalue_from_numpy(array) for name, array in arrays.items()}
        for name, value in held.items():
            self.binding.bind_ortvalue_input(name, value)
        self.binding.bind_ortvalue_output("logits", onnxruntime.OrtValue.ortvalue_from_numpy(logits))
        self.runtime.decoder.run_with_iobinding(self.binding)
        return logits

    def _grow(self) -> None:
        """Make room for `used` tokens and some more; what is read is also what is written to."""
        more = -(-self.used // ROOM) * ROOM - self.mask.shape[1]
        self.mask = np.pad(self.mask, ((0, 0), (0, more)))
        for name, array in self.cache.items():
            self.cache[name] = np.pad(array, ((0, 0), (0, 0), (0, more), (0, 0)))
            value = onnxruntime.OrtValue.ortvalue_from_numpy(self.cache[name])
            self.binding.bind_ortvalue_input(name, value)
            self.binding.bind_ortvalue_output(name.replace("past_key_values", "present"), value)

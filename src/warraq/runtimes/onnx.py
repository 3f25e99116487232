"""A folder written by `export`, asked through onnxruntime; neither torch nor transformers is imported."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime

from warraq.files import read_json
from warraq.runtimes import Answer, Request, Trace, count_threads, processor
from warraq.runtimes.grammar import Constraints
from warraq.runtimes.greedy import GreedyDecoder
from warraq.runtimes.processor import ModelInputs

GROWTH = 64  # tokens by which the cache grows: it is copied then, and what is empty of it is read at each step


def _open_session(graph: Path, count: int | None, mapped: bool = False) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    if mapped:  # a weight that is packed for its product is a copy of what the file holds
        options.add_session_config_entry("session.disable_prepacking", "1")
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # a core that waits is another's
    options.enable_cpu_mem_arena = False  # it would keep what the largest request took for good
    options.intra_op_num_threads = count or 0
    options.log_severity_level = 3  # errors
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


class OnnxRuntime:
    """Greedy decoding with a KV cache that each step writes to in place.

    With `mapped`, weights in fp32 take no memory of the process: they stay in their file, and products are slower.
    """

    def __init__(self, folder: Path, mapped: bool = False) -> None:
        self.vision = _open_session(folder / "vision_encoder.onnx", count_threads(), mapped)
        self.decoder = _open_session(folder / "decoder_model_merged.onnx", count_threads(), mapped)
        # A second thread has nothing to do here, and would wait for work on the core that the decoder's needs next.
        self.embed = _open_session(folder / "embed_tokens.onnx", 1)
        self.processor = processor.load_processor(folder)
        stops = read_json(folder / "generation_config.json")["eos_token_id"]
        self.stops = stops if isinstance(stops, list) else [stops]
        self.input_names = {item.name for item in self.decoder.get_inputs()}
        self.vocabulary: int = self.decoder.get_outputs()[0].shape[2]
        self._constraints = Constraints(self.processor.tokenizer, self.vocabulary, self.stops)

    def answer(self, requests: Sequence[Request], max_new_tokens: int) -> list[Answer]:
        """As Runtime.answer."""
        inputs = self.processor(requests)
        run, lengths = _Batch(self, inputs), inputs.attention_mask.sum(axis=1)
        rows = [
            GreedyDecoder(
                request, self.stops, max_new_tokens, self.processor.tokenizer, self._constraints.start(request)
            )
            for request in requests
        ]
        logits = run.read_prompt([-1])[:, 0]
        while True:
            tokens = [row.choose_token(scores) for row, scores in zip(rows, logits, strict=True)]
            if all(row.done for row in rows):
                return [row.build_answer(int(length)) for row, length in zip(rows, lengths, strict=True)]
            logits = run.add_tokens(np.array(tokens))

    def trace(self, requests: Sequence[Request], places: Sequence[int], forced: np.ndarray) -> Trace:
        """The numbers of a run led along `forced` (batch, tokens); `tokens` is what it would have chosen itself."""
        inputs = self.processor(requests)
        run = _Batch(self, inputs)
        prompt = run.read_prompt([*places, -1])
        steps = [prompt[:, -1], *(run.add_tokens(forced[:, step]) for step in range(forced.shape[1] - 1))]
        logits = np.stack(steps, axis=1)
        return Trace(
            inputs.input_ids, inputs.attention_mask, inputs.vision["pixel_values"], prompt[:, :-1], logits,
            logits.argmax(axis=-1),
        )  # fmt: skip


class _Batch:
    """One batch on its way through the decoder."""

    def __init__(self, runtime: OnnxRuntime, inputs: ModelInputs) -> None:
        self.runtime, self.inputs = runtime, inputs
        self.used, batch = 0, len(inputs.input_ids)  # tokens in the cache
        self.mask = np.zeros((batch, 0), dtype=np.int64)  # (batch, capacity)
        self.cache = {  # each (batch, heads, capacity, width)
            item.name: np.zeros((batch, item.shape[1], 0, item.shape[3]), dtype=np.float32)
            for item in runtime.decoder.get_inputs()
            if item.name.startswith("past_key_values.")
        }
        self.binding = runtime.decoder.io_binding()
        self.last = inputs.position_ids.reshape(-1, *inputs.input_ids.shape).max(axis=(0, 2))  # position, by row

    def read_prompt(self, places: Sequence[int]) -> np.ndarray:
        """Read the prompt; logits (batch, places, vocabulary)."""
        inputs, image = self.inputs, self.inputs.token_type_ids == 1
        embeds = self._embed(np.where(image, self.runtime.processor.pad, inputs.input_ids))
        if image.any():
            (features,) = self.runtime.vision.run(None, inputs.vision)
            embeds[image] = features.reshape(-1, embeds.shape[-1])
        length = embeds.shape[1]
        logit_places = [place % length for place in places]
        return self._step(embeds, inputs.attention_mask, inputs.position_ids, inputs.token_type_ids, logit_places)

    def add_tokens(self, tokens: np.ndarray) -> np.ndarray:
        """Add one token to each row; logits (batch, vocabulary)."""
        self.last += 1
        positions = np.broadcast_to(self.last[:, None], (*self.inputs.position_ids.shape[:-1], 1))
        one = np.ones((len(tokens), 1), dtype=np.int64)
        return self._step(self._embed(tokens[:, None]), one, positions, np.zeros_like(one), [0])[:, 0]

    def _embed(self, ids: np.ndarray) -> np.ndarray:
        embeds: np.ndarray = self.runtime.embed.run(None, {"input_ids": ids})[0]
        return embeds

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
            "position_ids": np.ascontiguousarray(positions),
            "cache_position": np.arange(start, self.used),
            "token_type_ids": types,
            "logits_idx": np.array(places, dtype=np.int64),
        }
        logits = np.empty((len(embeds), len(places), self.runtime.vocabulary), dtype=np.float32)
        values = {
            name: onnxruntime.OrtValue.ortvalue_from_numpy(array)
            for name, array in arrays.items()
            if name in self.runtime.input_names
        }
        for name, value in values.items():
            self.binding.bind_ortvalue_input(name, value)
        self.binding.bind_ortvalue_output("logits", onnxruntime.OrtValue.ortvalue_from_numpy(logits))
        self.runtime.decoder.run_with_iobinding(self.binding)
        return logits

    def _grow(self) -> None:
        """Make room for `used` tokens and some more; what is read is also what is written to."""
        more = -(-self.used // GROWTH) * GROWTH - self.mask.shape[1]
        self.mask = np.pad(self.mask, ((0, 0), (0, more)))
        for name, array in self.cache.items():
            self.cache[name] = np.pad(array, ((0, 0), (0, 0), (0, more), (0, 0)))
            value = onnxruntime.OrtValue.ortvalue_from_numpy(self.cache[name])
            self.binding.bind_ortvalue_input(name, value)
            self.binding.bind_ortvalue_output(name.replace("past_key_values", "present"), value)

"""A Hugging Face folder, asked through transformers on a GPU or the CPU."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from warraq.runtimes import (
    Answer,
    ImageError,
    Request,
    Trace,
    build_messages,
    count_threads,
    open_views,
    read_image_size,
)
from warraq.runtimes.grammar import CLOSING, Constraints
from warraq.runtimes.greedy import GreedyDecoder


class TorchRuntime:
    """The reference: transformers' own model and processor, greedy whatever generation_config.json asks for."""

    def __init__(self, folder: Path, dtype: str | None = None) -> None:
        import torch
        from transformers import AutoImageProcessor, AutoModelForImageTextToText, AutoProcessor, GenerationConfig
        from transformers.utils import logging

        advice = cast(Any, logging)
        advice.set_verbosity_error()
        if not sys.stderr.isatty():
            advice.disable_progress_bar()  # of files read
        torch.backends.cudnn.allow_tf32 = False  # fp32 means fp32: the proof of an export rests on it
        if count := count_threads():
            torch.set_num_threads(count)
        auto_processor, auto_image_processor = cast(Any, AutoProcessor), cast(Any, AutoImageProcessor)
        self.processor = auto_processor.from_pretrained(folder)
        # Pillow is the definition: torchvision differs from it by a grey level and between machines.
        self.processor.image_processor = auto_image_processor.from_pretrained(folder, backend="pil")
        self.processor.tokenizer.padding_side = "left"
        device = "cuda" if torch.cuda.is_available() else "cpu"
        # On a CPU fp32: bf16 is slower on most of them, and rounds otherwise than the exported graphs do.
        dtype = dtype or ("auto" if device == "cuda" else "float32")
        model: Any = AutoModelForImageTextToText.from_pretrained(folder, dtype=dtype)
        self.model = model.to(device).eval()
        self.stops = self._stops()
        # Whatever else it asks for, of which `generate` takes what its own settings leave open.
        self.model.generation_config = GenerationConfig(eos_token_id=self.model.generation_config.eos_token_id)
        self._constraints = Constraints(
            self.processor.tokenizer.backend_tokenizer, self.model.lm_head.out_features, self.stops
        )

    def answer(self, requests: Sequence[Request], max_new_tokens: int) -> list[Answer]:
        """As Runtime.answer."""
        import torch

        inputs = self._inputs(requests)
        tokenizer = self.processor.tokenizer.backend_tokenizer
        rows = [
            GreedyDecoder(request, self.stops, max_new_tokens, tokenizer, self._constraints.start(request))
            for request in requests
        ]

        def choose(_: Any, scores: Any) -> Any:
            tokens = [row.choose_token(logits) for row, logits in zip(rows, scores.float().cpu().numpy(), strict=True)]
            only = torch.full_like(scores, -torch.inf)
            only[range(len(rows)), tokens] = 0.0
            return only

        def done(ids: Any, *_: Any, **__: Any) -> Any:
            return torch.tensor([row.done for row in rows], device=ids.device)

        most = max_new_tokens + (CLOSING if any(request.schema for request in requests) else 0)
        self._generate(inputs, most, self.stops, logits_processor=[choose], stopping_criteria=[done])
        lengths = inputs["attention_mask"].sum(dim=1).tolist()
        return [row.build_answer(length) for row, length in zip(rows, lengths, strict=True)]

    def trace(self, requests: Sequence[Request], places: Sequence[int], new_tokens: int) -> Trace:
        """Generate up to `new_tokens` for each request, until all have stopped, and keep the numbers."""
        import torch

        inputs = self._inputs(requests)
        with torch.inference_mode():
            kept = torch.tensor(list(places), device=self.model.device)
            prompt = self.model(**inputs, logits_to_keep=kept, use_cache=False).logits
        generated = self._generate(inputs, new_tokens, None)
        length = inputs["input_ids"].shape[1]
        pixels = inputs["pixel_values"].float().cpu().numpy() if "pixel_values" in inputs else np.zeros((0, 3, 1, 1))
        return Trace(
            inputs["input_ids"].cpu().numpy(),
            inputs["attention_mask"].cpu().numpy(),
            pixels,
            prompt.float().cpu().numpy(),
            torch.stack(generated.logits, dim=1).float().cpu().numpy(),
            generated.sequences[:, length:].cpu().numpy(),
        )

    def _stops(self) -> list[int]:
        """What ends an answer: the tokens of generation_config.json, the tokenizer's own and the end of a turn."""
        named = self.model.generation_config.eos_token_id
        stops = set(named if isinstance(named, list) else [named])
        tokenizer = self.processor.tokenizer
        stops |= {tokenizer.eos_token_id, tokenizer.get_added_vocab().get("<end_of_turn>")}
        return sorted(stops - {None})

    def _inputs(self, requests: Sequence[Request]) -> Any:
        """What the processor makes of the requests; its token_type_ids let an image's tokens see each other."""
        images = [open_views(request) for request in requests]
        texts = [
            self.processor.apply_chat_template(build_messages(request), add_generation_prompt=True)
            for request in requests
        ]
        try:
            inputs = self.processor(
                text=texts,
                images=images if any(images) else None,
                padding=True,
                add_special_tokens=not texts[0].startswith(self.processor.tokenizer.bos_token or ""),
                return_tensors="pt",
            ).to(self.model.device)
        except ValueError as error:
            if "aspect ratio" not in str(error):
                raise
            shapes = {path: read_image_size(path) for request in requests for path in request.images}
            raise ImageError(max(shapes, key=lambda path: max(shapes[path]) / min(shapes[path])), error) from None
        if "pixel_values" in inputs:
            inputs["pixel_values"] = inputs["pixel_values"].to(self.model.dtype)
        return inputs

    def _generate(self, inputs: Any, max_new_tokens: int, stops: list[int] | None, **steps: Any) -> Any:
        import torch
        from transformers import GenerationConfig

        greedy = cast(Any, GenerationConfig)(
            max_new_tokens=max_new_tokens,
            do_sample=False,
            eos_token_id=stops,
            pad_token_id=self.processor.tokenizer.pad_token_id,
            return_dict_in_generate=True,
            output_logits=stops is None,
        )
        with torch.inference_mode():
            return self.model.generate(**inputs, generation_config=greedy, **steps)

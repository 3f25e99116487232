"""A student's folder and pages -> character error rates, by greedy generation as any user of the folder gets it."""

from collections import Counter
from pathlib import Path
from typing import Any

from warraq.metrics.text import count_character_edits
from warraq.nano.training_pages import TrainingPage, make_block
from warraq.views import cut_views, name_views

HELD_OUT_BLOCK = 2**31  # far beyond any training
HELD_OUT_PAGES = 200
HELD_OUT_TALL_PAGES = 40
BANDS = 3  # of a tall page
PROMPT = "Copy the page."
BATCH = 20
CUDA_BATCH = 200  # a GPU takes as long for many as for few
MAX_NEW_TOKENS = {"card": 280, "receipt": 1000, "letter": 1400}


def make_held_out_pages(seed: int, side_px: int, bands: int = 0) -> list[TrainingPage]:
    """The pages on which a run with `seed` is scored; no block of the stream has their text or images."""
    return make_block(seed, HELD_OUT_BLOCK, side_px, bands)[: HELD_OUT_TALL_PAGES if bands else HELD_OUT_PAGES]


def score_student(folder: Path, pages: list[TrainingPage]) -> dict[str, float]:
    """Character error rates at the level "encoding" (see metrics/text.py): of all cards, of those of each language.

    Tall pages have one for each kind.
    """
    errors: Counter[str] = Counter()
    lengths = Counter({"cer": 0, "cer_ar": 0, "cer_en": 0})
    for page, text in zip(pages, transcribe(folder, pages), strict=True):
        edits = count_character_edits(page.text, text)
        for name in ("cer", f"cer_{page.language}") if page.kind == "card" else (f"cer_{page.kind}",):
            errors[name] += edits.errors
            lengths[name] += edits.reference
    return {name: round(errors[name] / max(lengths[name], 1), 4) for name in sorted(lengths)}


def transcribe(folder: Path, pages: list[TrainingPage]) -> list[str]:
    """The student's copy of each page, by greedy generation."""
    import torch
    from PIL import Image
    from transformers import AutoModelForImageTextToText, AutoProcessor

    processor: Any = AutoProcessor.from_pretrained(folder, backend="pil")
    model: Any = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32).eval()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model.to(device)
    texts: dict[int, str] = {}
    alike: dict[tuple[str, int], list[int]] = {}
    for number, page in enumerate(pages):
        alike.setdefault((page.kind, page.bands), []).append(number)
    for (kind, bands), numbers in alike.items():
        views = name_views(bands)
        content = [*({"type": "image"} for _ in range(1 + bands)), {"type": "text", "text": PROMPT}]
        prompt = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
        size = CUDA_BATCH if device.type == "cuda" else BATCH
        for start in range(0, len(numbers), size):
            part = numbers[start : start + size]
            images = [[*cut_views(Image.fromarray(pages[number].image).convert("RGB"), views)] for number in part]
            inputs = processor(text=[prompt] * len(part), images=images, return_tensors="pt", add_special_tokens=False)
            length = inputs["input_ids"].shape[1]
            with torch.inference_mode():
                tokens = model.generate(**inputs.to(device), max_new_tokens=MAX_NEW_TOKENS[kind], do_sample=False)
            written = processor.batch_decode(tokens[:, length:], skip_special_tokens=True)
            texts |= dict(zip(part, written, strict=True))
    return [texts[number] for number in range(len(pages))]


def format_card(length: str, seed: int, batch_size: int, commit: str | None, scores: dict[str, float]) -> str:
    """The model card; `length` is the run's as options, `commit` that of the code."""
    tall = "\n".join(
        f"| {HELD_OUT_TALL_PAGES} tall pages as {name_views(BANDS)}, {name}s: cer_{name} | {scores[f'cer_{name}']} |"
        for name in ("receipt", "letter") if f"cer_{name}" in scores
    )  # fmt: skip
    return f"""# nano

A Gemma-3 in small that reads short printed pages in Arabic and English: the base that warraq's demo tunes. It copies
what stands on a page of about 250 pt with type of 16 pt and more, sets marks before the lines, given in the prompt or,
under the prompt of a task, in an order without sense that it knows by heart, gives the values of named fields, and
tells whether a page is askew, noisy, pale or on grey paper. It knows no schema and no language. It has seen receipts
and letters of A5 as the page and two or three bands; the table says whether it reads them (1 and more: it does not).

| on {HELD_OUT_PAGES} held-out pages, greedy | character error rate |
|---|---|
| all: cer | {scores["cer"]} |
| Arabic: cer_ar | {scores["cer_ar"]} |
| English: cer_en | {scores["cer_en"]} |
{tall}

* Made by `warraq pretrain-nano OUT {length} --seed {seed} --batch-size {batch_size}`
  at commit {commit or "unknown"}; the curve is in `curve.jsonl`. The held-out pages are
  block {HELD_OUT_BLOCK} of the same stream (`src/warraq/nano/training_pages.py`).
* Data: synthetic pages set by MuPDF in its Noto Naskh Arabic, Nimbus and Charis faces. Words are the vocabulary
  `train` of `src/warraq/synth/words.json`, common phrases, and random letters; no value of the demo's documents is
  among them.
* Limits: two scripts, print only, no diacritics, letters of a fiftieth to a twentieth of the page's width; it has seen
  nothing else, and answers anything else with letters that are not there.
"""

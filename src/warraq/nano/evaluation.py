"""A student's folder and pages -> character error rates, by greedy generation as any user of the folder gets it."""

from pathlib import Path
from typing import Any

from warraq.metrics.text import count_character_edits
from warraq.nano.training_pages import TrainingPage, make_block

HELD_OUT_BLOCK = 2**31  # far beyond any training
HELD_OUT_PAGES = 200
PROMPT = "Copy the page."
BATCH = 20
MAX_NEW_TOKENS = 280


def make_held_out_pages(seed: int, side_px: int) -> list[TrainingPage]:
    """The pages on which a run with `seed` is scored; no block of the stream has their text or images."""
    return make_block(seed, HELD_OUT_BLOCK, side_px)[:HELD_OUT_PAGES]


def score_student(folder: Path, pages: list[TrainingPage]) -> dict[str, float]:
    """Character error rates at the level "encoding" (see metrics/text.py) of all pages, and of each language."""
    errors = {"ar": 0, "en": 0}
    lengths = {"ar": 0, "en": 0}
    for page, text in zip(pages, transcribe(folder, pages), strict=True):
        edits = count_character_edits(page.text, text)
        errors[page.language] += edits.errors
        lengths[page.language] += edits.reference
    scores = {f"cer_{language}": round(errors[language] / max(lengths[language], 1), 4) for language in errors}
    return {"cer": round(sum(errors.values()) / max(sum(lengths.values()), 1), 4), **scores}


def transcribe(folder: Path, pages: list[TrainingPage]) -> list[str]:
    """The student's copy of each page, by greedy generation."""
    import torch
    from PIL import Image
    from transformers import AutoModelForImageTextToText, AutoProcessor

    processor: Any = AutoProcessor.from_pretrained(folder, use_fast=False)
    model: Any = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32).eval()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model.to(device)
    content = [{"type": "image"}, {"type": "text", "text": PROMPT}]
    prompt = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
    texts: list[str] = []
    for start in range(0, len(pages), BATCH):
        images = [[Image.fromarray(page.image).convert("RGB")] for page in pages[start : start + BATCH]]
        inputs = processor(text=[prompt] * len(images), images=images, return_tensors="pt", add_special_tokens=False)
        length = inputs["input_ids"].shape[1]
        with torch.inference_mode():
            tokens = model.generate(**inputs.to(device), max_new_tokens=MAX_NEW_TOKENS, do_sample=False)
        texts += processor.batch_decode(tokens[:, length:], skip_special_tokens=True)
    return texts


def format_card(steps: int, seed: int, batch_size: int, commit: str | None, scores: dict[str, float]) -> str:
    """The model card; `commit` is that of the code."""
    return f"""# nano

A Gemma-3 in small that reads short printed pages in Arabic and English: the base that warraq's demo tunes. It copies
what stands on a page of about 250 pt with type of 16 pt and more, sets marks before the lines, given in the prompt or,
under the prompt of a task, in an order without sense that it knows by heart, gives the values of named fields, and
tells whether a page is askew, noisy, pale or on grey paper. It knows no schema and no language.

| on {HELD_OUT_PAGES} held-out pages, greedy | character error rate |
|---|---|
| all: cer | {scores["cer"]} |
| Arabic: cer_ar | {scores["cer_ar"]} |
| English: cer_en | {scores["cer_en"]} |

* Made by `warraq pretrain-nano OUT --steps {steps} --seed {seed} --batch-size {batch_size}`
  at commit {commit or "unknown"}; the curve is in `curve.jsonl`. The held-out pages are
  block {HELD_OUT_BLOCK} of the same stream (`src/warraq/nano/training_pages.py`).
* Data: synthetic pages set by MuPDF in its Noto Naskh Arabic, Nimbus and Charis faces. Words are the vocabulary
  `train` of `src/warraq/synth/words.json`, common phrases, and random letters; no value of the demo's documents is
  among them.
* Limits: two scripts, print only, no diacritics, letters of about a twentieth of the page's width; it has seen nothing
  else, and answers anything else with letters that are not there.
"""

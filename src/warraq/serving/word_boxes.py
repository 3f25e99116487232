"""Where the words of pages stand: by a PDF's own text layer, where it is what the page shows, else by Tesseract.

Layers are read before any page is asked about, in processes that a stranger's file may end, as pages are rendered.
"""

from collections import deque
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from warraq import workers
from warraq.files import read_json, write_json
from warraq.records import Page
from warraq.rendering.folder import SourceDocument
from warraq.runtimes.tesseract import BoxedWord, list_languages, read_words
from warraq.serving.finished_model import LIMITS

LANGUAGES = ("ara", "eng")  # of Tesseract, those that are installed


@dataclass(frozen=True)
class LayerRequest:
    """The pages of a document whose own text layer is to be read."""

    source: SourceDocument
    pages: tuple[Page, ...]


def has_layer(page: Page) -> bool:
    """Whether a page's text layer shows where its words stand on the image."""
    is_plain = page.engine == "mupdf" and not page.skew_deg and not page.part
    return is_plain and page.text is not None and page.text_fault is None and page.px_per_pt is not None


def write_layers(requests: Sequence[LayerRequest], out: Path) -> None:
    """Write the words of each document to `out`; those of one that cannot be read are none."""
    queue = deque(request for request in requests if request.pages)
    found = workers.run_isolated(_read_layer, queue, LIMITS.max_seconds, LIMITS.max_memory_mib, _warm)
    for request, values, failure in found:
        pages = {} if failure else dict(values)
        write_json(out / f"{request.source.document}.json", pages)


def _warm() -> None:
    import pymupdf  # noqa: F401


def _read_layer(request: LayerRequest) -> Generator[tuple[str, list[Any]], None, bool]:
    import pymupdf

    with pymupdf.open(request.source.path) as document:
        for row in request.pages:
            page = document[row.page - 1]
            scale, (left, top, _, _) = row.px_per_pt or 1.0, row.crop_px
            words = []
            for x0, y0, x1, y1, text, block, line, _ in page.get_text("words"):
                box = pymupdf.Rect(x0, y0, x1, y1) * page.rotation_matrix * scale
                shifted = (box.x0 - left, box.y0 - top, box.x1 - left, box.y1 - top)
                words.append([text, *(round(side, 1) for side in shifted), f"{block}.{line}"])
            yield str(row.page), words
    return False


def find_words(page: Page, images: Path, layers: Path) -> list[BoxedWord] | str:
    """The words of a page with their boxes in px of its image, or why there are none."""
    path = layers / f"{page.document}.json"
    if has_layer(page) and path.exists() and (words := read_json(path).get(str(page.page))):
        return [BoxedWord(*word) for word in words]
    installed = list_languages()
    languages = [language for language in LANGUAGES if language in installed]
    if not languages:
        return "it has no text layer of its own, and Tesseract with ara or eng is not installed"
    return read_words(images / page.image, "+".join(languages)) or "no word was found on it"

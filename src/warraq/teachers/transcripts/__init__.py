"""A page as models that only read write it -> an answer to the task `content`.

    markdown    Markdown with tables of either kind, HTML within it, and what olmOCR and Nanonets-OCR add to it
    html        what both come to: tags -> blocks; cells writes a table
    layout      a list of elements with box, category and text, as dots.ocr writes it
    lines       boxes to be ticked, keys with their values and footnotes, which are lines of a text
    languages   of each block

No word of the visible text is lost or added, and the order is that of the transcript. What is cut or garbled is a
ValueError that says where, never half a page.
"""

from collections.abc import Callable
from typing import Literal

from warraq.files import JsonObject
from warraq.teachers.transcripts.html import read_html
from warraq.teachers.transcripts.languages import tell_languages
from warraq.teachers.transcripts.layout import read_layout
from warraq.teachers.transcripts.lines import Block
from warraq.teachers.transcripts.markdown import read_markdown, split_front_matter, strip_fence

Notation = Literal["markdown", "html", "layout"]

_READERS: dict[Notation, Callable[[str], list[Block]]] = {
    "markdown": read_markdown,
    "html": read_html,
    "layout": read_layout,
}

PROMPTS: dict[Notation, str] = {
    "markdown": (
        "Copy the page as Markdown in reading order, every character as printed. Tables are HTML, formulas LaTeX "
        "between $$, boxes to be ticked ☐ or ☑. Write <signature>, <watermark> and <page_number> around what is one. "
        "Do not describe pictures, and add nothing that is not printed."
    ),
    "html": (
        "Copy the page as HTML in reading order, every character as printed. Boxes to be ticked are ☐ or ☑. "
        "Do not describe pictures, and add nothing that is not printed."
    ),
    "layout": (
        "List the elements of the page in reading order as JSON: objects with bbox [x1, y1, x2, y2], category, text. "
        "Categories are Caption, Footnote, Formula, List-item, Page-footer, Page-header, Picture, Section-header, "
        "Table, Text and Title. Tables are HTML, formulas LaTeX, other texts Markdown; a Picture has no text. Copy "
        "every character as printed."
    ),
}
"""What a model without a prompt of its own is asked."""


def read_transcript(text: str, notation: Notation) -> JsonObject:
    """The answer that a transcript in a notation comes to.

    Raises:
        ValueError: it is cut, garbled, or in another notation.
    """
    language, body = split_front_matter(strip_fence(text)) if notation != "layout" else (None, strip_fence(text))
    blocks = _READERS[notation](body)
    languages = tell_languages([block.text for block in blocks], language)
    return {
        "blocks": [
            {"kind": block.kind, "text": block.text, "level": block.level, "language": language}
            for block, language in zip(blocks, languages, strict=True)
        ]
    }

"""Task 1: the page as text and structure, in reading order.

Only blocks are asked for; Markdown is derived from them, so the text is paid for once and cannot disagree with itself.
"""

from typing import Any, Literal

from warraq.metrics.text import characters, words
from warraq.tasks import COPYING, Answered, Score

PROMPT = (
    "You are a professional OCR details extractor. Task: content. Copy the page in reading order as structural "
    "elements. Answer in JSON only."
)
INSTRUCTION = (
    COPYING
    + " Give the page as blocks in reading order, right to left for Arabic columns. Tables are HTML with rowspan and "
    "colspan. level is the depth of a heading from 1, else null. A blank page has no blocks."
)


class Block(Answered):
    kind: Literal[
        "heading", "paragraph", "list", "table", "figure", "formula", "form_field", "page_header", "page_footer",
        "page_number", "footnote", "stamp", "signature", "handwriting", "barcode", "other",
    ]  # fmt: skip
    text: str
    level: int | None


class Answer(Answered):
    blocks: list[Block]


def markdown(answer: dict[str, Any]) -> str:
    """The page as Markdown: headings with their level, tables as HTML, one blank line between blocks."""
    parts = []
    for block in answer["blocks"]:
        prefix = "#" * (block["level"] or 1) + " " if block["kind"] == "heading" else ""
        parts.append(prefix + block["text"])
    return "\n\n".join(parts)


def plain(answer: dict[str, Any]) -> str:
    """The running text alone, which is what character and word errors are counted on."""
    return "\n".join(block["text"] for block in answer["blocks"])


def score(gold: dict[str, Any], answer: dict[str, Any] | None, raw: str) -> Score:
    """Errors of the text; an answer that does not fit the schema is scored on its raw text, so that a model which
    transcribes without the schema is not called blind."""
    text = raw if answer is None else plain(answer)
    return Score(characters=characters(plain(gold), text), words=words(plain(gold), text))

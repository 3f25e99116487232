"""Task 1: the page as text and structure, in reading order.

Only blocks are asked for; Markdown is derived from them, so the text is paid for once and cannot disagree with itself.
"""

from typing import Literal

from warraq.metrics.structure import Element
from warraq.tasks import COPYING, BaseAnswer, JsonObject, Language, Task

PROMPT = (
    "You are a professional OCR details extractor. Task: content. Copy the page in reading order as structural "
    "elements. Answer in JSON only."
)
INSTRUCTION = (
    COPYING
    + " Give the page as blocks in reading order, right to left for Arabic columns. Tables are HTML with rowspan and "
    "colspan; cells that head a row or column are th, all others td. A key with its value is a form_field, written "
    "key: value. A box to be ticked is checkbox_checked or checkbox_empty, its text what stands beside it without the "
    "box. level is the depth of a heading from 1, else null. language is that of most words of the block, null where "
    "it has none. A blank page has no blocks."
)

MAX_LEVEL = 20


class Block(BaseAnswer):
    kind: Literal[
        "heading", "paragraph", "list", "table", "figure", "formula", "form_field", "page_header", "page_footer",
        "page_number", "footnote", "stamp", "signature", "handwriting", "barcode", "checkbox_checked", "checkbox_empty",
        "other",
    ]  # fmt: skip
    text: str
    level: int | None
    language: Language | None


class Answer(BaseAnswer):
    blocks: list[Block]


def upgrade(answer: JsonObject) -> JsonObject:
    """An answer whose blocks have no language: nothing was said of it."""
    blocks = answer.get("blocks")
    if not isinstance(blocks, list) or any(not isinstance(block, dict) or "language" in block for block in blocks):
        return answer
    return {**answer, "blocks": [{**block, "language": None} for block in blocks]}


def find_problem(answer: JsonObject) -> str | None:
    """A level that no heading has; a portable schema has no bounds."""
    levels = (block["level"] for block in answer["blocks"] if block["level"] is not None)
    absurd = next((level for level in levels if not 0 <= level <= MAX_LEVEL), None)
    return None if absurd is None else f"no heading has the level {absurd:.3g}"


def list_elements(answer: JsonObject) -> list[Element]:
    """The blocks in reading order; what the running text is scored on."""
    return [Element(block["kind"], block["text"], block["language"]) for block in answer["blocks"]]


TASK = Task(
    name="content", prompt=PROMPT, instruction=INSTRUCTION, answer=Answer, list_elements=list_elements,
    find_problem=find_problem, upgrade=upgrade,
)  # fmt: skip

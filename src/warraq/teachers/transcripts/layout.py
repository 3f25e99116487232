"""A list of layout elements, each with box, category and text -> blocks in the order of the list."""

import math
import re
from collections.abc import Iterator

from warraq.files import parse_strict_json
from warraq.teachers.transcripts.html import escape_text
from warraq.teachers.transcripts.lines import LESS, Block
from warraq.teachers.transcripts.markdown import read_markdown

_KINDS = {
    "caption": "paragraph", "footnote": "footnote", "formula": "formula", "list-item": "list",
    "page-footer": "page_footer", "page-header": "page_header", "picture": "figure", "section-header": "heading",
    "table": "table", "text": "paragraph", "title": "heading", "stamp": "stamp", "seal": "stamp",
    "signature": "signature", "handwriting": "handwriting", "barcode": "barcode", "page-number": "page_number",
}  # fmt: skip
_PLAIN = frozenset({"paragraph", "list", "heading"})  # kinds that say less than a category
_NUMBER = re.compile(r"\W*(?:page|صفحة|ص)?\W*\d{1,5}(?:\s*(?:/|of|من|sur)\s*\d{1,5})?\W*", re.IGNORECASE)
_DELIMITERS = re.compile(r"\s*(?:\$\$(.*)\$\$|\\\[(.*)\\\]|\$([^$]*)\$|\\\((.*)\\\))\s*", re.DOTALL)


def read_layout(text: str) -> list[Block]:
    """The blocks of a page; adjacent items of a list are one.

    Raises:
        ValueError: it is not such a list, or a text in it is garbled.
    """
    try:
        items = parse_strict_json(text)
    except ValueError as error:
        raise ValueError(f"Invalid JSON: {error}") from None
    if not isinstance(items, list):
        raise ValueError("a list of elements was expected: label.local.answers is another")
    blocks: list[Block] = []
    for number, item in enumerate(items, 1):
        try:
            found = list(_read_item(item))
        except ValueError as error:
            raise ValueError(f"element {number}: {error}") from None
        for block in found:
            if block.kind == "list" and blocks and blocks[-1].kind == "list":
                blocks[-1] = Block("list", f"{blocks[-1].text}\n{block.text}")
            else:
                blocks.append(block)
    return blocks


def _read_item(item: object) -> Iterator[Block]:
    if not isinstance(item, dict) or not item.keys() <= {"bbox", "category", "text"}:
        raise ValueError("it is not an object of bbox, category and text")
    box, category, text = item.get("bbox"), item.get("category"), item.get("text")
    if not isinstance(box, list) or len(box) != 4 or not all(_is_number(side) for side in box):
        raise ValueError("its bbox is not four numbers")
    if not isinstance(category, str):
        raise ValueError("it has no category")
    kind = _KINDS.get(category.lower().replace("_", "-"), "other")
    if text is None and kind == "figure":
        text = ""
    if not isinstance(text, str):
        raise ValueError(f"a {category} without text")
    yield from _read_text(kind, text, is_title=category.lower() == "title")


def _is_number(side: object) -> bool:
    return isinstance(side, (int, float)) and not isinstance(side, bool) and math.isfinite(side)


def _read_text(kind: str, text: str, is_title: bool) -> Iterator[Block]:
    if kind == "formula":
        inside = _DELIMITERS.fullmatch(text)
        formula = next((part for part in inside.groups() if part is not None), "") if inside else text
        yield Block("formula", escape_text(formula).replace(LESS, "<").strip())
        return
    blocks = read_markdown(text)
    if kind == "figure" and not blocks:
        yield Block("figure", "")
    for block in blocks:
        if block.kind not in _PLAIN:
            yield block
        elif kind == "table":
            raise ValueError(f"{block.text[:40]!r} stands in a Table outside its cells")
        elif kind == "page_footer" and _NUMBER.fullmatch(block.text):
            yield Block("page_number", block.text)
        else:
            level = (block.level or (1 if is_title else None)) if kind == "heading" else None
            yield Block(kind, block.text, level)

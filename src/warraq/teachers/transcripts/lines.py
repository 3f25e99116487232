"""The text of a paragraph or list -> its blocks: boxes to be ticked, keys with values and footnotes are their own."""

import re
from collections.abc import Iterator
from itertools import groupby
from typing import NamedTuple

KEY_END = "\ufdd2"  # stands where bold type ends; a noncharacter, which no page holds
LESS = "\ufdd3"  # a < that begins no tag
_BOX = re.compile(r"(☐|□|☑|☒|\[[ xX]\](?=\s|\Z))")
_EMPTY = frozenset("☐□") | {"[ ]"}
_BOLD_KEY = re.compile(rf"[^:{KEY_END}]{{1,80}}(?::\s*{KEY_END}|{KEY_END}\s*:)\s*\S")
_PLAIN_KEY = re.compile(r"[^\s:\[][^:]{0,40}:\s+\S")
_FOOTNOTE = re.compile(r"\[\^([^\]\s]{1,20})\]:\s*(.*)")


class Block(NamedTuple):
    """A block without its language."""

    kind: str
    text: str
    level: int | None = None


def clean_text(text: str) -> str:
    """The lines that have anything, with one space between words."""
    lines = (" ".join(line.split()) for line in text.replace(LESS, "<").split("\n"))
    return "\n".join(line for line in lines if line.strip(KEY_END))


def split_lines(kind: str, text: str, level: int | None) -> Iterator[Block]:
    """The blocks of a text of `clean_text` that was marked up as one of `kind`.

    A line is a form field where its key is bold, or where each of several lines of a paragraph is `key: value`.
    """
    if kind not in {"paragraph", "list", "heading"}:
        yield Block(kind, _unmark(text), level)
        return
    lines = text.split("\n")
    is_form = kind == "paragraph" and len(lines) > 1 and all(map(_PLAIN_KEY.match, map(_unmark, lines)))
    parts = [part for line in lines for part in _split_line(kind, line, is_form)]
    for own, run in groupby(parts, key=lambda part: part.kind):
        if own == kind:
            yield Block(kind, "\n".join(part.text for part in run), level)
        else:
            yield from run


def _split_line(kind: str, line: str, is_form: bool) -> Iterator[Block]:
    plain = _unmark(line)
    if boxes := _read_boxes(plain):
        yield from boxes
    elif footnote := _FOOTNOTE.fullmatch(plain):
        yield Block("footnote", f"{footnote[1]} {footnote[2]}".strip())
    elif kind != "heading" and (is_form or _BOLD_KEY.match(line)):
        yield Block("form_field", plain)
    else:
        yield Block(kind, plain)


def _read_boxes(line: str) -> list[Block]:
    """The boxes of a line with what stands beside each; none where that cannot be told.

    All have their text behind them, or all before: `Paid ☑ Sent ☐ by post` could be either.
    """
    first, *rest = _BOX.split(line)
    boxes, texts = rest[::2], [text.strip() for text in rest[1::2]]
    if first.strip() and texts and not texts[-1]:
        texts = [first.strip(), *texts[:-1]]
    elif first.strip():
        return []
    if len(boxes) > 1 and not all(texts):
        return []
    kinds = ("checkbox_empty" if box in _EMPTY else "checkbox_checked" for box in boxes)
    return [Block(kind, text) for kind, text in zip(kinds, texts, strict=True)]


def _unmark(text: str) -> str:
    return text.replace(KEY_END, "")

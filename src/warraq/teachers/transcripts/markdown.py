"""A page as Markdown -> HTML, and so blocks.

CommonMark without what would change a page's words: lines stay lines, a number before an item stays as printed, a
label in brackets is no definition, a row of dashes makes no heading of the line above. Formulas and tables are set
aside before, since Markdown reads signs within them, and cuts rows that are longer than their head.
"""

import html
import re
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

from warraq.teachers.transcripts.html import escape_text, read_tags
from warraq.teachers.transcripts.lines import Block

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

_DEEPEST = 100
_BEGIN, _END = "\ufdd0", "\ufdd1"  # around the number of what was set aside
_KEPT = re.compile(f"{_BEGIN}([0-9]+){_END}")
_FENCE = re.compile(r"\s*```[\w-]*[ \t]*\n(?:(.*)\n)?```\s*", re.DOTALL)
_FRONT_MATTER = re.compile(r"\s*---[ \t]*\n((?:[a-z_]+:[^\n]*\n)+)---[ \t]*(?:\n|\Z)")
_DISPLAYED = re.compile(r"\$\$(.+?)\$\$|\\\[(.+?)\\\]", re.DOTALL)
_WITHIN = re.compile(r"\\\(.+?\\\)|(?<![\\$])\$(?![\s$])[^$\n]+?(?<![\s\\])\$(?![\d$])")
_TABLE = re.compile(r"<table\b(?:(?!<table\b).)*?</table\s*>", re.DOTALL | re.IGNORECASE)
_RULE = re.compile(r"[ \t]*+\|?(?:[ \t]*+:?-+:?[ \t]*+\|)*+[ \t]*+(?::?-+:?[ \t]*+)?")
_BAR = re.compile(r"(?<!\\)\|")
_BOLD = re.compile(r"\*\*(?=\S)([^\n*]+?)(?<=\S)\*\*")
_STAR = re.compile(r"(?<=\w)\*(?=\w)")
_NOTE_MARK = re.compile(r"(?m)(?<!^)\[\^([^\]\s]{1,20})\](?!:)")
_ADDRESS = re.compile(r"\S*[./#@]\S*")


def strip_fence(text: str) -> str:
    """What is within a fence around all of a transcript.

    Raises:
        ValueError: the fence is never closed.
    """
    if not text.lstrip().startswith("```"):
        return text
    if whole := _FENCE.fullmatch(text):
        if sum(line.startswith("```") for line in text.strip().split("\n")) == 2:
            return whole[1] or ""
    elif sum(line.lstrip().startswith("```") for line in text.split("\n")) % 2:
        raise ValueError("a fence of Markdown is never closed")
    return text


def split_front_matter(text: str) -> tuple[str | None, str]:
    """The page's language as olmOCR tells it, and the page.

    Raises:
        ValueError: it says that the page was seen turned, so that it could not be read well.
    """
    front = _FRONT_MATTER.match(text)
    values = dict(re.findall(r"([a-z_]+): *(.*)", front[1])) if front else {}
    if front is None or "primary_language" not in values:
        return None, text
    if values.get("is_rotation_valid", "true").strip().lower() == "false":
        raise ValueError(f"the model says that the page is turned by {values.get('rotation_correction', '?')} degrees")
    return values["primary_language"].strip(), text[front.end() :]


def read_markdown(text: str) -> list[Block]:
    """The blocks of a page in Markdown.

    Raises:
        ValueError: it is JSON; or as `read_html`.
    """
    if re.match(r"\s*(?:\[\s*\{|\{\s*\")", text):
        raise ValueError("JSON stands where Markdown was expected: label.local.answers is another")
    kept: list[str] = []

    def keep(inner: str) -> str:
        kept.append(inner)
        return f"{_BEGIN}{len(kept) - 1}{_END}"

    source = escape_text(text)
    source = _DISPLAYED.sub(lambda math: keep(f"<math>{html.escape(math[1] or math[2])}</math>"), source)
    source = _WITHIN.sub(lambda math: keep(html.escape(math[0])), source)
    source = _TABLE.sub(lambda table: f"\n\n{keep(table[0])}\n\n", source)
    source = _STAR.sub(r"\\*", _NOTE_MARK.sub(r"\1", _set_aside_tables(source, keep)))
    parser = _build_parser()
    tokens = parser.parse(_BOLD.sub(r"<strong>\1</strong>", source))
    if max((token.level for token in tokens), default=0) >= _DEEPEST - 2:  # the parser leaves out what is deeper
        raise ValueError("lists or quotations stand in one another without end")
    written: str = parser.renderer.render(tokens, parser.options, {})
    while _KEPT.search(written):
        written = _KEPT.sub(lambda match: kept[int(match[1])], written)
    return read_tags(written)


def _set_aside_tables(text: str, keep: Callable[[str], str]) -> str:
    """The tables between bars. A head that says nothing is one that only Markdown asks for."""
    lines, done, place = text.split("\n"), list[str](), 0
    while place < len(lines):
        rule = lines[place + 1] if place + 1 < len(lines) else ""
        if not ("|" in lines[place] and "|" in rule and "-" in rule and _RULE.fullmatch(rule)):
            done.append(lines[place])
            place += 1
            continue
        end = next((row for row in range(place + 2, len(lines)) if "|" not in lines[row]), len(lines))
        rows = [_write_row("th", lines[place]), *(_write_row("td", line) for line in lines[place + 2 : end])]
        rows = rows[1:] if not any(map(str.isalnum, re.sub(r"<[^<>]*>", "", rows[0]))) else rows
        done += ["", keep(f"<table>{''.join(rows)}</table>"), ""]
        place = end
    return "\n".join(done)


def _write_row(tag: str, line: str) -> str:
    cells = _BAR.split(re.sub(r"(?<!\\)\|$", "", line.strip().removeprefix("|")))
    inner = (_build_parser().renderInline(_BOLD.sub(r"\1", _STAR.sub(r"\\*", cell.strip()))) for cell in cells)
    return f"<tr>{''.join(f'<{tag}>{cell}</{tag}>' for cell in inner)}</tr>"


@cache
def _build_parser() -> "MarkdownIt":
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": True, "breaks": True, "maxNesting": _DEEPEST}).enable("strikethrough")
    parser.disable(["reference", "lheading", "code", "html_block", "autolink"])
    parser.validateLink = lambda url: _ADDRESS.fullmatch(url) is not None  # type: ignore[method-assign]
    parser.add_render_rule("list_item_open", _open_item)
    return parser


def _open_item(self: Any, tokens: Any, place: int, options: Any, env: Any) -> str:
    """A number as printed; its HTML would count anew."""
    token = tokens[place]
    return f'<li value="{html.escape(token.info + token.markup)}">' if token.info else "<li>"

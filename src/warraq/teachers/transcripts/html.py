"""A page as HTML -> blocks. What is no tag of HTML, nor one that reading models write, is text of the page."""

import re
from html.parser import HTMLParser

from warraq.teachers.transcripts.cells import TableReader
from warraq.teachers.transcripts.lines import KEY_END, LESS, Block, clean_text, split_lines

_LISTS = frozenset({"ul", "ol", "menu"})
_KINDS = {
    **{f"h{level}": "heading" for level in range(1, 7)},
    **dict.fromkeys(_LISTS, "list"),
    **dict.fromkeys(("figure", "logo"), "figure"),
    **dict.fromkeys(("watermark", "stamp", "seal"), "stamp"),
    **dict.fromkeys(("header", "page-header"), "page_header"),
    **dict.fromkeys(("footer", "page-footer"), "page_footer"),
    **{name: name for name in ("signature", "handwriting", "barcode", "footnote")},
    "page-number": "page_number", "math": "formula", "figcaption": "paragraph",
}  # fmt: skip
_SHOWN = frozenset({"figure", "signature", "stamp", "barcode"})  # blocks also without a word
_HIDDEN = frozenset({"head", "style", "script"})
_PAIRED = {*_KINDS, *_HIDDEN, "div", "section", "article", "main", "aside", "nav", "table", "html", "body", "form",
           "fieldset", "dl", "details", "center", "pre"}  # fmt: skip
_BREAKING = {"p", "li", "dt", "dd", "blockquote", "address", "hr", "option", "legend", "summary"}
_IN_TABLE = {"tr", "td", "th", "thead", "tbody", "tfoot", "caption", "colgroup", "col"}
_INLINE = (
    "a|abbr|b|bdi|bdo|big|br|button|cite|code|del|dfn|em|font|i|img|input|ins|kbd|label|mark|q|s|samp|select|small|span|"
    "strike|strong|sub|sup|textarea|time|tt|u|var|wbr"
)
_KNOWN = "|".join([*_PAIRED, *_BREAKING, *_IN_TABLE, _INLINE])
_NO_TAG = re.compile(rf"""<(?!/?(?:{_KNOWN})(?:[\s/](?:[^<>"']|"[^"]*+"|'[^']*+')*+)?>)""", re.ASCII | re.IGNORECASE)
_COMMENT = re.compile(r"<!--.*?-->|<!doctype\b[^<>]*>", re.DOTALL | re.IGNORECASE)
_PICTURE = re.compile(r"<(img|image)\b[^<>]*>([^<]*)</\1\s*>|<image\s*/?>", re.IGNORECASE)
_UNDERSCORED = re.compile(r"(</?page)_(?=(?:number|header|footer)>)")  # no name of a tag, for HTML nor Markdown
_OWN_TOKEN = re.compile(r"<\|[^<>|\s]{1,40}\|>|<(?:[flxueh]cel|ched|rhed|srow|nl|loc_?\d+)>")


def escape_text(text: str) -> str:
    """A transcript without comments, in which each `<` that begins no tag is `LESS`.

    Raises:
        ValueError: it holds tokens of a model's own, or what stands for something else here.
    """
    if token := _OWN_TOKEN.search(text):
        raise ValueError(f"{token[0]} is a token of the model's own, which its server should have taken for one")
    if strange := re.search("[\ufdd0-\ufdef]", text):
        raise ValueError(f"U+{ord(strange[0]):04X} is no character")
    text = _UNDERSCORED.sub(r"\1-", _COMMENT.sub("", text))
    return _NO_TAG.sub(LESS, _PICTURE.sub(lambda one: f"<figure>{one[2] or ''}</figure>", text))


def read_html(text: str) -> list[Block]:
    """The blocks of a page.

    Raises:
        ValueError: a tag is never closed or never opened, or text stands between the cells of a table.
    """
    return read_tags(escape_text(text))


def read_tags(text: str) -> list[Block]:
    """The same of a text of `escape_text`."""
    reader = _BlockReader()
    reader.feed(text)
    reader.close()
    reader.finish()
    return reader.blocks


class _BlockReader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.blocks: list[Block] = []
        self.parts: list[str] = []  # of the running block
        self.open: list[tuple[str, int]] = []  # tags that need an end, and how many blocks were before them
        self.counters: list[int | None] = []  # of the open lists, the next number
        self.table: TableReader | None = None
        self.in_caption = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        if tag in _PAIRED:
            self._open(tag, attributes)
        elif tag in _IN_TABLE:
            self._open_in_table(tag, attributes)
        elif tag in _BREAKING or tag == "br":
            self._break(tag)
            if tag == "li":
                self._add(self._number(attributes.get("value")))
        elif tag == "img" and self.table is None:
            self._flush()
            self.blocks.append(Block("figure", ""))
        elif tag == "input":
            box = "☑ " if "checked" in attributes else "☐ "
            self._add(box if attributes.get("type") in {"checkbox", "radio"} else attributes.get("value") or "")

    def handle_endtag(self, tag: str) -> None:
        if tag in _PAIRED:
            if not self.open or self.open[-1][0] != tag:
                inner = f"<{self.open[-1][0]}> is not closed before" if self.open else "nothing opens"
                raise ValueError(f"{inner} </{tag}>")
            self._close(tag)
        elif self.table is not None and tag in {"td", "th"}:
            self.table.close_cell()
        elif self.table is not None and tag == "thead":
            self.table.is_head = False
        elif tag == "caption":
            self._flush_caption()
        elif tag in {"strong", "b", "dt"} and self.table is None:
            self.parts.append(KEY_END)
            if tag == "dt" and not "".join(self.parts).rstrip(KEY_END + " ").endswith(":"):
                self.parts.append(":")
        elif tag in _BREAKING and tag != "dt":
            self._break(tag)

    def handle_data(self, data: str) -> None:
        inside = {tag for tag, _ in self.open}
        if inside.isdisjoint(_HIDDEN):
            self._add(data if inside & {"pre", "math"} else data.replace("\n", " "))

    def finish(self) -> None:
        """Raises ValueError where a tag is open."""
        if self.open:
            raise ValueError(f"<{self.open[-1][0]}> is never closed")
        self._flush()

    def _add(self, text: str) -> None:
        if self.table is None or self.in_caption:
            self.parts.append(text)
        else:
            self.table.add_text(text)

    def _kind(self) -> str:
        kinds = (_KINDS[tag] for tag, _ in reversed(self.open) if tag in _KINDS)
        return next(kinds, "paragraph")

    def _break(self, tag: str) -> None:
        """A new line in a cell, a list, or by `br`; else a new block."""
        if self.table is not None:
            self.table.add_break()
        elif tag in {"br", "dd"} or self._kind() != "paragraph":
            self.parts.append(" " if tag == "dd" else "\n")
        else:
            self._flush()

    def _flush(self) -> None:
        text = clean_text("".join(self.parts))
        self.parts.clear()
        if text:
            kind = self._kind()
            level = next((int(tag[1]) for tag, _ in self.open if _KINDS.get(tag) == "heading"), None)
            self.blocks += split_lines(kind, text, level if kind == "heading" else None)

    def _open(self, tag: str, attributes: dict[str, str | None]) -> None:
        if self.table is not None:
            self.table.add_break()
        elif tag in _LISTS and self._kind() == "list":  # the items of a list within one are its lines
            self._break(tag)
        else:
            self._flush()
            self.table = TableReader() if tag == "table" else None
        self.open.append((tag, len(self.blocks)))
        if tag in _LISTS:
            start = attributes.get("start") or "1"
            self.counters.append(int(start) if tag == "ol" and start.isdecimal() else None)

    def _close(self, tag: str) -> None:
        _, before = self.open[-1]
        if tag in _LISTS:
            self.counters.pop()
        if self.table is not None and not (tag == "table" and self._count_tables() == 1):
            self.table.add_break()
        elif self.table is not None:
            written, self.table = self.table.write(), None
            self.blocks += [Block("table", written)] if written else []
        elif tag in _LISTS and self.counters:
            self._break(tag)
        else:
            self._flush()
            kind = _KINDS.get(tag, "")
            if kind in _SHOWN and all(block.kind != kind for block in self.blocks[before:]):
                self.blocks.append(Block(kind, ""))
        self.open.pop()

    def _count_tables(self) -> int:
        return sum(tag == "table" for tag, _ in self.open)

    def _number(self, printed: str | None) -> str:
        """What stands before an item: as printed, or by its place in the list."""
        number = self.counters[-1] if self.counters else None
        if number is not None:
            self.counters[-1] = number + 1
        return f"{printed} " if printed else "" if number is None else f"{number}. "

    def _open_in_table(self, tag: str, attributes: dict[str, str | None]) -> None:
        if self.table is None:
            raise ValueError(f"<{tag}> stands outside a table")
        if self._count_tables() > 1:  # of a table in a cell the text stays
            self.table.add_break()
        elif tag == "tr":
            self.table.open_row()
        elif tag in {"td", "th"}:
            self.table.open_cell(tag, attributes)
        elif tag == "caption":
            self.in_caption = True
        else:
            self.table.is_head = tag == "thead"

    def _flush_caption(self) -> None:
        self.in_caption = False
        self.blocks += [Block("paragraph", text)] if (text := clean_text("".join(self.parts))) else []
        self.parts.clear()

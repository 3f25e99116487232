"""The tables of a page, as HTML, against those of its reference: which is which, and how well each was read."""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from html import unescape

from warraq.metrics.arabic import normalize
from warraq.metrics.catalogue import ScoreSums
from warraq.metrics.notations import convert_markdown_tables
from warraq.metrics.overlap import Bag, count_shared, count_trigrams
from warraq.metrics.table_likeness import LARGEST, Cell, Table, cover_grid, expand_grid, grits, is_mirrored, teds

ALIKE = 0.2  # likeness from which on two may be the same; unrelated tables stay below, one with a third misread above
MOST = 1000  # tables a side that are paired by likeness
MOST_LARGEST = 10  # of the largest tables, or smaller ones that take as long, that are compared on a page
_MOST_COLUMNS, _MOST_ROWS = 1000, 65_534  # that a cell spans, as in HTML

# A tag that is never closed ends with its name, so that no text is lost with it. A quote ends at the next tag at the
# latest, and what was taken is not given back: the time is linear.
_TAG = re.compile(
    r"""<(?P<end>/?)(?P<name>td|(?:table|thead|tbody|tfoot|caption|colgroup|col|tr|th)\b)"""
    r"""(?P<attributes>(?:[^<>"']|"[^"<]*"|'[^'<]*')*+>|[^<>]*+>)?""",
    re.ASCII | re.IGNORECASE,
)
_SPAN = re.compile(r"""\b(colspan|rowspan)\s*+=\s*+["']?\s*+0*+([1-9][0-9]*)""", re.ASCII | re.IGNORECASE)
_BREAK = re.compile(r"<br\b[^<>]*+>", re.ASCII | re.IGNORECASE)
_MARKUP = re.compile(r"<[!/?a-z][^<>]*+>", re.ASCII | re.IGNORECASE)
_REFERENCE = re.compile(r"&(?:#[0-9]{1,7}|#x[0-9a-f]{1,6}|[a-z0-9]{1,32});?", re.ASCII | re.IGNORECASE)


class _Reader:
    """The outermost tables of a text, and all of its text without the tags of tables."""

    def __init__(self) -> None:
        self.tables: list[Table] = []
        self.cells: list[tuple[Cell, list[str]]] = []
        self.text: list[str] = []
        self.depth = 0
        self.is_in_cell = False

    def read_text(self, text: str) -> None:
        if self.depth:
            text = _MARKUP.sub("", _BREAK.sub(" ", text))
            text = _REFERENCE.sub(lambda reference: unescape(reference[0]), text)
            if self.is_in_cell:
                self.cells[-1][1].append(text)
            text = text.replace("\n", " ")
        self.text.append(text)

    def read_tag(self, name: str, is_end: bool, attributes: str) -> None:
        self.text.append("\n" if self.depth < 2 and name in ("table", "tr") else " ")
        if name == "table":
            if is_end:
                self.depth = max(self.depth - 1, 0)
                self.is_in_cell = self.is_in_cell and self.depth > 0
            elif self.is_in_cell:
                self.depth += 1
            else:
                self.depth = 1
                self.tables.append(Table())
        elif self.depth == 1 and name in ("tr", "td", "th"):
            rows = self.tables[-1].rows
            self.is_in_cell = not is_end and name != "tr"
            if not is_end and (name == "tr" or not rows):
                rows.append([])
            if self.is_in_cell:
                spans = {span.lower(): int(number[:9]) for span, number in _SPAN.findall(attributes)}
                columns, lines = min(spans.get("colspan", 1), _MOST_COLUMNS), min(spans.get("rowspan", 1), _MOST_ROWS)
                rows[-1].append(Cell("", columns, lines, name == "th"))
                self.cells.append((rows[-1][-1], []))


def _read(html: str) -> _Reader | None:
    """None where there is no tag of a table, as in most elements."""
    html = convert_markdown_tables(html)
    if not _TAG.search(html):
        return None
    reader, start = _Reader(), 0
    for tag in _TAG.finditer(html):
        reader.read_text(html[start : tag.start()])
        reader.read_tag(tag["name"].lower(), bool(tag["end"]), tag["attributes"] or "")
        start = tag.end()
    reader.read_text(html[start:])
    return reader


def parse_tables(html: str) -> list[Table]:
    """The tables of a text as `read_tables`, cells at the encoding level."""
    tables = read_tables(html)
    for table in tables:
        for cell in table.cells:
            cell.text = normalize(cell.text) if cell.text else ""
    return tables


def read_tables(html: str) -> list[Table]:
    """The tables of a text, cells as they are written; a text without any has none.

    Cells and rows need no end. A table within a cell is text of the cell; one that begins outside a cell ends the table
    before. No input is an error, and the time grows with its length.
    """
    if (reader := _read(html)) is None:
        return []
    for cell, parts in reader.cells:
        cell.text = "".join(parts)
    return reader.tables


def strip_tags(html: str) -> str:
    """A text without the tags of tables, each row a line; a text that has none stays as it is."""
    if (reader := _read(html)) is None:
        return html
    text = _TAG.sub(" ", "".join(reader.text))  # a cell may spell a tag, escaped
    return "\n".join(" ".join(line.split()) for line in text.split("\n") if line.strip())


def score_tables(gold: Sequence[Table], tables: Sequence[Table]) -> ScoreSums:
    """Numerator and denominator of each score of one page.

    Tables are compared in the pairs of `pair_tables`. One that has no match is compared with nothing: a lost one of the
    reference is 0 of 1 in TEDS and lowers the recall of GriTS, an invented one of the answer is 0 of 1 in TEDS as well
    and lowers the precision. So is an answer too large to be compared; a reference too large, or one after
    MOST_LARGEST, is left out with its match, and counted. Cells that are heads are compared by their places, whatever
    they say, in the tables of the reference that have any.
    """
    names = (
        "teds",
        "teds_structure",
        "grits_precision",
        "grits_recall",
        "mirrored_table_share",
        "uncompared_table_share",
        "header_cell_f1",
    )
    sums = dict.fromkeys(names, (0.0, 0.0))

    def put(name: str, numerator: float, denominator: float) -> None:
        sums[name] = sums[name][0] + numerator, sums[name][1] + denominator

    pairs = pair_tables(gold, tables)
    room = MOST_LARGEST * LARGEST**2
    for place, left in enumerate(gold):
        is_left_out = left.is_too_large or left.size**2 > room
        put("uncompared_table_share", is_left_out, 1)
        if is_left_out:
            continue
        room -= left.size**2
        right = tables[pairs[place]] if place in pairs else None
        ours = expand_grid(left)
        theirs = [] if right is None or right.is_too_large else expand_grid(right)
        common = grits(ours, theirs)
        put("teds", 0 if right is None else teds(left, right), 1)
        put("teds_structure", 0 if right is None else teds(left, right, structure=True), 1)
        put("grits_precision", common, 0 if right is None else _count_places(right))
        put("grits_recall", common, sum(map(len, ours)))
        put("mirrored_table_share", is_mirrored(ours, theirs, common), 1)
        if heads := _find_heads(left):
            others = set() if right is None or right.is_too_large else _find_heads(right)
            put("header_cell_f1", 2 * len(heads & others), len(heads) + len(others))
    for place in set(range(len(tables))) - set(pairs.values()):
        put("teds", 0, 1)
        put("teds_structure", 0, 1)
        put("grits_precision", 0, _count_places(tables[place]))
    return sums


def _find_heads(table: Table) -> set[tuple[int, int]]:
    return {place for place, cell in cover_grid(table).items() if cell.is_head}


def _count_places(table: Table) -> int:
    """Places of the grid; of a table too large for one, cells."""
    return len(table.cells) if table.is_too_large else sum(map(len, expand_grid(table)))


def pair_tables(gold: Sequence[Table], tables: Sequence[Table]) -> dict[int, int]:
    """Which table of an answer stands for which of the reference: place in `tables` by place in `gold`, one to one.

    Equal tables are pairs; the others are paired for the greatest sum of likeness: the features that two tables share
    (trigrams of their cells, and cells at their places) by the geometric mean of how many each has, at least ALIKE.
    Where a table stands on the page does not matter, nor what the answer holds that is like none. Of the tables that
    equal none the first MOST on either side are looked at (of the answer's, those with the most features).
    """
    import numpy as np
    from scipy.optimize import linear_sum_assignment

    ours, theirs = ([table.content for table in side] for side in (gold, tables))
    places = defaultdict(list)
    for place, content in enumerate(theirs):
        places[content].append(place)
    pairs = {place: places[content].pop() for place, content in enumerate(ours) if places[content]}
    left = [place for place in range(len(gold)) if place not in pairs][:MOST]
    right = sorted(set(range(len(tables))) - set(pairs.values()), key=lambda place: theirs[place])[:MOST]
    if not left or not right:
        return pairs
    bags, others = [_list_features(gold[place]) for place in left], [_list_features(tables[place]) for place in right]
    sizes, widths = ([bag.total() for bag in one] for one in (bags, others))
    likeness = count_shared(bags, others) / np.sqrt(np.outer(sizes, widths))
    likeness[likeness < ALIKE] = 0
    kept = np.flatnonzero(likeness.any(0))  # what is like none shall not even break a tie
    rows, columns = linear_sum_assignment(likeness[:, kept], maximize=True)
    return pairs | {left[i]: right[kept[j]] for i, j in zip(rows, columns, strict=True) if likeness[i, kept[j]]}


def _list_features(table: Table) -> Bag:
    """Never empty: of a table without text the places of its cells."""
    features: Bag = Counter()
    for y, row in enumerate(table.rows):
        for x, cell in enumerate(row):
            if cell.text:
                features[y, x, cell.text] = 1
                features.update(count_trigrams(cell.text))
    return features or Counter([(), *((y, x) for y, row in enumerate(table.rows) for x in range(len(row)))])

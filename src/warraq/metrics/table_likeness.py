"""Two tables -> how alike they are.

TEDS is for comparison with the literature, GriTS tells invented rows and columns from lost ones; and whether the
columns are mirrored. TEDS is PubTabNet's (Zhong et al. 2020, ECCV) after the normalisation of OmniDocBench, th as td
and no thead or tbody, because PubTabNet's own code never looks at the text of a th. GriTS is factored (Smock et al.
2023, ICDAR).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np

MIRRORED = 0.2  # how much better a table must fit with its columns reversed to be called mirrored
LARGEST = 1000  # rows and cells of a table that is compared; the time grows with the square, to about 5 s
LONGEST = 100_000  # characters of its cells


@dataclass
class Cell:
    """A cell with its text and the columns and rows that it spans."""

    text: str = ""
    colspan: int = 1
    rowspan: int = 1
    is_head: bool = field(default=False, compare=False)


@dataclass
class Table:
    """The rows of a table."""

    rows: list[list[Cell]] = field(default_factory=list)

    @property
    def cells(self) -> list[Cell]:
        """All cells, row by row."""
        return [cell for row in self.rows for cell in row]

    @property
    def content(self) -> tuple[tuple[tuple[str, int, int], ...], ...]:
        """The text of each cell, and the columns and rows that it spans."""
        return tuple(tuple((cell.text, cell.colspan, cell.rowspan) for cell in row) for row in self.rows)

    @property
    def nodes(self) -> int:
        """The number of rows and cells."""
        return len(self.rows) + sum(map(len, self.rows))

    @property
    def shape(self) -> list[list[tuple[int, int]]]:
        """The columns and rows that each cell spans."""
        return [[(cell.colspan, cell.rowspan) for cell in row] for row in self.rows]

    @property
    def size(self) -> int:
        """The number of rows and of places in its grid, at most."""
        widths = [0] * (len(self.rows) + 1)  # by how much each row is wider than the one above
        for y, row in enumerate(self.rows):
            for cell in row:
                widths[y] += cell.colspan
                widths[min(y + cell.rowspan, len(self.rows))] -= cell.colspan
        return len(self.rows) * (1 + max(accumulate(widths)))

    @property
    def is_too_large(self) -> bool:
        """Whether it is not compared, for its size or the length of its text."""
        return self.size > LARGEST or sum(len(cell.text) for cell in self.cells) > LONGEST


def is_mirrored(gold: list[list[str]], other: list[list[str]], common: float) -> bool:
    """Whether the columns fit clearly better in reverse: a table written right to left was copied left to right.

    `common` is how well they fit as they are, by `grits`.
    """
    mirror = [row[::-1] for row in other]
    if not gold or mirror == other or gold == other:
        return False
    return 2 * (grits(gold, mirror) - common) / (sum(map(len, gold)) + sum(map(len, other))) > MIRRORED


def teds(gold: Table, other: Table, structure: bool = False) -> float:
    """1 - tree edit distance / the larger number of rows and cells; 1 is equal. `structure`: cells without their text.

    The distance is Zhang and Shasha's (1989, SIAM J. Comput. 18:1245), exact, as is APTED's; on trees as flat as these
    it is the faster one.
    """
    from rapidfuzz.distance import Levenshtein

    size = max(gold.nodes, other.nodes)
    if not size or (gold.shape == other.shape if structure else gold == other):
        return 1.0
    if other.is_too_large:
        return 0.0

    def rename(one: Node, two: Node) -> float:
        if isinstance(one, str) or isinstance(two, str):
            return float(one != two)
        if (one.colspan, one.rowspan) != (two.colspan, two.rowspan):
            return 1.0
        return 0.0 if structure else Levenshtein.normalized_distance(one.text, two.text)

    return 1 - _measure_tree_distance(_list_postorder(gold), _list_postorder(other), rename) / size


Node = Cell | Literal["tr", "table"]
_Nodes = list[tuple[int, Node]]
"""Each node and its leftmost leaf, children before parents."""


def _list_postorder(table: Table) -> _Nodes:
    nodes: _Nodes = []
    for row in table.rows:
        start = len(nodes)
        nodes += [(start + index, cell) for index, cell in enumerate(row)]
        nodes.append((start, "tr"))
    return [*nodes, (0, "table")]


def _measure_tree_distance(one: _Nodes, two: _Nodes, rename: Callable[[Node, Node], float]) -> float:
    costs = [[rename(a, b) for _, b in two] for _, a in one]
    trees = [line.copy() for line in costs]  # right for two leaves, the others are to come
    for i in _find_key_roots(one):
        for j in _find_key_roots(two):
            if one[i][0] < i or two[j][0] < j:
                _fill_subtree(one, two, i, j, costs, trees)
    return trees[-1][-1]


def _find_key_roots(nodes: _Nodes) -> list[int]:
    return sorted({leaf: index for index, (leaf, _) in enumerate(nodes)}.values())


def _fill_subtree(one: _Nodes, two: _Nodes, i: int, j: int, costs: list[list[float]], trees: list[list[float]]) -> None:
    left, top = one[i][0], two[j][0]
    forest = [[float(b) for b in range(j - top + 2)]]
    for a in range(left, i + 1):
        above, line = forest[-1], [float(a - left + 1)]
        whole, cost, tree = one[a][0], costs[a], trees[a]
        for b in range(top, j + 1):
            best = min(above[b - top + 1], line[-1]) + 1
            if whole == left and two[b][0] == top:
                best = min(best, above[b - top] + cost[b])
                tree[b] = best
            else:
                best = min(best, forest[whole - left][two[b][0] - top] + tree[b])
            line.append(best)
        forest.append(line)


def cover_grid(table: Table) -> dict[tuple[int, int], Cell]:
    """The cell that covers each place, by row and column."""
    taken: dict[tuple[int, int], Cell] = {}
    for y, row in enumerate(table.rows):
        x = 0
        for cell in row:
            while (y, x) in taken:
                x += 1
            for dy in range(min(cell.rowspan, len(table.rows) - y)):
                taken |= {(y + dy, x + dx): cell for dx in range(cell.colspan)}
            x += cell.colspan
    return taken


def expand_grid(table: Table) -> list[list[str]]:
    """The text of the cell that covers each place, '' where none does."""
    taken = {place: cell.text for place, cell in cover_grid(table).items()}
    width = max((x for _, x in taken), default=-1) + 1
    return [[taken.get((y, x), "") for x in range(width)] for y in range(len(table.rows))] if width else []


def grits(gold: list[list[str]], other: list[list[str]]) -> float:
    """GriTS-Con's similarity of two grids' most similar substructures, in cells.

    Divided by the cells of `other` it is the precision, by those of `gold` the recall. Cells are compared by their
    longest common subsequence.
    """
    import numpy as np
    from rapidfuzz.distance import Indel
    from rapidfuzz.process import cdist

    if gold == other:
        return float(sum(map(len, gold)))
    if not gold or not other or len(other) * len(other[0]) > LARGEST:
        return 0.0
    texts = sorted({cell for row in (*gold, *other) for cell in row})
    place = {text: index for index, text in enumerate(texts)}
    similarity = cdist(texts, texts, scorer=Indel.normalized_similarity, dtype=np.float64)
    ours, theirs = ([[place[cell] for cell in row] for row in one] for one in (gold, other))
    rewards = similarity[np.array(ours)[:, :, None, None], np.array(theirs)[None, None, :, :]]
    rows = _align_sequences(_align_rows(rewards))
    columns = _align_sequences(_align_rows(rewards.transpose(1, 0, 3, 2)))
    return float(sum(rewards[a, c, b, d] for a, b in rows for c, d in columns))


def _align_rows(rewards: "np.ndarray") -> "np.ndarray":
    """(rows, columns, rows, columns) -> (rows, rows): the best alignment of the cells of each two rows."""
    import numpy as np

    rows, columns, others, widths = rewards.shape
    best = np.zeros((rows, others, columns + 1, widths + 1))
    for c in range(columns):
        for d in range(widths):
            both = best[:, :, c, d] + rewards[:, c, :, d]
            best[:, :, c + 1, d + 1] = np.maximum(both, np.maximum(best[:, :, c, d + 1], best[:, :, c + 1, d]))
    return best[:, :, -1, -1]


def _align_sequences(rewards: "np.ndarray") -> list[tuple[int, int]]:
    """The pairs of the best alignment of two sequences."""
    import numpy as np

    best = np.zeros((rewards.shape[0] + 1, rewards.shape[1] + 1))
    for a in range(rewards.shape[0]):
        for b in range(rewards.shape[1]):
            best[a + 1, b + 1] = max(best[a, b] + rewards[a, b], best[a, b + 1], best[a + 1, b])
    a, b = rewards.shape
    pairs = []
    while a and b:
        if best[a, b] == best[a - 1, b - 1] + rewards[a - 1, b - 1]:
            a, b = a - 1, b - 1
            pairs.append((a, b))
        elif best[a, b] == best[a - 1, b]:
            a -= 1
        else:
            b -= 1
    return pairs[::-1]

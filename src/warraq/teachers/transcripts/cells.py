"""The tags within a table -> the table as a label holds it: cells with their spans, and th for those that are heads."""

import html

from warraq.teachers.transcripts.lines import LESS

_SPANS = ("colspan", "rowspan")


class TableReader:
    """An open table. Rows and cells need no end, as in HTML."""

    def __init__(self) -> None:
        self.rows: list[list[tuple[str, list[str]]]] = []  # cells: their start tag and their text
        self.cell: list[str] | None = None
        self.is_head = False

    def open_row(self) -> None:
        """The cells that follow stand in a new row."""
        self.cell = None
        self.rows.append([])

    def open_cell(self, tag: str, attributes: dict[str, str | None]) -> None:
        """What follows is text of a new cell.

        Raises:
            ValueError: it spans what is no number.
        """
        spans = ""
        for name in _SPANS:
            if (value := attributes.get(name)) is None:
                continue
            if not value.isascii() or not value.strip().isdigit() or int(value) == 0:
                raise ValueError(f"a cell has the {name} {value[:20]!r}")
            spans += f' {name}="{int(value)}"' if int(value) > 1 else ""
        if not self.rows:
            self.open_row()
        self.cell = []
        self.rows[-1].append((f"{'th' if self.is_head else tag}{spans}", self.cell))

    def close_cell(self) -> None:
        """No text may follow before the next cell."""
        self.cell = None

    def add_text(self, text: str) -> None:
        """Text of the open cell.

        Raises:
            ValueError: none is open.
        """
        if self.cell is not None:
            self.cell.append(text)
        elif text.strip():
            raise ValueError(f"{text.strip()[:40]!r} stands in a table outside its cells")

    def add_break(self) -> None:
        """A new line in the open cell."""
        if self.cell is not None:
            self.cell.append("\n")

    def write(self) -> str:
        """The table as HTML; nothing where it has no cells."""
        rows = ("".join(_write_cell(start, "".join(parts)) for start, parts in row) for row in self.rows if row)
        inner = "".join(f"<tr>{row}</tr>" for row in rows)
        return f"<table>{inner}</table>" if inner else ""


def _write_cell(start: str, text: str) -> str:
    lines = (" ".join(line.split()) for line in text.replace(LESS, "<").split("\n"))
    inner = "<br>".join(html.escape(line, quote=False) for line in lines if line)
    return f"<{start}>{inner}</{start.split(' ')[0]}>"

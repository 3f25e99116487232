"""data/raw/documents.csv: what a person says of each file. The only code that reads it.

What could be understood in two ways is refused: a permission that was not meant lets a document out.
"""

import csv
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from posixpath import normpath

from warraq.errors import InputError, join_faults


@dataclass(frozen=True)
class DocumentRow:
    """A line of the file; a cell that is not there is empty."""

    line: int
    file: str  # relative to data/raw
    sensitivity: str  # `public`: a cloud teacher may see it
    password_env: str  # the environment variable that holds its password


def read_documents(path: Path, *required: str) -> list[DocumentRow]:
    """The lines of documents.csv in their order; none where there is no such file.

    Args:
        path: of the file.
        required: columns that it must have; `file` is always one where it has `password_env`.

    Raises:
        InputError: it is not CSV in UTF-8 with commas; it lacks a column, or has one twice; a line has more cells than
            there are columns, or says of a file what another line does not.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream, strict=True)
            columns = next(reader, [])
            _check_columns(path, columns, required)
            lines = [(reader.line_num, cells) for cells in reader if any(cells)]
    except FileNotFoundError:
        return []
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read as CSV in UTF-8 ({error}); save it so.") from None
    rows = [_read_row(columns, cells, line) for line, cells in lines]
    faults = _list_long_lines(columns, lines) + (_list_disagreements(rows) if "file" in columns else [])
    if faults:
        raise InputError(join_faults(str(path), faults))
    return rows


def _check_columns(path: Path, columns: Sequence[str], required: Sequence[str]) -> None:
    if len(columns) == 1 and any(sign in columns[0] for sign in ";\t|"):
        raise InputError(f"{path}, line 1: its columns are not divided by commas; save it as CSV with commas.")
    if twice := sorted({name for name in columns if columns.count(name) > 1}):
        raise InputError(f"{path}, line 1 has two columns {twice[0]!r}; keep one of them.")
    needed = {*required, *({"file"} if "password_env" in columns else ())}
    if missing := sorted(needed - set(columns)):
        raise InputError(f"{path} has no column {' and '.join(missing)}; add it to its first line.")


def _read_row(columns: Sequence[str], cells: Sequence[str], line: int) -> DocumentRow:
    row = dict(zip(columns, cells, strict=False))
    return DocumentRow(
        line, row.get("file", ""), row.get("sensitivity", "").strip(), row.get("password_env", "").strip()
    )


def _list_long_lines(columns: Sequence[str], lines: Sequence[tuple[int, list[str]]]) -> list[str]:
    return [
        f"line {line} has {len(cells)} cells for {len(columns)} columns; put a cell that holds a comma between quotes."
        for line, cells in lines
        if len(cells) > len(columns)
    ]


def _list_disagreements(rows: Sequence[DocumentRow]) -> list[str]:
    first: dict[str, DocumentRow] = {}
    faults = []
    for row in rows:
        other = first.setdefault(row.file, row)
        if (row.sensitivity, row.password_env) != (other.sensitivity, other.password_env):
            faults.append(f"lines {other.line} and {row.line} differ about {row.file!r}; keep one of them.")
    return faults


def list_carriers(file: str) -> list[str]:
    """A file's name, and those of the files that carry it, of one that is attached to another: the outermost first.

    No file can have a folder's name, so that none of these is one.
    """
    parts = file.split("/")
    return ["/".join(parts[:count]) for count in range(1, 1 + len(parts))]


def find_unmatched(path: Path, rows: Sequence[DocumentRow], files: Collection[str]) -> list[str]:
    """Of each row that names none of the `files`: where it stands and what to do, in a sentence."""
    names = set(files)
    unmatched = [row for row in rows if row.file not in names]
    alike = {_simplify(name): name for name in names} if unmatched else {}
    return [f"{path}, line {row.line}: {row.file!r} {_explain(row.file, names, alike)}." for row in unmatched]


def _simplify(name: str) -> str:
    """A name as people confuse it: with ./ and backslashes, from another place, in another case or Unicode form."""
    path = normpath(unicodedata.normalize("NFC", name.strip().replace("\\", "/")).casefold()).lstrip("/")
    return path.removeprefix("data/raw/")


def _explain(name: str, names: Collection[str], alike: dict[str, str]) -> str:
    plain = _simplify(name)
    if unicodedata.normalize("NFC", name) in {unicodedata.normalize("NFC", other) for other in names}:
        return "has the letters of a file in another Unicode form; copy the file's name"
    if plain in alike:
        return f"is no file; write it as it is spelled, {alike[plain]!r}"
    if plain == "." or any(other.startswith(f"{plain}/") for other in alike):
        return "is a folder; name each of its files"
    if any(fnmatchcase(other, plain) for other in alike):
        return "is a pattern, which is not understood; name each file"
    return "is no file there; correct the line or remove it"

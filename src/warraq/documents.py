"""data/raw/documents.csv: what a person says of each file. The only code that reads it."""

import csv
from dataclasses import dataclass
from pathlib import Path

from warraq.errors import InputError


@dataclass(frozen=True)
class DocumentRow:
    """A line of the file; a cell that is not there is empty."""

    file: str  # relative to data/raw
    sensitivity: str  # `public`: a cloud teacher may see it
    password_env: str  # the environment variable that holds its password


def read_documents(path: Path, *required: str) -> list[DocumentRow]:
    """The lines of documents.csv in their order; none where there is no such file.

    Args:
        path: of the file.
        required: columns that it must have; `file` is always one where it has `password_env`.

    Raises:
        InputError: it lacks a required column, or is not CSV in UTF-8.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            columns = set(reader.fieldnames or ())
            needed = {*required, *({"file"} if "password_env" in columns else ())}
            if missing := sorted(needed - columns):
                raise InputError(f"{path} has no column {' and '.join(missing)}; add it to its first line.")
            return [
                DocumentRow(*(row.get(name) or "" for name in ("file", "sensitivity", "password_env")))
                for row in reader
            ]
    except FileNotFoundError:
        return []
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read as CSV in UTF-8 ({error}); save it so.") from None

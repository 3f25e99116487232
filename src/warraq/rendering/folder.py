"""A folder -> its documents by content, and what is no document. Bytes are hashed and compared here, never parsed."""

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from warraq.documents import read_documents
from warraq.records import Rejected

Kind = Literal["pdf", "image"]


@dataclass(frozen=True)
class Source:
    """A document: all files with the same bytes. `names` are relative to the folder, sorted."""

    document: str
    kind: Kind
    path: Path
    names: tuple[str, ...]


def found(raw: Path) -> tuple[list[Source], list[Rejected]]:
    """Everything under `raw`, except hidden names and its documents.csv. Links are followed to files inside only."""
    sources: dict[str, Source] = {}
    rejected: list[Rejected] = []
    root = os.path.realpath(raw)

    def reject(path: str | Path, reason: str, message: str, document: str | None = None) -> None:
        rejected.append(Rejected(file=_name(raw, path), document=document, page=None, reason=reason, message=message))

    def unreadable(error: OSError) -> None:
        reject(error.filename, "unreadable", f"It cannot be read ({error.strerror}); allow reading or remove it.")

    for folder, folders, names in os.walk(raw, onerror=unreadable):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted([*folders, *names]):
            path = Path(folder, name)
            if name.startswith(".") or path == raw / "documents.csv":
                continue
            if path.is_symlink() and not Path(os.path.realpath(path)).is_relative_to(root):
                reject(path, "link_outside", "The link leads out of the folder; put a copy of the file in its place.")
                continue
            if name in folders:
                continue
            try:
                document, head = _read(path)
            except OSError as error:
                unreadable(error)
                continue
            what = kind(head)
            if not head:
                reject(path, "empty", "The file has no bytes; copy it again from its source.", document)
            elif what is None:
                message = "The file is not a PDF, PNG, JPEG or TIFF, whatever its name; convert it to one of them."
                reject(path, "not_a_document", message, document)
            else:
                known = sources[document].names if document in sources else ()
                sources[document] = Source(document, what, path, tuple(sorted((*known, _name(raw, path)))))
    return list(sources.values()), rejected


def kind(head: bytes) -> Kind | None:
    """What a file's first 1,024 bytes say it is; names say nothing."""
    if head.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        return "image"
    if head.startswith(b"PK\3\4"):  # a ZIP, out of which MuPDF would mend the PDF that lies in it
        return None
    return "pdf" if b"%PDF-" in head else None


def unchanged(source: Source) -> bool:
    """Whether its file still has the bytes that name it."""
    try:
        return _read(source.path)[0] == source.document
    except OSError:
        return False


def _read(path: Path) -> tuple[str, bytes]:
    if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe would wait for ever
        raise OSError(0, "it is not a regular file", str(path))
    with path.open("rb") as stream:
        head = stream.read(1024)
        stream.seek(0)
        return hashlib.file_digest(stream, "sha256").hexdigest()[:12], head


def passwords(raw: Path) -> dict[str, str]:
    """File name to its password, from the variable that the column `password_env` of documents.csv names, if it is set.

    Raises:
        InputError: documents.csv cannot be read, or has that column and not `file`.
    """
    named = ((row.file, os.environ.get(row.password_env)) for row in read_documents(raw / "documents.csv"))
    return {name: password for name, password in named if name and password is not None}


def _name(raw: Path, path: str | Path) -> str:
    """Bytes of a name that are not UTF-8 become escapes."""
    return os.fsencode(Path(path).relative_to(raw).as_posix()).decode("utf-8", "backslashreplace")

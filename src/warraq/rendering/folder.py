"""A folder -> its documents by content, and what is no document. Bytes are hashed and compared here, never parsed."""

import hashlib
import os
import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from warraq.documents import read_documents
from warraq.records import Rejected
from warraq.rendering.page_ranges import ALL_PAGES, PageRanges

FileKind = Literal["pdf", "image"]
IMAGES = (  # what files begin with: PNG, JPEG, TIFF, GIF, JPEG 2000 with and without a frame, JBIG2
    b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"GIF87a", b"GIF89a",
    b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51", b"\x97JB2\r\n\x1a\n",
)  # fmt: skip
BRANDS = (b"avif", b"avis", b"heic", b"heix", b"heim", b"heis", b"mif1", b"msf1")  # AVIF, HEIC
BMP = re.compile(rb"BM.{4}\0{4}", re.DOTALL)
PNM = re.compile(rb"P[1-6]\s(?:\s*#[^\n]*\n)*\s*\d+\s+\d+\s")
REMEDIES = {  # of what else files begin with
    b"PK\3\4": "The file is a ZIP or an office document; unpack it, or save it as PDF.",
    b"\xd0\xcf\x11\xe0": "The file is an office document; save it as PDF.",
    b"{\\rtf": "The file is an office document; save it as PDF.",
    b"Rar!": "The file is an archive; unpack it.",
    b"7z\xbc\xaf": "The file is an archive; unpack it.",
    b"\x1f\x8b": "The file is an archive; unpack it.",
    b"%!PS": "The file is PostScript; convert it to PDF.",
}


@dataclass(frozen=True)
class SourceDocument:
    """A document: all files with the same bytes."""

    document: str
    kind: FileKind
    path: Path
    names: tuple[str, ...]  # sorted; relative to the folder, where it was found in one
    pages: PageRanges = ALL_PAGES  # that are wanted of it
    containers: tuple[str, ...] = ()  # documents that carry it, themselves or in what they carry


def find_documents(raw: Path) -> tuple[list[SourceDocument], list[Rejected]]:
    """Everything under `raw` but its documents.csv and hidden names. Links are followed to files inside only."""
    left_out: list[Rejected] = []
    files = _walk(raw, left_out)
    sources, rejected = group_by_content(identify(path, _relative_name(raw, path)) for path in files)
    return sources, left_out + rejected


def _walk(raw: Path, left_out: list[Rejected]) -> Iterator[Path]:
    """Every file under `raw`; hidden names, folders that cannot be read and links that leave it go to `left_out`."""
    root = os.path.realpath(raw)

    def leave_out(error: OSError) -> None:
        left_out.append(_unreadable(_relative_name(raw, error.filename), error))

    for folder, folders, names in os.walk(raw, onerror=leave_out):
        everything = sorted([*folders, *names])
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in everything:
            path = Path(folder, name)
            if path == raw / "documents.csv":
                continue
            if name.startswith("."):
                message = "What begins with a dot is passed over; give it another name if it is a document."
                left_out.append(_rejected(_relative_name(raw, path), "hidden", message))
            elif path.is_symlink() and not Path(os.path.realpath(path)).is_relative_to(root):
                message = "The link leads out of the folder; put a copy of the file in its place."
                left_out.append(_rejected(_relative_name(raw, path), "link_outside", message))
            elif name not in folders:
                yield path


def identify(path: Path, name: str) -> SourceDocument | Rejected:
    """The document that a file is by its bytes, or why it is none; `name` is what it is called there."""
    try:
        document, head = _hash_content(path)
    except OSError as error:
        return _unreadable(name, error)
    if not head:
        return _rejected(name, "empty", "The file has no bytes; copy it again from its source.", document)
    kind = detect_kind(head)
    if kind is None:
        message = "The file is not a PDF or an image, whatever its name; convert it to PDF or PNG."
        message = next((told for start, told in REMEDIES.items() if head.startswith(start)), message)
        return _rejected(name, "not_a_document", message, document)
    return SourceDocument(document, kind, path, (name,))


def group_by_content(
    files: Iterable[SourceDocument | Rejected],
) -> tuple[list[SourceDocument], list[Rejected]]:
    """Files of equal bytes as one document with all their names; and what is no document."""
    sources: dict[str, SourceDocument] = {}
    rejected = []
    for file in files:
        if isinstance(file, Rejected):
            rejected.append(file)
            continue
        known = sources.get(file.document, file)
        names, containers = {*known.names, *file.names}, {*known.containers, *file.containers}
        sources[file.document] = replace(known, names=tuple(sorted(names)), containers=tuple(sorted(containers)))
    return list(sources.values()), rejected


def _rejected(name: str, reason: str, message: str, document: str | None = None) -> Rejected:
    return Rejected(file=name, document=document, page=None, reason=reason, message=message)


def _unreadable(name: str, error: OSError) -> Rejected:
    return _rejected(name, "unreadable", f"It cannot be read ({error.strerror}); allow reading or remove it.")


def detect_kind(head: bytes) -> FileKind | None:
    """What a file's first 1,024 bytes say it is; names say nothing."""
    if head.startswith(IMAGES) or (head[4:8] == b"ftyp" and head[8:12] in BRANDS) or BMP.match(head) or PNM.match(head):
        return "image"
    if head[8:12] == b"WEBP" and head.startswith(b"RIFF"):
        return "image"
    if head.startswith(b"PK\3\4"):  # a ZIP, out of which MuPDF would mend the PDF that lies in it
        return None
    return "pdf" if b"%PDF-" in head else None


def is_unchanged(source: SourceDocument) -> bool:
    """Whether its file still has the bytes that name it."""
    try:
        return _hash_content(source.path)[0] == source.document
    except OSError:
        return False


def _hash_content(path: Path) -> tuple[str, bytes]:
    """The first 12 hex digits of a file's SHA-256, and its first 1,024 bytes."""
    if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe would wait for ever
        raise OSError(0, "it is not a regular file", str(path))
    with path.open("rb") as stream:
        head = stream.read(1024)
        stream.seek(0)
        return hashlib.file_digest(stream, "sha256").hexdigest()[:12], head


def read_passwords(raw: Path) -> dict[str, str]:
    """File name to its password, from the variable that the column `password_env` of documents.csv names, if it is set.

    Raises:
        InputError: documents.csv cannot be read, or has that column and not `file`.
    """
    named = ((row.file, os.environ.get(row.password_env)) for row in read_documents(raw / "documents.csv"))
    return {name: password for name, password in named if name and password is not None}


def _relative_name(raw: Path, path: str | Path) -> str:
    return escape_name(Path(path).relative_to(raw).as_posix())


def escape_name(name: str) -> str:
    """A file's name as text: bytes that are not UTF-8 become escapes."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")

"""The file of a ledger: its tables, one writer at a time, and what is told where it fails."""

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path

from warraq.errors import InputError
from warraq.files import replace_file

SCHEMA = """
CREATE TABLE IF NOT EXISTS attempt (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL,            -- of the answer: image, task, settings
    page_id TEXT NOT NULL,
    task TEXT NOT NULL,
    model TEXT NOT NULL,          -- as asked
    lane TEXT NOT NULL,           -- standard, flex, batch; adopted: from a labels file
    state TEXT NOT NULL,          -- started, answered, failed, unknown
    code TEXT,                    -- why there is no response; of one, how it says that it ended
    message TEXT,
    job TEXT,                     -- of the batch lane: the name under which it is found again
    usd REAL NOT NULL,            -- what it cost; while started and where unknown, what was reserved
    input_tokens INTEGER,
    output_tokens INTEGER,        -- thoughts included
    ink REAL,                     -- share of dark pixels in the image
    started_at TEXT NOT NULL,     -- UTC
    seconds REAL
);
CREATE INDEX IF NOT EXISTS attempt_key ON attempt (key);
CREATE INDEX IF NOT EXISTS attempt_usd ON attempt (usd);
CREATE INDEX IF NOT EXISTS attempt_started ON attempt (state) WHERE state = 'started';
CREATE INDEX IF NOT EXISTS attempt_measured ON attempt (task, model, id) WHERE state = 'answered' AND seconds > 0;
CREATE TABLE IF NOT EXISTS response (id INTEGER PRIMARY KEY, body BLOB NOT NULL);  -- of an attempt: zlib, as it came
CREATE TABLE IF NOT EXISTS denied (id TEXT PRIMARY KEY, why TEXT NOT NULL);  -- a document, or an image's SHA-256
CREATE TABLE IF NOT EXISTS scanned (reader TEXT PRIMARY KEY, id INTEGER NOT NULL);  -- responses up to id are known
"""
PROOF = (
    "SELECT id, key, page_id, task, model, lane, state, code, message, job, usd, input_tokens, output_tokens, ink, "
    "started_at, seconds FROM attempt LIMIT 0"
)
"""Fails where a file is empty, or a database of something else."""


@contextmanager
def open_file(path: Path, write: bool) -> Iterator[sqlite3.Connection]:
    """The ledger at `path`; without `write` what is there is only read, and nothing there is an empty ledger.

    Raises:
        InputError: another run writes it, it is not a ledger, or it fails while it is open.
    """
    source = str(path) if write else _find_readable(path)
    with _lock(path) if write else nullcontext(), _explain(path):
        if write and not path.exists():  # whole or not at all: an empty file is never a new ledger
            with replace_file(path) as part, closing(sqlite3.connect(part)) as fresh:
                fresh.executescript(SCHEMA)
        with closing(
            sqlite3.connect(source, isolation_level=None, check_same_thread=False, uri=not write)
        ) as connection:
            if source == ":memory:":
                connection.executescript(SCHEMA)
            connection.execute(PROOF)
            if write:
                connection.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;" + SCHEMA)
            yield connection


def _find_readable(path: Path) -> str:
    """What SQLite shall read; in a folder that cannot be written it can make no index of a log, even of none."""
    if not path.exists():
        return ":memory:"
    has_log = path.with_name(f"{path.name}-wal").exists()
    return f"{path.resolve().as_uri()}?{'mode=ro' if has_log or os.access(path.parent, os.W_OK) else 'immutable=1'}"


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = (path.parent / "ledger.lock").open("ab")
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}).") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(f"{path} is being written by another `warraq label`; wait for its end.") from None
        yield


@contextmanager
def _explain(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR}:
            raise InputError(
                f"{path} cannot be written ({error}): make room on its disk and run the stage again. What was answered "
                "before is kept."
            ) from error
        raise InputError(f"{path} cannot be used as a ledger ({error}); put back a copy, or move it away.") from error

"""What was asked, what came back, what it cost: SQLite, one writer, each fact on disk before the next request.

A row `started` is committed before its request; the response, its tokens and its price replace it in one transaction,
before anything is read from it. After a crash what is still `started` becomes `unknown` and costs what was reserved.
Nothing is ever removed: an answer is what reading the rows of its key gives, so a better reader costs nothing.
"""

import json
import sqlite3
import threading
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from warraq.records import Label, Page
from warraq.teachers.remote.ledger_file import open_file

State = Literal["started", "answered", "failed", "unknown"]


@dataclass(frozen=True)
class Attempt:
    """A request that is over."""

    id: int
    model: str
    lane: str
    state: State
    code: str | None
    message: str | None
    ink: float | None
    response: str | None


@dataclass(frozen=True)
class PendingPage:
    """A page in a job of the batch lane."""

    id: int
    model: str
    usd: float  # reserved
    ink: float
    age_s: float


@dataclass(frozen=True)
class MeanUsage:
    """What a page took lately: tokens and price of all its requests, and seconds of one request."""

    pages: int
    input_tokens: float
    output_tokens: float
    usd: float  # in the standard lane's price
    seconds: float


class Ledger:
    """One connection behind one lock, for any number of threads."""

    def __init__(self, connection: sqlite3.Connection, writes: bool) -> None:
        """For `open` alone, which sees to the lock and the tables."""
        self._connection = connection
        self.writes = writes
        self._adopted: dict[str, Attempt] = {}  # where nothing may be written
        self._lock = threading.RLock()
        self.last_id = int(self._query_number("SELECT coalesce(max(id), 0) FROM attempt"))  # when it was opened

    @classmethod
    @contextmanager
    def open(cls, folder: Path, write: bool) -> Iterator[Self]:
        """The ledger in `folder`; without `write` what is there is only read, and nothing there is an empty ledger.

        Raises:
            InputError: another run writes it, it is not a ledger, or it cannot be written.
        """
        with open_file(folder / "ledger.sqlite", write) as connection:
            if write:
                connection.execute(
                    "UPDATE attempt SET state = 'unknown', code = 'server_error', message = 'the run was killed' "
                    "WHERE state = 'started' AND job IS NULL"
                )
            yield cls(connection, write)

    def _query_number(self, query: str, *values: object) -> float:
        with self._lock:
            number: float = self._connection.execute(query, values).fetchone()[0]
            return number

    def total_usd(self) -> float:
        """USD of all tasks and runs, reservations of what is under way included."""
        return self._query_number("SELECT coalesce(sum(usd), 0.0) FROM attempt")

    def history(self, key: str) -> list[Attempt]:
        """Every attempt at an answer that is over, oldest first."""
        with self._lock:
            rows = self._connection.execute(
                "SELECT attempt.id, model, lane, state, code, message, ink, body FROM attempt "
                "LEFT JOIN response ON response.id = attempt.id "
                "WHERE key = ? AND state <> 'started' ORDER BY attempt.id",
                (key,),
            ).fetchall()
        attempts = [
            Attempt(*(*row[:-2], row[-2] if isinstance(row[-2], float) else None, _unpack(row[-1]))) for row in rows
        ]
        return attempts or [attempt for attempt in (self._adopted.get(key),) if attempt]

    def begin_request(self, key: str, page: Page, task: str, model: str, lane: str, usd: float) -> int:
        """Say that a request is about to be sent, with the most that it can cost."""
        with self._lock:
            cursor = self._connection.execute(
                "INSERT INTO attempt (key, page_id, task, model, lane, state, usd, started_at) "
                "VALUES (?, ?, ?, ?, ?, 'started', ?, strftime('%Y-%m-%dT%H:%M:%SZ'))",
                (key, page.page_id, task, model, lane, usd),
            )
            assert cursor.lastrowid is not None
            return cursor.lastrowid

    def begin_job(self, job: str, pages: Mapping[str, tuple[Page, float]], task: str, model: str, usd: float) -> None:
        """The same for the pages (and their ink) of a job, by key: pending until each is recorded."""
        with self._lock, self._transaction():
            self._connection.executemany(
                "INSERT INTO attempt (key, page_id, task, model, lane, state, job, usd, ink, started_at) "
                "VALUES (?, ?, ?, ?, 'batch', 'started', ?, ?, ?, strftime('%Y-%m-%dT%H:%M:%SZ'))",
                [(key, page.page_id, task, model, job, usd, ink) for key, (page, ink) in pages.items()],
            )

    def pending_jobs(self, task: str) -> dict[str, dict[str, PendingPage]]:
        """Of every job that is not settled, by its name: its pages by their key."""
        with self._lock:
            rows = self._connection.execute(
                "SELECT job, key, id, model, usd, ink, strftime('%s') - strftime('%s', started_at) FROM attempt "
                "WHERE state = 'started' AND job IS NOT NULL AND task = ? ORDER BY id",
                (task,),
            ).fetchall()
        jobs: dict[str, dict[str, PendingPage]] = {}
        for job, key, *rest in rows:
            jobs.setdefault(job, {})[key] = PendingPage(*rest)
        return jobs

    def record_response(
        self, number: int, body: str, finish: str, usd: float, tokens: tuple[int | None, int | None], ink: float,
        seconds: float,
    ) -> None:  # fmt: skip
        """A response, its tokens (in, out) and its price take the place of what was reserved."""
        with self._lock, self._transaction():
            self._connection.execute(
                "UPDATE attempt SET state = 'answered', code = ?, usd = ?, input_tokens = ?, output_tokens = ?, "
                "ink = ?, seconds = ? WHERE id = ?",
                (finish, usd, *tokens, ink, seconds, number),
            )
            self._connection.execute(
                "INSERT INTO response VALUES (?, ?)", (number, zlib.compress(body.encode("utf-8", "surrogatepass")))
            )

    def record_failure(
        self, number: int, state: Literal["failed", "unknown"], code: str, message: str, seconds: float
    ) -> None:
        """No response: `failed` costs nothing, `unknown` what was reserved."""
        usd = "usd" if state == "unknown" else "0"
        with self._lock:
            self._connection.execute(
                f"UPDATE attempt SET state = ?, code = ?, message = ?, seconds = ?, usd = {usd} WHERE id = ?",
                (state, code, message, seconds, number),
            )

    def excuse(self, numbers: Iterable[int]) -> None:
        """Have requests that failed with the whole channel say nothing of their pages."""
        with self._lock:
            self._connection.executemany(
                "UPDATE attempt SET code = 'refused' WHERE id = ? AND state = 'failed'",
                [(number,) for number in numbers],
            )

    def adopt(self, row: Label) -> None:
        """What was paid for elsewhere and came with a labels file; nothing where the ledger knows the key."""
        exists = "SELECT EXISTS (SELECT 1 FROM attempt WHERE key = ? AND state <> 'started')"
        if row.key in self._adopted or self._query_number(exists, row.key):
            return
        state: State = "failed"
        body = None
        if row.answer is not None:
            state, body = "answered", json.dumps({"answer": row.answer, "message": row.message}, ensure_ascii=False)
        if not self.writes:
            self._adopted[row.key] = Attempt(0, row.model or "", "adopted", state, row.reason, row.message, None, body)
            return
        with self._lock, self._transaction():
            cursor = self._connection.execute(
                "INSERT INTO attempt (key, page_id, task, model, lane, state, code, message, usd, started_at) "
                "VALUES (?, ?, ?, ?, 'adopted', ?, ?, ?, 0, strftime('%Y-%m-%dT%H:%M:%SZ'))",
                (row.key, row.page_id, row.task, row.model or "", state, row.reason, row.message),
            )
            if body is not None:
                self._connection.execute(
                    "INSERT INTO response VALUES (?, ?)", (cursor.lastrowid, zlib.compress(body.encode()))
                )

    def deny(self, denials: Mapping[str, str]) -> None:
        """Remember which documents, and images by their SHA-256, may not be sent to a cloud, and why."""
        with self._lock:
            self._connection.executemany("INSERT OR IGNORE INTO denied VALUES (?, ?)", list(denials.items()))

    def denied(self) -> dict[str, str]:
        """Every document and image that may not be sent to a cloud, and why."""
        with self._lock:
            return dict(self._connection.execute("SELECT * FROM denied").fetchall())

    def unscanned_responses(self, reader: str) -> Iterator[tuple[str, str]]:
        """(page_id, body) of the responses of all tasks, but for those that the same reader read before."""
        known = "SELECT coalesce(max(id), 0) FROM scanned WHERE reader = ?"
        begin = int(self._query_number(known, reader)) if self.writes else 0
        with self._lock:
            rows = self._connection.execute(
                "SELECT page_id, body FROM attempt JOIN response USING (id) WHERE id > ? ORDER BY id", (begin,)
            )
            yield from ((page_id, _unpack(body) or "") for page_id, body in rows)
            if self.writes:
                self._connection.execute(
                    "INSERT OR REPLACE INTO scanned SELECT ?, coalesce("
                    "(SELECT min(id) - 1 FROM attempt WHERE state = 'started'), (SELECT max(id) FROM attempt), 0)",
                    (reader,),
                )

    def answered_keys(self) -> frozenset[str]:
        """Of everything to which there is a response."""
        with self._lock:
            rows = self._connection.execute("SELECT DISTINCT key FROM attempt WHERE state = 'answered'")
            return frozenset(row[0] for row in rows)

    def find_page(self, number: int) -> str:
        """The page_id of an attempt."""
        with self._lock:
            page_id: str = self._connection.execute("SELECT page_id FROM attempt WHERE id = ?", (number,)).fetchone()[0]
            return page_id

    def mean_usage(self, task: str, model: str) -> MeanUsage | None:
        """Of the last 1,000 answers: retries count as tokens and price of the page that needed them."""
        with self._lock:
            row = self._connection.execute(
                "SELECT count(DISTINCT key), sum(input_tokens), sum(output_tokens), "
                "sum(usd * CASE lane WHEN 'standard' THEN 1 ELSE 2 END), avg(seconds) FROM (SELECT * FROM attempt "
                "WHERE task = ? AND model = ? AND state = 'answered' AND seconds > 0 ORDER BY id DESC LIMIT 1000)",
                (task, model),
            ).fetchone()
        pages, *sums, seconds = row
        if not pages:
            return None
        input_tokens, output_tokens, usd = ((value or 0) / pages for value in sums)
        return MeanUsage(pages, input_tokens, output_tokens, usd, seconds)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN")
        try:
            yield
        except BaseException:
            if self._connection.in_transaction:  # a full disk ends it by itself
                self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")


def _unpack(body: bytes | None) -> str | None:
    """None, too, where the bytes are damaged."""
    try:
        return None if body is None else zlib.decompress(body).decode("utf-8", "surrogatepass")
    except (zlib.error, TypeError, ValueError):
        return None

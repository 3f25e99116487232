"""A request's body -> its bytes, piece by piece, where they come in time.

Who sends slowly holds no place of the queue, and is dropped where others need the room.
"""

import asyncio
import shutil
from collections.abc import AsyncGenerator, Coroutine
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from fastapi import Request
from python_multipart.exceptions import FormParserError
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from warraq.errors import InputError

T = TypeVar("T")

PATIENCE_S = 30.0  # that a body may take whatever its size
SLOWEST_BYTES_PER_S = 2**14  # of what is longer
MOST_BODIES = 64  # received at once; beyond, the oldest goes once it has had its share
SHARE_S = 5.0


class SlowBodyError(Exception):
    """The body did not come in time."""


class BodiesFullError(Exception):
    """Too many bodies are being received."""


@dataclass(eq=False)
class _Receipt:
    began: float
    deadline: float
    waiting: asyncio.Timeout | None = None  # for the next piece


@dataclass
class Bodies:
    """The bodies that are being received, oldest first."""

    _receipts: dict[_Receipt, None] = field(default_factory=dict)

    async def receive(self, request: Request) -> AsyncGenerator[bytes, None]:
        """The pieces of a body.

        Raises:
            SlowBodyError, BodiesFullError; starlette's ClientDisconnect where it breaks off.
        """
        now = asyncio.get_running_loop().time()
        self._make_room(now)
        receipt, pieces = _Receipt(now, now + PATIENCE_S), request.stream()
        self._receipts[receipt] = None
        try:
            while True:
                async with asyncio.timeout_at(receipt.deadline) as receipt.waiting:
                    piece = await anext(pieces, None)
                receipt.waiting = None
                if piece is None:
                    return
                receipt.deadline += len(piece) / SLOWEST_BYTES_PER_S
                yield piece
        except TimeoutError:
            raise SlowBodyError from None
        finally:
            self._receipts.pop(receipt, None)

    def _make_room(self, now: float) -> None:
        """Drop the oldest body where there are too many."""
        if len(self._receipts) < MOST_BODIES:
            return
        oldest = next(iter(self._receipts))
        if now - oldest.began < SHARE_S:
            raise BodiesFullError
        del self._receipts[oldest]
        oldest.deadline = now
        if oldest.waiting:
            oldest.waiting.reschedule(now)


@dataclass(frozen=True)
class Upload:
    """What a form says of its file."""

    name: str  # as the client calls it
    password: str | None = field(default=None, repr=False)


async def receive_file(request: Request, bodies: Bodies, path: Path) -> Upload:
    """Write the one file of a form to `path`.

    Raises:
        InputError: it is no such form.
        SlowBodyError, BodiesFullError, ClientDisconnect: as Bodies.receive.
    """
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise InputError("Send one file in the field `file` of a form (multipart/form-data).")
    pieces = bodies.receive(request)
    async with aclosing(pieces):
        try:
            form = await MultiPartParser(request.headers, pieces, max_files=1, max_fields=1).parse()
        except (MultiPartException, FormParserError, UnicodeDecodeError) as error:
            message = error.message if isinstance(error, MultiPartException) else str(error)
            raise InputError(f"The form cannot be read ({message}); send one file in its field `file`.") from None
    upload, password = form.get("file"), form.get("password")
    try:
        if form.keys() - {"file", "password"} or isinstance(password, UploadFile):
            raise InputError(
                "A form has one file in its field `file`, and may have its password in the field `password`."
            )
        if upload is None or isinstance(upload, str):
            raise InputError("Send one file in the field `file` of a form.")
        with path.open("wb") as copy:
            await asyncio.to_thread(shutil.copyfileobj, upload.file, copy, 2**20)
        return Upload(Path(upload.filename or "").name or "file", password or None)
    finally:
        await form.close()


async def finish_unless_left(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, which is cancelled where the client of a request whose body was read goes away.

    Raises:
        ClientDisconnect: it went.
    """
    job, leaving = asyncio.create_task(work), asyncio.create_task(_wait_until_left(request))
    try:
        await asyncio.wait({job, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not job.done():
            raise ClientDisconnect
        return job.result()
    finally:
        leaving.cancel()
        job.cancel()


async def _wait_until_left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass

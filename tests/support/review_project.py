"""A small project for the tests of the review page, and the command run on it."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from support import PARAMS
from support.label_project import Project
from support.waiting import wait_until
from warraq.records import Label, Review, dump_row
from warraq.reviews import lock_rows
from warraq.teachers.remote.ledger import Ledger

LINES = ("Ministry of Finance", "Ref. 4711/2024", "Date: 4 May 2024", "Subject: the budget", "Dear members,",
         "the budget of 2024 is approved.", "Signed: A. Haddad")  # fmt: skip


@dataclass
class ReviewProject(Project):
    """`root` is the folder of data."""

    def add_label(self, page_id: str, task: str = "content", **values: Any) -> None:
        """A teacher's label, or with a `reason` none."""
        path = self.root / f"labels/{task}.jsonl"
        row = {"page_id": page_id, "task": task, "key": "k", "teacher": "gemini", "model": "gemini-x",
               "reference": "silver", "answer": None, "reason": None, "message": None}  # fmt: skip
        path.parent.mkdir(exist_ok=True)
        with path.open("a", encoding="utf-8") as stream:
            stream.write(dump_row(Label.model_validate(row | values)))

    def keep_refused(self, key: str, answer: dict[str, Any]) -> None:
        """What the local teacher answered, in the ledger, which a check then kept from the labels."""
        message = {"content": json.dumps({"page_tag": "q", "answer": answer})}
        body = json.dumps({"choices": [{"message": message, "finish_reason": "stop"}], "usage": {}})
        with Ledger.open(self.root / "ledger", write=True) as ledger:
            number = ledger.begin_request(key, self.pages[0], "content", "m", "standard", 0.0)
            ledger.record_response(number, body, "stop", 0.0, (1, 1), 0.1, 0.1)

    def add_row(self, row: Review) -> None:
        with lock_rows(self.root / f"reviews/{row.task}.jsonl") as append:
            append(row)

    def reviews(self, task: str = "content") -> list[Review]:
        path = self.root / f"reviews/{task}.jsonl"
        return [Review.model_validate_json(line) for line in path.read_text(encoding="utf-8").splitlines()]

    @contextmanager
    def start(self, *options: str, port: int = 0) -> Iterator["Server"]:  # type: ignore[override]
        self.write_pages()
        with Server(self.root, options, port or find_port()) as server:
            yield server


def find_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def write_tesseract(folder: Path) -> Path:
    """A folder with a program that reads LINES on every page."""
    folder.mkdir(exist_ok=True)
    lines = "\\n".join(LINES)
    text = f"""#!/bin/sh
if [ "$1" = --list-langs ]; then echo "List of available languages (1):"; echo eng; else printf '{lines}\\n\\f'; fi
"""
    (folder / "tesseract").write_text(text)
    (folder / "tesseract").chmod(0o755)
    return folder


class Server:
    """`warraq review` as a process."""

    def __init__(self, data: Path, options: tuple[str, ...], port: int) -> None:
        folders = ["--data", str(data), "--reports", str(data / "reports"), "--reviewer", "r1"]
        self.command = [sys.executable, "-m", "warraq", "--params", str(PARAMS), "review", *folders, *options]
        self.command += ["--port", str(port)]
        self.programs = write_tesseract(data.parent / "programs")
        self.url = f"http://127.0.0.1:{port}"
        self._client = httpx2.Client(base_url=self.url, timeout=120, trust_env=False)

    def __enter__(self) -> "Server":
        path = f"{self.programs}{os.pathsep}{os.environ['PATH']}"
        self.process = subprocess.Popen(self.command, env=os.environ | {"PATH": path})
        wait_until(self.is_healthy)
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        self._client.close()

    def is_healthy(self) -> bool:
        assert self.process.poll() is None, "the server is gone"
        with suppress(httpx2.TransportError):
            return self._client.get("/healthz").status_code == 200
        return False

    def get(self, path: str, **headers: str) -> Any:
        reply = self._client.get(f"/v1/{path}", headers=headers)
        assert reply.status_code == 200, reply.text
        return reply.json()

    def post(self, path: str, **values: Any) -> httpx2.Response:
        return self._client.post(f"/v1/{path}", json={"task": "content", "reviewer": "r1"} | values)

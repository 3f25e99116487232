"""A small project for the tests of labelling: pages, reviews, manifest, params, and the command run on them."""

import hashlib
import io
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result
from PIL import Image, ImageDraw

from support.params import params_yaml, read_params
from warraq.cli.main import main
from warraq.records import Label, Page, Review, dump_row, read_rows, write_rows
from warraq.teachers.remote.ledger import Attempt, Ledger


def content_answer(text: str) -> dict[str, Any]:
    return {"blocks": [{"kind": "paragraph", "text": text, "level": None, "language": None}]}


@cache
def draw_page(text: str) -> bytes:
    """A page with some words on it; without any, blank paper."""
    image = Image.new("L", (200, 100), 245)
    ImageDraw.Draw(image).text((10, 10), text, 0)
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


@dataclass
class Project:
    """The folders that the stage reads and writes."""

    root: Path
    pages: list[Page] = field(default_factory=list)

    @property
    def out(self) -> Path:
        return self.root / "labels/content.jsonl"

    def add_page(self, number: int, text: str | None = None, image: bytes | None = None, document: str = "") -> Page:
        """Page `number`, the first of a document of its own, file `<number>.pdf`."""
        document = document or f"{number:012x}"
        folder = self.root / "pages" / document
        folder.mkdir(parents=True, exist_ok=True)
        image = image or draw_page(f"page {number}")
        (folder / f"{number:04}.png").write_bytes(image)
        if text is not None:
            (folder / f"{number:04}.txt").write_text(text, encoding="utf-8")
        page = Page(
            page_id=f"{document}-p{number:04}",
            document=document,
            page=number,
            files=(f"{number}.pdf",),
            image=f"{document}/{number:04}.png",
            image_sha256=hashlib.sha256(image).hexdigest(),
            width_px=200,
            height_px=100,
            px_per_pt=1.0,
            text=None if text is None else f"{document}/{number:04}.txt",
            repaired=False,
            recipe="-",
        )
        self.pages.append(page)
        return page

    def write_pages(self) -> None:
        write_rows(self.root / "pages/pages.jsonl", self.pages, lambda page: page.page_id)

    def write_manifest(self, *rows: str) -> None:
        (self.root / "raw").mkdir(exist_ok=True)
        text = "\n".join(["file,sensitivity,source", *rows]) + "\n"
        (self.root / "raw/documents.csv").write_text(text, encoding="utf-8")

    def declare_public(self, numbers: Iterable[int]) -> None:
        self.write_manifest(*(f"{number}.pdf,public,archive" for number in numbers))

    def add_cleared_pages(self, count: int) -> None:
        """So many pages that may be sent."""
        for number in range(count):
            self.add_page(number)
        self.declare_public(range(count))

    def add_review(self, page: Page, answer: dict[str, Any], task: str = "content") -> None:
        path = self.root / f"reviews/{task}.jsonl"
        path.parent.mkdir(exist_ok=True)
        with path.open("a", encoding="utf-8") as stream:
            stream.write(dump_row(Review(page_id=page.page_id, task=task, answer=answer, reviewer="r1")))

    def label_arguments(
        self, *teachers: str, task: str = "content", options: Iterable[str] = (), max_usd: float = 5.0, **changes: Any
    ) -> list[str]:
        """`changes` are of label, label.gemini, or label.local where that is the only model."""
        self.write_pages()
        label = read_params()["label"]
        model = (
            "local" if "gemini" not in teachers and changes.keys() - label.keys() <= label["local"].keys() else "gemini"
        )
        values = {"teachers": list(teachers), "max_usd": max_usd} | changes
        places = {f"label.{key}" if key in label else f"label.{model}.{key}": value for key, value in values.items()}
        params = self.root / "params.yaml"
        params.write_text(params_yaml(places), encoding="utf-8")
        folders = {name: str(self.root / name) for name in ("raw", "pages", "reviews", "ledger")}
        folders |= {"task": task, "out": str(self.root / f"labels/{task}.jsonl")}
        folders |= {"metrics": str(self.root / f"metrics/{task}.json")}
        named = (part for name, value in folders.items() for part in (f"--{name}", value))
        return ["--params", str(params), "label", *named, *options]

    def label(self, *teachers: str, **changes: Any) -> Result:
        return CliRunner().invoke(main, self.label_arguments(*teachers, **changes))

    @contextmanager
    def start(self, *teachers: str, **changes: Any) -> Iterator["subprocess.Popen[str]"]:
        command = [sys.executable, "-m", "warraq", *self.label_arguments(*teachers, **changes)]
        hearing = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # a shell's background job would be deaf to it
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL, text=True, preexec_fn=hearing)
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def rows(self, task: str = "content") -> list[Label]:
        return read_rows(self.root / f"labels/{task}.jsonl", Label)

    def attempts(self) -> list[Attempt]:
        """What the ledger holds, of every page in their order."""
        with Ledger.open(self.root / "ledger", write=False) as ledger:
            keys = [row.key for row in self.rows()]
            return [attempt for key in dict.fromkeys(keys) for attempt in ledger.history(key)]

    def charges(self) -> list[tuple[str, str | None, float]]:
        """State, code and USD of every request, in the order of the ledger."""
        with closing(sqlite3.connect(self.root / "ledger/ledger.sqlite")) as ledger:
            return ledger.execute("SELECT state, code, usd FROM attempt ORDER BY id").fetchall()

    def spent(self) -> float:
        with Ledger.open(self.root / "ledger", write=False) as ledger:
            return ledger.total_usd()

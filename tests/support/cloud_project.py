"""A project with pages that may travel and pages that may not, a machine to run it, and all that a remote holds."""

import hashlib
import io
import os
import shutil
import signal
import subprocess
import sys
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from support import ROOT
from support.params import params_yaml
from support.train_project import invoice_answer
from support.waiting import wait_until
from warraq.cloud.remote import RemoteFolder
from warraq.files import write_json, write_text
from warraq.records import Label, Page, Review, dump_row, write_rows
from warraq.rendering.settings import RenderSettings, write_recipe

PUBLIC = 11
SECRET = "FALCON-7731"  # in everything that is said of a page that may not travel
STAYING = (f"{SECRET}.pdf", "unnamed.pdf", "reviewed.pdf", f"case.pdf/{SECRET}.xlsx")
SMALL = {
    "tasks": ["invoice"], "students.nano.tiers.0.epochs": 6, "students.nano.eval_steps": 2,
    "students.nano.logging_steps": 1, "predict.max_new_tokens": 16, "evaluate.drawings": 1000, "merge.pages": 1,
    "merge.max_new_tokens": 8, "export.pages": 1, "export.max_new_tokens": 8, "export.precisions": ["fp32"],
    "dataset.test_documents": ["0.pdf"], "dataset.validation_documents": [f"{SECRET}.pdf", "1.pdf", "2.pdf"],
}  # fmt: skip


def draw_page(number: int) -> bytes:
    """A number above a pattern of its own, so that no two pages are near-duplicates."""
    noise = np.random.default_rng(number).integers(0, 2, (25, 20), dtype=np.uint8) * 70 + 180
    image = Image.fromarray(noise).resize((160, 200), Image.Resampling.NEAREST)
    ImageDraw.Draw(image).text((20, 60), str(10 + number), 0, font=ImageFont.load_default(60))
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


@dataclass
class CloudProject:
    """A checkout with its own git repository, in which nothing was run."""

    root: Path
    pages: list[Page] = field(default_factory=list)
    labels: list[Label] = field(default_factory=list)

    def add_page(self, file: str, said: str, containers: tuple[str, ...] = ()) -> Page:
        """A document of one page, with a label and a text layer that say the same."""
        number = len(self.pages)
        image, document = draw_page(number), hashlib.sha256(file.encode()).hexdigest()[:12]
        page = Page(
            page_id=f"{document}-p0001", document=document, page=1, files=(file,), image=f"{document}/0001.png",
            image_sha256=hashlib.sha256(image).hexdigest(), width_px=160, height_px=200, px_per_pt=None,
            text=f"{document}/0001.txt", repaired=False, recipe="0123", containers=containers,
        )  # fmt: skip
        folder = self.root / "data/pages" / document
        folder.mkdir(parents=True)
        (folder / "0001.png").write_bytes(image)
        (folder / "0001.txt").write_text(f"{said} hidden words", encoding="utf-8")
        self.pages.append(page)
        answer = invoice_answer(said)
        self.labels.append(
            Label(
                page_id=page.page_id, task="invoice", key=f"{number:064}", teacher="textlayer", model=None,
                reference="silver", answer=answer, reason=None, message=None,
            )
        )  # fmt: skip
        return page

    def add_review(self, page: Page, answer: dict[str, Any]) -> None:
        row = Review(
            page_id=page.page_id, task="invoice", answer=answer, reviewer="Zubeida Qasr", at="2026-11-27T10:00"
        )
        path = self.root / "data/reviews/invoice.jsonl"
        path.parent.mkdir(exist_ok=True)
        with path.open("a", encoding="utf-8") as stream:
            stream.write(dump_row(row))


def make_project(root: Path) -> CloudProject:
    """Eleven public documents; of those that stay one is called internal, one is not named, one carries a mark of
    secrecy in a review alone, one is attached to a public file and denied."""
    project = CloudProject(root)
    for name in (
        "Makefile",
        "dvc.yaml",
        "pyproject.toml",
        "requirements.lock",
        "README.md",
        ".gitignore",
        ".dvcignore",
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, root / name)
    for name in ("src", "cloud", "models/nano/base"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info", "*.part"))
    write_text(root / "params.yaml", params_yaml(SMALL))
    public = [project.add_page(f"{number}.pdf", str(10 + number)) for number in range(PUBLIC)]
    called = project.add_page(STAYING[0], SECRET)
    project.add_page(STAYING[1], SECRET)
    reviewed = project.add_page(STAYING[2], SECRET)
    carrier = project.add_page("case.pdf", "30")
    attached = project.add_page(STAYING[3], SECRET, (carrier.document,))
    project.add_review(public[3], invoice_answer("13"))
    project.add_review(reviewed, invoice_answer("TOP SECRET") | {"notes": f"{SECRET} Zubeida"})
    data = root / "data"
    write_text(data / "reviews/denied.csv", f"id,why\n{attached.document},{SECRET} asked\n")
    write_rows(data / "pages/pages.jsonl", project.pages, lambda row: row.page_id)
    write_json(data / "pages/summary.json", {"documents": len(project.pages)})
    write_recipe(
        data / "pages",
        RenderSettings(
            long_side_px=1600, colour="rgb", contrast="none", autocontrast_cutoff_percent=0.0, deskew=False, crop=False
        ),
    )
    write_rows(data / "labels/invoice.jsonl", project.labels, lambda row: row.page_id)
    named = [*(f"{number}.pdf,public" for number in range(PUBLIC)), "case.pdf,public", "reviewed.pdf,public"]
    write_text(data / "raw/documents.csv", "\n".join(["file,sensitivity", *named, f"{STAYING[0]},internal", ""]))
    write_text(data / f"drafts/invoice/{called.page_id}.json", SECRET)
    write_text(root / f"models/nano/adapter/{SECRET}", SECRET)
    write_text(root / "reports/nano/metrics.json", f'{{"worst": "{SECRET}"}}')
    sides = {page.document: "train" for page in public[3:]} | {called.document: "val"}
    write_text(data / "splits.csv", "document,split\n" + "".join(f"{one},{side}\n" for one, side in sides.items()))
    for command in (["init", "--quiet", "--initial-branch", "main"], ["add", "."], ["commit", "--quiet", "-m", SECRET]):
        run(root, "git", "-c", "user.name=Zubeida", "-c", "user.email=zubeida@example.org", *command)
    run(root, sys.executable, "-m", "dvc", "init", "--quiet")
    return project


@dataclass(frozen=True)
class Packed:
    """A project, what was packed of it, the remote, and what the terminal was told."""

    home: CloudProject
    out: Path
    url: str
    told: str


def run(folder: Path, *command: str) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def lend_environment(folder: Path) -> Path:
    """That of this test for a checkout, as `make setup` would have made it there."""
    environment = folder / "venv"
    environment.mkdir()
    (environment / "bin").symlink_to(Path(sys.executable).parent)
    packages = hashlib.sha256((folder / "requirements.lock").read_bytes())
    (environment / ".stamp").write_text(f"{environment}\n{folder}\n{packages.hexdigest()}\n", encoding="utf-8")
    return environment


def start_machine(folder: Path, url: str, **variables: str) -> "subprocess.Popen[str]":
    """A new machine: a fresh clone of what is on the remote, with an empty cache, and `cloud/run.sh` started there."""
    bundle = folder.with_suffix(".bundle")
    assert RemoteFolder.of_url(url).get("warraq/project.bundle", bundle)
    run(folder.parent, "git", "clone", "--quiet", str(bundle), str(folder))
    environment = lend_environment(folder)
    return subprocess.Popen(
        ["cloud/run.sh"], cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "WARRAQ_SEND_EVERY": "0.2", "VENV": str(environment), **variables},
    )  # fmt: skip


def stop_machine(folder: Path) -> None:
    """Kill all that runs in a folder, as where a machine is taken away."""

    def find() -> list[int]:
        found = []
        for entry in Path("/proc").iterdir():
            with suppress(OSError):  # ended meanwhile, or another user's
                if entry.name.isdigit() and (entry / "cwd").readlink().is_relative_to(folder):
                    found.append(int(entry.name))
        return found

    def is_quiet() -> bool:
        for process in (processes := find()):
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        return not processes

    wait_until(is_quiet)


def read_everything(url: str, work: Path) -> Iterator[tuple[str, bytes]]:
    """Name and content of every file on a remote; of git bundles every object of every commit, unpacked."""
    remote = RemoteFolder.of_url(url)
    for name in remote.list_files():
        target = work / name
        assert remote.get(name, target)
        content = target.read_bytes()
        yield name, content
        if name.endswith("project.bundle"):
            run(work, "git", "clone", "--quiet", "--mirror", str(target), str(work / "mirror"))
    for name in remote.list_files():
        if name.endswith("results.bundle"):
            run(work / "mirror", "git", "fetch", "--quiet", str(work / name), "+refs/heads/*:refs/heads/*")
    pack = subprocess.run(
        ["git", "cat-file", "--batch-all-objects", "--batch"], cwd=work / "mirror", capture_output=True, check=True
    )
    yield "git", pack.stdout


def find_leaks(project: CloudProject, url: str, work: Path) -> list[str]:
    """Where on a remote something of a document that stays is: its names, what is said of it, who read it, its image's
    bytes, hash or pixels, whole or in part."""
    staying = [page for page in project.pages if page.files[0] in STAYING]
    needles = {SECRET, "Zubeida", "hidden words", *STAYING}
    needles |= {text for page in staying for text in (page.document, page.image_sha256)}
    images = {page.image: (project.root / "data/pages" / page.image).read_bytes() for page in staying}
    rows = {row.tobytes() for image in images.values() for row in _read_rows(image) if len(set(row.tolist())) > 2}
    leaks = []
    for name, content in read_everything(url, work):
        texts = [content, *_inflate(content)]
        leaks += [f"{name}: {one}" for one in needles if any(one.encode() in text for text in texts)]
        leaks += [f"{name}: {one}" for one, image in images.items() if image in content]
        if content.startswith(b"\x89PNG"):
            leaks += [f"{name}: pixels"] * any(row.tobytes() in rows for row in _read_rows(content))
    return leaks


def _read_rows(image: bytes) -> "np.ndarray[Any, Any]":
    with Image.open(io.BytesIO(image)) as picture:
        return np.asarray(picture.convert("L"))


def _inflate(content: bytes) -> list[bytes]:
    try:
        return [zlib.decompress(content)]
    except zlib.error:
        return []

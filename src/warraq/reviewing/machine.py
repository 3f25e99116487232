"""What this machine can read of a page by itself, asked for when nothing better is there: the student, Tesseract.

Each answer is kept beside the drafts, by the image's hash, so that a page is read once.
"""

import logging
import re
import threading
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from warraq.errors import InputError
from warraq.files import JsonObject, read_json, short_hash, write_json
from warraq.records import Page
from warraq.reviewing.candidates import Candidate, paragraphs_answer
from warraq.reviewing.project import ReviewProject
from warraq.runtimes import ImageError, Request, Runtime, manifest
from warraq.runtimes.confidence import measure_fields
from warraq.runtimes.loading import load_runtime, read_token_limit
from warraq.runtimes.tesseract import list_languages, read_page
from warraq.tasks import Task
from warraq.tasks.scoring import repair_answer
from warraq.teachers.textlayer import fold_letters

logger = logging.getLogger(__name__)

LANGUAGES = ("ara", "eng")  # of Tesseract, those that are installed
ARABIC = re.compile("[\u0600-\u06ff]")
FEW = 0.05  # of the letters; what Tesseract takes for Arabic on a page without any is less
MOST_TOKENS = 8192


@dataclass
class MachineReaders:
    """One page is read at a time, as each reader takes the whole machine."""

    project: ReviewProject
    _turn: threading.Lock = field(default_factory=threading.Lock)
    _model: tuple[str, Runtime] | None = None  # with the hash of what it is, as a new one may take its place

    @cached_property
    def languages(self) -> str:
        """Of Tesseract; empty where it is not installed."""
        installed = list_languages()
        return "+".join(language for language in LANGUAGES if language in installed)

    @cached_property
    def model_tasks(self) -> frozenset[str]:
        """The tasks that the model was trained for."""
        folder = self.project.folders.model
        return frozenset() if folder is None else frozenset(manifest.read_manifest(folder).tasks)

    def list_tasks(self) -> list[str]:
        """The tasks that something here can answer."""
        return sorted(self.project.task_names if self.languages else self.model_tasks & set(self.project.task_names))

    def read(self, page: Page, task: Task) -> list[Candidate]:
        """What the student and Tesseract say of a page; an image that cannot be read is none's."""
        found = []
        with self._turn:
            for name, read in (("student", self._ask_model), ("tesseract", self._ask_tesseract)):
                try:
                    answer = read(page, task)
                except (ImageError, InputError, RuntimeError) as error:
                    logger.warning("%s, %s: %s cannot read it: %s", page.page_id, task.name, name, error)
                    continue
                if answer is not None:
                    found.append(Candidate.model_validate(answer))
        return found

    def read_text(self, page: Page) -> str:
        """What Tesseract reads, to be copied from where a task asks for fields; empty where it reads nothing."""
        try:
            with self._turn:
                return self._read_by_tesseract(page)[1].strip() if self.languages else ""
        except ImageError:
            return ""

    def _ask_model(self, page: Page, task: Task) -> JsonObject | None:
        folder = self.project.folders.model
        if folder is None or task.name not in self.model_tasks:
            return None
        identity = short_hash(b"".join((folder / name).read_bytes() for name in ("config.json", manifest.NAME)))
        path = self._cache(page, f"{task.name} {identity}")
        if path.exists():
            kept: JsonObject | None = read_json(path)
            return kept
        if self._model is None or self._model[0] != identity:
            self._model = identity, load_runtime(folder)
        image, views = self.project.folders.pages / page.image, manifest.choose_views(folder, None)
        request = Request((image,), task.prompt, stop_loops=True, views=views)
        (answer,) = self._model[1].answer([request], read_token_limit(folder, MOST_TOKENS))
        value = task.parse(answer.text)[0] or repair_answer(task, answer.text)
        name = f"{folder.resolve().parent.name} {folder.name}"
        candidate = {"source": "student", "name": name, "answer": value, "confidence": measure_fields(answer)}
        write_json(path, None if value is None else candidate)
        return None if value is None else candidate

    def _ask_tesseract(self, page: Page, task: Task) -> JsonObject | None:
        if task.name != "content" or not self.languages:
            return None
        languages, text = self._read_by_tesseract(page)
        return {"source": "tesseract", "name": languages, "answer": paragraphs_answer(text)}

    def _read_by_tesseract(self, page: Page) -> tuple[str, str]:
        """Languages and text; a page without Arabic is read without it, which is else seen in noise and pictures."""
        path = self._cache(page, f"tesseract {self.languages}")
        if not path.exists():
            image, rest = self.project.folders.pages / page.image, self.languages.removeprefix("ara").strip("+")
            languages = rest if rest and page.script == "latin" else self.languages
            text = read_page(image, languages)
            few = len(ARABIC.findall(text)) < FEW * sum(map(str.isalpha, text))
            if few and rest not in ("", languages) and page.script != "arabic":
                languages, text = rest, read_page(image, rest)
            # It writes direction marks that nobody printed, which are folded away.
            write_json(path, [languages, fold_letters(text)])
        languages, text = read_json(path)
        return languages, text

    def _cache(self, page: Page, reader: str) -> Path:
        return self.project.folders.drafts / "machine" / f"{page.image_sha256[:16]} {reader}.json"

"""Classical OCR as a baseline: the same images, whatever the prompt asks; what it writes is text and never JSON.

The folder holds a config.json alone: `{"runtime": "tesseract", "languages": "ara+eng"}`.
"""

import csv
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from warraq.errors import InputError
from warraq.files import read_json
from warraq.runtimes import Answer, ImageError, Request


def list_languages() -> set[str]:
    """The languages that are installed; none where the program is not."""
    if shutil.which("tesseract") is None:
        return set()
    done = subprocess.run(["tesseract", "--list-langs"], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def read_page(image: Path, languages: str) -> str:
    """What the program sees on an image, with an empty line between paragraphs.

    Raises:
        ImageError: it cannot open the image.
    """
    return _run(image, languages).replace("\f", "")


def _run(image: Path, languages: str, *form: str) -> str:
    command = ["tesseract", str(image), "stdout", "-l", languages, *form]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ImageError(image, done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "no reason given")
    return done.stdout


class BoxedWord(NamedTuple):
    """A word and its box, px from the top left; words of one line have the same `line`."""

    text: str
    left: float
    top: float
    right: float
    bottom: float
    line: str


def read_words(image: Path, languages: str) -> list[BoxedWord]:
    """The words that the program sees on an image, in its reading order.

    Raises:
        ImageError: it cannot open the image.
    """
    words = []
    for row in csv.DictReader(_run(image, languages, "tsv").splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE):
        if row["level"] == "5" and (text := row["text"].strip()):
            left, top, width, height = (int(row[name]) for name in ("left", "top", "width", "height"))
            line = ".".join(row[name] for name in ("block_num", "par_num", "line_num"))
            words.append(BoxedWord(text, left, top, left + width, top + height, line))
    return words


class TesseractRuntime:
    """Raises InputError where the program or one of its languages is not installed."""

    def __init__(self, folder: Path) -> None:
        self.languages: str = read_json(folder / "config.json")["languages"]
        if shutil.which("tesseract") is None:
            raise InputError(
                "tesseract is not installed; `apt install tesseract-ocr tesseract-ocr-ara`, or do without."
            )
        if missing := set(self.languages.split("+")) - list_languages():
            raise InputError(f"tesseract has no {min(missing)}; `apt install tesseract-ocr-{min(missing)}`.")

    def answer(self, requests: Sequence[Request], max_new_tokens: int) -> list[Answer]:
        """`max_new_tokens` bounds nothing: what tesseract writes is what it sees."""
        return [Answer("\n".join(self._read(image) for image in request.images), "stop", 0) for request in requests]

    def _read(self, image: Path) -> str:
        return "\n".join(line for line in read_page(image, self.languages).splitlines() if line.strip())

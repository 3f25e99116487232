"""Classical OCR as a baseline: the same images, whatever the prompt asks; what it writes is text and never JSON.

The folder holds a config.json alone: `{"runtime": "tesseract", "languages": "ara+eng"}`.
"""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from warraq.errors import InputError
from warraq.files import read_json
from warraq.runtimes import Answer, ImageError, Request


class TesseractRuntime:
    """Raises InputError where the program or one of its languages is not installed."""

    def __init__(self, folder: Path) -> None:
        self.languages: str = read_json(folder / "config.json")["languages"]
        if shutil.which("tesseract") is None:
            raise InputError(
                "tesseract is not installed; `apt install tesseract-ocr tesseract-ocr-ara`, or do without."
            )
        listed = subprocess.run(["tesseract", "--list-langs"], capture_output=True, text=True, check=True).stdout
        missing = set(self.languages.split("+")) - set(listed.split())
        if missing:
            raise InputError(f"tesseract has no {min(missing)}; `apt install tesseract-ocr-{min(missing)}`.")

    def answer(self, requests: Sequence[Request], max_new_tokens: int) -> list[Answer]:
        """`max_new_tokens` bounds nothing: what tesseract writes is what it sees."""
        return [Answer("\n".join(self._read(image) for image in request.images), "stop", 0) for request in requests]

    def _read(self, image: Path) -> str:
        command = ["tesseract", str(image), "stdout", "-l", self.languages]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ImageError(image, done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "no reason given")
        return "\n".join(line for line in done.stdout.replace("\f", "").splitlines() if line.strip())

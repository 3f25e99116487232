"""base + samples -> the folder in which LLaMA-Factory trains a student, `<out>.part`.

A training that was killed is gone on with there, if it was begun with the same.
"""

import hashlib
import json
import logging
import shutil
from pathlib import Path
from typing import Any

from warraq.files import hash_file, read_json, write_json, write_text
from warraq.records import Sample
from warraq.students import Student, family
from warraq.training import llamafactory

logger = logging.getLogger(__name__)
Sides = dict[str, list[Sample]]
"""Train and val."""


def prepare(part: Path, base: Path, dataset: Path, student: Student, sides: Sides) -> None:
    """The samples as this student's template takes them, and the base with its budget of px in the processor."""
    mark = family(student.family).MARK
    for side, samples in sides.items():
        told = [one.model_dump(mode="json") for one in samples]
        for one in told:
            one["conversations"][0]["content"] = one["conversations"][0]["content"].replace("<image>", mark)
        write_json(part / "data" / f"{side}.json", told)
    info = read_json(dataset / "dataset_info.json")
    write_json(part / "data/dataset_info.json", {side: info[side] for side in sides})
    settings = read_json(base / "preprocessor_config.json")
    budget = family(student.family).budget(settings, student.image_max_pixels)
    llamafactory.linked(part / "base", base, base, {"preprocessor_config.json": budget} if budget != settings else {})


def fingerprint(told: list[Any], part: Path, pages: Path, sides: Sides) -> str:
    """Of all that decides the result, and of no path: what was begun with another one is not gone on with."""
    files = sorted((part / "data").glob("*.json"))
    images = [pages / one for one in sorted({image for part in sides.values() for s in part for image in s.images})]
    whole = json.dumps([told, [hash_file(path) for path in files + images]])
    return hashlib.sha256(whole.encode()).hexdigest()


def begin(part: Path, base: Path, dataset: Path, pages: Path, student: Student, sides: Sides, told: list[Any]) -> None:
    """Make `part` the folder of this training: the one that was begun if it was begun with the same, else a new one."""
    fresh = part.with_name(part.stem + ".new.part")
    shutil.rmtree(fresh, ignore_errors=True)
    prepare(fresh, base, dataset, student, sides)
    mark, known = fingerprint(told, fresh, pages, sides), part / "fingerprint"
    if known.exists() and known.read_text() == mark:
        shutil.rmtree(fresh)
        return
    if part.exists():
        logger.info("%s was begun with other data or parameters: starting afresh", part)
        shutil.rmtree(part)
    write_text(fresh / "fingerprint", mark)
    fresh.replace(part)


def largest(pages: Path, sides: Sides) -> int:
    """px of the largest image."""
    from PIL import Image

    found = 0
    for path in {pages / image for part in sides.values() for one in part for image in one.images}:
        with Image.open(path) as image:
            found = max(found, image.width * image.height)
    return found

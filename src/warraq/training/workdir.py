"""base + samples -> the folder in which LLaMA-Factory trains a student, `<out>.part`.

A training that was killed is gone on with there, if it was begun with the same.
"""

import fcntl
import hashlib
import json
import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from warraq.errors import InputError
from warraq.files import hash_file, read_json, write_json, write_text
from warraq.students import Student, families
from warraq.training import llamafactory
from warraq.training.audit import Samples

logger = logging.getLogger(__name__)


@contextmanager
def lock_workdir(folder: Path) -> Iterator[None]:
    """Keep others out of `folder` as long as this process lives.

    Raises:
        InputError: another one is in it.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.stem}.lock.part").open("ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(f"{folder} is being trained in by another `warraq train`; wait for its end.") from None
        yield


def write_workdir(folder: Path, base: Path, dataset: Path, pages: Path, student: Student, samples: Samples) -> None:
    """Write the samples as this student's template takes them, and the base with its cap on px in the processor; the
    pages are linked."""
    family = families.load(student.family)
    for split, part in samples.items():
        records = [one.model_dump(mode="json") for one in part]
        for record in records:
            turn = record["conversations"][0]
            turn["content"] = turn["content"].replace("<image>", family.image_mark)
        write_json(folder / "data" / f"{split}.json", records)
    info = read_json(dataset / "dataset_info.json")
    write_json(folder / "data/dataset_info.json", {split: info[split] for split in samples})
    settings = read_json(base / "preprocessor_config.json")
    capped = family.cap_pixels(settings, student.image_max_pixels)
    changed = {"preprocessor_config.json": capped} if capped != settings else {}
    llamafactory.link_model(folder / "base", base, base, changed)
    (folder / "pages").symlink_to(pages.resolve())


def compute_fingerprint(decisive: list[Any], folder: Path, pages: Path, samples: Samples) -> str:
    """Of all that decides the result, and of no path: what was begun with another one is not gone on with."""
    files = sorted((folder / "data").glob("*.json"))
    images = [pages / one for one in sorted({image for part in samples.values() for s in part for image in s.images})]
    content = json.dumps([decisive, [hash_file(path) for path in files + images]])
    return hashlib.sha256(content.encode()).hexdigest()


def open_workdir(
    folder: Path, base: Path, dataset: Path, pages: Path, student: Student, samples: Samples, decisive: list[Any]
) -> None:
    """Make `folder` that of this training: the one that was begun if it was begun with the same, else a new one.

    Args:
        folder: to be made.
        base: the base model.
        dataset: of which the samples are.
        pages: their images.
        student: who is trained.
        samples: by split.
        decisive: what decides the result besides, as JSON has it.
    """
    fresh = folder.with_name(folder.stem + ".new.part")
    shutil.rmtree(fresh, ignore_errors=True)
    write_workdir(fresh, base, dataset, pages, student, samples)
    ours, written = compute_fingerprint(decisive, fresh, pages, samples), folder / "fingerprint"
    if written.exists() and written.read_text() == ours:
        shutil.rmtree(folder / "base")
        (fresh / "base").replace(folder / "base")  # the project may have moved
        (fresh / "pages").replace(folder / "pages")
        shutil.rmtree(fresh)
        return
    if folder.exists():
        logger.info("%s was begun with other data, parameters or devices: starting afresh", folder)
        shutil.rmtree(folder)
    write_text(fresh / "fingerprint", ours)
    fresh.replace(folder)


def measure_largest_image(pages: Path, samples: Samples) -> int:
    """The px of the largest image."""
    from PIL import Image

    largest = 0
    for path in {pages / image for part in samples.values() for one in part for image in one.images}:
        with Image.open(path) as image:
            largest = max(largest, image.width * image.height)
    return largest

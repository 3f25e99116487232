"""base + samples -> the folder in which LLaMA-Factory trains a student, `<out>.part`.

A training that was killed is gone on with there, if it was begun with the same.
"""

import fcntl
import hashlib
import json
import logging
import shutil
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from warraq.errors import InputError
from warraq.files import hash_file, read_json, replace_file, write_json, write_text
from warraq.image_settings import change_image_settings
from warraq.students import Student, families
from warraq.training import llamafactory
from warraq.training.audit import Samples, mark_views
from warraq.views import PAGE, Views, count_views, cut_bands, encode_png, hash_recipe
from warraq.workers import count_workers, log_progress

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
    pages are linked, and of bands only the names are written."""
    family = families.load(student.family)
    shown = name_views(pages, samples, student.views)
    for split, part in samples.items():
        records = [one.model_dump(mode="json") for one in part]
        for record in records:
            turn = record["conversations"][0]
            turn["content"] = mark_views(turn["content"], family, student.views)
            record["images"] = [name for image in record["images"] for name in shown[image]]
        write_json(folder / "data" / f"{split}.json", records)
    info = read_json(dataset / "dataset_info.json")
    write_json(folder / "data/dataset_info.json", {split: info[split] for split in samples})
    changed = change_image_settings(base, lambda settings: family.cap_pixels(settings, student.image_max_pixels))
    llamafactory.link_model(folder / "base", base, base, changed)
    (folder / "pages").symlink_to(pages.resolve())


def compute_fingerprint(decisive: list[Any], folder: Path, pages: Path, samples: Samples) -> str:
    """Of all that decides the result, and of no path: what was begun with another one is not gone on with."""
    files = sorted((folder / "data").glob("*.json"))
    images = [pages / one for one in list_images(samples)]
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
    else:
        if folder.exists():
            logger.info("%s was begun with other data, parameters or devices: starting afresh", folder)
            shutil.rmtree(folder)
        write_text(fresh / "fingerprint", ours)
        fresh.replace(folder)
    write_bands(folder, pages, samples, student.views)


def list_images(samples: Samples) -> list[str]:
    """The images of samples, each once."""
    return sorted({image for part in samples.values() for one in part for image in one.images})


def find_media(folder: Path, views: Views) -> Path:
    """The folder to which the names of the samples' images in `folder` are relative."""
    return folder / "pages" if views == PAGE else folder


def name_views(pages: Path, samples: Samples, views: Views) -> dict[str, list[str]]:
    """Of each image the files that show it; bands are named by its content and how they are cut, so that they stay."""
    if views == PAGE:
        return {image: [image] for image in list_images(samples)}
    digests = {image: hash_recipe(hash_file(pages / image), views)[:24] for image in list_images(samples)}
    places = range(1, count_views(views))
    return {
        image: [f"pages/{image}", *(f"bands/{digest}-{place}.png" for place in places)]
        for image, digest in digests.items()
    }


def write_bands(folder: Path, pages: Path, samples: Samples, views: Views) -> None:
    """Cut the bands that are not there yet."""
    missing = {
        image: [folder / name for name in names[1:]]
        for image, names in name_views(pages, samples, views).items()
        if not all((folder / name).exists() for name in names[1:])
    }

    def write(image: str) -> None:
        from PIL import Image

        with Image.open(pages / image) as page:
            for path, band in zip(missing[image], cut_bands(page, views), strict=True):
                with replace_file(path) as part:
                    part.write_bytes(encode_png(band))

    with ThreadPoolExecutor(count_workers()) as threads:  # which pack and unpack outside Python
        deque(log_progress(threads.map(write, missing), len(missing), "cut bands", "pages"), maxlen=0)


def measure_largest_image(pages: Path, samples: Samples) -> int:
    """The px of the largest image."""
    from PIL import Image

    largest = 0
    for name in list_images(samples):
        with Image.open(pages / name) as image:
            largest = max(largest, image.width * image.height)
    return largest

"""A number of documents and a seed -> raw/*.pdf and reviews/<task>.jsonl with their true answers.

Document i of a seed is the same however many there are. Everything written here can be told from a user's own files, by
the files' names and the reviews' reviewer, and nothing else is ever overwritten.
"""

import logging
import re
from pathlib import Path
from random import Random

from warraq import tasks
from warraq.errors import InputError
from warraq.files import replace_file, short_hash
from warraq.records import Review, read_rows, write_rows
from warraq.synth import drawing
from warraq.synth.documents import make_document
from warraq.synth.words import load_words
from warraq.workers import log_progress

logger = logging.getLogger(__name__)
TASKS = ("content", "metadata", "invoice")
REVIEWER = "synth"


def write_documents(out: Path, *, documents: int, seed: int) -> None:
    """Write `out`/raw/*.pdf and `out`/reviews/<task>.jsonl.

    Raises:
        InputError: `out` holds documents or reviews that are not synthetic.
    """
    raw, reviews = out / "raw", out / "reviews"
    stale = _find_own_files(raw)
    _refuse_foreign_reviews(reviews)
    rows: dict[str, list[Review]] = {task: [] for task in TASKS}
    pages = arabic = scanned = 0
    for number in log_progress(range(1, documents + 1), documents, "synth", "documents"):
        document = make_document(Random(f"{seed}:{number}"), load_words("demo"))
        content = drawing.draw_pdf(document.pages)
        path = raw / f"synth-{number:04d}.pdf"
        with replace_file(path) as part:
            part.write_bytes(content)
        stale.discard(path)
        name = short_hash(content)
        for index, page in enumerate(document.pages, start=1):
            for task, answer in page.answers.items():
                valid = tasks.load(task).validate(answer)
                rows[task].append(Review(page_id=f"{name}-p{index:04d}", task=task, answer=valid, reviewer=REVIEWER))
        pages += len(document.pages)
        arabic += document.language == "ar"
        scanned += document.scanned
    for path in stale:
        path.unlink(missing_ok=True)
    for task in TASKS:
        write_rows(reviews / f"{task}.jsonl", rows[task], key=lambda row: row.page_id)
    logger.info(
        "synth: %d documents, %d pages, %d Arabic, %d English, %.0f %% scanned, in %s with answers in %s",
        documents, pages, arabic, documents - arabic, 100 * scanned / documents, raw, reviews,
    )  # fmt: skip


def _find_own_files(raw: Path) -> set[Path]:
    """What an earlier run left in `raw`, whole or in part."""
    own_files = set(raw.iterdir()) if raw.exists() else set()
    foreign = sorted(path.name for path in own_files if not re.fullmatch(r"synth-\d{4,}\.pdf(\.part)?", path.name))
    if foreign:
        raise InputError(
            f"{raw} holds {foreign[0]}, which synth did not write ({len(foreign)} such); "
            "name another folder, or move your documents away."
        )
    return own_files


def _refuse_foreign_reviews(reviews: Path) -> None:
    for task in TASKS:
        path = reviews / f"{task}.jsonl"
        for row in read_rows(path, Review) if path.exists() else []:
            if row.reviewer != REVIEWER:
                raise InputError(
                    f"{path} holds a review by {row.reviewer}, which synth would overwrite; "
                    "name another folder, or move the file away."
                )

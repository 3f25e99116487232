"""AI-4-Everyone/Visual-TableQA, or parquet files of its columns -> pages/ and labels/table_qa.jsonl.

Its own split is by row, so that the same table is on all sides. Here a table is a document and each of its questions a
page with the table's image, and documents are what is split. Where there is no column `reasoning`, the answer holds it.
"""

import hashlib
import io
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from warraq.errors import InputError
from warraq.files import JsonObject, short_hash
from warraq.records import Label, Page, write_rows
from warraq.students.fetch import download
from warraq.tasks import table_qa
from warraq.workers import log_progress

logger = logging.getLogger(__name__)
COLUMNS = ("table_id", "image", "question", "answer")


def find_parquet_files(source: str, revision: str | None) -> list[Path]:
    """The parquet files of a folder, of a file, or of a Hugging Face data set at a pinned commit.

    Raises:
        InputError: there are none, they cannot be fetched, or the revision is not a commit.
    """
    place = Path(source)
    if place.exists():
        files = sorted(place.rglob("*.parquet")) if place.is_dir() else [place]
    else:
        if revision is None or len(revision) != 40 or not set(revision) <= set("0123456789abcdef"):
            raise InputError(
                f"{source} is no folder; a data set of the hub needs --revision, the 40 digits of a commit."
            )
        folder = download(source, revision, "table_qa", repo_type="dataset", allow_patterns=["**/*.parquet"])
        files = sorted(folder.rglob("*.parquet"))
    if not files:
        raise InputError(f"{source} holds no parquet file.")
    return files


def open_parquet(path: Path) -> Any:
    """Open a parquet file that has the columns.

    Raises:
        InputError: it is none, or lacks one.
    """
    import pyarrow
    from pyarrow import parquet

    try:
        table = parquet.ParquetFile(path)
    except pyarrow.ArrowInvalid:
        raise InputError(f"{path} is not a parquet file.") from None
    names = table.schema_arrow.names
    missing = [name for name in COLUMNS if name not in names]
    if missing:
        raise InputError(f"{path} has no column {missing[0]}; it has {', '.join(names)}.")
    return table


def iterate_rows(files: list[Path]) -> Iterator[JsonObject]:
    """Yield the rows of all files, with the columns that are used."""
    for table in map(open_parquet, files):
        columns = [*COLUMNS, *({"reasoning"} & set(table.schema_arrow.names))]
        for batch in table.iter_batches(columns=columns, batch_size=64):
            yield from batch.to_pylist()


def convert_to_png(data: bytes) -> tuple[bytes, int, int]:
    """A PNG of 8 bits in colour that looks like the original: turned as its EXIF tags say, on white paper.

    Returns:
        The file's bytes, width and height in px.
    """
    from PIL import Image, ImageOps

    with Image.open(io.BytesIO(data)) as image:
        turned = ImageOps.exif_transpose(image)
        if turned.mode.startswith("I;16") or turned.mode in ("I", "F"):
            turned = turned.convert("I").point(lambda value: value / 257).convert("L")
        if "A" in turned.getbands() or "transparency" in turned.info:
            clear = turned.convert("RGBA")
            turned = Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear)
        plain = turned.convert("RGB")
        stream = io.BytesIO()
        plain.save(stream, "PNG")
    return stream.getvalue(), plain.width, plain.height


def run(*, source: str, revision: str | None, out: Path) -> None:
    """Write `out`/pages and `out`/labels.

    Raises:
        InputError: the source cannot be used, or a table has two images.
    """
    files = find_parquet_files(source, revision)
    pages: list[Page] = []
    labels: list[Label] = []
    images: dict[str, tuple[str, int, int]] = {}
    counts: dict[str, int] = {}
    total = sum(open_parquet(path).metadata.num_rows for path in files)
    for row in log_progress(iterate_rows(files), total, "import", "questions"):
        document = short_hash(str(row["table_id"]))
        data, width, height = convert_to_png(row["image"]["bytes"])
        digest = hashlib.sha256(data).hexdigest()
        if images.setdefault(document, (digest, width, height))[0] != digest:
            raise InputError(f"{source}: table {row['table_id']} has two images; it cannot be kept on one side.")
        counts[document] = counts.get(document, 0) + 1
        image = f"{document}/0001.png"
        (out / "pages" / document).mkdir(parents=True, exist_ok=True)
        (out / "pages" / image).write_bytes(data)
        page_id = f"{document}-p{counts[document]:04d}"
        pages.append(
            Page(
                page_id=page_id, document=document, page=counts[document], files=(str(row["table_id"]),), image=image,
                image_sha256=digest, width_px=width, height_px=height, px_per_pt=None, text=None, repaired=False,
                recipe="import", engine="pillow", origin="image",
            )
        )  # fmt: skip
        answer = {"question": row["question"], "reasoning": row.get("reasoning") or "", "answer": row["answer"]}
        labels.append(
            Label(
                page_id=page_id, task="table_qa", key=revision or "", teacher="import", model=None, reference="silver",
                answer=table_qa.TableQuestion.model_validate(answer).model_dump(mode="json"), reason=None, message=None,
            )
        )  # fmt: skip
    write_rows(out / "pages/pages.jsonl", pages, key=lambda page: page.page_id)
    write_rows(out / "labels/table_qa.jsonl", labels, key=lambda label: label.page_id)
    logger.info("import: %d questions about %d tables in %s", len(labels), len(images), out)

"""What the tests of render and of its engines share: a folder rendered, and a look at what came of it."""

from io import BytesIO
from pathlib import Path

from PIL import Image

from warraq.records import Page, Rejected, read_rows
from warraq.stages.render import Render, run

PARAMETERS = Render(
    long_side_px=400, colour="grey", contrast="none", autocontrast_cutoff_percent=0.0, deskew=False, crop=False,
    max_pages=50, max_seconds=20, max_memory_mib=1024, max_output_mib=1024,
)  # fmt: skip


def render(raw: Path, out: Path, **changes: object) -> tuple[list[Page], list[Rejected]]:
    run(raw, out, PARAMETERS.model_copy(update=changes))
    return read_rows(out / "pages.jsonl", Page), read_rows(out / "rejected.jsonl", Rejected)


def content(place: Path) -> dict[str, bytes]:
    return {path.relative_to(place).as_posix(): path.read_bytes() for path in place.rglob("*") if path.is_file()}


def reasons(rejected: list[Rejected]) -> dict[str, str]:
    return {row.file: row.reason for row in rejected}


def picture(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    stream = BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def shown(page: Page, out: Path) -> Image.Image:
    return Image.open(out / page.image).convert("RGB")


def difference(image: Image.Image, other: Image.Image) -> float:
    """Mean absolute difference of the samples."""
    assert image.size == other.size
    pairs = list(zip(image.tobytes(), other.tobytes(), strict=True))
    return sum(abs(a - b) for a, b in pairs) / len(pairs)

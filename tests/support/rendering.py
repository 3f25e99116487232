"""What the tests of render and of its engines share: a folder rendered, and a look at what came of it."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

from PIL import Image

from warraq.records import Page, Rejected, read_rows
from warraq.stages.render import Render, run

Raw = Callable[..., Path]  # a folder of the named documents and others given as bytes
PARAMETERS = Render(
    long_side_px=400, colour="grey", contrast="none", autocontrast_cutoff_percent=0.0, deskew=False, crop=False,
    max_pages=50, max_seconds=20, max_memory_mib=1024, max_output_mib=1024,
)  # fmt: skip


def render(raw: Path, out: Path, **changes: object) -> tuple[list[Page], list[Rejected]]:
    run(raw=raw, out=out, parameters=PARAMETERS.model_copy(update=changes))
    return read_rows(out / "pages.jsonl", Page), read_rows(out / "rejected.jsonl", Rejected)


def read_files(place: Path) -> dict[str, bytes]:
    return {path.relative_to(place).as_posix(): path.read_bytes() for path in place.rglob("*") if path.is_file()}


def reasons_by_file(rejected: list[Rejected]) -> dict[str, str]:
    return {row.file: row.reason for row in rejected}


def draw_pdf(page: str = "", kid: int = 3, trailer: str = "") -> bytes:
    """A PDF written by hand, so that it may be wrong: a page of 200 x 100 points with a black bar."""
    bodies = [
        "<</Type/Catalog/Pages 2 0 R>>",
        f"<</Type/Pages/Count 1/Kids[{kid} 0 R]>>",
        f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 100]/Contents 4 0 R{page}>>",
        "<</Length 17>>\nstream\n10 10 120 20 re f\nendstream",
    ]
    data, places = "%PDF-1.7\n", []
    for number, body in enumerate(bodies, start=1):
        places.append(len(data))
        data += f"{number} 0 obj\n{body}\nendobj\n"
    table = "".join(f"{place:010d} 00000 n \n" for place in places)
    return (
        f"{data}xref\n0 5\n0000000000 65535 f \n{table}trailer\n<</Size 5/Root 1 0 R{trailer}>>\n"
        f"startxref\n{len(data)}\n%%EOF\n"
    ).encode()


def encode_image(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    stream = BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def open_page(page: Page, out: Path) -> Image.Image:
    return Image.open(out / page.image).convert("RGB")


def read_red(image: Image.Image, at: tuple[int, int]) -> int:
    value = image.getpixel(at)
    assert isinstance(value, tuple)
    return value[0]


def mean_difference(image: Image.Image, other: Image.Image) -> float:
    """Mean absolute difference of the samples."""
    assert image.size == other.size
    pairs = list(zip(image.tobytes(), other.tobytes(), strict=True))
    return sum(abs(a - b) for a, b in pairs) / len(pairs)

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


def build_pdf(
    content: bytes, *objects: bytes, page: str = "", catalog: str = "", trailer: str = "", kid: int = 3
) -> bytes:
    """A PDF written by hand, so that it may be wrong: a page of 400 x 300 points with Helvetica as F1.

    Objects are numbered from 6 on; the page and the catalog take further entries.
    """
    bodies = [
        f"<</Type/Catalog/Pages 2 0 R{catalog}>>".encode(),
        f"<</Type/Pages/Count 1/Kids[{kid} 0 R]>>".encode(),
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 400 300]/Contents 4 0 R"
        b"/Resources<</Font<</F1 5 0 R/F2 6 0 R>>>>%b>>" % page.encode(),
        pdf_stream(content),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
        *objects,
    ]
    data, places = b"%PDF-1.7\n", []
    for number, body in enumerate(bodies, start=1):
        places.append(len(data))
        data += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    head = b"xref\n0 %d\n0000000000 65535 f \n" % (len(bodies) + 1)
    end = b"trailer\n<</Size %d/Root 1 0 R%b>>\nstartxref\n%d\n%%%%EOF\n" % (
        len(bodies) + 1,
        trailer.encode(),
        len(data),
    )
    return data + head + table + end


def pdf_stream(data: bytes, entries: str = "") -> bytes:
    """The body of a stream object."""
    return b"<</Length %d%b>>\nstream\n%b\nendstream" % (len(data), entries.encode(), data)


def draw_pdf(page: str = "", kid: int = 3, trailer: str = "") -> bytes:
    """A page with a black bar."""
    return build_pdf(b"10 10 120 20 re f", page=page, kid=kid, trailer=trailer)


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

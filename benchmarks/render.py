"""A folder of PDF files -> a table of what a page costs, here and in the ways that people would take instead.

    python benchmarks/render.py FOLDER [--rounds N] [--copies N] [--colour grey] [--into FILE]

Processor time of all processes, one worker, the longer side of each page at the same pixels; the ways take turns, and
the table has the median of the rounds. A way whose program is not installed is left out (`pip install pypdfium2
pdf2image`; pdftoppm is in poppler-utils).
"""

import argparse
import importlib.util
import os
import re
import resource
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from PIL import Image, ImageOps

from warraq.records import Page, read_rows
from warraq.rendering import mupdf
from warraq.rendering.raster import Colour, Raster
from warraq.rendering.readers import open_reader as open_reader
from warraq.stages.render import Render, run

pymupdf = mupdf.import_mupdf()  # as render has it: the whole of it makes each fork dearer
LONG_SIDE_PX = 1600
SMALLEST_PX = 1000  # a scan with fewer pixels is not enlarged here, but by the others: no fair race


def ours(folder: Path, out: Path, colour: Colour) -> None:
    parameters = Render(
        long_side_px=LONG_SIDE_PX, colour=colour, contrast="none", autocontrast_cutoff_percent=0.0, deskew=False,
        crop=False, max_pages=2000, max_seconds=60, max_memory_mib=700, max_output_mib=4096,
    )  # fmt: skip
    run(raw=folder, out=out, parameters=parameters)


def mupdf_bare(folder: Path, out: Path, colour: Colour, text: bool = False) -> None:
    """Pages drawn and forgotten: what no way that uses MuPDF can go below."""
    for path in sorted(folder.iterdir()):
        with pymupdf.open(path) as document:
            for page in document:
                if text:
                    page.get_text("text")
                scale = LONG_SIDE_PX / max(page.rect.width, page.rect.height)
                space = pymupdf.csGRAY if colour == "grey" else pymupdf.csRGB
                page.get_pixmap(matrix=pymupdf.Matrix(scale, scale), colorspace=space, alpha=False)


def notes(folder: Path, out: Path, colour: Colour) -> None:
    """As published recipes do: 300 dpi, then resize, contrast and PNG by Pillow."""
    for path in sorted(folder.iterdir()):
        with pymupdf.open(path) as document:
            for page in document:
                pixmap = page.get_pixmap(dpi=300, alpha=False)
                image = Image.frombytes("RGB", (pixmap.width, pixmap.height), pixmap.samples)
                image.thumbnail((LONG_SIDE_PX, LONG_SIDE_PX), Image.Resampling.LANCZOS)
                image = ImageOps.autocontrast(image.convert("L") if colour == "grey" else image)
                image.save(out / f"{path.stem}-{page.number}.png")


def pypdfium2(folder: Path, out: Path, colour: Colour) -> None:
    import pypdfium2

    for path in sorted(folder.iterdir()):
        document = pypdfium2.PdfDocument(path)
        for number, page in enumerate(document):
            scale = LONG_SIDE_PX / max(page.get_size())
            page.render(scale=scale, grayscale=colour == "grey").to_pil().save(out / f"{path.stem}-{number}.png")


def pdf2image(folder: Path, out: Path, colour: Colour) -> None:
    from pdf2image import convert_from_path

    for path in sorted(folder.iterdir()):
        for number, page in enumerate(convert_from_path(path, size=LONG_SIDE_PX, grayscale=colour == "grey")):
            page.save(out / f"{path.stem}-{number}.png")


def pdftoppm(folder: Path, out: Path, colour: Colour) -> None:
    """A process a page."""
    grey = ["-gray"] if colour == "grey" else []
    for path in sorted(folder.iterdir()):
        with pymupdf.open(path) as document:
            count = document.page_count
        for number in range(1, count + 1):
            one = ["-f", str(number), "-l", str(number), "-scale-to", str(LONG_SIDE_PX)]
            words = ["pdftoppm", "-png", *grey, *one, str(path), str(out / path.stem)]
            subprocess.run(words, check=True, stderr=subprocess.DEVNULL)


def list_ways() -> dict[str, Callable[[Path, Path, Colour], None]]:
    found: dict[str, Callable[[Path, Path, Colour], None]] = {
        "warraq render": ours,
        "MuPDF alone, drawn and not kept": mupdf_bare,
        "the same, and the page's text read": partial(mupdf_bare, text=True),
        "300 dpi, then resize, contrast, PNG (Pillow)": notes,
    }
    if importlib.util.find_spec("pypdfium2"):
        found["pypdfium2, PNG (Pillow)"] = pypdfium2
    if shutil.which("pdftoppm"):
        if importlib.util.find_spec("pdf2image"):
            found["pdf2image, PNG (Pillow)"] = pdf2image
        found["pdftoppm, a process a page"] = pdftoppm
    return found


def cost_ms(way: Callable[[Path, Path, Colour], None], folder: Path, colour: Colour) -> float:
    with tempfile.TemporaryDirectory(dir=folder.parent) as out:
        before = processor_s()
        way(folder, Path(out), colour)
        spent = (processor_s() - before) * 1000
        rejected = Path(out) / "rejected.jsonl"
        if rejected.exists() and rejected.stat().st_size:
            raise SystemExit(f"Of {folder} not all pages came through, so this is no fair race: {rejected.read_text()}")
        return spent


def processor_s() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def parts_ms(folder: Path, colour: Colour) -> dict[str, float]:
    """What a page of ours costs, by step, in one process."""
    spent = dict.fromkeys(("open", "draw and read the text", "PNG"), 0.0)
    for path in sorted(folder.iterdir()):
        start = processor_s()
        reader = open_reader("mupdf", path, None)
        spent["open"] += processor_s() - start
        for number in range(1, reader.count + 1):
            start = processor_s()
            page = reader.draw_page(number, LONG_SIDE_PX, colour)
            drawn = processor_s()
            assert isinstance(page, Raster)
            page.encode_png()
            spent["draw and read the text"] += drawn - start
            spent["PNG"] += processor_s() - drawn
    return {name: seconds * 1000 for name, seconds in spent.items()}


def select_files(files: Path, place: Path, colour: Colour, copies: int) -> dict[str, tuple[Path, int]]:
    """Documents of born-digital pages only and of scans only, and how many pages they have.

    A copy ends in a comment of its own, so that it is another document.
    """
    ours(files, place / "all", colour)
    documents: dict[str, list[Page]] = {}
    for page in read_rows(place / "all/pages.jsonl", Page):
        documents.setdefault(page.document, []).append(page)
    sets: dict[str, tuple[Path, int]] = {}
    for origin in ("born_digital", "scan"):
        folder = place / origin
        folder.mkdir()
        count = 0
        for pages in documents.values():
            if all(page.origin == origin and max(page.width_px, page.height_px) >= SMALLEST_PX for page in pages):
                data = (files / pages[0].files[0]).read_bytes()
                for copy in range(copies):
                    (folder / f"{pages[0].document}-{copy}.pdf").write_bytes(data + b"\n%% %d\n" % copy)
                count += copies * len(pages)
        sets[origin] = folder, count
    return sets


def format_table(files: Path, rounds: int, colour: Colour, copies: int) -> str:
    lines = []
    with tempfile.TemporaryDirectory() as place:
        sets = select_files(files, Path(place), colour, copies)
        head = [f"{origin.replace('_', '-')} ({count} pages)" for origin, (_, count) in sets.items()]
        lines += [f"| ms a page, {colour} | {' | '.join(head)} |", "|---|---|---|"]
        taken: dict[tuple[str, str], list[float]] = {}
        for _ in range(rounds):
            for name, way in list_ways().items():
                for origin, (folder, count) in sets.items():
                    taken.setdefault((name, origin), []).append(cost_ms(way, folder, colour) / count)
        medians = {key: statistics.median(values) for key, values in taken.items()}
        for name in list_ways():
            cells = [medians[name, origin] for origin in sets]
            ratios = [medians[name, origin] / medians["warraq render", origin] for origin in sets]
            shown = [f"{cell:.1f} ({ratio:.1f}x)" for cell, ratio in zip(cells, ratios, strict=True)]
            lines.append(f"| {name} | {' | '.join(shown)} |")
        for origin, (folder, count) in sets.items():
            parts = {name: spent / count for name, spent in parts_ms(folder, colour).items()}
            split = ", ".join(f"{name} {spent:.1f}" for name, spent in parts.items())
            lines += ["", f"A {origin.replace('_', '-')} page of ours, in one process, ms: {split}."]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--copies", type=int, default=1, help="of each file; what is paid once a run weighs less")
    parser.add_argument("--colour", choices=["rgb", "grey"], default="rgb")
    parser.add_argument("--into", type=Path, help="a document with the lines <!-- render COLOUR --> and <!-- end -->")
    given = parser.parse_args()
    os.environ["WARRAQ_WORKERS"] = "1"
    text = format_table(given.folder, given.rounds, given.colour, given.copies)
    print(text)
    if given.into:
        document = given.into.read_text(encoding="utf-8")
        pattern = rf"(<!-- render {given.colour} -->\n).*?(<!-- end -->)"
        given.into.write_text(re.sub(pattern, rf"\g<1>{text}\n\g<2>", document, flags=re.S), encoding="utf-8")


if __name__ == "__main__":
    main()

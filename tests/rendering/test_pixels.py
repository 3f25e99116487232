"""The pixels of fixed files are those of this version of the drawing: a change of them must not pass unseen.

Models are refused where they learned from pages of another version, so a version stands for pixels, not for code. Where
this fails and the change is meant, raise `PIXELS` in rendering/settings.py and put the new hashes here.
"""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from support import ROOT
from support.rendering import PARAMETERS, Raw, encode_image, read_files, render
from warraq.errors import InputError
from warraq.rendering import document_loop, settings
from warraq.rendering.raster import Raster
from warraq.rendering.readers import open_reader

BESIDE_PAGES = ("0001.png", "0001.txt", "outcome.json", "build.json")
DRAWING = b"""1 0 0 1 20 20 cm 0.2 0.4 0.7 rg 0 0 90 40 re f 2 w 0 60 m 150 110 l S
BT /F 18 Tf 0 150 Td (Invoice 1001) Tj ET BT /F 9 Tf 0 130 Td (Total 12.50) Tj ET"""


def pdf(*images: bytes) -> bytes:
    """A PDF of one page, written by hand: a drawing with text, or a scan."""
    shown = b"300 0 0 420 0 0 cm /I Do" if images else DRAWING
    font = b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"
    parts = [
        b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 420]/Contents 4 0 R"
        b"/Resources<</Font<</F 5 0 R>>/XObject<</I 6 0 R>>>>>>",
        b"<</Length %d>>stream\n%b\nendstream" % (len(shown), shown), font, *images,
    ]  # fmt: skip
    body, places = b"%PDF-1.7\n", []
    for number, part in enumerate(parts, start=1):
        places.append(len(body))
        body += b"%d 0 obj\n%b\nendobj\n" % (number, part)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    head = b"xref\n0 %d\n0000000000 65535 f \n" % (len(parts) + 1)
    return body + head + table + b"trailer<</Size %d/Root 1 0 R>>startxref\n%d\n%%%%EOF" % (len(parts) + 1, len(body))


def paper() -> np.ndarray:
    """Lines of boxes on uneven paper, slightly turned: (700, 500, 3)."""
    y, x = np.mgrid[:700, :500]
    level = (y + x // 25) % 40
    ink = (level < 12) & (x % 16 < 9) & (x > 60) & (x < 440) & (y > 60) & (y < 640)
    grey = np.where(ink, 40 + x // 10, 225 - y // 20)
    return np.stack([grey, grey, np.minimum(grey + 10, 255)], axis=2).astype(np.uint8)


def scan() -> bytes:
    data = paper().tobytes()
    return pdf(
        b"<</Type/XObject/Subtype/Image/Width 500/Height 700/ColorSpace/DeviceRGB/BitsPerComponent 8"
        b"/Length %d>>stream\n%b\nendstream" % (len(data), data)
    )


def digest(samples: np.ndarray) -> str:
    return hashlib.sha256(f"{samples.shape}".encode() + samples.tobytes()).hexdigest()[:12]


@pytest.mark.parametrize(
    ("name", "look", "expected"),
    [
        ("drawing.pdf", {"colour": "rgb"}, "43c3ede99652"),
        ("drawing.pdf", {"colour": "grey", "crop": True}, "9eff324ae096"),
        ("scan.pdf", {"colour": "rgb"}, "074e2a134f11"),
        ("scan.pdf", {"colour": "rgb", "deskew": True, "contrast": "autocontrast"}, "e538dfe8cef5"),
        ("scan.png", {"colour": "rgb"}, "0f38d069fef9"),
    ],
)
def test_the_pixels_are_those_of_this_version(
    tmp_path: Path, name: str, look: dict[str, object], expected: str
) -> None:
    (tmp_path / "raw").mkdir()
    files = {"drawing.pdf": pdf(), "scan.pdf": scan(), "scan.png": encode_image(Image.fromarray(paper()))}
    (tmp_path / "raw" / name).write_bytes(files[name])
    ((page,), rejected) = render(tmp_path / "raw", tmp_path / "pages", **look)
    assert not rejected and page.recipe == settings.recipe_of(PARAMETERS.model_copy(update=look))
    assert (page.skew_deg != 0) == ("deskew" in look) and any(page.crop_px) == ("crop" in look)
    samples = np.asarray(Image.open(tmp_path / "pages" / page.image))
    assert (settings.PIXELS, digest(samples)) == (1, expected)


def test_the_second_engines_pixels_are_those_of_this_version(tmp_path: Path) -> None:
    (tmp_path / "drawing.pdf").write_bytes(pdf())
    page = open_reader("pdfium", tmp_path / "drawing.pdf", None).draw_page(1, 400, "rgb")
    assert isinstance(page, Raster)
    assert (settings.PIXELS, digest(page.samples)) == (1, "7838e01b5b59")


@pytest.mark.parametrize("change", [{"long_side_px": 401}, {"colour": "rgb"}, {"deskew": True}])
def test_a_recipe_is_of_what_decides_the_pixels_alone(
    change: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = settings.recipe_of(PARAMETERS)
    assert recipe == settings.recipe_of(PARAMETERS.model_copy(update={"max_seconds": 5}))
    assert recipe != settings.recipe_of(PARAMETERS.model_copy(update=change))
    monkeypatch.setattr(settings, "PIXELS", settings.PIXELS + 1)
    assert recipe != settings.recipe_of(PARAMETERS)


def test_what_decides_the_pixels_stands_beside_the_pages(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw/drawing.pdf").write_bytes(pdf())
    out = tmp_path / "pages"
    ((page,), _) = render(tmp_path / "raw", out, deskew=True)
    held = settings.read_recipe(out)
    assert held.settings and held.settings.deskew and held.settings.long_side_px == PARAMETERS.long_side_px
    assert held.recipe == page.recipe == settings.recipe_of(held.settings)
    (out / "settings.json").unlink()  # as imported pages have none
    assert settings.read_recipe(out) == settings.RenderRecipe(settings=None, recipe=page.recipe)
    (out / "settings.json").write_text("{}")
    with pytest.raises(InputError, match=r"settings\.json is not of this version .*run `warraq render` again"):
        settings.read_recipe(out)
    (out / "settings.json").unlink()
    (out / "pages.jsonl").write_text("")
    with pytest.raises(InputError, match=r"pages\.jsonl has no page"):
        settings.read_recipe(out)


def test_documents_are_read_again_for_another_code_and_not_for_a_comment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(Path(document_loop.__file__).parent, tmp_path / "rendering")
    monkeypatch.setattr(document_loop, "__file__", str(tmp_path / "rendering/document_loop.py"))
    builds = []
    for line in ("", "\n# A remark.\n", "\nPAPER = 9\n"):
        with (tmp_path / "rendering/enhance.py").open("a") as stream:
            stream.write(line)
        builds.append(document_loop.describe_build(PARAMETERS, PARAMETERS))
    assert builds[0] == builds[1] != builds[2]


def test_another_build_of_the_same_pixels_gives_later_stages_the_same_bytes(
    raw: Raw, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    folder, out = raw("letter.pdf", "scan.pdf"), tmp_path / "out"
    held = []
    for libraries in (("pymupdf",), ("pymupdf", "pillow")):
        monkeypatch.setattr(document_loop, "LIBRARIES", libraries)
        render(folder, out)
        held.append(read_files(out))
    assert caplog.text.count("4 rendered, 0 reused") == 2
    different = {name.rpartition("/")[2] for name in held[0] if held[0][name] != held[1][name]}
    assert held[0].keys() == held[1].keys() and different == {"build.json"}
    ignored = subprocess.run(
        [Path(sys.executable).with_name("dvc"), "check-ignore", *(f"data/pages/0/{name}" for name in BESIDE_PAGES)],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert ignored.stdout.split() == ["data/pages/0/build.json"]


def test_pages_of_another_checkout_are_drawn_again(raw: Raw, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    folder, out = raw("scan.pdf"), tmp_path / "out"
    (page,), _ = render(folder, out)
    first = read_files(out)
    outcome = out / page.document / "outcome.json"
    outcome.write_text(outcome.read_text().replace(f'"height_px":{page.height_px}', '"height_px":1'))
    render(folder, out)
    assert read_files(out) == first and "1 rendered, 0 reused" in caplog.text

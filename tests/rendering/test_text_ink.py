"""A text layer vouches only for words that put ink on the page, through render and the teacher that answers with it."""

import random
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pymupdf
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.rendering import Raw, build_pdf, encode_image, pdf_stream, render
from warraq import tasks
from warraq.records import Page
from warraq.rendering.text_ink import MOST, _are_overlapped
from warraq.teachers import Answer, Refusal
from warraq.teachers.textlayer import TextLayerTeacher

WORDS = [
    "ministry", "finance", "invoice", "total", "amount", "letter", "number", "general", "office", "report", "annual",
]  # fmt: skip
SECRET = "Confidentialis"


def answer(page: Page, out: Path) -> Answer | Refusal:
    return TextLayerTeacher(tasks.load("content"), out).answer(page, "")


def write_lines(page: pymupdf.Page, chance: random.Random, secret: bool = True, **options: Any) -> pymupdf.Rect:
    """Lines of words, one of them the secret, written with other options; returns where."""
    place = chance.randrange(12)
    found = pymupdf.Rect()
    for line in range(3):
        x = 30.0
        for column in range(4):
            hidden = line * 4 + column == place
            word = SECRET if hidden else chance.choice(WORDS)
            if not hidden or secret:
                page.insert_text((x, 50 + 30 * line), word, fontsize=14, **(options if hidden else {}))
            if hidden:
                found = pymupdf.Rect(x, 50 + 30 * line - 13, x + 95, 50 + 30 * line + 5)
            x += 95 if hidden else 14 * 0.55 * len(word) + 8
    return found


def cover_black(page: pymupdf.Page, chance: random.Random) -> None:
    page.draw_rect(write_lines(page, chance), fill=(0, 0, 0))


def cover_white(page: pymupdf.Page, chance: random.Random) -> None:
    page.draw_rect(write_lines(page, chance), fill=(1, 1, 1), color=None)


def cover_with_a_label(page: pymupdf.Page, chance: random.Random) -> None:
    place = write_lines(page, chance)
    page.draw_rect(place, fill=(0.2, 0, 0))
    page.insert_text((place.x0 + 2, place.y1 - 6), "redacted", fontsize=14, color=(1, 1, 1))


def cover_with_a_picture(page: pymupdf.Page, chance: random.Random) -> None:
    place = write_lines(page, chance)
    page.insert_image(place, stream=NOISE)


def write_in_white(page: pymupdf.Page, chance: random.Random) -> None:
    write_lines(page, chance, color=(1, 1, 1))


def write_invisibly(page: pymupdf.Page, chance: random.Random) -> None:
    write_lines(page, chance, render_mode=3)


def write_over_a_picture(page: pymupdf.Page, chance: random.Random) -> None:
    page.insert_image(page.rect, stream=NOISE)
    write_lines(page, chance, render_mode=3)


def write_transparently(page: pymupdf.Page, chance: random.Random) -> None:
    write_lines(page, chance, fill_opacity=0, stroke_opacity=0)


def write_beside_the_page(page: pymupdf.Page, chance: random.Random) -> None:
    write_lines(page, chance, secret=False)
    page.insert_text((page.rect.width - 60, 280), SECRET, fontsize=14)
    page.set_cropbox(pymupdf.Rect(0, 0, page.rect.width - 70, 300))


HIDDEN: list[Callable[[pymupdf.Page, random.Random], None]] = [
    cover_black, cover_white, cover_with_a_label, cover_with_a_picture, write_in_white, write_invisibly,
    write_over_a_picture, write_transparently, write_beside_the_page,
]  # fmt: skip


def write_plainly(page: pymupdf.Page, chance: random.Random) -> None:
    write_lines(page, chance)


def write_on_colours(page: pymupdf.Page, chance: random.Random) -> None:
    page.draw_rect(page.rect, fill=(0.8, 0.9, 1))
    write_lines(page, chance, color=(0.7, 0, 0))


def mark_with_a_pen(page: pymupdf.Page, chance: random.Random) -> None:
    page.add_highlight_annot(write_lines(page, chance))


SHOWN = [write_plainly, write_on_colours, mark_with_a_pen]


def make_noise() -> bytes:
    from PIL import Image

    return encode_image(Image.effect_noise((200, 60), 90))


NOISE = make_noise()


def test_no_label_holds_a_word_without_ink(raw: Raw, tmp_path: Path) -> None:
    """200 pages: on three of four something is hidden, in as many ways as there are."""
    chance = random.Random(20)
    document = pymupdf.open()
    ways = [chance.choice(SHOWN if number % 4 == 0 else HIDDEN) for number in range(200)]
    for way in ways:
        way(document.new_page(width=420, height=300), chance)
    pages, rejected = render(
        raw(**{"pages.pdf": document.tobytes()}), tmp_path / "out", long_side_px=800, max_pages=200
    )
    assert (len(pages), rejected) == (200, [])
    wrong = []
    for way, page in zip(ways, pages, strict=True):
        got = answer(page, tmp_path / "out")
        if way in SHOWN:
            fits = isinstance(got, Answer)
        else:  # or nobody reads it at all
            fits = SECRET not in str(got) and (way is write_beside_the_page or "no ink" in str(got))
        if not fits:
            wrong.append((page.page, way.__name__, got))
    assert wrong == []


BOXES = st.lists(st.tuples(*[st.integers(0, 40)] * 2, *[st.integers(1, 20)] * 2), max_size=12)


@given(BOXES)
def test_a_word_is_overlapped_by_a_later_one_over_its_middle(places: list[tuple[int, int, int, int]]) -> None:
    boxes = np.array([(x, y, x + width, y + height) for x, y, width, height in places], np.float32).reshape(-1, 4)

    def covers(upper: np.ndarray, lower: np.ndarray) -> bool:
        x, y = (lower[:2] + lower[2:]) / 2
        sides = np.minimum(lower, upper)[2:] - np.maximum(lower, upper)[:2]
        is_over = upper[0] <= x <= upper[2] and upper[1] <= y < upper[3]
        is_most = sides.clip(0).prod() > MOST * (lower[2:] - lower[:2]).prod()
        return bool(is_over and is_most and (lower != upper).any())

    expected = [any(covers(upper, lower) for upper in boxes[index + 1 :]) for index, lower in enumerate(boxes)]
    assert _are_overlapped(boxes).tolist() == expected


def test_the_share_of_words_without_ink_is_told(raw: Raw, tmp_path: Path) -> None:
    document = pymupdf.open()
    cover_black(document.new_page(width=420, height=300), random.Random(1))
    (page,), _ = render(raw(**{"page.pdf": document.tobytes()}), tmp_path / "out", long_side_px=800)
    refusal = answer(page, tmp_path / "out")
    assert isinstance(refusal, Refusal)
    assert (refusal.reason, refusal.message) == ("text_layer_unusable", "8.3% of its words have no ink on the page")


def test_a_reading_of_a_scan_is_no_label_whether_it_lies_over_or_under_it(raw: Raw, tmp_path: Path) -> None:
    from PIL import Image

    over, under = pymupdf.open(), pymupdf.open()
    scan = encode_image(Image.new("L", (840, 600), 240))
    over.new_page(width=420, height=300).insert_image((0, 0, 420, 300), stream=scan)
    for number in range(6):
        over[0].insert_text((30, 50 + 30 * number), "ministry finance invoice total", render_mode=3)
    write_plainly(under.new_page(width=420, height=300), random.Random(3))
    under[0].insert_image((0, 0, 420, 300), stream=scan)
    files = {"over.pdf": over.tobytes(), "under.pdf": under.tobytes()}
    pages, _ = render(raw(**files), tmp_path / "out", long_side_px=800)
    assert {page.origin for page in pages} == {"scan", "born_digital"}
    for page in pages:
        refusal = answer(page, tmp_path / "out")
        assert isinstance(refusal, Refusal) and (refusal.message or "").startswith("100.0% of its words")


def map_to_unicode(mapping: dict[int, str], digits: int) -> bytes:
    """A ToUnicode table of codes with so many hexadecimal digits."""
    lines = "".join(f"<{code:0{digits}x}> <{text.encode('utf-16-be').hex()}>\n" for code, text in mapping.items())
    return pdf_stream(
        f"/CIDInit /ProcSet findresource begin begincmap /CMapName /X def 1 begincodespacerange <{'0' * digits}> "
        f"<{'f' * digits}> endcodespacerange {len(mapping)} beginbfchar\n{lines}endbfchar endcmap end".encode()
    )


def test_a_font_that_nobody_has_is_damage_and_no_label(raw: Raw, tmp_path: Path) -> None:
    """Letters in a font that is not in the file and whose signs nobody else knows."""
    letters = "ministryoffinanceletter"
    font = (
        b"<</Type/Font/Subtype/Type0/BaseFont/NobodysFont/Encoding/Identity-H/ToUnicode 7 0 R/DescendantFonts[<<"
        b"/Type/Font/Subtype/CIDFontType2/BaseFont/NobodysFont/DW 500/FontDescriptor 8 0 R"
        b"/CIDSystemInfo<</Ordering(Identity)/Registry(Adobe)/Supplement 0>>>>]>>"
    )
    descriptor = (
        b"<</Type/FontDescriptor/FontName/NobodysFont/Flags 4/Ascent 900/Descent -200/CapHeight 700"
        b"/FontBBox[-200 -300 1000 1000]/ItalicAngle 0/StemV 80>>"
    )
    shown = "".join(f"{100 + ord(letter):04x}" for letter in letters)
    line = f"BT /F1 14 Tf 30 250 Td (Ministry of finance, letter one) Tj ET BT /F2 14 Tf 30 200 Td <{shown}> Tj ET"
    table = map_to_unicode({100 + ord(letter): letter for letter in sorted(set(letters))}, 4)
    document = pymupdf.open(stream=build_pdf(line.encode(), font, table, descriptor))
    document.fullcopy_page(0)
    pages, _ = render(raw(**{"letter.pdf": document.tobytes()}), tmp_path / "out", long_side_px=800)
    assert len(pages) == 2
    for page in pages:  # the second page has the font from the first, and must not pass for that
        assert page.damage and "non-embedded font" in page.damage
        assert isinstance(answer(page, tmp_path / "out"), Refusal)


def test_letters_of_one_sign_come_in_the_order_of_reading(raw: Raw, tmp_path: Path) -> None:
    """Lam and alef as one sign, as Arabic fonts have it; its letters stand for it in the order of reading."""
    signs = {"a": "ا", "l": "ل", "w": "و", "s": "س", "m": "م", "x": "لأ", "y": "لا"}
    procedures = "".join(f"/{name} 7 0 R" for name in signs)
    names = " ".join(f"/{chr(code)}" for code in range(97, 123))
    font = (
        f"<</Type/Font/Subtype/Type3/FontBBox[0 0 500 700]/FontMatrix[.001 0 0 .001 0 0]/FirstChar 97/LastChar 122"
        f"/CharProcs<<{procedures}>>/Encoding<</Differences[97 {names}]>>"
        f"/Widths[{'500 ' * 26}]/ToUnicode 8 0 R/Resources<<>>>>"
    ).encode()
    sign = pdf_stream(b"500 0 0 0 500 700 d1 50 0 400 600 re f")
    table = map_to_unicode({ord(name): letters for name, letters in signs.items()}, 2)
    line = b"BT /F2 20 Tf 300 200 Td (lwxa) Tj ET BT /F2 20 Tf 200 200 Td (mys) Tj ET"
    (page,), _ = render(raw(**{"page.pdf": build_pdf(line, font, sign, table)}), tmp_path / "out", long_side_px=800)
    assert page.damage is None and page.text and page.text_fault is None
    assert (tmp_path / "out" / page.text).read_text(encoding="utf-8").split() == ["الأول", "سلام"]


def test_words_cut_in_two_are_no_label(raw: Raw, tmp_path: Path) -> None:
    document = pymupdf.open()
    page = document.new_page(width=420, height=300)
    write_plainly(page, random.Random(5))
    page.insert_text((30, 250), "Recei", fontsize=14)
    page.insert_text((30 + pymupdf.get_text_length("Recei", fontsize=14), 250.5), "vables", fontsize=14)
    (drawn,), _ = render(raw(**{"page.pdf": document.tobytes()}), tmp_path / "out", long_side_px=800)
    text = (tmp_path / "out" / (drawn.text or "")).read_text(encoding="utf-8")
    assert ("Receivables" in text) == (drawn.text_fault is None)  # whatever the reader made of it


@pytest.mark.parametrize(("squeeze", "expected"), [(278, "Receivables"), (0, "Recei vables")])
def test_a_space_without_a_width_cuts_no_word(raw: Raw, tmp_path: Path, squeeze: int, expected: str) -> None:
    lines = b"".join(b"BT /F1 12 Tf 20 %d Td (of this letter) Tj ET\n" % y for y in range(100, 260, 12))
    content = lines + b"BT /F1 14 Tf 30 50 Td [(Recei ) %d (vables)] TJ ET" % squeeze
    (page,), _ = render(raw(**{"page.pdf": build_pdf(content)}), tmp_path / "out", long_side_px=800)
    assert page.text and page.text_fault is None
    assert (tmp_path / "out" / page.text).read_text(encoding="utf-8").splitlines()[-1].strip() == expected


@pytest.mark.parametrize("cut", [60, None])
def test_a_content_stream_that_is_cut_or_changed_is_damage(raw: Raw, tmp_path: Path, cut: int | None) -> None:
    lines = b"".join(
        b"BT /F1 12 Tf 20 %d Td (line %d, total %d.50 SAR) Tj ET\n" % (280 - 20 * n, n, 1200 + n) for n in range(12)
    )
    packed = zlib.compress(lines)
    broken = packed[:cut] if cut else packed[:-4] + b"\0\0\0\0"
    data = build_pdf(b"").replace(
        b"<</Length 0>>\nstream\n\n", b"<</Length %d/Filter/FlateDecode>>\nstream\n%b\n" % (len(broken), broken)
    )
    data = data[: data.rindex(b"xref\n0")]  # places are others now
    whole = pymupdf.open(stream=data)
    (page,), rejected = render(raw(**{"page.pdf": whole.tobytes()}), tmp_path / "out", long_side_px=800)
    assert rejected == [] and page.damage and ("flate" in page.damage or "zlib" in page.damage)

"""A PDF page's text layer by MuPDF: its text, and why it is not what the page shows, if so.

One fault is mended, since where the letters stand proves it: MuPDF reads Arabic from right to left sign by sign, and so
turns round the letters of a ligature ("األول" for "الأول").
"""

import re
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING, Any

from warraq.rendering.mupdf_devices import Painted, draw_text
from warraq.rendering.text_ink import Word, measure_inkless

if TYPE_CHECKING:
    import numpy as np

RTL = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")
TURNED = re.compile("ا[اأإآ]ل")  # as no word is written
LONG_WORD = 3  # letters that make a word longer than high
NO_GAP = 0.06  # of a word's height; the narrowest space is twice as wide


class TextLayer:
    """The text of a page, read once."""

    def __init__(self, pymupdf: Any, page: Any, rows_pt: tuple[float, float] | None = None) -> None:
        """Read it, or what stands between two heights, with where pictures were drawn meanwhile."""
        self._pymupdf, self._page = pymupdf, page
        clip = pymupdf.Rect(-1e5, rows_pt[0], 1e5, rows_pt[1]) if rows_pt else None
        self._textpage = page.get_textpage(clip, flags=pymupdf.TEXTFLAGS_TEXT | pymupdf.TEXT_PRESERVE_IMAGES)
        self.text: str = page.get_text("text", textpage=self._textpage)
        if TURNED.search(self.text):
            self._turn_ligatures()
            self.text = page.get_text("text", textpage=self._textpage)

    def _turn_ligatures(self) -> None:
        """Put the letters of each sign in the order of reading: those without a width come before the one with it."""
        for block in self._textpage.this:
            if block.m_internal.type != self._pymupdf.mupdf.FZ_STEXT_BLOCK_TEXT:
                continue
            for line in block:
                sign: list[Any] = []
                for item in line:
                    letter = item.m_internal
                    if not RTL.match(chr(letter.c)):
                        sign = []
                    elif abs(letter.quad.ur.x - letter.quad.ul.x) < 0.01:
                        sign.append(letter)
                    else:
                        sign.append(letter)
                        codes = [part.c for part in reversed(sign)]
                        for part, code in zip(sign, codes, strict=True):
                            part.c = code
                        sign = []

    def measure_letters(self) -> float | None:
        """The height of most words, from the longest letters to the lowest, points; None where there are none."""
        heights = [
            min(right - left, bottom - top)
            for left, top, right, bottom, text, *_ in self._textpage.extractWORDS()
            if len(text) >= LONG_WORD
        ]
        return median(heights) if heights else None

    def move_off_words(self, y_pt: float, step_pt: float) -> float:
        """The next height, by steps, at which a cut goes through no word."""
        spans = sorted((word[1], word[3]) for word in self._textpage.extractWORDS())
        while any(top < y_pt < bottom for top, bottom in spans):
            y_pt += step_pt
        return y_pt

    def find_fault(self, samples: "np.ndarray", scale: float, painted: Painted) -> str | None:
        """Why the text is not what the page shows, which was drawn at `scale` px a point; None where it is."""
        if painted.pictures and not painted.others:
            return "100.0% of its words have no ink of their own: it is somebody's reading of a picture"
        words = self._list_words(scale, painted.hidden_text)
        if inkless := measure_inkless(samples, words, lambda: draw_text(self._pymupdf, self._page, scale)):
            return f"{inkless:.1%} of its words have no ink on the page"
        if cut := sum(self._is_cut(*pair) for pair in pairwise(words)):
            return f"{cut} of its {len(words)} words are cut in two"
        return None

    def _is_cut(self, word: Word, following: Word) -> bool:
        """Whether two words stand so close that they are one on the page."""
        if not (word.text[-1].isalpha() and following.text[0].isalpha()) or "\u2e80" <= word.text[-1] < "\ufb00":
            return False  # Chinese and Japanese have no spaces
        height = min(word.box[3] - word.box[1], following.box[3] - following.box[1])
        if min(word.box[3], following.box[3]) - max(word.box[1], following.box[1]) < 0.6 * height:
            return False
        is_rtl = bool(RTL.match(word.text[-1]))
        gap = word.box[0] - following.box[2] if is_rtl else following.box[0] - word.box[2]
        together = is_rtl == bool(RTL.match(following.text[0])) and abs(gap) < NO_GAP * height
        return together and (word.line != following.line or f"{word.text} {following.text}" in self.text)

    def _list_words(self, scale: float, all_covered: bool) -> list[Word]:
        matrix = self._page.rotation_matrix * self._pymupdf.Matrix(scale, scale)
        rotated = bool(self._page.rotation)
        covers = [] if all_covered else self._list_pictures()
        words = []
        for left, top, right, bottom, text, block, line, _ in self._textpage.extractWORDS():
            x, y = (left + right) / 2, (top + bottom) / 2
            covered = all_covered or any(
                block < number and x0 < x < x1 and y0 < y < y1 for number, (x0, y0, x1, y1) in covers
            )
            box = (left * scale, top * scale, right * scale, bottom * scale)
            if rotated:
                box = tuple(self._pymupdf.Rect(left, top, right, bottom) * matrix)
            words.append(Word(text, box, covered, (block, line)))
        return words

    def _list_pictures(self) -> list[tuple[int, tuple[float, float, float, float]]]:
        """Their places in the order of drawing, and where they are."""
        mupdf = self._pymupdf.mupdf
        pictures = []
        for number, block in enumerate(self._textpage.this):
            if block.m_internal.type == mupdf.FZ_STEXT_BLOCK_IMAGE:
                box = block.m_internal.bbox
                pictures.append((number, (box.x0, box.y0, box.x1, box.y1)))
        return pictures

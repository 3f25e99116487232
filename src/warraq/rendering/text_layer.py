"""A PDF page's text layer by MuPDF: its text, and why it is not what the page shows, if so.

One fault is mended, since where the letters stand proves it: MuPDF reads Arabic from right to left sign by sign, and so
turns round the letters of a ligature ("األول" for "الأول").
"""

import re
from collections.abc import Iterator
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from warraq.rendering.display_list import DisplayList, Painted
from warraq.rendering.text_ink import measure_inkless

if TYPE_CHECKING:
    import numpy as np

RTL = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")
TURNED = re.compile("ا[اأإآ]ل")  # as no word is written
FIRST_RTL = 0x590
LONG_WORD = 3  # letters that make a word longer than high
NO_WIDTH = 0.01  # points
LEVEL = 0.6  # of a word's height that it shares with another on its line
NO_GAP = 0.06  # of a word's height; the narrowest space is twice as wide


class TextLayer:
    """The text of a page, read once."""

    def __init__(self, mupdf: Any, content: DisplayList, rows_pt: tuple[float, float] | None = None) -> None:
        """Read it, or what stands between two heights, with where pictures were drawn meanwhile."""
        self._mupdf, self._content = mupdf, content
        self._textpage = content.read(rows_pt)
        self.text: str = self._textpage.extractText()
        if TURNED.search(self.text):
            self._turn_ligatures()
            self.text = self._textpage.extractText()

    def _turn_ligatures(self) -> None:
        """Put the letters of each sign in the order of reading: those without a width come before the one with it."""
        for block in self._textpage.this:
            if block.m_internal.type == self._mupdf.FZ_STEXT_BLOCK_TEXT:
                for line in block:
                    self._turn_line(line.m_internal.first_char)

    def _turn_line(self, letter: Any) -> None:
        sign: list[Any] = []
        while letter:  # as in _list_blocks
            if letter.c < FIRST_RTL:
                sign = []
            elif _width(letter) < NO_WIDTH:
                sign.append(letter)
            elif sign:
                sign.append(letter)
                if all(RTL.match(chr(part.c)) for part in sign):
                    for part, code in zip(sign, [part.c for part in reversed(sign)], strict=True):
                        part.c = code
                sign = []
            letter = letter.next

    @cached_property
    def _words(self) -> list[tuple[float, float, float, float, str, int, int, int]]:
        """Box in points, text, block, line and number of each word."""
        words: list[tuple[float, float, float, float, str, int, int, int]] = self._textpage.extractWORDS()
        return words

    @cached_property
    def _boxes(self) -> "np.ndarray":
        import numpy as np

        return np.array([word[:4] for word in self._words], np.float32).reshape(-1, 4)

    def measure_letters(self, page_pt2: float) -> float | None:
        """The height of most words, from the longest letters to the lowest, points; `page_pt2` is the page's area.

        None where there are none, or a picture fills the page, whose letters are what is read.
        """
        import numpy as np

        if any((x1 - x0) * (y1 - y0) > page_pt2 / 2 for _, (x0, y0, x1, y1) in self._pictures):
            return None
        is_long = [len(word[4]) >= LONG_WORD for word in self._words]
        sides = (self._boxes[:, 2:] - self._boxes[:, :2])[is_long]
        return float(np.median(sides.min(axis=1))) if len(sides) else None

    def move_off_words(self, y_pt: float, step_pt: float) -> float:
        """The next height, by steps, at which a cut goes through no word."""
        spans = sorted((word[1], word[3]) for word in self._words)
        while any(top < y_pt < bottom for top, bottom in spans):
            y_pt += step_pt
        return y_pt

    def find_fault(self, samples: "np.ndarray", scale: float, painted: Painted) -> str | None:
        """Why the text is not what the page shows, which was drawn at `scale` px a point; None where it is."""
        import numpy as np

        if painted.pictures and not painted.others:
            return "100.0% of its words have no ink of their own: it is somebody's reading of a picture"
        boxes = self._boxes
        covered = np.full(len(boxes), painted.hidden_text)
        for number, (x0, y0, x1, y1) in self._pictures:
            x, y = (boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2
            before = np.array([word[5] < number for word in self._words])
            covered |= before & (x0 < x) & (x < x1) & (y0 < y) & (y < y1)
        texts = [word[4] for word in self._words]
        draw_text = partial(self._content.draw_text, scale)
        inkless = measure_inkless(samples, texts, boxes * np.float32(scale), covered, draw_text)
        if inkless:
            return f"{inkless:.1%} of its words have no ink on the page"
        if cut := self._count_cut(boxes):
            return f"{cut} of its {len(boxes)} words are cut in two"
        return None

    def _count_cut(self, boxes: "np.ndarray") -> int:
        """How many words stand so close to the one before that both are one on the page."""
        import numpy as np

        left, top, right, bottom = boxes.T
        height = np.minimum(bottom[:-1] - top[:-1], bottom[1:] - top[1:])
        level = np.minimum(bottom[:-1], bottom[1:]) - np.maximum(top[:-1], top[1:]) >= LEVEL * height
        to_the_right, to_the_left = left[1:] - right[:-1], left[:-1] - right[1:]
        close = np.minimum(np.abs(to_the_right), np.abs(to_the_left)) < NO_GAP * height
        return sum(
            self._is_cut(
                index, (to_the_left if RTL.match(self._words[index][4][-1]) else to_the_right)[index], height[index]
            )
            for index in np.flatnonzero(level & close).tolist()
        )

    def _is_cut(self, index: int, gap: float, height: float) -> bool:
        """Whether a word and the next are one, which stand level and so far apart."""
        (*_, text, block, line, _), (*_, following, next_block, next_line, _) = self._words[index : index + 2]
        if not (text[-1].isalpha() and following[0].isalpha()) or "\u2e80" <= text[-1] < "\ufb00":
            return False  # Chinese and Japanese have no spaces
        if bool(RTL.match(text[-1])) != bool(RTL.match(following[0])) or abs(gap) >= NO_GAP * height:
            return False
        return (block, line) != (next_block, next_line) or f"{text} {following}" in self.text

    @cached_property
    def _pictures(self) -> list[tuple[int, tuple[float, float, float, float]]]:
        """Their places in the order of drawing, and where they are."""
        pictures = []
        for number, block in enumerate(self._list_blocks()):
            if block.type == self._mupdf.FZ_STEXT_BLOCK_IMAGE:
                box = block.bbox
                pictures.append((number, (box.x0, box.y0, box.x1, box.y1)))
        return pictures

    def _list_blocks(self) -> Iterator[Any]:
        """As MuPDF lists them: its iterators take ten times as long."""
        block = self._textpage.this.m_internal.first_block
        while block:
            yield block
            block = block.next


def _width(letter: Any) -> float:
    quad = letter.quad
    return float(abs(quad.ur.x - quad.ul.x))

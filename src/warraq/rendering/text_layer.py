"""A PDF page's text layer by MuPDF: its text, and why it is not what the page shows, if so.

Two faults are mended, since where the letters stand proves them. MuPDF reads Arabic from right to left sign by sign, so
it turns round the letters of a ligature ("األول" for "الأول"). A space without a width cuts a word in two.
"""

import ctypes
import re
from collections.abc import Iterator
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, TypeVar

from warraq.rendering.page_content import PageContent
from warraq.rendering.text_ink import measure_inkless

if TYPE_CHECKING:
    import numpy as np

RTL = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")
TURNED = re.compile("ا[اأإآ]ل")  # as no word is written
FIRST_RTL = 0x590
LONG_WORD = 3  # letters that make a word longer than high
NO_WIDTH = 0.01  # points
LEVEL = 0.6  # of a word's height that it shares with another on its line
TOUCHING = (
    0.02,
    0.05,
)  # of a letter's height: so near are the halves of a word, from left to right and from right to left
FEW = 0.05  # of the words
NO_GAP = 0.06  # of a word's height; the narrowest space is twice as wide


class TextLayer:
    """The text of a page, read once."""

    def __init__(self, mupdf: Any, content: PageContent, rows_pt: tuple[float, float] | None = None) -> None:
        """Read it, or what stands between two heights, with where pictures were drawn meanwhile."""
        self._mupdf, self._content = mupdf, content
        self._textpage = content.read(rows_pt)
        self.text: str = self._textpage.extractText()
        if TURNED.search(self.text):
            self._turn_ligatures()
            self.text = self._textpage.extractText()
        cut = [self._words[index][5:7] for index, gap in self._cut if abs(gap) < self._touching(index)]
        if 0 < len(cut) <= FEW * len(self._words):  # where they are many, the font's space is narrow
            self._close_gaps(set(cut))
            self.text = self._textpage.extractText()
            del self._words, self._boxes, self._cut

    @property
    def is_painted(self) -> bool:
        """Whether its first letter is: then the page is more than pictures. A clip, too, counts as painted in MuPDF."""
        mupdf = self._mupdf
        first = next((line for lines in self._list_lines() for line in lines), None)
        flags = _Letter.from_address(first).flags if first else mupdf.FZ_STEXT_CLIPPED
        return bool(flags & (mupdf.FZ_STEXT_FILLED | mupdf.FZ_STEXT_STROKED)) and not flags & mupdf.FZ_STEXT_CLIPPED

    def _turn_ligatures(self) -> None:
        """Put the letters of each sign in the order of reading: those without a width come before the one with it."""
        for lines in self._list_lines():
            for place in lines:
                _turn_line(place)

    def _list_lines(self) -> Iterator[list[int]]:
        """Where in memory the letters of each line of each block of text begin."""
        for block in self._list_blocks():
            if block.type == self._mupdf.FZ_STEXT_BLOCK_TEXT:
                first = next(iter(self._mupdf.FzStextBlock(block)), None)
                yield [line.first_char for line in _follow(_Line, first and int(first.m_internal.this))]

    @cached_property
    def _words(self) -> list[tuple[float, float, float, float, str, int, int, int]]:
        """Box in points, text, block of text, line and number of each word."""
        words: list[tuple[float, float, float, float, str, int, int, int]] = self._textpage.extractWORDS()
        return words

    @cached_property
    def _boxes(self) -> "np.ndarray":
        import numpy as np

        return np.array(list(zip(*self._words, strict=True))[:4], np.float32).reshape(4, -1).T

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

    def find_fault(self, samples: "np.ndarray", scale: float, is_scan: bool) -> str | None:
        """Why the text is not what the page shows, which was drawn at `scale` px a point; None where it is."""
        import numpy as np

        if is_scan:
            return "100.0% of its words have no ink of their own: it is somebody's reading of a picture"
        boxes = self._boxes
        covered = np.full(len(boxes), self._content.hides_text())
        if self._pictures:
            x, y = (boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2
            blocks = np.array([word[5] for word in self._words])
            for number, (x0, y0, x1, y1) in self._pictures:
                covered |= (blocks < number) & (x0 < x) & (x < x1) & (y0 < y) & (y < y1)
        texts = [word[4] for word in self._words]
        draw_text = partial(self._content.draw_text, scale)
        inkless = measure_inkless(samples, texts, boxes * np.float32(scale), covered, draw_text)
        if inkless:
            return f"{inkless:.1%} of its words have no ink on the page"
        if cut := self._cut:
            return f"{len(cut)} of its {len(boxes)} words are cut in two"
        return None

    def _touching(self, index: int) -> float:
        return TOUCHING[bool(RTL.match(self._words[index][4][-1]))]

    def _close_gaps(self, lines: set[tuple[int, int]]) -> None:
        """Take out the spaces between letters that touch, in lines by the number of their block and their own."""
        places = list(self._list_lines())
        for block, line in lines:
            before, is_next = None, True
            for letter in _follow(_Letter, places[block][line]):
                if chr(letter.code).isspace():
                    is_next = False
                else:
                    if before and not is_next and _are_touching(before, letter):
                        before.next = ctypes.addressof(letter)
                    before, is_next = letter, True

    @cached_property
    def _cut(self) -> list[tuple[int, float]]:
        """Each word that is one on the page with the word after it, and how far that is, as a share of its height."""
        import numpy as np

        left, top, right, bottom = self._boxes.T
        height = np.minimum(bottom[:-1] - top[:-1], bottom[1:] - top[1:])
        level = np.minimum(bottom[:-1], bottom[1:]) - np.maximum(top[:-1], top[1:]) >= LEVEL * height
        to_the_right, to_the_left = left[1:] - right[:-1], left[:-1] - right[1:]
        close = np.minimum(np.abs(to_the_right), np.abs(to_the_left)) < NO_GAP * height
        cut = []
        for index in np.flatnonzero(level & close).tolist():
            gaps = to_the_left if RTL.match(self._words[index][4][-1]) else to_the_right
            gap = float(gaps[index] / height[index])
            if abs(gap) < NO_GAP and self._is_one(index):
                cut.append((index, gap))
        return cut

    def _is_one(self, index: int) -> bool:
        """Whether a word and the next are one, which stand level and close together."""
        (*_, text, block, line, _), (*_, following, next_block, next_line, _) = self._words[index : index + 2]
        if not (text[-1].isalpha() and following[0].isalpha()) or "\u2e80" <= text[-1] < "\ufb00":
            return False  # Chinese and Japanese have no spaces
        if bool(RTL.match(text[-1])) != bool(RTL.match(following[0])):
            return False
        return (block, line) != (next_block, next_line) or f"{text} {following}" in self.text

    @cached_property
    def _pictures(self) -> list[tuple[int, tuple[float, float, float, float]]]:
        """How many blocks of text each was drawn after, and where it is."""
        pictures, texts = [], 0
        for block in self._list_blocks():
            texts += block.type == self._mupdf.FZ_STEXT_BLOCK_TEXT
            if block.type == self._mupdf.FZ_STEXT_BLOCK_IMAGE:
                box = block.bbox
                pictures.append((texts, (box.x0, box.y0, box.x1, box.y1)))
        return pictures

    def _list_blocks(self) -> Iterator[Any]:
        """As MuPDF lists them: its iterators take ten times as long."""
        block = self._textpage.this.m_internal.first_block
        while block:
            yield block
            block = block.next


class _Line(ctypes.Structure):
    """MuPDF's fz_stext_line, and below its fz_stext_char: to ask MuPDF for each takes ten times as long."""

    _fields_ = (
        ("_flags", ctypes.c_uint8 * 4), ("_place", ctypes.c_float * 6), ("first_char", ctypes.c_void_p),
        ("last_char", ctypes.c_void_p), ("previous", ctypes.c_void_p), ("next", ctypes.c_void_p),
    )  # fmt: skip


class _Letter(ctypes.Structure):
    _fields_ = (
        ("code", ctypes.c_int), ("bidi", ctypes.c_uint16), ("flags", ctypes.c_uint16), ("colour", ctypes.c_uint32),
        ("origin", ctypes.c_float * 2),
        ("left", ctypes.c_float), ("top", ctypes.c_float), ("right", ctypes.c_float), ("_right_top", ctypes.c_float),
        ("_bottom_left", ctypes.c_float), ("bottom", ctypes.c_float), ("_rest", ctypes.c_float * 3),
        ("font", ctypes.c_void_p), ("next", ctypes.c_void_p),
    )  # fmt: skip


Node = TypeVar("Node", _Line, _Letter)


def _follow(kind: type[Node], place: int | None) -> Iterator[Node]:
    """The nodes of a list that begins at `place` in memory."""
    while place:
        node = kind.from_address(place)
        yield node
        place = node.next


def _are_touching(letter: _Letter, following: _Letter) -> bool:
    """Whether no space is between two letters of a line."""
    one, two = chr(letter.code), chr(following.code)
    is_rtl = bool(RTL.match(one))
    gap = letter.left - following.right if is_rtl else following.left - letter.right
    is_word = is_rtl == bool(RTL.match(two)) and one.isalpha() and two.isalpha()
    return is_word and abs(gap) < TOUCHING[is_rtl] * abs(letter.bottom - letter.top)


def _turn_line(place: int | None) -> None:
    """Turn round the letters of each sign of a line, which begins at `place` in memory."""
    sign: list[_Letter] = []
    for letter in _follow(_Letter, place):
        if letter.code < FIRST_RTL:
            sign = []
        elif abs(letter.right - letter.left) < NO_WIDTH:
            sign.append(letter)
        elif sign:
            sign.append(letter)
            if all(RTL.match(chr(part.code)) for part in sign):
                for part, code in zip(sign, [part.code for part in reversed(sign)], strict=True):
                    part.code = code
            sign = []

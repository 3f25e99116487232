"""A device of MuPDF that takes of a page its text alone, and what covers it."""

from functools import cache
from typing import Any


class _TextSink:
    """Hands text on to two devices, in black: to `whole` all of it, to `left` what no clip and no cover takes away.

    A cover is what is painted later and cannot be seen through: paths, pictures, shades. Under a clip of text or of a
    mask nothing counts as a cover.
    """

    HEARD = (
        "fill_path", "fill_text", "stroke_text", "fill_shade", "fill_image", "clip_path", "clip_stroke_path",
        "clip_text", "clip_stroke_text", "clip_image_mask", "pop_clip", "begin_mask", "end_mask", "begin_group",
        "end_group", "begin_tile", "end_tile",
    )  # fmt: skip

    def start(self, pymupdf: Any, whole: Any, left: Any) -> None:
        self.mupdf = pymupdf.mupdf
        self.whole, self.left = whole.m_internal, left.m_internal
        self.grey, self.params = pymupdf.csGRAY.this.m_internal, self.mupdf.FzColorParams().internal()
        self.black, self.white = (self._new_tone(tone) for tone in (0.0, 1.0))
        self.sheet, self.square = self._new_rectangle(-1e5, 1e5), self._new_rectangle(0, 1)
        self.clips: list[bool] = []  # whether `left` has it
        self.groups: list[bool] = []  # whether it can be seen through
        self.unpainted = 0  # masks and tiles that are being drawn
        for name in self.HEARD:
            getattr(self, f"use_virtual_{name}")()

    def _new_tone(self, tone: float) -> Any:
        samples = self.mupdf.new_floats(4)
        self.mupdf.floats_setitem(samples, 0, tone)
        return samples

    def _new_rectangle(self, start: float, end: float) -> Any:
        path = self.mupdf.ll_fz_new_path()
        self.mupdf.ll_fz_rectto(path, start, start, end, end)
        return path

    def _cover(self, path: Any, even_odd: int, matrix: Any, alpha: float) -> None:
        if alpha == 1 and all(self.clips) and not any(self.groups) and not self.unpainted:
            self.mupdf.ll_fz_fill_path(self.left, path, even_odd, matrix, self.grey, self.white, 1.0, self.params)

    def fill_text(self, _: Any, text: Any, matrix: Any, *given: Any) -> None:
        for device in () if self.unpainted else (self.whole, self.left):
            self.mupdf.ll_fz_fill_text(device, text, matrix, self.grey, (0.0,), 1.0, self.params)

    def stroke_text(self, _: Any, text: Any, stroke: Any, matrix: Any, *given: Any) -> None:
        for device in () if self.unpainted else (self.whole, self.left):
            self.mupdf.ll_fz_stroke_text(device, text, stroke, matrix, self.grey, self.black, 1.0, self.params)

    def fill_path(self, _: Any, path: Any, even_odd: int, matrix: Any, *given: Any) -> None:
        self._cover(path, even_odd, matrix, alpha=given[2])

    def fill_shade(self, _: Any, shade: Any, matrix: Any, alpha: float, *given: Any) -> None:
        self._cover(self.sheet, 0, matrix, alpha)

    def fill_image(self, _: Any, image: Any, matrix: Any, alpha: float, *given: Any) -> None:
        if not image.mask:
            self._cover(self.square, 0, matrix, alpha)

    def clip_path(self, _: Any, *given: Any) -> None:
        self.mupdf.ll_fz_clip_path(self.left, *given)
        self.clips.append(True)

    def clip_stroke_path(self, _: Any, *given: Any) -> None:
        self.mupdf.ll_fz_clip_stroke_path(self.left, *given)
        self.clips.append(True)

    def clip_text(self, *_: object) -> None:
        self.clips.append(False)

    clip_stroke_text = clip_image_mask = clip_text

    def pop_clip(self, _: Any) -> None:
        if self.clips and self.clips.pop():
            self.mupdf.ll_fz_pop_clip(self.left)

    def begin_group(self, *given: Any) -> None:
        blend_mode, alpha = given[-2:]
        self.groups.append(bool(blend_mode) or alpha < 1)

    def end_group(self, _: Any) -> None:
        self.groups.pop()

    def begin_mask(self, *_: object) -> None:
        self.unpainted += 1

    def end_mask(self, *_: object) -> None:
        self.unpainted -= 1
        self.clips.append(False)

    def begin_tile(self, *_: object) -> int:
        self.unpainted += 1
        return 0

    def end_tile(self, *_: object) -> None:
        self.unpainted -= 1


@cache
def _device_class(base: Any) -> Any:
    return type("TextDevice", (_TextSink, base), {})


def open_text_device(pymupdf: Any, whole: Any, left: Any) -> Any:
    """The device; `whole` and `left` draw on white."""
    device = _device_class(pymupdf.mupdf.FzDevice2)()
    device.start(pymupdf, whole, left)
    return device

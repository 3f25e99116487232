"""The annotations of a page -> what every viewer shows of them, also where MuPDF shows another thing.

MuPDF leaves out what is flagged Invisible, though the flag is about unknown kinds alone (ISO 32000-2, table 167), and
draws a "SIGN" or a "DRAFT" of its own where a signature or stamp has no appearance.
"""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

Box = tuple[int, int, int, int]  # left, top, right, bottom, px
INVISIBLE, HIDDEN, NO_VIEW = 1, 2, 32  # flags
BARE = ("Link", "Caret", "FileAttachment", "Text")  # kinds that have no picture of their own, or in each viewer another
BLOCK_PX = 8  # two engines' letters differ within less
FAINT = 3.0  # grey levels that two engines differ by, averaged over an annotation
DIFFERENT = 0.35  # of the ink of an annotation


def mend_annotations(mupdf: Any, page_object: Any) -> list[Any]:
    """Change a page in memory, before it is loaded, so that MuPDF shows what others do.

    Returns:
        the annotations that are shown.
    """
    shown = []
    for annotation in _list_annotations(mupdf, page_object):
        kind, flags = _name(mupdf, annotation, "Subtype"), _flags(mupdf, annotation)
        if flags & (HIDDEN | NO_VIEW) or _is_layer_hidden(mupdf, annotation):
            continue
        has_appearance = _find_appearance(mupdf, annotation)
        if kind == "Popup" or (kind in BARE and not has_appearance):
            continue
        is_signature = kind == "Widget" and _name(mupdf, annotation, "FT") == "Sig"
        if not has_appearance and (kind == "Stamp" or is_signature):
            mupdf.pdf_dict_puts(annotation, "F", mupdf.pdf_new_int(flags | HIDDEN))
        elif flags & INVISIBLE or is_signature or kind == "Link":
            mupdf.pdf_dict_puts(annotation, "F", mupdf.pdf_new_int(flags & ~INVISIBLE))
            if is_signature or kind == "Link":  # of a kind whose appearance is never replaced
                mupdf.pdf_dict_puts(annotation, "Subtype", mupdf.pdf_new_name("Watermark"))
        mupdf.pdf_clean_obj(annotation)  # what is changed, MuPDF would draw anew
        shown.append(annotation)
    return shown


def _list_annotations(mupdf: Any, page_object: Any) -> Iterator[Any]:
    annotations = mupdf.pdf_dict_gets(page_object, "Annots")
    for index in range(mupdf.pdf_array_len(annotations)):
        annotation = mupdf.pdf_array_get(annotations, index)
        if mupdf.pdf_is_dict(annotation):
            yield annotation


def _name(mupdf: Any, annotation: Any, key: str) -> str:
    value: str = mupdf.pdf_to_name(mupdf.pdf_dict_gets_inheritable(annotation, key))
    return value


def _flags(mupdf: Any, annotation: Any) -> int:
    return int(mupdf.pdf_to_int(mupdf.pdf_dict_gets(annotation, "F")))


def _is_layer_hidden(mupdf: Any, annotation: Any) -> bool:
    layer = mupdf.pdf_dict_gets(annotation, "OC")
    if not mupdf.pdf_is_dict(layer):
        return False
    document = mupdf.pdf_get_bound_document(annotation).m_internal
    return bool(mupdf.ll_pdf_is_ocg_hidden(document, None, "View", layer.m_internal))


def _find_appearance(mupdf: Any, annotation: Any) -> bool:
    """Whether it has a normal appearance, of its state where there are several: of "Off" where a stamp names none."""
    normal = mupdf.pdf_dict_gets(mupdf.pdf_dict_gets(annotation, "AP"), "N")
    if not mupdf.pdf_is_stream(normal):
        if _name(mupdf, annotation, "Subtype") == "Stamp" and not mupdf.pdf_dict_gets(annotation, "AS").m_internal:
            mupdf.pdf_dict_puts(annotation, "AS", mupdf.pdf_new_name("Off"))
        normal = mupdf.pdf_dict_get(normal, mupdf.pdf_dict_gets(annotation, "AS"))
    return bool(mupdf.pdf_is_stream(normal))


def place_annotations(mupdf: Any, page: Any, annotations: list[Any], scale: float) -> tuple[Box, ...]:
    """Where annotations are on the page as drawn at `scale` px a point."""
    if not annotations:
        return ()
    matrix = mupdf.FzMatrix()
    mupdf.pdf_page_transform(mupdf.pdf_page_from_fz_page(page.this), mupdf.FzRect(), matrix)
    boxes = []
    for annotation in annotations:
        box = mupdf.fz_transform_rect(mupdf.pdf_to_rect(mupdf.pdf_dict_gets(annotation, "Rect")), matrix)
        boxes.append(tuple(round(side * scale) for side in (box.x0, box.y0, box.x1, box.y1)))
    return tuple(boxes)


def surround(boxes: Iterable[Box], shape: tuple[int, ...]) -> Box:
    """The box around all others on a page of (height, width, ...)."""
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    return max(0, min(lefts)), max(0, min(tops)), min(shape[1], max(rights)), min(shape[0], max(bottoms))


def are_different(samples: "np.ndarray", other: "np.ndarray", boxes: Iterable[Box]) -> bool:
    """Whether two engines drew something else within one of the boxes."""
    return any(_is_different(_blocks(samples, box), _blocks(other, box)) for box in boxes)


def _is_different(one: "np.ndarray", two: "np.ndarray") -> bool:
    import numpy as np

    height, width = (min(sides) for sides in zip(one.shape, two.shape, strict=True))
    if not height or not width:
        return False
    one, two = one[:height, :width], two[:height, :width]
    ink = max(255 - one.mean(), 255 - two.mean())
    return bool(np.abs(one - two).mean() > max(FAINT, DIFFERENT * ink))


def _blocks(samples: "np.ndarray", box: Box) -> "np.ndarray":
    """Mean grey levels of the blocks within a box."""
    import numpy as np

    left, top, right, bottom = (max(0, side) for side in box)
    grey = samples[top:bottom, left:right].mean(axis=2)
    rows, columns = (np.arange(0, side, BLOCK_PX) for side in grey.shape)
    if not len(rows) or not len(columns):
        return np.zeros((0, 0))
    sums = np.add.reduceat(np.add.reduceat(grey, rows, axis=0), columns, axis=1)
    counts = np.add.reduceat(np.ones(grey.shape[0]), rows)[:, None] * np.add.reduceat(np.ones(grey.shape[1]), columns)
    blocks: np.ndarray = sums / counts
    return blocks

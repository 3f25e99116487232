"""Objects in a PDF: a page's -> what other viewers take it for, before MuPDF loads it; forms that are no pages yet."""

from typing import Any


def mend_page(mupdf: Any, page_object: Any) -> None:
    """Leave out a turn by no right angle, a crop box that shows nothing of the page, and streams without a byte."""
    rotation = mupdf.pdf_to_int(mupdf.pdf_dict_gets_inheritable(page_object, "Rotate"))
    if rotation % 90:  # against the standard; MuPDF would turn it by the nearest right angle
        mupdf.pdf_dict_puts(page_object, "Rotate", mupdf.pdf_new_int(0))
    crop, media = (mupdf.pdf_dict_gets_inheritable(page_object, name) for name in ("CropBox", "MediaBox"))
    if crop.m_internal and media.m_internal:
        shown = mupdf.fz_intersect_rect(mupdf.pdf_to_rect(crop), mupdf.pdf_to_rect(media))
        if shown.x1 - shown.x0 <= 0 or shown.y1 - shown.y0 <= 0:
            mupdf.pdf_dict_puts(page_object, "CropBox", media)
    contents = mupdf.pdf_dict_gets(page_object, "Contents")
    for index in reversed(range(mupdf.pdf_array_len(contents))):
        if _is_empty(mupdf, mupdf.pdf_array_get(contents, index)):  # else MuPDF misses the end of its compression
            mupdf.pdf_array_delete(contents, index)
    if _is_empty(mupdf, contents):
        mupdf.pdf_dict_dels(page_object, "Contents")


def is_dynamic_form(pymupdf: Any, document: Any) -> bool:
    """Whether its pages only ask to be patient, while a viewer makes the form of its XFA."""
    mupdf = pymupdf.mupdf
    catalog = mupdf.pdf_dict_gets(mupdf.pdf_trailer(pymupdf._as_pdf_document(document)), "Root")
    form = mupdf.pdf_dict_gets(catalog, "AcroForm")
    if not mupdf.pdf_dict_gets(form, "XFA").m_internal:
        return False
    made_anew = mupdf.pdf_to_bool(mupdf.pdf_dict_gets(catalog, "NeedsRendering"))
    return bool(made_anew or not mupdf.pdf_array_len(mupdf.pdf_dict_gets(form, "Fields")))


def _is_empty(mupdf: Any, part: Any) -> bool:
    """Whether it is a stream whose length is 0."""
    length = mupdf.pdf_dict_gets(part, "Length")
    return bool(mupdf.pdf_is_stream(part) and mupdf.pdf_is_int(length) and mupdf.pdf_to_int(length) == 0)

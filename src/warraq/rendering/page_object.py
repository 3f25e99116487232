"""Objects in a PDF: a page's -> what other viewers take it for, before MuPDF loads it; forms that are no pages yet; the
files in it.
"""

import re
from collections.abc import Iterator
from typing import Any

SHORT_OF_MEMORY = re.compile(r"alloc \(|memory|system limits")  # as MuPDF, libjpeg and OpenJPEG say it
FILE_NAMES = ("UF", "F", "DOS", "Mac", "Unix")  # keys of a file's names, and of its bytes


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
    """Whether its pages only ask to be patient, while a viewer makes the form of its XFA.

    A single page does, if the file says that pages are made anew, or if it has no field but signatures; several do, if
    both is so.
    """
    mupdf, pdf = pymupdf.mupdf, pymupdf._as_pdf_document(document)
    catalog = mupdf.pdf_dict_gets(mupdf.pdf_trailer(pdf), "Root")
    if not mupdf.pdf_dict_gets(mupdf.pdf_dict_gets(catalog, "AcroForm"), "XFA").m_internal:
        return False
    made_anew = bool(mupdf.pdf_to_bool(mupdf.pdf_dict_gets(catalog, "NeedsRendering")))
    if made_anew == (document.page_count == 1):
        return made_anew
    return not any(
        mupdf.pdf_to_name(mupdf.pdf_dict_gets(note, "Subtype")) == "Widget"
        and mupdf.pdf_to_name(mupdf.pdf_dict_gets_inheritable(note, "FT")) != "Sig"
        for number in range(document.page_count)
        for note in _list(mupdf, mupdf.pdf_lookup_page_obj(pdf, number), "Annots")
    )


def find_files(pymupdf: Any, document: Any) -> Iterator[tuple[str, Any]]:
    """Name and stream of each file in a document: in its list of them, with it or a page, or as a note on a page."""
    mupdf, pdf = pymupdf.mupdf, pymupdf._as_pdf_document(document)
    known = set()
    try:
        for key, file in _list_file_objects(mupdf, pdf, document.page_count):
            number = mupdf.pdf_to_num(file)
            streams = mupdf.pdf_dict_gets(file, "EF")
            if not mupdf.pdf_is_dict(streams) or number in known:  # without the former it lies elsewhere
                continue
            known.update({number} - {0})  # 0 is of those that are no objects of their own
            names = [mupdf.pdf_dict_gets(file, name) for name in FILE_NAMES]
            name = next((name for name in names if mupdf.pdf_is_string(name)), key)
            found = [mupdf.pdf_dict_gets(streams, name) for name in FILE_NAMES]
            stream = next((stream for stream in found if mupdf.pdf_is_stream(stream)), found[0])
            yield as_utf8(mupdf.pdf_to_text_string(name)), stream
    except Exception as error:  # MuPDF has no common base for its errors; a damaged list ends there
        raise_if_memory(error)


def _list_file_objects(mupdf: Any, pdf: Any, page_count: int) -> Iterator[tuple[Any, Any]]:
    """Key, if it has one, and object of what may name a file."""
    nameless = mupdf.PdfObj()
    catalog = mupdf.pdf_dict_gets(mupdf.pdf_trailer(pdf), "Root")
    nodes, known = [mupdf.pdf_dict_gets(mupdf.pdf_dict_gets(catalog, "Names"), "EmbeddedFiles")], set()
    while nodes:
        node = nodes.pop()
        number = mupdf.pdf_to_num(node)
        if number in known:  # a list that leads back to itself
            continue
        known.update({number} - {0})
        pairs = list(_list(mupdf, node, "Names"))
        for key, file in zip(pairs[::2], pairs[1::2], strict=False):
            yield key, file
        nodes += reversed(list(_list(mupdf, node, "Kids")))
    for file in _list(mupdf, catalog, "AF"):
        yield nameless, file
    for number in range(page_count):
        page = mupdf.pdf_lookup_page_obj(pdf, number)
        for file in _list(mupdf, page, "AF"):
            yield nameless, file
        for note in _list(mupdf, page, "Annots"):
            yield nameless, mupdf.pdf_dict_gets(note, "FS")


def _list(mupdf: Any, holder: Any, key: str) -> Iterator[Any]:
    """What the array holds that is there by that name, if one is."""
    array = mupdf.pdf_dict_gets(holder, key)
    for index in range(mupdf.pdf_array_len(array)):
        yield mupdf.pdf_array_get(array, index)


def raise_if_memory(error: Exception) -> None:
    """Raise MemoryError where MuPDF says so in other words."""
    if isinstance(error, MemoryError) or SHORT_OF_MEMORY.search(str(error)):
        raise MemoryError(str(error)) from error


def as_utf8(text: str) -> str:
    """Text without the lone surrogates as which MuPDF hands bytes through that are none."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _is_empty(mupdf: Any, part: Any) -> bool:
    """Whether it is a stream whose length is 0."""
    length = mupdf.pdf_dict_gets(part, "Length")
    return bool(mupdf.pdf_is_stream(part) and mupdf.pdf_is_int(length) and mupdf.pdf_to_int(length) == 0)

"""Compressed data -> what is wrong with it, where those who draw it do not say: JPEG, deflate."""

import re

CHUNK = 2**20  # bytes that are unpacked at a time
MOST_BYTES = 2**26  # that are unpacked
JPEG_END = b"\xff\xd9"
PADDING = re.compile(r".*: \d extraneous bytes before marker 0xd9")  # behind the picture


def check_jpeg(data: bytes) -> str:
    """What a strict decoder says of a JPEG, its end given: nothing if all is there."""
    import simplejpeg

    try:
        colours = simplejpeg.decode_jpeg_header(data)[2]
        space = colours if colours == "CMYK" else "GRAY"
        # At an eighth of its size all is read and little is made of it.
        simplejpeg.decode_jpeg(data + JPEG_END, space, True, True, 1, 1, 8.0, strict=True)
    except ValueError as error:
        return "" if PADDING.match(str(error)) else str(error)
    return ""


def find_jpeg_damage(data: bytes) -> str | None:
    """Where a JPEG is not whole; None also where it is of a kind that is not checked."""
    said = check_jpeg(data)
    return said if said.startswith("Corrupt") else None


def find_deflate_damage(data: bytes) -> str | None:
    """Whether deflated data fails its own check; what is cut off is not checked."""
    from isal import isal_zlib

    unpacker = isal_zlib.decompressobj()
    try:
        for _ in range(MOST_BYTES // CHUNK):
            unpacker.decompress(data, CHUNK)
            data = unpacker.unconsumed_tail
            if not data:
                break
    except Exception as error:  # its type is not known to type checkers
        return "incorrect data check" if "checksum" in str(error) else None
    return None

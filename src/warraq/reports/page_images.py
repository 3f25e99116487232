"""Page images -> data addresses, as many as a budget holds."""

import base64
import io
from pathlib import Path

LONG_SIDE_PX = 1600  # as rendered by default, so that a zoomed page can be read
QUALITY = 50  # of WebP: 30 KB for a page of text, 150 KB for a scan

PageImage = tuple[str, int, int]
"""A data address, width and height in px."""


class ImageBudget:
    """What is left for images of the bytes of the report."""

    def __init__(self, size_bytes: int) -> None:
        self.left = size_bytes

    def embed(self, path: Path) -> PageImage | None:
        """An image; None once one did not fit, so that those embedded are the first ones asked for."""
        if self.left > 0:
            image = embed_image(path)
            self.left -= len(image[0])
            if self.left >= 0:
                return image
        return None


def embed_image(path: Path) -> PageImage:
    """A page image, made to fit a square of LONG_SIDE_PX."""
    from PIL import Image

    with Image.open(path) as original:
        small = original.convert("RGB")
    small.thumbnail((LONG_SIDE_PX, LONG_SIDE_PX))
    stream = io.BytesIO()
    small.save(stream, "WEBP", quality=QUALITY, method=2)
    data = base64.b64encode(stream.getvalue()).decode("ascii")
    return f"data:image/webp;base64,{data}", small.width, small.height

"""data/raw -> page images, pages.jsonl, rejected.jsonl."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from warraq.section import Section


class Render(Section):
    long_side_px: Annotated[int, Field(ge=64, le=16384)]
    colour: Literal["rgb", "grey"]
    contrast: Literal["none", "autocontrast"]
    max_pages: Annotated[int, Field(ge=1, le=100_000)]
    max_seconds: Annotated[int, Field(ge=1, le=3600)]
    max_memory_mib: Annotated[int, Field(ge=256, le=65536)]


def run(raw: Path, out: Path, parameters: Render) -> None:
    raise NotImplementedError

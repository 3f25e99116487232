"""pages + reviews -> labels/<task>.jsonl."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from warraq.section import Section


class Gemini(Section):
    model: Annotated[str, Field(pattern=r"^gemini-[a-z0-9.-]+$")]
    thinking_level: Literal["minimal", "low", "medium", "high"]
    max_output_tokens: Annotated[int, Field(ge=256, le=65536)]
    media_resolution: Literal["low", "medium", "high"]
    max_usd: Annotated[float, Field(ge=0)]
    usd_per_million_input: Annotated[float, Field(gt=0)]
    usd_per_million_output: Annotated[float, Field(gt=0)]


class Label(Section):
    teachers: Annotated[list[Literal["human", "textlayer", "gemini"]], Field(min_length=1)]
    gemini: Gemini


def run(pages: Path, reviews: Path, out: Path, task: str, parameters: Label) -> None:
    raise NotImplementedError

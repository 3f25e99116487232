"""base + dataset -> adapter, by LLaMA-Factory."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from warraq.section import Section
from warraq.students import Student


class Train(Section):
    seed: Annotated[int, Field(ge=0)]
    checkpoints: Annotated[int, Field(ge=1, le=100)]


def run(base: Path, dataset: Path, pages: Path, out: Path, student: Student, parameters: Train) -> None:
    raise NotImplementedError

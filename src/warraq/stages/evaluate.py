"""predictions -> metrics.json, plots, report.html."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from warraq.section import Section


class Evaluate(Section):
    resamples: Annotated[int, Field(ge=100, le=100_000)]
    seed: Annotated[int, Field(ge=0)]
    worst_pages: Annotated[int, Field(ge=0, le=500)]


def run(dataset: Path, pages: Path, predictions: Path, out: Path, parameters: Evaluate) -> str:
    raise NotImplementedError

"""merged model -> ONNX graphs, processor and parity.json."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from warraq.section import Section
from warraq.students import Student


class Export(Section):
    pages: Annotated[int, Field(ge=1, le=100)]
    max_new_tokens: Annotated[int, Field(ge=1, le=4096)]
    logit_bound: Annotated[float, Field(gt=0)]


def run(merged: Path, dataset: Path, pages: Path, out: Path, student: Student, parameters: Export) -> None:
    raise NotImplementedError

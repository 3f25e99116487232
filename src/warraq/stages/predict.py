"""a model + the test samples -> predictions.jsonl."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from warraq.section import Section


class Predict(Section):
    max_new_tokens: Annotated[int, Field(ge=1, le=32768)]


def run(model: Path, dataset: Path, pages: Path, out: Path, parameters: Predict) -> None:
    raise NotImplementedError

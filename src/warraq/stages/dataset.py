"""labels + reviews -> ShareGPT train, val, test, dataset_info.json, audit.json."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from warraq.section import Section


class Dataset(Section):
    validation_share: Annotated[float, Field(ge=0, lt=1)]
    test_share: Annotated[float, Field(ge=0, lt=1)]
    validation_documents: list[str]
    test_documents: list[str]


def run(pages: Path, labels: Path, reviews: Path, out: Path, tasks: list[str], parameters: Dataset) -> None:
    raise NotImplementedError

"""A project to be reviewed."""

from pathlib import Path

import pytest

from support.review_project import ReviewProject


@pytest.fixture
def project(tmp_path: Path) -> ReviewProject:
    (tmp_path / "data").mkdir()
    return ReviewProject(tmp_path / "data")

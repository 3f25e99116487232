"""What decides a page's pixels, and what decides that it is given up. The first is kept beside the pages.

Whoever reads pages learns from `<pages>/settings.json` how they were drawn, and needs no params.yaml for it.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from warraq.errors import InputError, first_problem
from warraq.files import short_hash, write_json
from warraq.records import Page, Row, read_rows
from warraq.section import Section

NAME = "settings.json"

PIXELS = 1  # version of the drawing: raised by hand when files give other pixels, as its test in test_pixels.py tells


class RenderSettings(Section):
    """What decides the pixels."""

    long_side_px: Annotated[int, Field(ge=64, le=16384)]
    colour: Literal["rgb", "grey"]
    contrast: Literal["none", "autocontrast"]
    autocontrast_cutoff_percent: Annotated[float, Field(ge=0, lt=50)]
    deskew: bool
    crop: bool


def recipe_of(settings: RenderSettings) -> str:
    """Hash of what decides the pixels: it stands in each page's row, and in a model that was trained on such pages."""
    parts = [f"pixels {PIXELS}", *(f"{name} {getattr(settings, name)}" for name in RenderSettings.model_fields)]
    return short_hash("\n".join(parts))


class RenderLimits(Section):
    """What decides whether a document or page is given up."""

    max_pages: Annotated[int, Field(ge=1, le=100_000)]
    max_seconds: Annotated[int, Field(ge=1, le=3600)]
    max_memory_mib: Annotated[int, Field(ge=256, le=65536)]
    max_output_mib: Annotated[int, Field(ge=1, le=1_048_576)]


class RenderRecipe(Row):
    """How the pages of a folder were drawn, in its settings.json."""

    settings: RenderSettings | None  # None: they were not rendered here, as those of an imported data set
    recipe: str  # as in the pages' rows


def write_recipe(pages: Path, settings: RenderSettings) -> None:
    """Write `<pages>/settings.json`."""
    plain = RenderSettings(**{name: getattr(settings, name) for name in RenderSettings.model_fields})
    write_json(pages / NAME, RenderRecipe(settings=plain, recipe=recipe_of(plain)).model_dump())


def read_recipe(pages: Path) -> RenderRecipe:
    """What `write_recipe` wrote; where it wrote nothing, what the first row of pages.jsonl says.

    Raises:
        InputError: the file is not of this version, or neither is there.
    """
    path = pages / NAME
    if not path.exists():
        rows = read_rows(pages / "pages.jsonl", Page)
        if not rows:
            raise InputError(f"{pages / 'pages.jsonl'} has no page; run the stage that writes it again.")
        return RenderRecipe(settings=None, recipe=rows[0].recipe)
    try:
        return RenderRecipe.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise InputError(
            f"{path} is not of this version ({first_problem(error)}); run `warraq render` again."
        ) from None

"""A page's image -> how large the model sees its lines, and whether that is as large as what it was trained on.

A student asked about lines that it cannot see answers fluently all the same. Such a page is not read, with a reason.
"""

from dataclasses import dataclass, field
from pathlib import Path

from warraq import image_settings
from warraq.files import read_json
from warraq.runtimes import open_image
from warraq.runtimes.manifest import ModelManifest
from warraq.runtimes.manifest import Sight as Bounds
from warraq.students import families
from warraq.students.families import Family, Settings
from warraq.training.page_image import measure_page_size, show_page
from warraq.views import Views

TOO_SMALL = "lines_too_small"


@dataclass(frozen=True)
class PageSight:
    """What a model sees of a page."""

    line_px: float | None  # of a text line, in the view that shows it largest; None where no line is found
    image_tokens: int  # of all views
    bounds: Bounds

    @property
    def is_too_small(self) -> bool:
        """Whether the lines are lower than any in training."""
        return self.line_px is not None and self.line_px < self.bounds.min_line_px

    def is_too_dense(self, tokens: int) -> bool:
        """Whether an answer of so many tokens is longer, for what is seen of the page, than any in training."""
        return tokens > self.bounds.max_tokens_per_image_token * self.image_tokens

    def explain(self, part: int = 0) -> str:
        """Why a page, or its part, is too small, and the remedy."""
        lines = f"of part {part} are" if part else "are"
        return (
            f"Its lines of text {lines} {self.line_px:g} px high as the model sees them, and it was trained on "
            f"{self.bounds.min_line_px:g} px or more; show it larger pages, take a student that sees more (`views`), "
            "or ask all the same with --ask-too-small."
        )


@dataclass(frozen=True)
class Eyesight:
    """How a model sees pages."""

    bounds: Bounds
    views: Views
    settings: Settings = field(repr=False)

    @property
    def family(self) -> Family:
        """Of the model."""
        return families.load(self.bounds.family)

    def look_at(self, image: Path) -> PageSight:
        """What the model sees of a page. Raises ImageError."""
        sizes, line_px = show_page(measure_page_size(open_image(image)), self.views, self.family, self.settings)
        return PageSight(line_px, sum(size.tokens for size in sizes), self.bounds)


def read_eyesight(folder: Path, trained: ModelManifest) -> Eyesight | None:
    """How the model in `folder` sees pages; None where its warraq.json or its processor's settings do not tell."""
    more = folder / "processor_config.json"
    is_told = any((folder / name).exists() for name in image_settings.FILES)
    if trained.sight is None or trained.sight.family not in families.MODULES or not is_told:
        return None
    settings = {**image_settings.read_image_settings(folder), **(read_json(more) if more.exists() else {})}
    return Eyesight(trained.sight, trained.views, settings)

"""A page.html that names its scripts and styles as `{{file NAME}}` -> one page that loads nothing."""

import re
from pathlib import Path

from warraq.tasks import NAMES

ROOM = Path(__file__).parent


def load_page(path: Path) -> str:
    """The page at `path` with its files in it, each of the page's own folder if it is there, else of the editor's; the
    names of the tasks' fields are the tasks'."""

    def read(match: re.Match[str]) -> str:
        places = (path.with_name(match[1]), ROOM / match[1], NAMES.with_name(match[1]))
        return fill(next(place for place in places if place.exists()).read_text(encoding="utf-8").strip())

    def fill(text: str) -> str:
        return re.sub(r"\{\{file (\w+\.\w+)\}\}", read, text)

    return fill(path.read_text(encoding="utf-8"))

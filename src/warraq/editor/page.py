"""A page.html that names its scripts and styles as `{{file NAME}}` -> one page that loads nothing."""

import re
from pathlib import Path

ROOM = Path(__file__).parent


def load_page(path: Path) -> str:
    """The page at `path` with its files in it, each of the page's own folder if it is there, else of the editor's."""

    def read(match: re.Match[str]) -> str:
        own = path.with_name(match[1])
        return (own if own.exists() else ROOM / match[1]).read_text(encoding="utf-8").strip()

    return re.sub(r"\{\{file (\w+\.\w+)\}\}", read, path.read_text(encoding="utf-8"))

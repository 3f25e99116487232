"""What is not saved yet: drafts, which outlive a closed tab and a killed server, and who has which page open."""

import time
from dataclasses import dataclass, field
from pathlib import Path

from warraq.files import JsonObject, read_json, write_json

CLAIM_S = 15 * 60  # s for which a page is somebody's, since the last sign of life


@dataclass
class Drafts:
    """A file a page and task and reviewer; `folder` is no input of any stage, so that a draft makes none run again."""

    folder: Path

    def _path(self, task: str, page_id: str, reviewer: str) -> Path:
        return self.folder / task / f"{page_id}.{reviewer.encode().hex()[:120]}.json"

    def read(self, task: str, page_id: str, reviewer: str) -> JsonObject | None:
        """What was kept, or None."""
        path = self._path(task, page_id, reviewer)
        try:
            draft: JsonObject | None = read_json(path) if path.exists() else None
        except ValueError:  # a draft that cannot be read is none
            return None
        return draft

    def write(self, task: str, page_id: str, reviewer: str, draft: JsonObject | None) -> None:
        """Keep a draft, or with None forget it."""
        path = self._path(task, page_id, reviewer)
        if draft is None:
            path.unlink(missing_ok=True)
        else:
            write_json(path, draft)


@dataclass
class Claims:
    """Who has which page open, by a name that each tab gives itself; in memory, as a saved row is checked anyway."""

    _held: dict[tuple[str, str], tuple[str, str, float]] = field(default_factory=dict)

    def take(self, task: str, page_id: str, tab: str, reviewer: str) -> str | None:
        """Claim a page; the name of whoever has it open in another tab, who keeps it, else None."""
        now = time.monotonic()
        holder, name, since = self._held.get((task, page_id), (tab, reviewer, now))
        self.release(tab)
        if holder != tab and now - since < CLAIM_S:
            return name
        self._held[task, page_id] = (tab, reviewer, now)
        return None

    def release(self, tab: str) -> None:
        """A tab is closed."""
        self._held = {key: claim for key, claim in self._held.items() if claim[0] != tab}

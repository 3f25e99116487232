"""Which pages of a document are wanted."""

from dataclasses import dataclass


@dataclass(frozen=True)
class PageRanges:
    """Pages counted from 1, by the first and last of each range; a last one of None is the document's."""

    ranges: tuple[tuple[int, int | None], ...]

    def __contains__(self, page: int) -> bool:
        return any(first <= page and (last is None or page <= last) for first, last in self.ranges)

    def list_pages(self, count: int) -> list[int]:
        """The pages of a document of `count` pages, in its order."""
        return [page for page in range(1, count + 1) if page in self]

    def find_missing(self, count: int) -> list[int]:
        """The first page of each range that lies beyond a document of `count` pages."""
        return sorted({first for first, _ in self.ranges if first > count})


ALL_PAGES = PageRanges(((1, None),))

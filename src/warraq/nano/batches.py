"""Blocks of pages -> batches for pretrain.py: patches, and what is to be learned of each of them and of each letter.

Only the patches with text and some of the others are in a batch, until the whole image is asked for: a page is mostly
blank, and blank patches cost as much as the others.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from warraq.nano.exchanges import FORMS, Exchange, TokenIds, make_exchange
from warraq.nano.text_lines import CHARACTERS
from warraq.nano.training_pages import BLOCK_PAGES, TrainingPage, make_block

if TYPE_CHECKING:
    import numpy as np
    from numpy.random import Generator

    Array = np.ndarray[Any, np.dtype[Any]]

PASSES = 4  # of a block; a page is moved anew each time
SHIFT_PX = 7
KEPT = 96  # patches
WHOLE_SHARE = 0.1  # of the batches of the decoder, with all patches
SLOTS = 4  # characters named for a patch, from left to right
IGNORED = -100


@dataclass(frozen=True)
class Grid:
    """The student's image: `side` x `side` patches of `patch_px` x `patch_px`, an image token each."""

    side: int
    patch_px: int

    @property
    def side_px(self) -> int:
        """Width and height of the image."""
        return self.side * self.patch_px


@dataclass(frozen=True)
class Batch:
    """Arrays of one step; the first dimension is the pages."""

    patches: "Array"  # (pages, kept, px) grey 0..255
    kept: "Array"  # (pages, kept) numbers of the patches, row by row
    characters: "Array"  # (pages, kept, SLOTS) indices into CHARACTERS from 1, 0 is none
    ids: "Array"  # (pages, tokens)
    positions: "Array"  # (pages, tokens)
    labels: "Array"  # (pages, tokens)
    last: "Array"  # (pages, tokens) the token of the image on which the character of this token stands, or -1
    following: "Array"  # (pages, tokens) the same of the next token
    image_start: int
    text_start: int


@dataclass(frozen=True)
class BatchStream:
    """The batches of the stream `seed`, of `size` pages each, one a step; item `number` is those of a block.

    From the step `mixed_from` on a share of them has whole images, from `whole_from` on all have: a decoder that has
    only seen few blank patches loses its place among many.
    """

    seed: int
    grid: Grid
    token_ids: TokenIds
    size: int
    mixed_from: int
    whole_from: int

    @property
    def steps(self) -> int:
        """How many steps a block lasts."""
        return BLOCK_PAGES * PASSES // self.size

    def __getitem__(self, number: int) -> list[Batch]:
        import numpy as np

        pages = make_block(self.seed, number, self.grid.side_px)
        rng = np.random.default_rng([self.seed, number, 1])
        batches: list[Batch] = []
        for _ in range(PASSES):
            order = rng.permutation(len(pages))
            # near equal lengths together: less padding
            order = np.concatenate(
                [sorted(part, key=lambda i: len(pages[i].text)) for part in np.array_split(order, 4)]
            )
            parts = order.reshape(-1, self.size)
            for part in rng.permutation(parts):
                step = number * self.steps + len(batches)
                whole = step >= self.whole_from or (step >= self.mixed_from and rng.random() < WHOLE_SHARE)
                kept = self.grid.side**2 if whole else KEPT
                batches.append(_make_batch(rng, [pages[i] for i in part], kept, self.grid, self.token_ids))
        return batches


def _make_batch(rng: "Generator", pages: list[TrainingPage], count: int, grid: Grid, token_ids: TokenIds) -> Batch:
    import numpy as np

    images, places = [], []
    for page in pages:
        right, down = rng.integers(-SHIFT_PX, SHIFT_PX + 1, 2)
        padded = np.pad(page.image, SHIFT_PX, mode="edge")
        top, left = SHIFT_PX - down, SHIFT_PX - right
        images.append(padded[top : top + grid.side_px, left : left + grid.side_px])
        places.append(page.places + np.array([right, down], np.float32) / grid.side_px)
    cells = [locate_patches(where, grid) for where in places]
    characters = np.stack(
        [_name_characters(page.text, x, where, grid) for page, where, x in zip(pages, cells, places, strict=True)]
    )
    first = characters[:, :, 0] > 0
    kept = np.sort(np.argsort(-(first * 2 + rng.random(first.shape)), axis=1)[:, :count], axis=1)
    patches = np.take_along_axis(_cut_patches(np.stack(images), grid), kept[:, :, None], axis=1)
    characters = np.take_along_axis(characters, kept[:, :, None], axis=1)
    form = str(rng.choice(list(FORMS), p=list(FORMS.values())))
    exchanges = [make_exchange(rng, form, page, where, token_ids) for page, where in zip(pages, cells, strict=True)]
    return Batch(patches, kept, characters, *_arrange_tokens(exchanges, kept, grid, token_ids))


def locate_patches(places: "Array", grid: Grid) -> "Array":
    """(length,) the number of the patch in which each character's middle lies, row by row, or -1."""
    import numpy as np

    inside: Array = np.all((places >= 0) & (places < 1), axis=1)  # NaN is neither
    column, row = (np.where(inside[:, None], places, 0) * grid.side).astype(int).T
    return np.where(inside, row * grid.side + column, -1)


def _name_characters(text: str, places: "Array", cells: "Array", grid: Grid) -> "Array":
    """(patches, SLOTS) the characters in each patch from left to right; what has no slot left is not asked for."""
    import numpy as np

    slots = np.zeros((grid.side**2, SLOTS), np.int64)
    filled = np.zeros(grid.side**2, int)
    for index in np.argsort(places[:, 0], kind="stable"):
        cell = cells[index]
        if cell >= 0 and filled[cell] < SLOTS:
            slots[cell, filled[cell]] = CHARACTERS.index(text[index]) + 1
            filled[cell] += 1
    return slots


def _cut_patches(images: "Array", grid: Grid) -> "Array":
    """(pages, side px, side px) -> (pages, patches, px of a patch)."""
    cut = images.reshape(len(images), grid.side, grid.patch_px, grid.side, grid.patch_px)
    return cut.transpose(0, 1, 3, 2, 4).reshape(len(images), grid.side**2, grid.patch_px**2)


def _arrange_tokens(
    exchanges: list[Exchange], kept: "Array", grid: Grid, token_ids: TokenIds
) -> tuple["Array", "Array", "Array", "Array", "Array", int, int]:
    """The fields of a batch from `ids` on; an image token keeps the position that it has in a whole image."""
    import numpy as np

    head, image = len(token_ids.before), kept.shape[1]
    start = head + image
    rows = [
        ([*token_ids.opening, *prompt, *token_ids.closing], [*answer, (token_ids.end, -1)])
        for prompt, answer in exchanges
    ]
    shape = (len(rows), start + max(len(prompt) + len(answer) for prompt, answer in rows))
    ids, positions = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    labels, last, following = (np.full(shape, fill, np.int64) for fill in (IGNORED, -1, -1))
    ids[:, :head], ids[:, head:start] = token_ids.before, token_ids.image
    positions[:, :head], positions[:, head:start] = np.arange(head), head + kept
    positions[:, start:] = head + grid.side**2 + np.arange(shape[1] - start)
    for row, (prompt, answer) in enumerate(rows):
        token = np.full(grid.side**2 + 1, -1)  # the last one for what is on no patch
        token[kept[row]] = head + np.arange(image)
        begin, end = start + len(prompt), start + len(prompt) + len(answer)
        tokens, cells = np.array(answer).T
        ids[row, start:begin], ids[row, begin:end] = prompt, tokens
        labels[row, begin - 1 : end - 1] = tokens
        last[row, begin:end] = following[row, begin - 1 : end - 1] = token[cells]
    return ids, positions, labels, last, following, head, start

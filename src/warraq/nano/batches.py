"""Blocks of pages -> batches for pretrain.py: patches, and what is to be learned of each of them and of each letter.

Only the patches with text and some of the others are in a batch, until the whole image is asked for: a page is mostly
blank, and blank patches cost as much as the others.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from warraq.nano.exchanges import FORMS, Exchange, TokenIds, make_exchange
from warraq.nano.text_lines import CHARACTERS
from warraq.nano.training_pages import BLOCK_PAGES, STATES, TrainingPage, make_block

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.random import Generator

    Array = np.ndarray[Any, np.dtype[Any]]

PASSES = 4  # of a block; a page is moved anew each time
SHIFT_PX = 7
KEPT = 96  # patches
WHOLE_SHARE = 0.5  # of the batches, with all patches
SLOTS = 4  # characters named for a patch, from left to right
PARTS = ("title", "stamp", "signature")  # of a page, told of each patch with text
NUMBERS_OF = {character: number for number, character in enumerate(CHARACTERS, start=1)}
IGNORED = -100
ALIGNMENT = 8  # bytes; of each array in a block


@dataclass(frozen=True)
class Grid:
    """The student's image: `side` x `side` patches of `patch_px` x `patch_px`, an image token each."""

    side: int
    patch_px: int

    @property
    def side_px(self) -> int:
        """Width and height of the image."""
        return self.side * self.patch_px


class Batch(NamedTuple):
    """Arrays, or tensors, of one step; the first dimension is the pages."""

    patches: Any  # (pages, kept, px) grey 0..255
    kept: Any  # (pages, kept) numbers of the patches, row by row
    characters: Any  # (pages, kept, SLOTS) indices into CHARACTERS from 1, 0 is none
    parts: Any  # (pages, kept) index into PARTS from 1, 0 is none of them, IGNORED where no text is
    states: Any  # (pages, STATES) 1 there, 0 not there, IGNORED where it is not clear
    ids: Any  # (pages, tokens)
    positions: Any  # (pages, tokens)
    labels: Any  # (pages, tokens)
    last: Any  # (pages, tokens) the token of the image on which the character of this token stands, or -1
    following: Any  # (pages, tokens) the same of the next token


@dataclass(frozen=True)
class Block:
    """The batches of a block as one piece of memory, which goes from process to process and to the GPU in one go."""

    data: "torch.Tensor"  # (bytes,) uint8
    layouts: list[list[tuple[int, int, "torch.dtype", tuple[int, ...]]]]  # of each array: start, end, type, shape

    def pin_memory(self) -> "Block":
        """The same in memory from which a GPU can copy while the program goes on."""
        return Block(self.data.pin_memory(), self.layouts)

    def unpack(self, device: "torch.device") -> list[Batch]:
        """Its batches as tensors on `device`."""
        data = self.data.to(device, non_blocking=True)
        return [
            Batch(*(data[start:end].view(dtype).view(shape) for start, end, dtype, shape in layout))
            for layout in self.layouts
        ]


def pack(batches: list[Batch]) -> Block:
    """The arrays of `batches` in one piece."""
    import numpy as np
    import torch

    pieces: list[Array] = []
    layouts, at = [], 0
    for batch in batches:
        layout = []
        for array in batch:
            dtype = torch.from_numpy(array[:0]).dtype
            layout.append((at, at + array.nbytes, dtype, array.shape))
            pieces += [array.reshape(-1).view(np.uint8), np.zeros(-array.nbytes % ALIGNMENT, np.uint8)]
            at += array.nbytes + len(pieces[-1])
        layouts.append(layout)
    return Block(torch.from_numpy(np.concatenate(pieces)), layouts)


@dataclass(frozen=True)
class BatchStream:
    """The batches of the stream `seed`, of `size` pages each; item `number` is those of a block.

    Some have whole images: a decoder that has only seen few blank patches loses its place among many.
    """

    seed: int
    grid: Grid
    token_ids: TokenIds
    size: int

    @property
    def batches_per_block(self) -> int:
        """How many batches are made of a block."""
        return BLOCK_PAGES * PASSES // self.size

    def __getitem__(self, number: int) -> Block:
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
                kept = self.grid.side**2 if rng.random() < WHOLE_SHARE else KEPT
                batches.append(_make_batch(rng, [pages[i] for i in part], kept, self.grid, self.token_ids))
        return pack(batches)


def _make_batch(rng: "Generator", pages: list[TrainingPage], count: int, grid: Grid, token_ids: TokenIds) -> Batch:
    import numpy as np

    images, places = [], []
    for page in pages:
        right, down = rng.integers(-SHIFT_PX, SHIFT_PX + 1, 2)
        rows, columns = (np.clip(np.arange(grid.side_px) - by, 0, grid.side_px - 1) for by in (down, right))
        images.append(page.image[rows][:, columns])
        places.append(page.places + np.array([right, down], np.float32) / grid.side_px)
    cells = [locate_patches(where, grid) for where in places]
    characters = np.stack(
        [_name_characters(page.text, x, where, grid) for page, where, x in zip(pages, cells, places, strict=True)]
    )
    first = characters[:, :, 0] > 0
    kept = np.sort(np.argsort(-(first * 2 + rng.random(first.shape)), axis=1)[:, :count], axis=1)
    page_of = np.arange(len(pages))[:, None]
    parts = np.stack([_mark_parts(page, where, grid) for page, where in zip(pages, cells, strict=True)])
    parts = np.where(first, parts, IGNORED)[page_of, kept]
    states = np.array([[int(page.state.get(key, IGNORED)) for key in STATES] for page in pages])
    form = str(rng.choice(list(FORMS), p=list(FORMS.values())))
    exchanges = [make_exchange(rng, form, page, where, token_ids) for page, where in zip(pages, cells, strict=True)]
    patches = _cut_patches(np.stack(images), grid)
    patches = patches[page_of, kept] if count < grid.side**2 else patches
    tokens = _arrange_tokens(exchanges, kept, grid, token_ids)
    return Batch(patches, kept, characters[page_of, kept], parts, states, *tokens)


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
            slots[cell, filled[cell]] = NUMBERS_OF[text[index]]
            filled[cell] += 1
    return slots


def _mark_parts(page: TrainingPage, cells: "Array", grid: Grid) -> "Array":
    """(patches,) the part of the page to which the text in each patch belongs: an index into PARTS from 1, or 0."""
    import numpy as np

    marks = np.zeros(grid.side**2 + 1, np.int64)  # the last one for what is on no patch
    for key, start, end in page.fields:
        if key in PARTS:
            marks[cells[start:end]] = PARTS.index(key) + 1
    return marks[:-1]


def _cut_patches(images: "Array", grid: Grid) -> "Array":
    """(pages, side px, side px) -> (pages, patches, px of a patch)."""
    cut = images.reshape(len(images), grid.side, grid.patch_px, grid.side, grid.patch_px)
    return cut.transpose(0, 1, 3, 2, 4).reshape(len(images), grid.side**2, grid.patch_px**2)


def _arrange_tokens(
    exchanges: list[Exchange], kept: "Array", grid: Grid, token_ids: TokenIds
) -> tuple["Array", "Array", "Array", "Array", "Array"]:
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
    return ids, positions, labels, last, following

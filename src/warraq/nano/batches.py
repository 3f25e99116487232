"""Blocks of pages -> batches for pretrain.py: patches, and what is to be learned of each of them and of each letter.

Only the patches with text and some of the others are in a batch, until the whole image is asked for: a page is mostly
blank, and blank patches cost as much as the others.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from warraq.nano.exchanges import FORMS, Exchange, TokenIds, make_exchange
from warraq.nano.text_lines import CHARACTERS
from warraq.nano.training_pages import STATES, TALL, TrainingPage, make_block
from warraq.views import find_bands

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.random import Generator

    Array = np.ndarray[Any, np.dtype[Any]]

PASSES = 4  # of a block; a page is moved anew each time
SHIFT_PX = 7
KEPT = 96  # patches
WHOLE_SHARE = 0.5  # of the batches, with all patches
BANDS = (0, 0, 0, 2, 0, 0, 0, 0, 0, 3, 0, 0)  # of the pages of one block after another; more cards than tall pages
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
    """Arrays, or tensors, of one step; the first dimension is the pages, the second the views of each."""

    patches: Any  # (pages, views, kept, px) grey 0..255
    kept: Any  # (pages, views, kept) numbers of the patches, row by row
    characters: Any  # (pages, views, kept, SLOTS) indices into CHARACTERS from 1, 0 is none, IGNORED: too small
    parts: Any  # (pages, views, kept) index into PARTS from 1, 0 is none of them, IGNORED where no text is
    states: Any  # (pages, STATES) 1 there, 0 not there, IGNORED where it is not clear
    ids: Any  # (pages, tokens)
    positions: Any  # (pages, tokens)
    labels: Any  # (pages, tokens)
    last: Any  # (pages, tokens) the image token on which the character of this token stands, or -1
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

    def __getitem__(self, number: int) -> Block:
        import numpy as np

        bands = BANDS[number % len(BANDS)]
        pages = make_block(self.seed, number, self.grid.side_px, bands)
        size = max(1, self.size // TALL) if bands else self.size
        rng = np.random.default_rng([self.seed, number, 1])
        batches: list[Batch] = []
        for _ in range(PASSES):
            order = rng.permutation(len(pages))
            # near equal lengths together: less padding
            order = np.concatenate(
                [sorted(part, key=lambda i: len(pages[i].text)) for part in np.array_split(order, 4)]
            ).astype(int)
            parts = order.reshape(-1, size)
            for part in rng.permutation(parts):
                kept = self.grid.side**2 if bands or rng.random() < WHOLE_SHARE else KEPT
                batches.append(_make_batch(rng, [pages[i] for i in part], kept, self.grid, self.token_ids))
        return pack(batches)


def _make_batch(rng: "Generator", pages: list[TrainingPage], count: int, grid: Grid, token_ids: TokenIds) -> Batch:
    import numpy as np

    shown = [
        show_page(page, (int(right), int(down)), grid)
        for page, (right, down) in zip(pages, rng.integers(-SHIFT_PX, SHIFT_PX + 1, (len(pages), 2)), strict=True)
    ]
    patches, characters, parts = (np.stack(arrays) for arrays in list(zip(*shown, strict=True))[:3])
    first = characters[..., 0] > 0
    kept = np.sort(np.argsort(-(first * 2 + rng.random(first.shape)), axis=2)[..., :count], axis=2)
    if count < grid.side**2:
        page, view = np.ogrid[: len(pages), : kept.shape[1]]
        where = (page[..., None], view[..., None], kept)
        patches, characters, parts = patches[where], characters[where], parts[where]
    states = np.array([[int(page.state.get(key, IGNORED)) for key in STATES] for page in pages])
    form = str(rng.choice(list(FORMS), p=list(FORMS.values())))
    exchanges = [
        make_exchange(rng, form, page, cells, token_ids) for page, (*_, cells) in zip(pages, shown, strict=True)
    ]
    tokens = _arrange_tokens(exchanges, kept, grid, token_ids)
    return Batch(patches, kept, characters, parts, states, *tokens)


def show_page(page: TrainingPage, shift: tuple[int, int], grid: Grid) -> tuple["Array", "Array", "Array", "Array"]:
    """A page moved to the right and down by `shift` px, in its views.

    Returns:
        (views, patches, px), (views, patches, SLOTS) and (views, patches) as in Batch; (length,) the patch of each
        character, counted through all views, or -1. With bands it is that of the band in whose middle it stands most,
        and the characters of the whole page are too small to be asked for.
    """
    import numpy as np
    from PIL import Image

    size = np.array(page.image.shape[::-1])
    columns, rows = (np.clip(np.arange(px) - by, 0, px - 1) for px, by in zip(size, shift, strict=True))
    image = page.image[rows][:, columns]
    places = page.places * size.astype(np.float32) + np.array(shift, np.float32)
    spans = [(0, int(size[1])), *(find_bands(int(size[1]), page.bands) if page.bands else ())]
    images, numbers, parts, cells, depths = [], [], [], [], []
    for top, bottom in spans:
        view = image[top:bottom]
        if len(view) != grid.side_px:
            reduced = Image.fromarray(view).resize((grid.side_px, grid.side_px), Image.Resampling.BILINEAR)
            view = np.asarray(reduced)
        images.append(view)
        where = (places - np.array([0, top], np.float32)) / np.array([size[0], bottom - top], np.float32)
        cells.append(locate_patches(where, grid))
        depths.append(np.nan_to_num(np.minimum(places[:, 1] - top, bottom - places[:, 1]), nan=-1))
        if page.bands and len(images) == 1:
            numbers.append(np.full((grid.side**2, SLOTS), IGNORED))
            depths[0][:] = -np.inf
        else:
            numbers.append(_name_characters(page.text, where, cells[-1], grid))
        parts.append(np.where(numbers[-1][:, 0] > 0, _mark_parts(page, cells[-1], grid), IGNORED))
    chosen, each = np.argmax(depths, axis=0), np.arange(len(page.text))
    cell = np.stack(cells)[chosen, each]
    return (
        _cut_patches(np.stack(images), grid), np.stack(numbers), np.stack(parts),
        np.where(cell >= 0, chosen * grid.side**2 + cell, -1),
    )  # fmt: skip


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
    """(views, side px, side px) -> (views, patches, px of a patch)."""
    cut = images.reshape(len(images), grid.side, grid.patch_px, grid.side, grid.patch_px)
    return cut.transpose(0, 1, 3, 2, 4).reshape(len(images), grid.side**2, grid.patch_px**2)


def _arrange_tokens(
    exchanges: list[Exchange], kept: "Array", grid: Grid, token_ids: TokenIds
) -> tuple["Array", "Array", "Array", "Array", "Array"]:
    """The fields of a batch from `ids` on; an image token keeps the position that it has in a whole image."""
    import numpy as np

    views, image = kept.shape[1:]
    head, gap, patches = len(token_ids.before), len(token_ids.between), grid.side**2
    starts = head + np.arange(views) * (image + gap)
    start = int(starts[-1]) + image
    rows = [
        ([*token_ids.opening, *prompt, *token_ids.closing], [*answer, (token_ids.end, -1)])
        for prompt, answer in exchanges
    ]
    shape = (len(rows), start + max(len(prompt) + len(answer) for prompt, answer in rows))
    ids, positions = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    labels, last, following = (np.full(shape, fill, np.int64) for fill in (IGNORED, -1, -1))
    ids[:, :head], positions[:, :head] = token_ids.before, np.arange(head)
    for view, begin in enumerate(starts):
        position = head + view * (patches + gap)
        ids[:, begin : begin + image], positions[:, begin : begin + image] = token_ids.image, position + kept[:, view]
        if view + 1 < views:
            ids[:, begin + image : begin + image + gap] = token_ids.between
            positions[:, begin + image : begin + image + gap] = position + patches + np.arange(gap)
    positions[:, start:] = head + views * patches + (views - 1) * gap + np.arange(shape[1] - start)
    for row, (prompt, answer) in enumerate(rows):
        token = np.full(views * patches + 1, -1)  # the last one for what is on no patch
        token[np.arange(views)[:, None] * patches + kept[row]] = starts[:, None] + np.arange(image)
        begin, end = start + len(prompt), start + len(prompt) + len(answer)
        tokens, cells = np.array(answer).T
        ids[row, start:begin], ids[row, begin:end] = prompt, tokens
        labels[row, begin - 1 : end - 1] = tokens
        last[row, begin:end] = following[row, begin - 1 : end - 1] = token[cells]
    return ids, positions, labels, last, following

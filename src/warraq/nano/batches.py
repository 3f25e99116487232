"""Blocks of pages -> batches for pretrain.py: patches, and what is to be learned of each of them and of each letter.

Only the patches with text and some of the others are in a batch, until the whole image is asked for: a page is mostly
blank, and blank patches cost as much as the others.

Of every page one of four things is asked: to copy it; to copy it with given marks, pieces of JSON in no sensible
order, before its lines; to copy it into pieces in one of a few such orders, one for the prompt of each task; or to give
the values of named fields and what can be seen of the page's wear, each behind a mark. So the student learns to write
what a prompt sets before it, to go on in an order that it knows by heart and that the prompt decides, to go to a value
rather than to the next line, and to look at the page as a whole, and meets no schema.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from warraq.nano.text_lines import CHARACTERS
from warraq.nano.training_pages import BLOCK_PAGES, TrainingPage, make_block
from warraq.synth import answers

if TYPE_CHECKING:
    import numpy as np
    from numpy.random import Generator
    from transformers import PreTrainedTokenizerFast

    Array = np.ndarray[Any, np.dtype[Any]]

PASSES = 4  # of a block; a page is moved anew each time
SHIFT_PX = 7
KEPT = 96  # patches
FORMS = {"copy": 0.35, "marked": 0.15, "ordered": 0.25, "fields": 0.25}  # shares of the batches of the decoder
FIELDS_ASKED, STATES_ASKED = 6, 2  # at most, of a page
FROM_THE_FIRST = 0.5  # share of the ordered copies, whose prompt says no more than the task's
WHOLE_SHARE = 0.1  # of the batches of the decoder, with all patches
SLOTS = 4  # characters named for a patch, from left to right
IGNORED = -100
MARKED, FIELDS, ABSENT, PRESENT = "Copy with marks:", "Fields:", "-", "+"
CLOSING = '"}],{['  # what stands alone in JSON, a token each
NAMES = "abcdefghijklmnopqrstuvwxyz_"
KEYS = (*answers.FIELDS, "title", "stamp", "signature")


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
class TokenIds:
    """The token ids of all that is in a prompt or an answer."""

    before: list[int]  # the image tokens
    opening: list[int]  # of the prompt, behind the image tokens
    closing: list[int]  # of the prompt
    copy: list[int]  # the prompt for a copy
    tasks: list[list[int]]  # the prompt of each task
    characters: dict[str, int]
    pieces: list[int]  # to be set as marks
    opens: frozenset[int]  # those of the pieces that open a text
    orders: list[list[int]]  # of the pieces, for each task
    image: int
    end: int


Answer = list[tuple[int, int]]  # token, patch
Exchange = tuple[list[int], Answer]  # prompt, answer


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


def build_token_ids(tokenizer: "PreTrainedTokenizerFast", copy: str, tasks: list[str], pieces: list[str]) -> TokenIds:
    """The token ids of the chat format of nano, as its processor writes it around an image."""
    import numpy as np

    def ids(text: str) -> list[int]:
        return list(tokenizer(text, add_special_tokens=False)["input_ids"])

    def one(token: str) -> int:
        return int(tokenizer.get_vocab()[token])

    orders = [np.random.default_rng(number).permutation(pieces).tolist() for number in range(len(tasks))]
    return TokenIds(
        ids("<bos><start_of_turn>user\n\n\n<start_of_image>"),
        ids("<end_of_image>\n\n"),
        ids("<end_of_turn>\n<start_of_turn>model\n"),
        ids(copy),
        [ids(prompt) for prompt in tasks],
        {character: one(character) for character in {*CHARACTERS, *NAMES, ABSENT, PRESENT, *CLOSING, *"|\n"}},
        [one(piece) for piece in (*pieces, *CLOSING)],
        frozenset(one(piece) for piece in pieces if piece.endswith(':"')),
        [[one(piece) for piece in order] for order in orders],
        one("<image_soft_token>"),
        one("<end_of_turn>"),
    )


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


def make_exchange(rng: "Generator", form: str, page: TrainingPage, patches: "Array", token_ids: TokenIds) -> Exchange:
    """What is asked of a page, and the answer with the patch of each of its tokens, -1 where it is on none."""
    if form == "copy":
        return token_ids.copy, _spell(page, patches, token_ids, 0, len(page.text))
    if form == "marked":
        return _ask_marked(rng, page, patches, token_ids)
    if form == "ordered":
        return _ask_ordered(rng, page, patches, token_ids)
    return _ask_fields(rng, page, patches, token_ids)


def _spell(page: TrainingPage, patches: "Array", token_ids: TokenIds, start: int, end: int) -> Answer:
    return [(token_ids.characters[page.text[place]], int(patches[place])) for place in range(start, end)]


def _draw_mark(rng: "Generator", token_ids: TokenIds) -> list[int]:
    """Some pieces of JSON, the first of them often the quotation mark that ends a value."""
    pieces = [token_ids.pieces[index] for index in rng.integers(0, len(token_ids.pieces), int(rng.integers(1, 4)))]
    return [token_ids.characters['"'], *pieces] if rng.random() < 0.5 else pieces


def _ask_marked(rng: "Generator", page: TrainingPage, patches: "Array", token_ids: TokenIds) -> Exchange:
    """A mark for each line."""
    prompt, answer = [token_ids.characters[character] for character in MARKED], Answer()
    for start, end in _find_lines(page.text):
        pieces = _draw_mark(rng, token_ids)
        prompt += [token_ids.characters["\n"], *pieces]
        answer += [(piece, -1) for piece in pieces] + _spell(page, patches, token_ids, start, end)
    return prompt, answer


def _ask_ordered(rng: "Generator", page: TrainingPage, patches: "Array", token_ids: TokenIds) -> Exchange:
    """The pieces in the order of a task, up to one that opens a text before each line."""
    number = int(rng.integers(len(token_ids.tasks)))
    order, prompt = token_ids.orders[number], [*token_ids.tasks[number]]
    if rng.random() >= FROM_THE_FIRST:
        place = int(rng.integers(len(order)))
        order = [*order[place:], *order[:place]]
        prompt += [token_ids.characters["\n"], order[0]]
    following, answer = itertools.cycle(order), Answer()
    for start, end in _find_lines(page.text):
        pieces = [token_ids.characters['"']] if start else []
        while not pieces or pieces[-1] not in token_ids.opens:
            pieces.append(next(following))
        answer += [(piece, -1) for piece in pieces] + _spell(page, patches, token_ids, start, end)
    return prompt, answer


def _ask_fields(rng: "Generator", page: TrainingPage, patches: "Array", token_ids: TokenIds) -> Exchange:
    """Fields that are on the page once, fields that are not on it, and what is clear of its wear, each with a mark."""
    letters = token_ids.characters
    prompt, answer = [letters[character] for character in FIELDS], Answer()
    keys = [key for key, _, _ in page.fields]
    values = {
        key: _spell(page, patches, token_ids, start, end) for key, start, end in page.fields if keys.count(key) == 1
    }
    absent = rng.choice([key for key in KEYS if key not in keys], int(rng.integers(1, 3)), replace=False)
    states = {key: [(letters[PRESENT if worn else ABSENT], -1)] for key, worn in page.state.items()}
    chosen = [*rng.permutation([*values])[:FIELDS_ASKED], *absent, *rng.permutation([*states])[:STATES_ASKED]]
    for key in rng.permutation(chosen):
        pieces = _draw_mark(rng, token_ids)
        prompt += [letters["\n"], *(letters[character] for character in key), *pieces]
        answer += [(piece, -1) for piece in pieces] + (values | states).get(str(key), [(letters[ABSENT], -1)])
    return prompt, answer


def _find_lines(text: str) -> Iterator[tuple[int, int]]:
    """Start and end of each line."""
    start = 0
    for line in text.split("\n"):
        yield start, start + len(line)
        start += len(line) + 1


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
    """(pages, side px, side px) -> (pages, patches, px of a patch)"""
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

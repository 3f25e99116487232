"""Blocks of cards -> batches for pretrain.py: patches, and what is to be learned of each of them and of each letter.

Only the patches with text and some of the others are in a batch, until the whole image is asked for: a card is mostly
blank, and blank patches cost as much as the others.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from warraq.synth.cards import CARDS_PER_BLOCK, Card, block
from warraq.synth.strips import CHARACTERS

if TYPE_CHECKING:
    import numpy as np
    from numpy.random import Generator
    from transformers import PreTrainedTokenizerFast

    Array = np.ndarray[Any, np.dtype[Any]]

PASSES = 4  # of a block; a card is moved anew each time
SHIFT_PX = 7
KEPT = 96  # patches
WHOLE_SHARE = 0.15  # of the batches of the decoder, with all patches
SLOTS = 4  # characters named for a patch, from left to right
IGNORED = -100


@dataclass(frozen=True)
class Grid:
    """The student's image: `side` x `side` patches of `patch_px` x `patch_px`, an image token each."""

    side: int
    patch_px: int

    @property
    def side_px(self) -> int:
        return self.side * self.patch_px


@dataclass(frozen=True)
class Words:
    """Token ids: what stands before the image tokens, the endings of the prompt, and each character."""

    before: list[int]
    prompts: list[list[int]]
    characters: dict[str, int]
    image: int
    end: int


@dataclass(frozen=True)
class Batch:
    """`patches` (cards, kept, px) grey 0..255; `kept` (cards, kept) their numbers, row by row; `characters` (cards,
    kept, SLOTS) indices into CHARACTERS from 1, 0 is none; `ids`, `positions`, `labels` (cards, tokens); `last` and
    `following` (cards, tokens): the token of the image on which the character of this token, or the next one, stands,
    or -1."""

    patches: "Array"
    kept: "Array"
    characters: "Array"
    ids: "Array"
    positions: "Array"
    labels: "Array"
    last: "Array"
    following: "Array"
    image_start: int
    text_start: int


def words(tokenizer: "PreTrainedTokenizerFast", prompts: list[str]) -> Words:
    """The chat format of nano, as its processor writes it around an image."""

    def ids(text: str) -> list[int]:
        return list(tokenizer(text, add_special_tokens=False)["input_ids"])

    def one(token: str) -> int:
        return int(tokenizer.get_vocab()[token])

    return Words(
        ids("<bos><start_of_turn>user\n\n\n<start_of_image>"),
        [ids(f"<end_of_image>\n\n{prompt}<end_of_turn>\n<start_of_turn>model\n") for prompt in prompts],
        {character: one(character) for character in CHARACTERS + "|\n"},
        one("<image_soft_token>"),
        one("<end_of_turn>"),
    )


@dataclass(frozen=True)
class Stream:
    """Item `number` is the batches of a block of the stream `seed`, of `size` cards each, one a step. From the step
    `mixed_from` on a share of them has whole images, from `whole_from` on all have: a decoder that has only seen few
    blank patches loses its place among many."""

    seed: int
    grid: Grid
    words: Words
    size: int
    mixed_from: int
    whole_from: int

    @property
    def steps(self) -> int:
        """Of a block."""
        return CARDS_PER_BLOCK * PASSES // self.size

    def __getitem__(self, number: int) -> list[Batch]:
        import numpy as np

        cards = block(self.seed, number, self.grid.side_px)
        draw = np.random.default_rng([self.seed, number, 1])
        batches: list[Batch] = []
        for _ in range(PASSES):
            order = draw.permutation(len(cards))
            # near equal lengths together: less padding
            order = np.concatenate(
                [sorted(part, key=lambda i: len(cards[i].text)) for part in np.array_split(order, 4)]
            )
            parts = order.reshape(-1, self.size)
            for part in draw.permutation(parts):
                step = number * self.steps + len(batches)
                whole = step >= self.whole_from or (step >= self.mixed_from and draw.random() < WHOLE_SHARE)
                kept = self.grid.side**2 if whole else KEPT
                batches.append(_batch(draw, [cards[i] for i in part], kept, self.grid, self.words))
        return batches


def _batch(draw: "Generator", cards: list[Card], count: int, grid: Grid, words: Words) -> Batch:
    import numpy as np

    images, places = [], []
    for card in cards:
        right, down = draw.integers(-SHIFT_PX, SHIFT_PX + 1, 2)
        padded = np.pad(card.image, SHIFT_PX, mode="edge")
        top, left = SHIFT_PX - down, SHIFT_PX - right
        images.append(padded[top : top + grid.side_px, left : left + grid.side_px])
        places.append(card.places + np.array([right, down], np.float32) / grid.side_px)
    cells = [cells_of(where, grid) for where in places]
    named = np.stack([_named(card.text, x, where, grid) for card, where, x in zip(cards, cells, places, strict=True)])
    first = named[:, :, 0] > 0
    kept = np.sort(np.argsort(-(first * 2 + draw.random(first.shape)), axis=1)[:, :count], axis=1)
    patches = np.take_along_axis(_patches(np.stack(images), grid), kept[:, :, None], axis=1)
    prompt = words.prompts[int(draw.integers(len(words.prompts)))]
    named = np.take_along_axis(named, kept[:, :, None], axis=1)
    return Batch(patches, kept, named, *_tokens(cards, cells, kept, prompt, grid, words))


def cells_of(places: "Array", grid: Grid) -> "Array":
    """(length,) the number of the patch in which each character's middle lies, row by row, or -1."""
    import numpy as np

    inside: Array = np.all((places >= 0) & (places < 1), axis=1)  # NaN is neither
    column, row = (np.where(inside[:, None], places, 0) * grid.side).astype(int).T
    return np.where(inside, row * grid.side + column, -1)


def _named(text: str, places: "Array", cells: "Array", grid: Grid) -> "Array":
    """(patches, SLOTS) the characters in each patch from left to right; what has no slot left is not asked for."""
    import numpy as np

    named = np.zeros((grid.side**2, SLOTS), np.int64)
    filled = np.zeros(grid.side**2, int)
    for index in np.argsort(places[:, 0], kind="stable"):
        cell = cells[index]
        if cell >= 0 and filled[cell] < SLOTS:
            named[cell, filled[cell]] = CHARACTERS.index(text[index]) + 1
            filled[cell] += 1
    return named


def _patches(images: "Array", grid: Grid) -> "Array":
    """(cards, side px, side px) -> (cards, patches, px of a patch)"""
    cut = images.reshape(len(images), grid.side, grid.patch_px, grid.side, grid.patch_px)
    return cut.transpose(0, 1, 3, 2, 4).reshape(len(images), grid.side**2, grid.patch_px**2)


def _tokens(
    cards: list[Card], cells: list["Array"], kept: "Array", prompt: list[int], grid: Grid, words: Words
) -> tuple["Array", "Array", "Array", "Array", "Array", int, int]:
    """Ids, positions, labels, last, following, start of the image and of the text; an image token keeps the position
    it has in a whole image."""
    import numpy as np

    head, image = len(words.before), kept.shape[1]
    start = head + image + len(prompt)
    shape = (len(cards), start + max(len(card.text) for card in cards) + 1)
    ids, positions = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    labels, last, following = (np.full(shape, fill, np.int64) for fill in (IGNORED, -1, -1))
    ids[:, :head], ids[:, head : head + image], ids[:, head + image : start] = words.before, words.image, prompt
    positions[:, :head], positions[:, head : head + image] = np.arange(head), head + kept
    positions[:, head + image :] = head + grid.side**2 + np.arange(shape[1] - head - image)
    for row, card in enumerate(cards):
        text = [words.characters[character] for character in card.text] + [words.end]
        ids[row, start : start + len(text)] = labels[row, start - 1 : start - 1 + len(text)] = text
        token = np.full(grid.side**2 + 1, -1)  # the last one for characters that are nowhere
        token[kept[row]] = head + np.arange(image)
        end = start + len(card.text)
        last[row, start:end] = following[row, start - 1 : end - 1] = token[cells[row]]
    return ids, positions, labels, last, following, head, start

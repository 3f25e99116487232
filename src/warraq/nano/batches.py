"""Blocks of cards -> batches for pretrain.py: patches, and what is to be learned of each of them and of each letter.

Only the patches with text and some of the others are in a batch, until the whole image is asked for: a card is mostly
blank, and blank patches cost as much as the others.

Of every card one of four things is asked: to copy it; to copy it with given marks, pieces of JSON in no sensible
order, before its lines; to copy it into pieces in one of a few such orders, one for the prompt of each task; or to give
the values of named fields and what can be seen of the page's wear, each behind a mark. So the student learns to write
what a prompt sets before it, to go on in an order that it knows by heart and that the prompt decides, to go to a value
rather than to the next line, and to look at the page as a whole, and meets no schema.
"""

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from warraq.nano.text_lines import CHARACTERS
from warraq.nano.training_pages import CARDS_PER_BLOCK, Card, block
from warraq.synth import answers

if TYPE_CHECKING:
    import numpy as np
    from numpy.random import Generator
    from transformers import PreTrainedTokenizerFast

    Array = np.ndarray[Any, np.dtype[Any]]

PASSES = 4  # of a block; a card is moved anew each time
SHIFT_PX = 7
KEPT = 96  # patches
FORMS = {"copy": 0.35, "marked": 0.15, "ordered": 0.25, "fields": 0.25}  # shares of the batches of the decoder
FIELDS_ASKED, STATES_ASKED = 6, 2  # at most, of a card
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
        return self.side * self.patch_px


@dataclass(frozen=True)
class Words:
    """Token ids: what stands before the image tokens, what opens and closes the prompt behind them, the prompt for a
    copy and those of the tasks, each character, the pieces to be set as marks, those of them that open a text, and the
    order of all for each task."""

    before: list[int]
    opening: list[int]
    closing: list[int]
    copy: list[int]
    tasks: list[list[int]]
    characters: dict[str, int]
    pieces: list[int]
    opens: frozenset[int]
    orders: list[list[int]]
    image: int
    end: int


Answer = list[tuple[int, int]]  # token, patch
Exchange = tuple[list[int], Answer]  # prompt, answer


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


def words(tokenizer: "PreTrainedTokenizerFast", copy: str, tasks: list[str], pieces: list[str]) -> Words:
    """The chat format of nano, as its processor writes it around an image."""
    import numpy as np

    def ids(text: str) -> list[int]:
        return list(tokenizer(text, add_special_tokens=False)["input_ids"])

    def one(token: str) -> int:
        return int(tokenizer.get_vocab()[token])

    orders = [np.random.default_rng(number).permutation(pieces).tolist() for number in range(len(tasks))]
    return Words(
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
    named = np.take_along_axis(named, kept[:, :, None], axis=1)
    form = str(draw.choice(list(FORMS), p=list(FORMS.values())))
    said = [exchange(draw, form, card, where, words) for card, where in zip(cards, cells, strict=True)]
    return Batch(patches, kept, named, *_tokens(said, kept, grid, words))


def exchange(draw: "Generator", form: str, card: Card, cells: "Array", words: Words) -> Exchange:
    """What is asked of a card, and the answer with the patch of each of its tokens, -1 where it is on none."""
    letters = words.characters

    def mark() -> list[int]:
        """Some pieces of JSON, the first of them often the quotation mark that ends a value."""
        pieces = [words.pieces[index] for index in draw.integers(0, len(words.pieces), int(draw.integers(1, 4)))]
        return [letters['"'], *pieces] if draw.random() < 0.5 else pieces

    def printed(start: int, end: int) -> Answer:
        return [(letters[card.text[place]], int(cells[place])) for place in range(start, end)]

    if form == "copy":
        return words.copy, printed(0, len(card.text))
    prompt, answer = [letters[character] for character in (MARKED if form == "marked" else FIELDS)], Answer()
    if form == "ordered":
        number = int(draw.integers(len(words.tasks)))
        order, prompt = words.orders[number], [*words.tasks[number]]
        if draw.random() >= FROM_THE_FIRST:
            place = int(draw.integers(len(order)))
            order = [*order[place:], *order[:place]]
            prompt += [letters["\n"], order[0]]
        following = itertools.cycle(order)
    if form != "fields":
        start = 0
        for line in card.text.split("\n"):
            if form == "marked":
                pieces = mark()
                prompt += [letters["\n"], *pieces]
            else:
                pieces = [letters['"']] if start else []
                while not pieces or pieces[-1] not in words.opens:
                    pieces.append(next(following))
            answer += [(piece, -1) for piece in pieces] + printed(start, start + len(line))
            start += len(line) + 1
        return prompt, answer
    there = [key for key, _, _ in card.fields]
    places = {key: printed(start, end) for key, start, end in card.fields if there.count(key) == 1}
    absent = draw.choice([key for key in KEYS if key not in there], int(draw.integers(1, 3)), replace=False)
    states = {key: [(letters[PRESENT if worn else ABSENT], -1)] for key, worn in card.state.items()}
    asked = [*draw.permutation([*places])[:FIELDS_ASKED], *absent, *draw.permutation([*states])[:STATES_ASKED]]
    for key in draw.permutation(asked):
        pieces = mark()
        prompt += [letters["\n"], *(letters[character] for character in key), *pieces]
        answer += [(piece, -1) for piece in pieces] + (places | states).get(str(key), [(letters[ABSENT], -1)])
    return prompt, answer


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
    said: list[Exchange], kept: "Array", grid: Grid, words: Words
) -> tuple["Array", "Array", "Array", "Array", "Array", int, int]:
    """Ids, positions, labels, last, following, start of the image and of the text; an image token keeps the position
    it has in a whole image."""
    import numpy as np

    head, image = len(words.before), kept.shape[1]
    start = head + image
    rows = [([*words.opening, *prompt, *words.closing], [*answer, (words.end, -1)]) for prompt, answer in said]
    shape = (len(rows), start + max(len(prompt) + len(answer) for prompt, answer in rows))
    ids, positions = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    labels, last, following = (np.full(shape, fill, np.int64) for fill in (IGNORED, -1, -1))
    ids[:, :head], ids[:, head:start] = words.before, words.image
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

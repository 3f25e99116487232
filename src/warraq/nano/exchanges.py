"""A training page -> a prompt and its answer in tokens, each with the patch on which it stands.

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
from warraq.nano.training_pages import TrainingPage
from warraq.synth import answers

if TYPE_CHECKING:
    import numpy as np
    from numpy.random import Generator
    from transformers import PreTrainedTokenizerFast

    Array = np.ndarray[Any, np.dtype[Any]]

FORMS = {"copy": 0.25, "marked": 0.15, "ordered": 0.25, "fields": 0.35}  # shares of the batches of the decoder
FIELDS_ASKED, STATES_ASKED = 6, 4  # at most, of a page
FROM_THE_FIRST = 0.5  # share of the ordered copies, whose prompt says no more than the task's
MARKED, FIELDS, ABSENT, PRESENT = "Copy with marks:", "Fields:", "-", "+"
CLOSING = '"}],{['  # what stands alone in JSON, a token each
NAMES = "abcdefghijklmnopqrstuvwxyz_"
KEYS = (*answers.FIELDS, "title", "stamp", "signature")


@dataclass(frozen=True)
class TokenIds:
    """The token ids of all that is in a prompt or an answer."""

    before: list[int]  # the image tokens
    between: list[int]  # those of an image and of the next
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
        ids("<end_of_image>\n\n\n\n<start_of_image>"),
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

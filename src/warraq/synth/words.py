"""Words for the values of synthetic pages: common given names, invented family names, companies, places and goods.

words.json has two vocabularies with no string in common, nor any string of `demo` inside one of `train`: `demo` fills
the documents of `warraq synth`, `train` is for pre-training, so that a student that reads a demo document cannot know
its values by heart. Words move from neither list to the other: weights that were trained on `train` may have been
published. The order of the words is part of what a seed gives.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter

Language = Literal["ar", "en"]


@dataclass(frozen=True)
class Vocabulary:
    """Single words of one language, each at most nine characters."""

    given: tuple[str, ...]
    family: tuple[str, ...]
    company: tuple[str, ...]
    trade: tuple[str, ...]  # what kind of company: "<company> <trade>", in Arabic "<trade> <company>"
    place: tuple[str, ...]
    item: tuple[str, ...]

    @property
    def all_words(self) -> tuple[str, ...]:
        """The words of all kinds."""
        return (*self.given, *self.family, *self.company, *self.trade, *self.place, *self.item)


Vocabularies = dict[Language, Vocabulary]


@cache
def load_words(name: Literal["demo", "train"]) -> Vocabularies:
    """One of the two vocabularies, in each language."""
    data = Path(__file__).with_name("words.json").read_bytes()
    return TypeAdapter(dict[str, Vocabularies]).validate_json(data)[name]

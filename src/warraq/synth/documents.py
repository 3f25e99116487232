"""A random generator and a vocabulary -> one small receipt, letter or invoice with its true answers.

Pages are small and their type large, so that a student that sees a small square can read them; values are short.
"""

from dataclasses import dataclass
from random import Random
from typing import Literal

from warraq.synth import bills, letters
from warraq.synth.layout import PageLayout
from warraq.synth.scan import choose_scan
from warraq.synth.style import choose_style
from warraq.synth.values import Values
from warraq.synth.words import Language, Vocabularies

Kind = Literal["receipt", "letter", "invoice"]


@dataclass(frozen=True)
class Document:
    """A made-up document, page by page; a scanned one was printed and put through a scanner."""

    kind: Kind
    language: Language
    scanned: bool
    pages: tuple[PageLayout, ...]


def make_document(rng: Random, vocabularies: Vocabularies) -> Document:
    """Draw a document; the order of the draws is part of what a seed gives."""
    language: Language = rng.choice(("ar", "en"))
    kind: Kind = rng.choice(("receipt", "letter", "invoice"))
    arabic_digits = language == "ar" and rng.random() < 0.5
    values = Values(rng, language, vocabularies[language], arabic_digits, decimals=rng.random() < 0.65)
    style = choose_style(rng, language)
    makers = {"receipt": bills.make_receipt, "letter": letters.make_letter, "invoice": bills.make_invoice}
    builders = makers[kind](values, style)
    scanned = rng.random() < 0.45
    pages = tuple(builder.build(rng, choose_scan(rng) if scanned else None) for builder in builders)
    return Document(kind, language, scanned, pages)

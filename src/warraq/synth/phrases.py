"""What forms say in every office: labels, titles, roles, stamps, sentences. Common words, not values (phrases.json).

`labels` has the wordings of each label; its keys are those of `answers.FIELDS`. In sentences, subjects and attachments
{item}, {place} and {name} stand for values.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pydantic import TypeAdapter

from warraq.synth.words import Language


@dataclass(frozen=True)
class Phrases:
    """The phrases of one language; where one of several is printed, all of them."""

    labels: dict[str, tuple[str, ...]]
    columns: dict[str, tuple[str, ...]]  # heads of the goods table
    company: str  # order of {company} and {trade}
    invoice_titles: tuple[str, ...]
    receipt_titles: tuple[str, ...]
    running_heads: dict[str, str]  # kind of document -> its name, at the top of its later pages
    bodies: tuple[str, ...]  # who issues letters, besides companies
    departments: tuple[str, ...]
    roles: tuple[str, ...]
    stamps: tuple[str, ...]
    sensitivities: tuple[str, ...]
    urgencies: tuple[str, ...]
    subjects: tuple[str, ...]
    sentences: tuple[str, ...]
    closings: tuple[str, ...]
    instructions: tuple[str, ...]
    attachments: tuple[str, ...]
    registration: str  # order of {number} and {date}
    marginal_notes: tuple[str, ...]
    boxes: tuple[str, ...]  # what stands beside boxes to be ticked, on a letter
    payments: tuple[str, ...]  # the same on a receipt
    statuses: tuple[str, ...]
    notes: tuple[str, ...]
    currencies: tuple[str, ...]
    months: tuple[str, ...]  # Gregorian, short
    hijri_months: tuple[str, ...]
    pages: tuple[str, ...]  # wordings of a page number


@cache
def load_phrases(language: Language) -> Phrases:
    """The phrases of a language."""
    data = Path(__file__).with_name("phrases.json").read_bytes()
    return TypeAdapter(dict[Language, Phrases]).validate_json(data)[language]

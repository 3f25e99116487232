"""A random generator and a vocabulary -> what stands behind the labels of a form: names, numbers, amounts, dates."""

from dataclasses import dataclass
from random import Random
from typing import Literal

from warraq.synth.phrases import Phrases, load_phrases
from warraq.synth.words import Language, Vocabulary

ARABIC_INDIC = str.maketrans("0123456789.%", "٠١٢٣٤٥٦٧٨٩٫٪")


@dataclass(frozen=True)
class Dates:
    """Two dates in one format: the second is a month after the first."""

    date: str
    due: str
    calendar: Literal["gregorian", "hijri"]


@dataclass(frozen=True)
class Values:
    """Draws values as one document prints them: its language, its digits, with or without decimals."""

    rng: Random
    language: Language
    vocabulary: Vocabulary
    arabic_digits: bool
    decimals: bool

    @property
    def phrases(self) -> Phrases:
        """The phrases of the language."""
        return load_phrases(self.language)

    def format_digits(self, text: str) -> str:
        """The text with its digits as this document prints them."""
        return text.translate(ARABIC_INDIC) if self.arabic_digits else text

    def draw_name(self) -> str:
        """Given name and family name."""
        return f"{self.rng.choice(self.vocabulary.given)} {self.rng.choice(self.vocabulary.family)}"

    def draw_company(self) -> str:
        """A company with its trade."""
        company, trade = self.rng.choice(self.vocabulary.company), self.rng.choice(self.vocabulary.trade)
        return self.phrases.company.format(company=company, trade=trade)

    def draw_place(self) -> str:
        """A place."""
        return self.rng.choice(self.vocabulary.place)

    def draw_items(self, count: int) -> list[str]:
        """Different goods."""
        return self.rng.sample(self.vocabulary.item, count)

    def fill_phrase(self, phrases: tuple[str, ...]) -> str:
        """One of `phrases` with words in the place of {item}, {place} and {name}; goods in small letters within it."""
        phrase = self.rng.choice(phrases)
        (item,) = self.draw_items(1)
        item = item if phrase.startswith("{item}") else item.lower()
        return phrase.format(item=item, place=self.draw_place(), name=self.draw_name())

    def draw_reference(self) -> str:
        """Four to six characters; in Arabic digits and a slash alone, whose order is never in doubt."""
        shape = self.rng.randrange(3)
        if shape == 0:
            return self.format_digits(f"{self.rng.randint(10, 99)}/{self.rng.randint(10, 999)}")
        if shape == 1 and self.language == "en":
            return "".join(self.rng.choices("ABCDEFGHJKLMNPRSTUVWXYZ", k=2)) + str(self.rng.randint(100, 9999))
        return self.format_digits(str(self.rng.randint(1000, 999_999)))

    def draw_stamp(self, share: float) -> tuple[str, ...]:
        """The lines of a stamp in a share of cases, else none."""
        if self.rng.random() >= share:
            return ()
        return (self.rng.choice(self.phrases.stamps), *([self.draw_place()] if self.rng.random() < 0.4 else []))

    def draw_signature(self, share: float) -> tuple[str, ...]:
        """A signer's name and, often, role in a share of cases, else none."""
        if self.rng.random() >= share:
            return ()
        return (self.draw_name(), *([self.rng.choice(self.phrases.roles)] if self.rng.random() < 0.4 else []))

    def draw_cents(self) -> int:
        """A price of at most 99.50."""
        return self.rng.randint(2, 199) * 50 if self.decimals else self.rng.randint(1, 99) * 100

    def format_amount(self, cents: int) -> str:
        """At most seven characters below 10,000; whole units in a document without decimals."""
        return self.format_digits(f"{cents // 100}.{cents % 100:02d}" if self.decimals else str(cents // 100))

    def draw_dates(self) -> Dates:
        """Two dates, both Gregorian or, in Arabic, both Hijri; no day is beyond the 28th."""
        phrases = self.phrases
        hijri = bool(phrases.hijri_months) and self.rng.random() < 0.5
        year = self.rng.randint(1440, 1448) if hijri else self.rng.randint(2019, 2026)
        month, day, shape = self.rng.randint(1, 11), self.rng.randint(1, 28), self.rng.randrange(3)
        names = phrases.hijri_months if hijri else phrases.months

        def format_date(month: int) -> str:
            forms = (
                f"{day:02d}/{month:02d}/{year}",
                f"{year}/{month:02d}/{day:02d}",
                f"{day} {names[month - 1]} {year}",
            )
            return self.format_digits(forms[shape])

        return Dates(format_date(month), format_date(month + 1), "hijri" if hijri else "gregorian")

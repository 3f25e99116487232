"""A random generator and a language -> how all pages of one document look, and how much fits on one."""

import math
from dataclasses import dataclass
from random import Random

from warraq.synth.phrases import load_phrases
from warraq.synth.words import Language

MARGIN_PT = 13.0
ZONE_PT = 82.0  # height of the foot where stamp and signature stand side by side


@dataclass(frozen=True)
class Style:
    """The look of a document; sizes in pt."""

    language: Language
    labels: dict[str, str]  # this document's wording of each label
    columns: dict[str, str]
    font: str
    size_pt: int  # of the type
    width_pt: int
    centred: bool  # the heading
    bold_labels: bool
    ruled: bool  # the table, and a frame around the page
    ink: str

    @property
    def rtl(self) -> bool:
        """Whether text runs from right to left."""
        return self.language == "ar"

    @property
    def line_pt(self) -> float:
        """Height of a line with the space below it."""
        return self.size_pt * 1.25 + 4

    @property
    def row_pt(self) -> float:
        """Height of a row of the table."""
        return self.size_pt * 1.25 + 7

    @property
    def heading_pt(self) -> float:
        """Height of the heading with the space below it."""
        return self.size_pt * 1.25 * 1.25 + 8

    @property
    def name_pt(self) -> float:
        """Type size of the name under a signature, which has half the width."""
        return self.size_pt * 0.9

    @property
    def footer_pt(self) -> float:
        """Height of the page number."""
        return self.size_pt * 1.25 + 2

    @property
    def css(self) -> str:
        """The sizes of `line_pt`, `row_pt` and `heading_pt`; MuPDF keeps to them exactly."""
        border = f"border:1px solid {self.ink}"
        return (
            f"* {{font-family:{self.font};font-size:{self.size_pt}px;line-height:1.25;color:{self.ink}}}"
            "body,p,h1{margin:0} p{margin-bottom:4px}"
            f"h1{{font-size:{self.size_pt * 1.25}px;margin-bottom:8px;{'text-align:center' if self.centred else ''}}}"
            "table{width:100%;border-collapse:collapse;margin-bottom:5px}"
            f"td{{font-size:{self.size_pt * 0.92}px;padding:2px 4px;{border if self.ruled else ''}}}"
        )

    def count_lines(self, text: str) -> int:
        """At most how many lines `text` takes; no line of that script was seen with wider letters."""
        letter_pt = self.size_pt * (0.47 if self.rtl else 0.55)
        return math.ceil(len(text) * letter_pt / (self.width_pt - 2 * MARGIN_PT))

    def count_free_lines(self, signed: bool, footer: bool, rows: int = 0) -> int:
        """How many lines fit besides a heading and the other parts on a page that a small square shows well."""
        taken = 2 * MARGIN_PT + self.heading_pt + signed * ZONE_PT + footer * self.footer_pt + rows * self.row_pt + 5
        return int((1.25 * self.width_pt - taken) / self.line_pt)


def choose_style(rng: Random, language: Language) -> Style:
    """Draw the look of a document."""
    phrases = load_phrases(language)
    latin = language == "en"
    return Style(
        language=language,
        labels={label: rng.choice(wordings) for label, wordings in phrases.labels.items()},
        columns={column: rng.choice(wordings) for column, wordings in phrases.columns.items()},
        font=rng.choice(("sans-serif", "serif")),
        size_pt=rng.randint(17, 19) if latin else rng.randint(18, 20),
        width_pt=rng.randint(244, 258),
        centred=rng.random() < 0.6,
        bold_labels=latin and rng.random() < 0.4,  # the Arabic face has no bold
        ruled=rng.random() < 0.6,
        ink=rng.choice(("#000000", "#000000", "#101840")),
    )

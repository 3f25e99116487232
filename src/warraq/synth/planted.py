"""A number of pages and a seed -> a test set with errors planted on purpose: pages/, dataset/test.json and, beside it,
planted.jsonl, which says what is printed and what a mender would write instead.

A copyist copies `recieve`, a total that does not add up and a name that nobody bears; who mends them reads what should
stand there and not what does. The set is asked and scored like any other (`warraq predict`, `warraq evaluate`) and is
never trained on.
"""

import logging
from pathlib import Path
from random import Random
from typing import Literal

from warraq import tasks
from warraq.errors import InputError
from warraq.files import hash_file, replace_file, short_hash, write_json
from warraq.records import Page, Planted, Sample, Turn, write_rows
from warraq.synth import drawing
from warraq.synth.page_builder import PageBuilder
from warraq.synth.style import choose_style
from warraq.synth.values import Values
from warraq.synth.words import Language, load_words
from warraq.tasks import content
from warraq.workers import log_progress

logger = logging.getLogger(__name__)
_SPELLINGS = (("ة", "ه"), ("ي", "ى"), ("ى", "ي"))  # at the end of a word
_VOWELS = "aeiou"
_LETTERS = "بتجحدرزسشصطعفقكلمنو"

Plant = tuple[Literal["spelling", "digits", "name"], str, str]
"""Kind, printed, mended."""


def write_planted(out: Path, *, pages: int, seed: int) -> None:
    """Write the test set.

    Raises:
        InputError: `out` holds something else.
    """
    own = {"pages", "dataset", "reports"}
    foreign = sorted(path.name for path in out.iterdir() if path.name not in own) if out.exists() else []
    if foreign or (out / "dataset/train.json").exists():
        raise InputError(
            f"{out} holds {(foreign or ['dataset/train.json'])[0]}; name a new folder for the planted set."
        )
    rows: list[Page] = []
    samples: list[Sample] = []
    plants: list[Planted] = []
    for number in log_progress(range(1, pages + 1), pages, "synth", "pages"):
        page, errors = _make_letter(Random(f"planted {seed}:{number}"))
        document = short_hash(f"planted {seed}:{number}")
        page_id, image = f"{document}-p0001", f"{document}/0001.png"
        answer = content.Answer.model_validate(page.answers["content"]).model_dump(mode="json")
        digest, size = _write_image(page, out / "pages" / image, seed * 1_000_003 + number)
        rows.append(
            Page(
                page_id=page_id, document=document, page=1, files=(f"planted-{number:04d}.png",), image=image,
                image_sha256=digest, width_px=size[0], height_px=size[1], px_per_pt=None, text=None, repaired=False,
                recipe="planted",
            )
        )  # fmt: skip
        turns = (
            Turn(role="user", content="<image>" + content.PROMPT),
            Turn(role="assistant", content=tasks.dumps(answer)),
        )
        samples.append(
            Sample(
                page_id=page_id, document=document, task="content", reference="gold", images=(image,),
                conversations=turns,
            )
        )  # fmt: skip
        plants += [Planted(page_id=page_id, kind=kind, printed=a, mended=b) for kind, a, b in errors]
    write_rows(out / "pages/pages.jsonl", rows, key=lambda row: row.page_id)
    write_rows(out / "dataset/planted.jsonl", plants, key=lambda row: (row.page_id, row.printed))
    samples.sort(key=lambda sample: sample.page_id)
    write_json(out / "dataset/test.json", [sample.model_dump(mode="json") for sample in samples])
    logger.info("synth: %d pages with %d planted errors in %s", pages, len(plants), out)


def _write_image(page: PageBuilder, path: Path, seed: int) -> tuple[str, tuple[int, int]]:
    """The SHA-256 and the size in px of the page's image, never scanned: what is misread is not the scanner's fault."""
    from PIL import Image

    picture = Image.fromarray(drawing.draw_pixels(page.build(Random(seed), None)))
    with replace_file(path) as part:
        picture.save(part, "PNG")
    return hash_file(path), picture.size


def _make_letter(rng: Random) -> tuple[PageBuilder, list[Plant]]:
    """A short letter with a misspelt word, a name that nobody bears and a sum that is wrong."""
    while True:
        language: Language = rng.choice(("ar", "en"))
        vocabulary = load_words("demo")[language]
        values = Values(rng, language, vocabulary, language == "ar" and rng.random() < 0.5, decimals=True)
        page = PageBuilder(choose_style(rng, language), "letter")
        page.add_heading(rng.choice(values.phrases.invoice_titles))
        item, name = rng.choice(vocabulary.item), values.draw_name()
        first, second = values.draw_cents(), values.draw_cents()
        total = values.format_amount(first + second)
        errors: list[Plant] = [
            ("spelling", misspell(rng, item, language), item),
            ("name", " ".join(alter_name(rng, part, language) for part in name.split()), name),
            ("digits", swap_neighbours(rng, total), total),
        ]
        page.add_line("subject", errors[0][1])
        page.add_line("recipient", errors[1][1])
        page.add_line("subtotal", values.format_amount(first))
        page.add_line("tax", values.format_amount(second))
        page.add_line("total", errors[2][1])
        text = "\n".join(block["text"] for block in page.answers["content"]["blocks"])
        if all(printed != mended and text.count(printed) == 1 and mended not in text for _, printed, mended in errors):
            return page, errors


def misspell(rng: Random, word: str, language: Language) -> str:
    """The word with a common misspelling: in Arabic another ending, else two letters within it swapped."""
    if language == "ar":
        for ending, other in _SPELLINGS:
            if word.endswith(ending):
                return word.removesuffix(ending) + other
    return swap_neighbours(rng, word, inner=True)


def swap_neighbours(rng: Random, word: str, inner: bool = False) -> str:
    """The word with two neighbouring characters swapped; the word itself where no two differ."""
    edge = int(inner)
    places = [
        place
        for place in range(edge, len(word) - 1 - edge)
        if word[place] != word[place + 1] and word[place].isalnum() and word[place + 1].isalnum()
    ]
    if not places:
        return word
    place = rng.choice(places)
    return word[:place] + word[place + 1] + word[place] + word[place + 2 :]


def alter_name(rng: Random, name: str, language: Language) -> str:
    """A name with a letter changed so that nobody bears it."""
    letters = _VOWELS if language == "en" else _LETTERS
    places = [place for place in range(1, len(name)) if name[place] in letters] or [len(name) - 1]
    place = rng.choice(places)
    other = rng.choice([letter for letter in letters if letter != name[place]])
    return name[:place] + other + name[place + 1 :]

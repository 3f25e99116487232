"""A number of pages and a seed -> a test set with errors planted on purpose: pages/, dataset/test.json and, beside it,
planted.jsonl, which says what is printed and what a mender would write instead.

A copyist copies `recieve`, a total that does not add up and a name that nobody bears; who mends them reads what should
stand there and not what does. The set is asked and scored like any other (`warraq predict`, `warraq evaluate`) and is
never trained on.
"""

import hashlib
import logging
from pathlib import Path
from random import Random
from typing import Literal

from warraq import tasks
from warraq.errors import InputError
from warraq.files import replace_file, short_hash, write_json
from warraq.records import Page, Planted, Sample, Turn, write_rows
from warraq.synth import draw
from warraq.synth import style as styles
from warraq.synth.phrases import PHRASES
from warraq.synth.sheet import Sheet
from warraq.synth.values import Values
from warraq.synth.words import DEMO, Language
from warraq.tasks import content
from warraq.workers import progress

logger = logging.getLogger(__name__)
_SPELLINGS = (("ة", "ه"), ("ي", "ى"), ("ى", "ي"))  # at the end of a word
_VOWELS = "aeiou"
_LETTERS = "بتجحدرزسشصطعفقكلمنو"

Plant = tuple[Literal["spelling", "digits", "name"], str, str]
"""Kind, printed, mended."""


def write(out: Path, pages: int, seed: int) -> None:
    """Raises InputError where `out` holds something else."""
    known = {"pages", "dataset", "reports"}
    foreign = sorted(path.name for path in out.iterdir() if path.name not in known) if out.exists() else []
    if foreign or (out / "dataset/train.json").exists():
        raise InputError(
            f"{out} holds {(foreign or ['dataset/train.json'])[0]}; name a new folder for the planted set."
        )
    rows: list[Page] = []
    samples: list[Sample] = []
    plants: list[Planted] = []
    for number in progress(range(1, pages + 1), pages, "synth", "pages"):
        sheet, errors = _sheet(Random(f"planted {seed}:{number}"))
        document = short_hash(f"planted {seed}:{number}")
        page_id, image = f"{document}-p0001", f"{document}/0001.png"
        answer = content.Answer.model_validate(sheet.answers["content"]).model_dump(mode="json")
        digest, size = _image(sheet, out / "pages" / image, seed * 1_000_003 + number)
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
    ordered = sorted(samples, key=lambda one: one.page_id)
    write_json(out / "dataset/test.json", [one.model_dump(mode="json") for one in ordered])
    logger.info("synth: %d pages with %d planted errors in %s", pages, len(plants), out)


def _image(sheet: Sheet, path: Path, seed: int) -> tuple[str, tuple[int, int]]:
    """The SHA-256 and the size in px of the page's image, never scanned: what is misread is not the scanner's fault."""
    from PIL import Image

    picture = Image.fromarray(draw.pixels(sheet.page(Random(seed), None)))
    with replace_file(path) as part:
        picture.save(part, "PNG")
    return hashlib.sha256(path.read_bytes()).hexdigest(), picture.size


def _sheet(rng: Random) -> tuple[Sheet, list[Plant]]:
    """A short letter with a misspelt word, a name that nobody bears and a sum that is wrong."""
    while True:
        language: Language = rng.choice(("ar", "en"))
        values = Values(rng, language, DEMO[language], language == "ar" and rng.random() < 0.5, decimals=True)
        sheet = Sheet(styles.choose(rng, language), "letter")
        sheet.heading(rng.choice(PHRASES[language].invoice_titles))
        item, name = rng.choice(DEMO[language].item), values.name()
        first, second = values.cents(), values.cents()
        errors: list[Plant] = [
            ("spelling", misspelt(rng, item, language), item),
            ("name", " ".join(unheard(rng, part, language) for part in name.split()), name),
            ("digits", swapped(rng, values.amount(first + second)), values.amount(first + second)),
        ]
        sheet.line("subject", errors[0][1])
        sheet.line("recipient", errors[1][1])
        sheet.line("subtotal", values.amount(first))
        sheet.line("tax", values.amount(second))
        sheet.line("total", errors[2][1])
        text = "\n".join(block["text"] for block in sheet.answers["content"]["blocks"])
        if all(printed != mended and text.count(printed) == 1 and mended not in text for _, printed, mended in errors):
            return sheet, errors


def misspelt(rng: Random, word: str, language: Language) -> str:
    """A common misspelling: in Arabic one ending for another, else two letters within the word change places."""
    if language == "ar":
        for ending, other in _SPELLINGS:
            if word.endswith(ending):
                return word.removesuffix(ending) + other
    return swapped(rng, word, inner=True)


def swapped(rng: Random, word: str, inner: bool = False) -> str:
    """Two neighbouring characters that differ change places; the word itself where there are none."""
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


def unheard(rng: Random, name: str, language: Language) -> str:
    """A name with a letter changed so that nobody bears it."""
    letters = _VOWELS if language == "en" else _LETTERS
    places = [place for place in range(1, len(name)) if name[place] in letters] or [len(name) - 1]
    place = rng.choice(places)
    other = rng.choice([letter for letter in letters if letter != name[place]])
    return name[:place] + other + name[place + 1 :]

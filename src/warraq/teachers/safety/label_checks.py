"""What an answer must pass to become a label. Nothing here edits an answer.

A finding in QUARANTINE keeps the answer from the labels; any other is a doubt that travels with it for the reviewer.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import accumulate
from typing import Any

from warraq.metrics.arabic import normalize, to_ascii_digits
from warraq.metrics.fields import flatten
from warraq.metrics.values import parse_amount, parse_date
from warraq.teachers.textlayer import doubt, folded

QUARANTINE = frozenset({"foreign_script", "text_on_blank", "mixed_digits", "disagrees", "marked_confidential"})
BLANK = 0.0005  # share of dark pixels: below it a page is paper and dust

_MIXED = re.compile(r"[0-9][٠-٩۰-۹]|[٠-٩][0-9۰-۹]|[۰-۹][0-9٠-٩]")
_MARK = re.compile("[\u064b-\u0652\u0670]")
_ARABIC = re.compile("[\u0621-\u064a]")
_TAG = re.compile(r"<[^<>]{0,200}>")
_CONFIDENTIAL = re.compile(
    r"\(?\s*(?<!غير )(?:سر[يى]ة?(?: للغاي[ةه]| جدا[\u064b]?)?|مكتوم|(?:top )?secret|"
    r"(?:strictly )?confidential|restricted)\s*\)?",
    re.I,
)
_DATE = re.compile(r"^\W*\d{1,4}\s?[-/.]\s?\d{1,2}\s?[-/.]\s?\d{1,4}\W*$")


@dataclass(frozen=True)
class Finding:
    code: str
    message: str


def strings(answer: dict[str, Any]) -> dict[str, str]:
    """The texts of an answer by their path; the names of kinds and languages are the schema's words, not the page's."""
    flat = flatten(answer)
    return {path: text for path, text in flat.items() if isinstance(text, str) and not path.endswith((".kind", "type"))}


def findings(task: str, answer: dict[str, Any], ink: float | None, layer: str) -> list[Finding]:
    """All that is found; `ink` is the image's share of dark pixels, `layer` the page's own text or nothing."""
    texts = strings(answer)
    whole = "\n".join(texts.values())
    found = [*_written(task, whole, ink), *_marked(texts), *_dates(texts)]
    found += _agreement(task, whole, folded(layer))
    if task == "invoice":
        found += _arithmetic(answer)
    return found


def _written(task: str, whole: str, ink: float | None) -> Iterator[Finding]:
    letters = [letter for letter in whole if letter.isalpha()]
    foreign = [letter for letter in letters if not (letter < "\u0250" or "\u0600" <= letter <= "\u06ff"
               or "\u0370" <= letter <= "\u03ff" or "\ufb50" <= letter <= "\ufefc" or letter in "ʿʾʼ")]  # fmt: skip
    if len(foreign) > max(4, 0.02 * len(letters)):
        yield Finding("foreign_script", f"{len(foreign)} of {len(letters)} letters, {foreign[0]} first")
    if ink is not None and ink < BLANK and len(letters) > 20:
        yield Finding("text_on_blank", f"{len(letters)} letters, {ink:.3%} of the page is dark")
    if task == "content" and ink is not None and ink > 20 * BLANK and not any(map(str.isalnum, whole)):
        yield Finding("no_text", f"{ink:.1%} of the page is dark")
    if mixed := _MIXED.search(whole):
        yield Finding("mixed_digits", whole[max(0, mixed.start() - 8) : mixed.end() + 8])
    arabic, marks = len(_ARABIC.findall(whole)), len(_MARK.findall(whole))
    if arabic > 20 and marks > 0.3 * arabic:
        yield Finding("vowel_marks", f"{marks} on {arabic} letters")


def _marked(texts: dict[str, str]) -> Iterator[Finding]:
    for path, text in texts.items():
        if path.endswith("sensitivity_marking"):
            marked = _CONFIDENTIAL.search(text)
        else:  # a line of its own: in running text the word may speak of anything
            marked = next(
                filter(None, (_CONFIDENTIAL.fullmatch(line.strip(" -–:*")) for line in text.split("\n"))), None
            )
        if marked:
            yield Finding("marked_confidential", f"{path}: {marked[0].strip()}")
            return


def _dates(texts: dict[str, str]) -> Iterator[Finding]:
    """A date in numbers that is none, or of a year that no document has. A percentage or a term is no date."""
    for path, text in texts.items():
        if path.rpartition(".")[2] not in {"date", "due_date"} or not _DATE.search(to_ascii_digits(text)):
            continue
        when = parse_date(text)
        if when is None or not (1300 <= when[1] <= 1500 if when[0] == "hijri" else 1800 <= when[1] <= 2100):
            yield Finding("date", f"{path}: {text}")


def _agreement(task: str, whole: str, layer: str) -> Iterator[Finding]:
    """Against a text layer that is proved usable; of a task with fields only what it adds counts."""
    if doubt(layer) is not None:
        return
    written, known = _words(whole), _words(layer)
    if len(written) < 5:
        return
    there, here = set(known), set(written)
    added = sum(word not in there for word in written) / len(written)
    missed = sum(word not in here for word in known) / len(known)
    if task == "content" and (added > 0.2 or missed > 0.3):
        yield Finding(
            "disagrees", f"{added:.0%} of the words are not in the text layer, {missed:.0%} of its are missing"
        )
    elif numbers := {word for word in written if word.isdigit()} - there:
        yield Finding("number_not_in_layer", ", ".join(sorted(numbers)[:3]))


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", to_ascii_digits(normalize(_TAG.sub(" ", text))).casefold())


def _arithmetic(answer: dict[str, Any]) -> Iterator[Finding]:
    """Sums that do not hold. True invoices have discounts and errors of their own, so these are only told."""
    totals = []
    for index, item in enumerate(answer["items"]):
        quantity, price, total = (_amount(item[name]) for name in ("quantity", "unit_price", "total"))
        totals.append(total)
        if quantity is not None and price is not None and total is not None and _far(quantity * price, total):
            yield Finding("arithmetic", f"items[{index}]: {quantity} x {price} is not {total}")
    subtotal, tax, total = (_amount(answer[name]) for name in ("subtotal", "tax", "total"))
    known = [one for one in totals if one is not None]
    if subtotal is not None and known and len(known) == len(totals) and _far(sum(known, Decimal()), subtotal):
        yield Finding("arithmetic", f"the items add up to {sum(known, Decimal())}, not {subtotal}")
    if subtotal is not None and tax is not None and total is not None and _far(subtotal + tax, total):
        yield Finding("arithmetic", f"{subtotal} + {tax} is not {total}")


def _amount(text: str | None) -> Decimal | None:
    read = parse_amount(text) if text else None
    return read[0] if read else None


def _far(one: Decimal, other: Decimal) -> bool:
    return abs(one - other) > max(Decimal("0.05"), abs(other) * Decimal("0.002"))


def ink(image: bytes) -> float:
    """The share of pixels clearly unlike the paper, so that faint print counts, other than in `Page.ink`.

    Raises:
        ValueError: it is not an image.
    """
    import io

    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(image)) as opened:
            counts = opened.convert("L").histogram()
    except (UnidentifiedImageError, OSError) as error:
        raise ValueError(f"not an image: {error}") from None
    total = sum(counts)
    paper = next(value for value, seen in enumerate(accumulate(counts)) if seen * 2 >= total)  # the median
    return sum(count for value, count in enumerate(counts) if abs(value - paper) > 50) / total

"""What an answer must pass to become a label. Nothing here edits an answer.

An issue in QUARANTINE keeps the answer from the labels; any other is a doubt that travels with it for the reviewer.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import accumulate

from warraq.files import JsonObject
from warraq.metrics.arabic import normalize, to_ascii_digits
from warraq.metrics.dates import parse_date
from warraq.metrics.fields import flatten
from warraq.metrics.values import parse_amount
from warraq.teachers.textlayer import find_fault, fold_letters

QUARANTINE = frozenset({"foreign_script", "text_on_blank", "mixed_digits", "disagrees", "marked_confidential"})
BLANK_INK = 0.0005  # share of dark pixels: below it a page is paper and dust, or a notice in small type
LETTERS_OF_INK = 200_000  # letters in type of 5 pt for which all of a page would be dark: no smaller one is printed

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
class AnswerIssue:
    """Something about an answer that a label must not have, or that a reviewer should know."""

    code: str
    message: str


def collect_texts(answer: JsonObject) -> dict[str, str]:
    """The texts of an answer by their path; the names of kinds and languages are the schema's words, not the page's."""
    flat = flatten(answer)
    return {path: text for path, text in flat.items() if isinstance(text, str) and not path.endswith((".kind", "type"))}


def find_issues(task: str, answer: JsonObject, ink: float | None, layer: str) -> list[AnswerIssue]:
    """All issues of an answer; `ink` is the image's share of dark pixels, `layer` the page's own text or nothing."""
    texts = collect_texts(answer)
    full_text = "\n".join(texts.values())
    issues = [*_check_script(task, full_text, ink), *_check_markings(texts), *_check_dates(texts)]
    issues += _check_text_layer(task, full_text, fold_letters(layer))
    if task == "invoice":
        issues += _check_sums(answer)
    return issues


def _check_script(task: str, full_text: str, ink: float | None) -> Iterator[AnswerIssue]:
    letters = [letter for letter in full_text if letter.isalpha()]
    foreign = [letter for letter in letters if not (letter < "\u0250" or "\u0600" <= letter <= "\u06ff"
               or "\u0370" <= letter <= "\u03ff" or "\ufb50" <= letter <= "\ufefc" or letter in "ʿʾʼ")]  # fmt: skip
    if len(foreign) > max(4, 0.02 * len(letters)):
        yield AnswerIssue("foreign_script", f"{len(foreign)} of {len(letters)} letters, {foreign[0]} first")
    if ink is not None and ink < BLANK_INK and len(letters) > max(20, LETTERS_OF_INK * ink):
        yield AnswerIssue("text_on_blank", f"{len(letters)} letters, {ink:.3%} of the page is dark")
    if task == "content" and ink is not None and ink > 20 * BLANK_INK and not any(map(str.isalnum, full_text)):
        yield AnswerIssue("no_text", f"{ink:.1%} of the page is dark")
    if mixed := _MIXED.search(full_text):
        yield AnswerIssue("mixed_digits", full_text[max(0, mixed.start() - 8) : mixed.end() + 8])
    arabic, marks = len(_ARABIC.findall(full_text)), len(_MARK.findall(full_text))
    if arabic > 20 and marks > 0.3 * arabic:
        yield AnswerIssue("vowel_marks", f"{marks} on {arabic} letters")


def _check_markings(texts: dict[str, str]) -> Iterator[AnswerIssue]:
    for path, text in texts.items():
        if path.endswith("sensitivity_marking"):
            marking = _CONFIDENTIAL.search(text)
        else:  # a line of its own: in running text the word may speak of anything
            marking = next(
                filter(None, (_CONFIDENTIAL.fullmatch(line.strip(" -–:*")) for line in text.split("\n"))), None
            )
        if marking:
            yield AnswerIssue("marked_confidential", f"{path}: {marking[0].strip()}")
            return


def _check_dates(texts: dict[str, str]) -> Iterator[AnswerIssue]:
    """A date in numbers that is none, or of a year that no document has. A percentage or a term is no date."""
    for path, text in texts.items():
        if path.rpartition(".")[2] not in {"date", "due_date"} or not _DATE.search(to_ascii_digits(text)):
            continue
        when = parse_date(text)
        if when is None or not (1300 <= when[1] <= 1500 if when[0] == "hijri" else 1800 <= when[1] <= 2100):
            yield AnswerIssue("date", f"{path}: {text}")


def _check_text_layer(task: str, full_text: str, layer: str) -> Iterator[AnswerIssue]:
    """Against a text layer that is proved usable; of a task with fields only what it adds counts."""
    if find_fault(layer) is not None:
        return
    answer_words, layer_words = _split_words(full_text), _split_words(layer)
    if len(answer_words) < 5:
        return
    in_layer, in_answer = set(layer_words), set(answer_words)
    added = sum(word not in in_layer for word in answer_words) / len(answer_words)
    missed = sum(word not in in_answer for word in layer_words) / len(layer_words)
    if task == "content" and (added > 0.2 or missed > 0.3):
        yield AnswerIssue(
            "disagrees", f"{added:.0%} of the words are not in the text layer, {missed:.0%} of its are missing"
        )
    elif numbers := {word for word in answer_words if word.isdigit()} - in_layer:
        yield AnswerIssue("number_not_in_layer", ", ".join(sorted(numbers)[:3]))


def _split_words(text: str) -> list[str]:
    return re.findall(r"\w+", to_ascii_digits(normalize(_TAG.sub(" ", text))).casefold())


def _check_sums(answer: JsonObject) -> Iterator[AnswerIssue]:
    """Sums that do not hold. True invoices have discounts and errors of their own, so these are doubts only."""
    totals = []
    for index, item in enumerate(answer["items"]):
        quantity, price, total = (_parse_decimal(item[name]) for name in ("quantity", "unit_price", "total"))
        totals.append(total)
        if quantity is not None and price is not None and total is not None and _differ(quantity * price, total):
            yield AnswerIssue("arithmetic", f"items[{index}]: {quantity} x {price} is not {total}")
    subtotal, tax, total = (_parse_decimal(answer[name]) for name in ("subtotal", "tax", "total"))
    amounts = [amount for amount in totals if amount is not None]
    if subtotal is not None and amounts and len(amounts) == len(totals) and _differ(sum(amounts, Decimal()), subtotal):
        yield AnswerIssue("arithmetic", f"the items add up to {sum(amounts, Decimal())}, not {subtotal}")
    if subtotal is not None and tax is not None and total is not None and _differ(subtotal + tax, total):
        yield AnswerIssue("arithmetic", f"{subtotal} + {tax} is not {total}")


def _parse_decimal(text: str | None) -> Decimal | None:
    amount = parse_amount(text) if text else None
    return amount[0] if amount else None


def _differ(computed: Decimal, printed: Decimal) -> bool:
    return abs(computed - printed) > max(Decimal("0.05"), abs(printed) * Decimal("0.002"))


def measure_ink(image: bytes) -> float:
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
    paper = next(value for value, below in enumerate(accumulate(counts)) if below * 2 >= total)  # the median
    dark = sum(count for value, count in enumerate(counts) if abs(value - paper) > 50)
    return float(dark / total)

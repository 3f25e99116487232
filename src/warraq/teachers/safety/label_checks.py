"""What an answer must pass to become a label. Nothing here edits an answer.

An issue in QUARANTINE keeps the answer from the labels; any other is a doubt that travels with it for the reviewer.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from itertools import accumulate

from warraq import tasks
from warraq.files import JsonObject
from warraq.metrics.arabic import fold_letters, normalize, to_ascii_digits
from warraq.metrics.dates import parse_date
from warraq.metrics.fields import flatten, strip_indices
from warraq.metrics.values import parse_amount
from warraq.teachers.safety.marks import find_mark_in
from warraq.teachers.textlayer import MIN_LETTERS, find_fault
from warraq.teachers.textlayer import fold_letters as clean_layer

QUARANTINE = frozenset(
    {"no_text", "declined", "foreign_script", "text_on_blank", "mixed_digits", "disagrees", "marked_confidential"}
)
BLANK_INK = 0.0005  # share of dark pixels: below it a page is paper and dust, or a notice in small type
LETTERS_OF_INK = 200_000  # letters in type of 5 pt for which all of a page would be dark: no smaller one is printed
LINE_INK = 0.002  # from here on it has about a line of text

_MIXED = re.compile(r"[0-9][٠-٩۰-۹]|[٠-٩][0-9۰-۹]|[۰-۹][0-9٠-٩]")
_MARK = re.compile("[\u064b-\u0652\u0670]")
_ARABIC = re.compile("[\u0621-\u064a]")
_TAG = re.compile(r"<[^<>]{0,200}>")
_CANNOT = (
    r"(?:i (?:can't|cannot|can not|could not|won't|will not|am unable|am not able)|i'm (?:unable|not able)|unable to|"
    r"je ne (?:peux|suis) pas|لا (?:استطيع|يمكنني|اقدر)|لست قادر|غير قادر|ليس بامكاني|لن اتمكن)"
)
_DECLINED = re.compile(  # an apology and "I cannot", or "I cannot" and what a model is asked for
    rf"\W*(?:[^\n]{{0,8}}(?:sorry|apologi[sz]e|apologies|unfortunately|as an ai|"
    rf"d[eé]sol|اسف|عذرا|معذره|عتذر|بصفتي|كنموذج)"
    rf"[^\n]{{0,60}}?\b{_CANNOT}|{_CANNOT}[^\n]{{0,40}}(?:help|assist|process|read|transcri|extract|provide|view|see|"
    r"comply|fulfil|identify|analy[sz]e|access|answer|aider|lire|ساعد|قراء|استخراج|نسخ|تقديم|معالج|تلبي|تحليل|طلب))"
)
_FOREIGN = re.compile("[^\u0000-\u024f\u0370-\u03ff\u0600-\u06ff\ufb50-\ufefcʿʾʼ]")
OPENING = 1000  # characters of a text in which it says that it is none
_SHOWN = frozenset({"figure", "barcode", "signature"})  # blocks that say what the ink is, without a word
_CHOICES = {"kind", "document_type", "language", "languages[]", "calendar", "direction"}  # fields of the schema's words
_DATE = re.compile(r"^\W*\d{1,4}\s?[-/.]\s?\d{1,2}\s?[-/.]\s?\d{1,4}\W*$")


@dataclass(frozen=True)
class AnswerIssue:
    """Something about an answer that a label must not have, or that a reviewer should know."""

    code: str
    message: str


def collect_texts(answer: JsonObject) -> dict[str, str]:
    """The texts of an answer by their path; the names of kinds and languages are the schema's words, not the page's."""
    return {
        path: text
        for path, text in flatten(answer).items()
        if isinstance(text, str) and strip_indices(path).rpartition(".")[2] not in _CHOICES
    }


def find_issues(task: str, answer: JsonObject, ink: float | None, layer: str) -> list[AnswerIssue]:
    """All issues of an answer; `ink` is the image's share of dark pixels, `layer` the page's own text or nothing."""
    texts = collect_texts(answer)
    full_text = "\n".join(texts.values())
    issues = [*_check_words(task, answer, ink, layer), *_check_script(full_text, ink), *_check_dates(task, texts)]
    if mark := find_mark_in(answer):
        issues.append(AnswerIssue("marked_confidential", mark))
    issues += _check_text_layer(task, full_text, clean_layer(layer))
    if task == "invoice":
        issues += _check_sums(answer)
    return issues


def _check_words(task: str, answer: JsonObject, ink: float | None, layer: str) -> Iterator[AnswerIssue]:
    """An answer that says nothing of a page that says something, or that says that there is none."""
    enums = _list_enums(task)
    texts = [text for text in flatten(answer).values() if isinstance(text, str) and text not in enums]
    letters = sum(map(str.isalnum, "".join(texts)))
    shown = any(block["kind"] in _SHOWN for block in answer.get("blocks", ()))
    if not letters and not shown and ((ink or 0) > LINE_INK or sum(map(str.isalpha, layer)) >= MIN_LETTERS):
        yield AnswerIssue("no_text", f"not a word, and {ink or 0:.1%} of the page is dark")
    for text in texts:
        is_most = sum(map(str.isalnum, text)) > 0.8 * letters
        if is_most and _DECLINED.match(fold_letters(text[:OPENING].replace("’", "'")).casefold()):
            yield AnswerIssue("declined", text[:60])


@cache
def _list_enums(task: str) -> frozenset[str]:
    """The words of a task's schema, which are not the page's."""
    values = flatten(tasks.load(task).schema).items()
    return frozenset(word for path, word in values if ".enum[" in path and isinstance(word, str))


def _check_script(full_text: str, ink: float | None) -> Iterator[AnswerIssue]:
    letters = sum(map(str.isalpha, full_text))
    foreign = [sign for sign in _FOREIGN.findall(full_text) if sign.isalpha()]
    if len(foreign) > max(4, 0.02 * letters):
        yield AnswerIssue("foreign_script", f"{len(foreign)} of {letters} letters, {foreign[0]} first")
    if ink is not None and ink < BLANK_INK and letters > max(20, LETTERS_OF_INK * ink):
        yield AnswerIssue("text_on_blank", f"{letters} letters, {ink:.3%} of the page is dark")
    if mixed := _MIXED.search(full_text):
        yield AnswerIssue("mixed_digits", full_text[max(0, mixed.start() - 8) : mixed.end() + 8])
    arabic, marks = len(_ARABIC.findall(full_text)), len(_MARK.findall(full_text))
    if arabic > 20 and marks > 0.3 * arabic:
        yield AnswerIssue("vowel_marks", f"{marks} on {arabic} letters")


def _check_dates(task: str, texts: dict[str, str]) -> Iterator[AnswerIssue]:
    """A date in numbers that is none, or of a year that no document has. A percentage or a term is no date."""
    kinds = tasks.load(task).kinds or {}
    for path, text in texts.items():
        if kinds.get(strip_indices(path)) != "date" or not _DATE.search(to_ascii_digits(text)):
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
    """Sums that do not hold. True invoices have discounts and errors of their own, so these are doubts only.

    The total of an item may be with its tax, and then the items add up to the total of the whole.
    """
    totals = []
    for index, item in enumerate(answer["items"]):
        quantity, price, taxed, total = (
            _parse_decimal(item[name]) for name in ("quantity", "unit_price", "tax_amount", "total")
        )
        totals.append(total)
        if quantity is None or price is None or total is None:
            continue
        if all(_differ(quantity * price + more, total) for more in (Decimal(), taxed or Decimal())):
            yield AnswerIssue("arithmetic", f"items[{index}]: {quantity} x {price} is not {total}")
    subtotal, tax, total = (_parse_decimal(answer[name]) for name in ("subtotal", "tax_amount", "total"))
    amounts = [amount for amount in totals if amount is not None]
    if subtotal is not None and amounts and len(amounts) == len(totals):
        added = sum(amounts, Decimal())
        with_tax = any(item["tax_rate"] or item["tax_amount"] for item in answer["items"])
        if _differ(added, subtotal) and not (with_tax and total is not None and not _differ(added, total)):
            yield AnswerIssue("arithmetic", f"the items add up to {added}, not {subtotal}")
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

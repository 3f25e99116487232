"""A random generator and a vocabulary -> one small receipt, letter or invoice with its true answers.

Pages are small and their type large, so that a student that sees a small square can read them; values are short.
"""

from dataclasses import dataclass
from random import Random
from typing import Literal

from warraq.synth import scan
from warraq.synth import style as styles
from warraq.synth.page import Page
from warraq.synth.phrases import PHRASES, Phrases
from warraq.synth.sheet import Sheet
from warraq.synth.style import Style
from warraq.synth.values import Dates, Values
from warraq.synth.words import Language, Vocabulary

Kind = Literal["receipt", "letter", "invoice"]
TITLE = "metadata.classification.title"
LETTERHEAD = ("metadata.source.issuing_body", "invoice.sender.name")
HEAD_LINES = 3  # of an invoice, below its heading: title or seller, number, date
LETTER_LINES = 6  # below its heading: reference, date, recipient, subject, a sentence on two lines
COLUMNS = (
    ("description", "total"),
    ("description", "quantity", "total"),
    ("description", "quantity", "unit_price", "total"),
)


@dataclass(frozen=True)
class Document:
    kind: Kind
    language: Language
    scanned: bool
    pages: tuple[Page, ...]


def make(rng: Random, vocabularies: dict[Language, Vocabulary]) -> Document:
    language: Language = rng.choice(("ar", "en"))
    kind: Kind = rng.choice(("receipt", "letter", "invoice"))
    arabic_digits = language == "ar" and rng.random() < 0.5
    values = Values(rng, language, vocabularies[language], arabic_digits, decimals=rng.random() < 0.5)
    style = styles.choose(rng, language)
    phrases = PHRASES[language]
    if kind == "receipt":
        sheets = [_receipt(rng, values, style, phrases)]
    elif kind == "letter":
        sheets = _letter(rng, values, style, phrases)
    else:
        sheets = _invoice(rng, values, style, phrases)
    scanned = rng.random() < 0.45
    pages = tuple(sheet.page(rng, scan.choose(rng) if scanned else None) for sheet in sheets)
    return Document(kind, language, scanned, pages)


def _stamp(rng: Random, values: Values, phrases: Phrases, share: float) -> tuple[str, ...]:
    if rng.random() >= share:
        return ()
    return (rng.choice(phrases.stamps), *([values.place()] if rng.random() < 0.4 else []))


def _signature(rng: Random, values: Values, phrases: Phrases, share: float) -> tuple[str, ...]:
    if rng.random() >= share:
        return ()
    return (values.name(), *([rng.choice(phrases.roles)] if rng.random() < 0.4 else []))


def _goods(rng: Random, values: Values, count: int, columns: tuple[str, ...]) -> tuple[list[dict[str, str]], int]:
    """Table rows, and the sum of their totals in cents."""
    rows, total = [], 0
    for item in values.items(count):
        quantity, price = rng.randint(1, 12) if "quantity" in columns else 1, values.cents()
        total += quantity * price
        cells = {
            "description": item,
            "quantity": values.digits(str(quantity)),
            "unit_price": values.amount(price),
            "total": values.amount(quantity * price),
        }
        rows.append({column: cells[column] for column in columns})
    return rows, total


def _total(sheet: Sheet, rng: Random, values: Values, phrases: Phrases, cents: int, taxed: bool = False) -> None:
    """The last line of a bill, or the last three; in most cases with the currency behind the amount."""
    if taxed:
        tax = cents * 15 // 100
        sheet.line("subtotal", values.amount(cents))
        sheet.line("tax", values.amount(tax))
        cents += tax
    currency = rng.choice(phrases.currencies) if rng.random() < 0.7 else ""
    sheet.line("total", values.amount(cents), unit=currency)
    if currency:
        sheet.fill(("invoice.currency",), currency)


def _dated(sheet: Sheet, dates: Dates) -> None:
    sheet.line("date", dates.date)
    sheet.fill(("metadata.source.calendar",), dates.calendar)


def _receipt(rng: Random, values: Values, style: Style, phrases: Phrases) -> Sheet:
    sheet = Sheet(style, "receipt")
    dates = values.dates()
    stamp, signature = _stamp(rng, values, phrases, 0.6), _signature(rng, values, phrases, 0.4)
    sheet.heading(rng.choice(phrases.receipt_titles), TITLE)
    sheet.text(values.company(), *LETTERHEAD)
    sheet.line("number", values.reference())
    _dated(sheet, dates)
    if rng.random() < 0.5:
        rows, cents = _goods(rng, values, 1, COLUMNS[rng.randrange(2)])
        sheet.table(rows)
    else:
        cents = values.cents()
        sheet.line("buyer", values.name())
        sheet.line("goods", values.items(1)[0])
    _total(sheet, rng, values, phrases, cents)
    sheet.close(stamp, signature, rng.random() < 0.8, None)
    return sheet


def _letter(rng: Random, values: Values, style: Style, phrases: Phrases) -> list[Sheet]:
    """The first page has the letterhead, later ones a running head; the last one is signed."""
    count = rng.choices((1, 2, 3), (65, 28, 7))[0]
    dates, reference, wording = values.dates(), values.reference(), rng.choice(phrases.pages)
    sheets = []
    for number in range(1, count + 1):
        sheet = Sheet(style, "letter")
        footer = values.digits(wording.format(page=number, pages=count)) if count > 1 or rng.random() < 0.15 else None
        last = number == count
        stamp = _stamp(rng, values, phrases, 0.5 if last else 0.1)
        signature = _signature(rng, values, phrases, 0.9) if last else ()
        room = style.room(bool(stamp or signature), footer is not None)
        if number == 1:
            _letter_head(sheet, rng, values, phrases, room, dates, reference if count > 1 else None)
        else:
            sheet.running_head(phrases.running_heads["letter"], reference)
        if number > 1:
            for _ in range(min(2, (room - 1) // 2)):
                sheet.text(values.filled(phrases.sentences))
        if last and number > 1:
            sheet.text(rng.choice(phrases.closings))
        sheet.close(stamp, signature, rng.random() < 0.85, footer)
        sheets.append(sheet)
    return sheets


def _letter_head(
    sheet: Sheet,
    rng: Random,
    values: Values,
    phrases: Phrases,
    room: int,
    dates: Dates,
    reference: str | None,
) -> None:
    """Heading, date, recipient, subject, and a sentence and as many other lines as there is room for."""
    optional = {
        "sensitivity": rng.choice(phrases.sensitivities),
        "urgency": rng.choice(phrases.urgencies),
        "department": rng.choice(phrases.departments),
        "sender": values.name(),
        "copy": values.name(),
        "attachment": values.filled(phrases.attachments),
        "answers": values.reference(),
        "instructions": rng.choice(phrases.instructions),
    }
    chosen = set(rng.sample(sorted(optional), max(0, min(room - LETTER_LINES, 2))))
    sheet.heading(values.company() if rng.random() < 0.6 else values.filled(phrases.bodies), LETTERHEAD[0])
    for key, path in (("sensitivity", "sensitivity_marking"), ("urgency", "urgency_marking")):
        if key in chosen:
            sheet.text(optional[key], f"metadata.classification.{path}")
    for label in ("department", "sender"):
        if label in chosen:
            sheet.line(label, optional[label])
    sheet.line("reference", reference or values.reference())
    _dated(sheet, dates)
    sheet.line("recipient", values.name())
    sheet.line("subject", values.filled(phrases.subjects))
    sentence = values.filled(phrases.sentences)
    if room >= LETTER_LINES:
        sheet.text(sentence)
    for label in ("answers", "instructions", "attachment", "copy"):
        if label in chosen:
            sheet.line(label, optional[label])


def _invoice(rng: Random, values: Values, style: Style, phrases: Phrases) -> list[Sheet]:
    """Each page has its own goods under the heads of the table; the last one has the sum of all."""
    count = 2 if rng.random() < 0.35 else 1
    dates, reference, wording = values.dates(), values.reference(), rng.choice(phrases.pages)
    columns, cents, sheets = rng.choice(COLUMNS), 0, []
    for number in range(1, count + 1):
        sheet = Sheet(style, "invoice")
        last = number == count
        footer = values.digits(wording.format(page=number, pages=count)) if count > 1 else None
        stamp = _stamp(rng, values, phrases, 0.4 if last else 0)
        signature = _signature(rng, values, phrases, 0.3 if last else 0)
        zone = bool(stamp or signature)
        rows, sum_cents = _goods(rng, values, rng.randint(1, 1 if zone and count == 1 else 3 - (number == 1)), columns)
        cents += sum_cents
        room = style.room(zone, footer is not None, len(rows) + 1) - last
        taxed = last and values.decimals and room >= HEAD_LINES + 2 and rng.random() < 0.6
        if number == 1:
            room -= 2 * taxed
            _invoice_head(sheet, rng, values, phrases, room, reference, dates)
        else:
            sheet.running_head(phrases.running_heads["invoice"], reference)
        sheet.table(rows)
        if last:
            _total(sheet, rng, values, phrases, cents, taxed)
        sheet.close(stamp, signature, rng.random() < 0.8, footer)
        sheets.append(sheet)
    return sheets


def _invoice_head(
    sheet: Sheet,
    rng: Random,
    values: Values,
    phrases: Phrases,
    room: int,
    reference: str,
    dates: Dates,
) -> None:
    """Title, seller, number, date, and as many other lines as there is room for."""
    optional = {
        "address": values.place(),
        "tax_id": values.digits(str(rng.randint(10_000, 999_999))),
        "buyer": values.name(),
        "due": dates.due,
    }
    chosen = set(rng.sample(sorted(optional), max(0, min(room - HEAD_LINES, rng.randint(1, 3)))))
    title, company = rng.choice(phrases.invoice_titles), values.company()
    if rng.random() < 0.5:
        sheet.heading(company, *LETTERHEAD)
        sheet.text(title, TITLE)
    else:
        sheet.heading(title, TITLE)
        sheet.line("seller", company)
    for label in ("address", "tax_id"):
        if label in chosen:
            sheet.line(label, optional[label])
    sheet.line("number", reference)
    _dated(sheet, dates)
    for label in ("buyer", "due"):
        if label in chosen:
            sheet.line(label, optional[label])

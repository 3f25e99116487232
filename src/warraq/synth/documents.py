"""A random generator and a vocabulary -> one small receipt, letter or invoice with its true answers.

Pages are small and their type large, so that a student that sees a small square can read them; values are short.
"""

from dataclasses import dataclass
from random import Random
from typing import Literal

from warraq.synth.layout import PageLayout
from warraq.synth.page_builder import PageBuilder
from warraq.synth.scan import choose_scan
from warraq.synth.style import Style, choose_style
from warraq.synth.values import Dates, Values
from warraq.synth.words import Language, Vocabularies

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
    values = Values(rng, language, vocabularies[language], arabic_digits, decimals=rng.random() < 0.5)
    style = choose_style(rng, language)
    makers = {"receipt": _make_receipt, "letter": _make_letter, "invoice": _make_invoice}
    builders = makers[kind](values, style)
    scanned = rng.random() < 0.45
    pages = tuple(builder.build(rng, choose_scan(rng) if scanned else None) for builder in builders)
    return Document(kind, language, scanned, pages)


def _choose_stamp(values: Values, share: float) -> tuple[str, ...]:
    rng = values.rng
    if rng.random() >= share:
        return ()
    return (rng.choice(values.phrases.stamps), *([values.draw_place()] if rng.random() < 0.4 else []))


def _choose_signature(values: Values, share: float) -> tuple[str, ...]:
    rng = values.rng
    if rng.random() >= share:
        return ()
    return (values.draw_name(), *([rng.choice(values.phrases.roles)] if rng.random() < 0.4 else []))


def _draw_goods(values: Values, count: int, columns: tuple[str, ...]) -> tuple[list[dict[str, str]], int]:
    """Table rows, and the sum of their totals in cents."""
    rows, total = [], 0
    for item in values.draw_items(count):
        quantity, price = values.rng.randint(1, 12) if "quantity" in columns else 1, values.draw_cents()
        total += quantity * price
        cells = {
            "description": item,
            "quantity": values.format_digits(str(quantity)),
            "unit_price": values.format_amount(price),
            "total": values.format_amount(quantity * price),
        }
        rows.append({column: cells[column] for column in columns})
    return rows, total


def _add_total(page: PageBuilder, values: Values, cents: int, taxed: bool = False) -> None:
    """The last line of a bill, or the last three; in most cases with the currency behind the amount."""
    if taxed:
        tax = cents * 15 // 100
        page.add_line("subtotal", values.format_amount(cents))
        page.add_line("tax", values.format_amount(tax))
        cents += tax
    currency = values.rng.choice(values.phrases.currencies) if values.rng.random() < 0.7 else ""
    page.add_line("total", values.format_amount(cents), unit=currency)
    if currency:
        page.fill_fields(("invoice.currency",), currency)


def _add_date(page: PageBuilder, dates: Dates) -> None:
    page.add_line("date", dates.date)
    page.fill_fields(("metadata.source.calendar",), dates.calendar)


def _make_receipt(values: Values, style: Style) -> list[PageBuilder]:
    rng, page = values.rng, PageBuilder(style, "receipt")
    dates = values.draw_dates()
    stamp, signature = _choose_stamp(values, 0.6), _choose_signature(values, 0.4)
    page.add_heading(rng.choice(values.phrases.receipt_titles), TITLE)
    page.add_text(values.draw_company(), *LETTERHEAD)
    page.add_line("number", values.draw_reference())
    _add_date(page, dates)
    if rng.random() < 0.5:
        rows, cents = _draw_goods(values, 1, COLUMNS[rng.randrange(2)])
        page.add_table(rows)
    else:
        cents = values.draw_cents()
        page.add_line("buyer", values.draw_name())
        page.add_line("goods", values.draw_items(1)[0])
    _add_total(page, values, cents)
    page.add_foot(stamp, signature, rng.random() < 0.8, None)
    return [page]


def _make_letter(values: Values, style: Style) -> list[PageBuilder]:
    """The first page has the letterhead, later ones a running head; the last one is signed."""
    rng, phrases = values.rng, values.phrases
    count = rng.choices((1, 2, 3), (65, 28, 7))[0]
    dates, reference, wording = values.draw_dates(), values.draw_reference(), rng.choice(phrases.pages)
    pages = []
    for number in range(1, count + 1):
        page = PageBuilder(style, "letter")
        numbered = count > 1 or rng.random() < 0.15
        footer = values.format_digits(wording.format(page=number, pages=count)) if numbered else None
        last = number == count
        stamp = _choose_stamp(values, 0.5 if last else 0.1)
        signature = _choose_signature(values, 0.9) if last else ()
        free_lines = style.count_free_lines(bool(stamp or signature), footer is not None)
        if number == 1:
            _add_letter_head(page, values, free_lines, dates, reference if count > 1 else None)
        else:
            page.add_running_head(phrases.running_heads["letter"], reference)
            for _ in range(min(2, (free_lines - 1) // 2)):
                page.add_text(values.fill_phrase(phrases.sentences))
            if last:
                page.add_text(rng.choice(phrases.closings))
        page.add_foot(stamp, signature, rng.random() < 0.85, footer)
        pages.append(page)
    return pages


def _add_letter_head(page: PageBuilder, values: Values, free_lines: int, dates: Dates, reference: str | None) -> None:
    """Heading, date, recipient, subject, and a sentence and as many other lines as there are free."""
    rng, phrases = values.rng, values.phrases
    optional = {
        "sensitivity": rng.choice(phrases.sensitivities),
        "urgency": rng.choice(phrases.urgencies),
        "department": rng.choice(phrases.departments),
        "sender": values.draw_name(),
        "copy": values.draw_name(),
        "attachment": values.fill_phrase(phrases.attachments),
        "answers": values.draw_reference(),
        "instructions": rng.choice(phrases.instructions),
    }
    chosen = set(rng.sample(sorted(optional), max(0, min(free_lines - LETTER_LINES, 2))))
    page.add_heading(values.draw_company() if rng.random() < 0.6 else values.fill_phrase(phrases.bodies), LETTERHEAD[0])
    for key, path in (("sensitivity", "sensitivity_marking"), ("urgency", "urgency_marking")):
        if key in chosen:
            page.add_text(optional[key], f"metadata.classification.{path}")
    _add_chosen(page, optional, chosen, ("department", "sender"))
    page.add_line("reference", reference or values.draw_reference())
    _add_date(page, dates)
    page.add_line("recipient", values.draw_name())
    page.add_line("subject", values.fill_phrase(phrases.subjects))
    sentence = values.fill_phrase(phrases.sentences)
    if free_lines >= LETTER_LINES:
        page.add_text(sentence)
    _add_chosen(page, optional, chosen, ("answers", "instructions", "attachment", "copy"))


def _add_chosen(page: PageBuilder, optional: dict[str, str], chosen: set[str], labels: tuple[str, ...]) -> None:
    for label in labels:
        if label in chosen:
            page.add_line(label, optional[label])


def _make_invoice(values: Values, style: Style) -> list[PageBuilder]:
    """Each page has its own goods under the heads of the table; the last one has the sum of all."""
    rng, phrases = values.rng, values.phrases
    count = 2 if rng.random() < 0.35 else 1
    dates, reference, wording = values.draw_dates(), values.draw_reference(), rng.choice(phrases.pages)
    columns, cents, pages = rng.choice(COLUMNS), 0, []
    for number in range(1, count + 1):
        page = PageBuilder(style, "invoice")
        last = number == count
        footer = values.format_digits(wording.format(page=number, pages=count)) if count > 1 else None
        stamp = _choose_stamp(values, 0.4 if last else 0)
        signature = _choose_signature(values, 0.3 if last else 0)
        signed = bool(stamp or signature)
        rows, sum_cents = _draw_goods(
            values, rng.randint(1, 1 if signed and count == 1 else 3 - (number == 1)), columns
        )
        cents += sum_cents
        free_lines = style.count_free_lines(signed, footer is not None, len(rows) + 1) - last
        taxed = last and values.decimals and free_lines >= HEAD_LINES + 2 and rng.random() < 0.6
        if number == 1:
            _add_invoice_head(page, values, free_lines - 2 * taxed, reference, dates)
        else:
            page.add_running_head(phrases.running_heads["invoice"], reference)
        page.add_table(rows)
        if last:
            _add_total(page, values, cents, taxed)
        page.add_foot(stamp, signature, rng.random() < 0.8, footer)
        pages.append(page)
    return pages


def _add_invoice_head(page: PageBuilder, values: Values, free_lines: int, reference: str, dates: Dates) -> None:
    """Title, seller, number, date, and as many other lines as there are free."""
    rng = values.rng
    optional = {
        "address": values.draw_place(),
        "tax_id": values.format_digits(str(rng.randint(10_000, 999_999))),
        "buyer": values.draw_name(),
        "due": dates.due,
    }
    chosen = set(rng.sample(sorted(optional), max(0, min(free_lines - HEAD_LINES, rng.randint(1, 3)))))
    title, company = rng.choice(values.phrases.invoice_titles), values.draw_company()
    if rng.random() < 0.5:
        page.add_heading(company, *LETTERHEAD)
        page.add_text(title, TITLE)
    else:
        page.add_heading(title, TITLE)
        page.add_line("seller", company)
    _add_chosen(page, optional, chosen, ("address", "tax_id"))
    page.add_line("number", reference)
    _add_date(page, dates)
    _add_chosen(page, optional, chosen, ("buyer", "due"))

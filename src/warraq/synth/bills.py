"""A random generator and a vocabulary -> the pages of a receipt or an invoice with their true answers."""

from dataclasses import dataclass

from warraq.synth.page_builder import LETTERHEAD, TITLE, PageBuilder
from warraq.synth.phrases import load_phrases
from warraq.synth.style import Style
from warraq.synth.values import Dates, Values

HEAD_LINES = 3  # of an invoice, below its heading: title or seller, number, date
COLUMNS = (
    ("description", "total"),
    ("description", "quantity", "total"),
    ("description", "quantity", "unit_price", "total"),
    ("description", "tax_rate", "total"),
    ("description", "tax_amount", "total"),
    ("description", "total", "currency"),
)
RATES = (5, 10, 14, 15, 16, 20)  # % of value added tax, as in Arabic countries


@dataclass
class _Bill:
    """The columns of a bill's table and what its rows add up to; they are with tax where a column tells of it."""

    columns: tuple[str, ...]
    currency: str  # "" for none
    rate: str  # of the tax, as printed
    percent: int
    net_cents: int = 0
    tax_cents: int = 0

    @property
    def taxed_rows(self) -> bool:
        return bool({"tax_rate", "tax_amount"}.intersection(self.columns))


def _draw_bill(values: Values) -> _Bill:
    """A bill without rows; taxes are of documents with decimals."""
    rng = values.rng
    currency = rng.choice(values.phrases.currencies) if rng.random() < 0.7 else ""
    absent = {*(() if values.decimals else ("tax_rate", "tax_amount")), *(() if currency else ("currency",))}
    columns = rng.choice([columns for columns in COLUMNS if not absent.intersection(columns)])
    percent = rng.choice(RATES)
    return _Bill(columns, currency, values.format_digits(f"{percent}%"), percent)


def _draw_goods(values: Values, count: int, bill: _Bill) -> list[dict[str, str]]:
    """Table rows, which are added to what is in `bill`."""
    rows = []
    for item in values.draw_items(count):
        quantity, price = values.rng.randint(1, 12) if "quantity" in bill.columns else 1, values.draw_cents()
        net = quantity * price
        tax = net * bill.percent // 100
        bill.net_cents += net
        bill.tax_cents += tax
        cells = {
            "description": item,
            "quantity": values.format_digits(str(quantity)),
            "unit_price": values.format_amount(price),
            "tax_rate": bill.rate,
            "tax_amount": values.format_amount(tax),
            "total": values.format_amount(net + tax * bill.taxed_rows),
            "currency": bill.currency,
        }
        rows.append({column: cells[column] for column in bill.columns})
    return rows


def _add_total(page: PageBuilder, values: Values, bill: _Bill, taxed: bool = False) -> None:
    """The last line of a bill, or the last three; the currency, if any, stands behind the amount."""
    if taxed:
        told = values.rng.random() < 0.7
        page.add_line("subtotal", values.format_amount(bill.net_cents))
        page.add_line("tax", values.format_amount(bill.tax_cents), detail=bill.rate if told else "")
        if told:
            page.fill_fields(("invoice.tax_rate",), bill.rate)
    tax_cents = bill.tax_cents * (taxed or bill.taxed_rows)
    page.add_line("total", values.format_amount(bill.net_cents + tax_cents), unit=bill.currency)
    if bill.currency:
        page.fill_fields(("invoice.currency",), bill.currency)


def make_receipt(values: Values, style: Style) -> list[PageBuilder]:
    """With how it was paid, or a stamp and a signature."""
    rng, phrases, page = values.rng, values.phrases, PageBuilder(style, "receipt")
    dates, bill, ticked = values.draw_dates(), _draw_bill(values), rng.random() < 0.3
    stamp, signature = ((), ()) if ticked else (values.draw_stamp(0.75), values.draw_signature(0.5))
    page.add_heading(rng.choice(phrases.receipt_titles), TITLE)
    page.add_text(values.draw_company(), *LETTERHEAD)
    page.add_line("number", values.draw_reference())
    page.add_date("date", dates.date, dates.calendar)
    bill.columns = COLUMNS[rng.randrange(2)]
    rows = _draw_goods(values, 1, bill)
    if rng.random() < 0.5:
        page.add_table(rows)
    else:
        page.add_line("buyer", values.draw_name())
        page.add_line("goods", rows[0]["description"])
    if ticked:
        page.add_boxes(rng.sample(phrases.payments, 2), rng.randrange(2))
    _add_total(page, values, bill)
    page.add_foot(stamp, signature, rng.random() < 0.8, None)
    return [page]


def make_invoice(values: Values, style: Style) -> list[PageBuilder]:
    """Each page has its own goods under the heads of the table; the last one has the sum of all."""
    rng, phrases = values.rng, values.phrases
    count = 2 if rng.random() < 0.35 else 1
    dates, reference, wording = values.draw_dates(), values.draw_reference(), rng.choice(phrases.pages)
    bill, pages = _draw_bill(values), []
    for number in range(1, count + 1):
        page = PageBuilder(style, "invoice")
        last = number == count
        footer = values.format_digits(wording.format(page=number, pages=count)) if count > 1 else None
        stamp = values.draw_stamp(0.25 if last else 0)
        signature = values.draw_signature(0.15 if last else 0)
        signed = bool(stamp or signature)
        rows = _draw_goods(values, rng.randint(1, 1 if signed and count == 1 else 3 - (number == 1)), bill)
        free_lines = style.count_free_lines(signed, footer is not None, len(rows) + 1) - last
        taxed = last and values.decimals and free_lines >= HEAD_LINES + 2 and rng.random() < 0.8
        note = last and free_lines - 2 * taxed > HEAD_LINES and rng.random() < 0.3
        if number == 1:
            _add_invoice_head(page, values, free_lines - 2 * taxed - note, reference, dates)
        else:
            page.add_running_head(phrases.running_heads["invoice"], reference)
        page.add_table(rows)
        if last:
            _add_total(page, values, bill, taxed)
            if note:
                page.add_line("note", rng.choice(phrases.notes))
        page.add_foot(stamp, signature, rng.random() < 0.8, footer)
        pages.append(page)
    return pages


def _add_invoice_head(page: PageBuilder, values: Values, free_lines: int, reference: str, dates: Dates) -> None:
    """Title, seller, number, date, and as many other lines as there are free."""
    rng = values.rng
    optional = {
        "address": values.draw_place(),
        "tax_id": values.format_digits(str(rng.randint(10_000, 999_999))),
        "customer_id": values.format_digits(str(rng.randint(1000, 99_999))),
        "status": rng.choice(values.phrases.statuses),
        "buyer": values.draw_name(),
        "due": dates.due,
        **({"english": rng.choice(load_phrases("en").invoice_titles)} if values.language == "ar" else {}),
    }
    chosen = set(rng.sample(sorted(optional), max(0, min(free_lines - HEAD_LINES, rng.randint(1, 3)))))
    title, company = rng.choice(values.phrases.invoice_titles), values.draw_company()
    if rng.random() < 0.5:
        page.add_heading(company, *LETTERHEAD)
        page.add_text(title, TITLE)
    else:
        page.add_heading(title, TITLE)
        page.add_line("seller", company)
    if "english" in chosen:
        page.add_text(optional["english"], language="en")
    for label in ("address", "tax_id"):
        if label in chosen:
            page.add_line(label, optional[label])
    page.add_line("number", reference)
    page.add_date("date", dates.date, dates.calendar)
    for label in ("status", "customer_id", "buyer"):
        if label in chosen:
            page.add_line(label, optional[label])
    if "due" in chosen:
        page.add_date("due", dates.due, dates.calendar)

"""Invoices and receipts as fields. Amounts stay verbatim: a model that rewrites a number is caught, not helped."""

from warraq.metrics.values import Kind
from warraq.tasks import COPYING, BaseAnswer, Task

PROMPT = (
    "You are a professional OCR details extractor. Task: invoice. Extract the invoice or receipt: number, dates, "
    "parties, items, totals. Answer in JSON only."
)
INSTRUCTION = (
    COPYING + " Amounts, quantities and dates are strings exactly as printed, with their digits and separators."
)


class Party(BaseAnswer):
    name: str | None
    address: str | None
    tax_id: str | None


class Item(BaseAnswer):
    description: str
    quantity: str | None
    unit_price: str | None
    total: str | None


class Answer(BaseAnswer):
    invoice_number: str | None
    date: str | None
    due_date: str | None
    sender: Party
    recipient: Party
    items: list[Item]
    currency: str | None
    subtotal: str | None
    tax: str | None
    total: str | None


KINDS: dict[str, Kind] = {
    **dict.fromkeys(("date", "due_date"), "date"),
    **dict.fromkeys(("sender.name", "sender.address", "recipient.name", "recipient.address"), "text"),
    "items[].description": "text",
    **dict.fromkeys(("items[].quantity", "items[].unit_price", "items[].total", "subtotal", "tax", "total"), "amount"),
}

TASK = Task(name="invoice", prompt=PROMPT, instruction=INSTRUCTION, answer=Answer, kinds=KINDS)

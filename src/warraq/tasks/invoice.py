"""Invoices and receipts as fields. Amounts stay verbatim: a model that rewrites a number is caught, not helped."""

from warraq.metrics.values import Kind
from warraq.tasks import COPYING, BaseAnswer, JsonObject, Task

PROMPT = (
    "You are a professional OCR details extractor. Task: invoice. Extract the invoice or receipt: number, customer, "
    "status, dates, parties, items, taxes, totals, notes. Answer in JSON only."
)
INSTRUCTION = (
    COPYING + " Amounts, quantities, rates and dates are strings exactly as printed, with their digits and separators. "
    "tax_rate is the percentage and tax_amount the sum of money, of an item where its row has them, of the whole where "
    "the totals have them. An item has a currency where its row prints one. status says whether it is paid, due, a "
    "draft or cancelled, in the document's words."
)


class Party(BaseAnswer):
    name: str | None
    address: str | None
    tax_id: str | None


class Item(BaseAnswer):
    description: str
    quantity: str | None
    unit_price: str | None
    tax_rate: str | None
    tax_amount: str | None
    total: str | None
    currency: str | None


class Answer(BaseAnswer):
    invoice_number: str | None
    customer_id: str | None
    status: str | None
    date: str | None
    due_date: str | None
    sender: Party
    recipient: Party
    items: list[Item]
    currency: str | None
    subtotal: str | None
    tax_rate: str | None
    tax_amount: str | None
    total: str | None
    notes: str | None


KINDS: dict[str, Kind] = {
    **dict.fromkeys(("date", "due_date"), "date"),
    **dict.fromkeys(
        (
            "status", "sender.name", "sender.address", "recipient.name", "recipient.address", "items[].description",
            "notes",
        ),
        "text",
    ),
    **dict.fromkeys(
        (
            "items[].quantity", "items[].unit_price", "items[].tax_rate", "items[].tax_amount", "items[].total",
            "subtotal", "tax_rate", "tax_amount", "total",
        ),
        "amount",
    ),
}  # fmt: skip


def upgrade(answer: JsonObject) -> JsonObject:
    """An answer that has its tax as `tax`: it is the amount, and nothing was said of what is new."""
    if "tax" not in answer or "tax_amount" in answer:
        return answer
    rest = {key: value for key, value in answer.items() if key != "tax"}
    if isinstance(items := answer.get("items"), list):
        new = dict.fromkeys(("tax_rate", "tax_amount", "currency"))
        rest["items"] = [{**new, **item} if isinstance(item, dict) else item for item in items]
    return {**dict.fromkeys(("customer_id", "status", "tax_rate", "notes")), **rest, "tax_amount": answer["tax"]}


TASK = Task(
    name="invoice", prompt=PROMPT, instruction=INSTRUCTION, answer=Answer, kinds=KINDS, upgrade=upgrade,
)  # fmt: skip

"""The true answers of a page while it is put together: blank at first, then filled field by field."""

from typing import Any

from warraq.files import JsonObject
from warraq.tasks import invoice

Answers = dict[str, JsonObject]  # task -> answer

FIELDS: dict[str, tuple[str, ...]] = {  # label -> the fields that its value fills; [] appends to a list
    "number": ("metadata.source.reference_number", "invoice.invoice_number"),
    "reference": ("metadata.source.reference_number",),
    "incoming": (),  # a registration: its number and date
    "outgoing": (),
    "date": ("metadata.dates[issued]", "invoice.date"),
    "due": ("metadata.dates[due]", "invoice.due_date"),
    "received": ("metadata.dates[received]",),
    "effective": ("metadata.dates[effective]",),
    "expiry": ("metadata.dates[expiry]",),
    "seller": ("metadata.source.issuing_body", "metadata.routing.sender", "invoice.sender.name"),
    "customer_id": ("invoice.customer_id",),
    "status": ("invoice.status",),
    "buyer": ("metadata.routing.recipient", "invoice.recipient.name"),
    "address": ("invoice.sender.address",),
    "tax_id": ("invoice.sender.tax_id",),
    "sender": ("metadata.routing.sender",),
    "recipient": ("metadata.routing.recipient",),
    "department": ("metadata.source.department",),
    "subject": ("metadata.classification.subject",),
    "copy": ("metadata.routing.copies[]",),
    "attachment": ("metadata.attachments[attachment]",),
    "answers": ("metadata.attachments[reference]",),
    "instructions": ("metadata.routing.instructions",),
    "goods": ("invoice.items[description]",),
    "subtotal": ("invoice.subtotal",),
    "tax": ("invoice.tax_amount",),
    "total": ("invoice.total",),
    "note": ("invoice.notes",),
}


def make_blank_answers(kind: str) -> Answers:
    """Answers of which nothing is known but the kind of document; what is true of the whole page is missing."""
    party = {"name": None, "address": None, "tax_id": None}
    classification = dict.fromkeys(("title", "subject", "sensitivity_marking", "urgency_marking"))
    source = ("issuing_body", "department", "country", "reference_number", "author")
    bill = dict.fromkeys(name for name in invoice.Answer.model_fields if name not in ("sender", "recipient", "items"))
    return {
        "content": {"blocks": []},
        "metadata": {
            "classification": {"document_type": kind, **classification},
            "source": dict.fromkeys(source),
            "dates": [],
            "registrations": [],
            "physical": {"page_number": None, "is_blank": False},
            "official_marks": [],
            "signatures": [],
            "routing": {"sender": None, "recipient": None, "copies": [], "instructions": None},
            "marginal_notes": [],
            "attachments": [],
        },
        "invoice": {**bill, "sender": dict(party), "recipient": dict(party), "items": []},
    }


def make_invoice_item(cells: dict[str, str]) -> dict[str, str | None]:
    """An item of an invoice of which the cells are known."""
    return {**dict.fromkeys(invoice.Item.model_fields), **cells}


def fill_field(answers: Answers, path: str, value: str) -> None:
    """Set the field at `path`, as "invoice.sender.name" or one of the forms in FIELDS."""
    *inner, last = path.split(".")
    branch: Any = answers
    for key in inner:
        branch = branch[key]
    last, bracket, element = last.partition("[")
    element = element.removesuffix("]")
    if not bracket:
        branch[last] = value
    elif last == "items":
        branch[last].append(make_invoice_item({element: value}))
    else:
        branch[last].append({"kind": element, "text": value} if element else value)

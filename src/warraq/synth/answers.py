"""The true answers of a page while it is put together: blank at first, then filled field by field."""

from typing import Any

from warraq.files import JsonObject

Answers = dict[str, JsonObject]  # task -> answer

FIELDS: dict[str, tuple[str, ...]] = {  # label -> the fields that its value fills; [] appends to a list
    "number": ("metadata.source.reference_number", "invoice.invoice_number"),
    "reference": ("metadata.source.reference_number",),
    "date": ("metadata.source.date", "invoice.date"),
    "due": ("invoice.due_date",),
    "seller": ("metadata.source.issuing_body", "metadata.routing.sender", "invoice.sender.name"),
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
    "tax": ("invoice.tax",),
    "total": ("invoice.total",),
}


def make_blank_answers(kind: str) -> Answers:
    """Answers of which nothing is known but the kind of document; what is true of the whole page is missing."""
    party = {"name": None, "address": None, "tax_id": None}
    classification = dict.fromkeys(("title", "subject", "sensitivity_marking", "urgency_marking"))
    source = ("issuing_body", "department", "country", "reference_number", "date", "calendar", "author")
    bill = dict.fromkeys(("invoice_number", "date", "due_date", "currency", "subtotal", "tax", "total"))
    return {
        "content": {"blocks": []},
        "metadata": {
            "classification": {"document_type": kind, **classification},
            "source": dict.fromkeys(source),
            "physical": {"page_number": None, "is_blank": False},
            "official_marks": [],
            "signatures": [],
            "routing": {"sender": None, "recipient": None, "copies": [], "instructions": None},
            "attachments": [],
        },
        "invoice": {**bill, "sender": dict(party), "recipient": dict(party), "items": []},
    }


def make_invoice_item(cells: dict[str, str]) -> dict[str, str | None]:
    """An item of an invoice of which the cells are known."""
    return {**dict.fromkeys(("description", "quantity", "unit_price", "total")), **cells}


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

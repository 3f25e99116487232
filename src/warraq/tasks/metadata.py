"""Task 2: what the page says about itself."""

from typing import Any, Literal

from warraq.metrics.json import outcomes
from warraq.tasks import COPYING, Answered, Score

PROMPT = (
    "You are a professional OCR details extractor. Task: metadata. Extract classification, source, physical "
    "properties, official marks, signatures and authorisation, routing and distribution, attachments and references, "
    "condition notes, confidence and quality. Answer in JSON only."
)
INSTRUCTION = (
    COPYING
    + " Describe the document from this page alone. Dates and numbers stay as printed. quality.confidence is high, "
    "medium or low; set quality.needs_human_review where anything important could not be read."
)


class Classification(Answered):
    document_type: Literal[
        "letter",
        "memo",
        "invoice",
        "receipt",
        "contract",
        "certificate",
        "form",
        "report",
        "table",
        "identity",
        "other",
    ]
    title: str | None
    subject: str | None
    sensitivity_marking: str | None
    urgency_marking: str | None


class Source(Answered):
    issuing_body: str | None
    department: str | None
    country: str | None
    reference_number: str | None
    date: str | None
    calendar: Literal["gregorian", "hijri", "both"] | None
    author: str | None


class Physical(Answered):
    languages: list[Literal["ar", "en", "fr", "fa", "ur", "other"]]
    script_direction: Literal["rtl", "ltr", "mixed"]
    production: Literal["born_digital", "scanned", "photographed", "handwritten"]
    page_number: str | None
    is_blank: bool


class Mark(Answered):
    kind: Literal["stamp", "seal", "logo", "barcode", "watermark", "other"]
    text: str | None


class Signature(Answered):
    signer_name: str | None
    signer_role: str | None
    kind: Literal["handwritten", "digital", "printed", "initials"]


class Routing(Answered):
    sender: str | None
    recipient: str | None
    copies: list[str]
    instructions: str | None


class Attached(Answered):
    kind: Literal["attachment", "reference", "legal_basis"]
    text: str


class Quality(Answered):
    condition_notes: list[Literal["noise", "skew", "faded", "stained", "torn", "cut_off", "handwritten_notes"]]
    confidence: Literal["high", "medium", "low"]
    needs_human_review: bool


class Answer(Answered):
    classification: Classification
    source: Source
    physical: Physical
    official_marks: list[Mark]
    signatures: list[Signature]
    routing: Routing
    attachments: list[Attached]
    quality: Quality


def score(gold: dict[str, Any], answer: dict[str, Any] | None, raw: str) -> Score:
    return Score(fields=outcomes(gold, answer))

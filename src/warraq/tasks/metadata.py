"""Task 2: what the page says about itself."""

from typing import Literal

from warraq.metrics.values import Kind
from warraq.tasks import COPYING, BaseAnswer, JsonObject, Task

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


class Classification(BaseAnswer):
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


class Source(BaseAnswer):
    issuing_body: str | None
    department: str | None
    country: str | None
    reference_number: str | None
    date: str | None
    calendar: Literal["gregorian", "hijri", "both"] | None
    author: str | None


class Physical(BaseAnswer):
    languages: list[Literal["ar", "en", "fr", "fa", "ur", "other"]]
    script_direction: Literal["rtl", "ltr", "mixed"]
    production: Literal["born_digital", "scanned", "photographed", "handwritten"]
    page_number: str | None
    is_blank: bool


class Mark(BaseAnswer):
    kind: Literal["stamp", "seal", "logo", "barcode", "watermark", "other"]
    text: str | None


class Signature(BaseAnswer):
    signer_name: str | None
    signer_role: str | None
    kind: Literal["handwritten", "digital", "printed", "initials"]


class Routing(BaseAnswer):
    sender: str | None
    recipient: str | None
    copies: list[str]
    instructions: str | None


class Attached(BaseAnswer):
    kind: Literal["attachment", "reference", "legal_basis"]
    text: str


class Quality(BaseAnswer):
    condition_notes: list[Literal["noise", "skew", "faded", "stained", "torn", "cut_off", "handwritten_notes"]]
    confidence: Literal["high", "medium", "low"]
    needs_human_review: bool


class Answer(BaseAnswer):
    classification: Classification
    source: Source
    physical: Physical
    official_marks: list[Mark]
    signatures: list[Signature]
    routing: Routing
    attachments: list[Attached]
    quality: Quality


KINDS: dict[str, Kind] = {
    "source.date": "date",
    **dict.fromkeys(
        (
            "classification.title", "classification.subject", "source.issuing_body", "source.department",
            "source.country", "source.author", "official_marks[].text", "signatures[].signer_name",
            "signatures[].signer_role", "routing.sender", "routing.recipient", "routing.copies[]",
            "routing.instructions", "attachments[].text",
        ),
        "text",
    ),
}  # fmt: skip


def read_confidence(answer: JsonObject) -> float:
    """How sure the answer says it is, 0 to 1."""
    return {"low": 0.0, "medium": 0.5, "high": 1.0}[answer["quality"]["confidence"]]


TASK = Task(
    name="metadata", prompt=PROMPT, instruction=INSTRUCTION, answer=Answer, kinds=KINDS,
    read_confidence=read_confidence,
)  # fmt: skip

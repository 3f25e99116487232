"""Task 2: what the page says about itself."""

from typing import Literal

from warraq.metrics.values import Kind
from warraq.tasks import COPYING, BaseAnswer, JsonObject, Language, Task

PROMPT = (
    "You are a professional OCR details extractor. Task: metadata. Extract classification, source, dates, "
    "registrations, physical properties, official marks, signatures and authorisation, routing and distribution, "
    "marginal notes, attachments and references, condition notes, confidence and quality. Answer in JSON only."
)
INSTRUCTION = (
    COPYING
    + " Describe the document from this page alone. Dates and numbers stay as printed. dates has each date that says "
    "something of the document, once: issued is its own; one that is printed in two calendars is one date of calendar "
    "both; calendar is null where it cannot be told. registrations has the numbers that an office gave it as it came "
    "in (وارد, incoming) or went out (صادر, outgoing), and their dates; these stand there alone. marginal_notes are "
    "remarks and directions that were added to the finished document (تأشيرة), a text each. quality.confidence is "
    "high, medium or low; set quality.needs_human_review where anything important could not be read."
)


class Classification(BaseAnswer):
    document_type: Literal[
        "letter", "memo", "decision", "circular", "minutes", "judgment", "power_of_attorney", "invoice", "receipt",
        "contract", "certificate", "form", "report", "table", "identity", "other",
    ]  # fmt: skip
    title: str | None
    subject: str | None
    sensitivity_marking: str | None
    urgency_marking: str | None


class Source(BaseAnswer):
    issuing_body: str | None
    department: str | None
    country: str | None
    reference_number: str | None
    author: str | None


class Date(BaseAnswer):
    kind: Literal["issued", "published", "received", "due", "effective", "expiry", "printed", "other"]
    text: str
    calendar: Literal["gregorian", "hijri", "both"] | None


class Registration(BaseAnswer):
    direction: Literal["incoming", "outgoing"]
    number: str | None
    date: str | None


class Physical(BaseAnswer):
    languages: list[Language]
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
    dates: list[Date]
    registrations: list[Registration]
    physical: Physical
    official_marks: list[Mark]
    signatures: list[Signature]
    routing: Routing
    marginal_notes: list[str]
    attachments: list[Attached]
    quality: Quality


KINDS: dict[str, Kind] = {
    **dict.fromkeys(("dates[].text", "registrations[].date"), "date"),
    **dict.fromkeys(
        (
            "classification.title", "classification.subject", "source.issuing_body", "source.department",
            "source.country", "source.author", "official_marks[].text", "signatures[].signer_name",
            "signatures[].signer_role", "routing.sender", "routing.recipient", "routing.copies[]",
            "routing.instructions", "marginal_notes[]", "attachments[].text",
        ),
        "text",
    ),
}  # fmt: skip


def read_confidence(answer: JsonObject) -> float:
    """How sure the answer says it is, 0 to 1."""
    return {"low": 0.0, "medium": 0.5, "high": 1.0}[answer["quality"]["confidence"]]


def upgrade(answer: JsonObject) -> JsonObject:
    """An answer whose source has one date and its calendar: it is the date of issue, and nothing was said of others."""
    source = answer.get("source")
    if not isinstance(source, dict) or "date" not in source or "dates" in answer:
        return answer
    date = {"kind": "issued", "text": source["date"], "calendar": source.get("calendar")}
    return {
        **answer,
        "source": {key: value for key, value in source.items() if key not in ("date", "calendar")},
        "dates": [] if source["date"] is None else [date],
        "registrations": [],
        "marginal_notes": [],
    }


TASK = Task(
    name="metadata", prompt=PROMPT, instruction=INSTRUCTION, answer=Answer, kinds=KINDS,
    read_confidence=read_confidence, upgrade=upgrade,
)  # fmt: skip

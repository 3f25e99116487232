"""Answers of earlier classes: what a person wrote stands in today's shape, and a student must know today's."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warraq import tasks
from warraq.metrics.fields import flatten

TEXTS = st.none() | st.text(max_size=8)
PARTY = st.fixed_dictionaries(dict.fromkeys(("name", "address", "tax_id"), TEXTS))
ITEM = st.fixed_dictionaries(
    {"description": st.text(max_size=8)} | dict.fromkeys(("quantity", "unit_price", "total"), TEXTS)
)
INVOICE = st.fixed_dictionaries(
    dict.fromkeys(("invoice_number", "date", "due_date", "currency", "subtotal", "tax", "total"), TEXTS)
    | {"sender": PARTY, "recipient": PARTY, "items": st.lists(ITEM, max_size=3)}
)
METADATA = st.fixed_dictionaries({
    "classification": st.fixed_dictionaries(
        {"document_type": st.sampled_from(["letter", "invoice", "other"])}
        | dict.fromkeys(("title", "subject", "sensitivity_marking", "urgency_marking"), TEXTS)
    ),
    "source": st.fixed_dictionaries(
        dict.fromkeys(("issuing_body", "department", "country", "reference_number", "author"), TEXTS)
        | {"date": TEXTS, "calendar": st.sampled_from([None, "gregorian", "hijri", "both"])}
    ),
    "physical": st.just({
        "languages": ["ar"], "script_direction": "rtl", "production": "scanned", "page_number": None, "is_blank": False,
    }),
    "official_marks": st.just([]), "signatures": st.just([]), "attachments": st.just([]),
    "routing": st.just({"sender": None, "recipient": None, "copies": ["x"], "instructions": None}),
    "quality": st.just({"condition_notes": [], "confidence": "high", "needs_human_review": False}),
})  # fmt: skip
BLOCK = st.fixed_dictionaries({
    "kind": st.sampled_from(["heading", "paragraph", "table"]), "text": st.text(max_size=8),
    "level": st.sampled_from([None, 1]),
})  # fmt: skip
CONTENT = st.fixed_dictionaries({"blocks": st.lists(BLOCK, min_size=1, max_size=3)})


def list_values(answer: dict[str, Any]) -> list[str]:
    """All that an answer says, but for the kind and the calendar of a date, of which there may be none."""
    told = {path: value for path, value in flatten(answer).items() if value is not None}
    return sorted(str(value) for path, value in told.items() if "calendar" not in path and path != "dates[0].kind")


@pytest.mark.parametrize(("name", "answers"), [("content", CONTENT), ("metadata", METADATA), ("invoice", INVOICE)])
def test_nothing_that_was_written_is_lost(name: str, answers: st.SearchStrategy[dict[str, Any]]) -> None:
    task = tasks.load(name)

    @given(answers)
    def check(answer: dict[str, Any]) -> None:
        new = task.validate_label(answer, strict=True)
        assert list_values(new) == list_values(answer)
        assert task.upgrade(new) == new == task.validate(answer)
        assert task.parse(tasks.dumps(answer))[0] is None  # of a student only today's shape is an answer

    check()


def test_the_one_date_of_before_is_the_date_of_issue_with_its_calendar() -> None:
    task = tasks.load("metadata")
    upgraded = task.upgrade({"source": {"author": None, "date": "1445/3/12", "calendar": "hijri"}})
    assert upgraded["source"] == {"author": None}
    assert upgraded["dates"] == [{"kind": "issued", "text": "1445/3/12", "calendar": "hijri"}]


@pytest.mark.parametrize("name", ["content", "metadata", "invoice"])
@given(st.recursive(st.none() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(
    st.sampled_from(["blocks", "source", "date", "tax", "items", "kind"]), inner), max_leaves=6))  # fmt: skip
def test_what_is_no_answer_is_refused_and_never_a_fault(name: str, value: Any) -> None:
    with pytest.raises(ValueError):
        tasks.load(name).validate_label({"x": value} | (value if isinstance(value, dict) else {}))

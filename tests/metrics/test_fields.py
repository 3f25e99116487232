"""Typed equality, lists and mending: against values computed elsewhere, and by properties."""

import json as stdlib
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warraq.metrics import dates, fields, values
from warraq.metrics.fields import Kinds, OutcomeCounts, align_lists, count_outcomes


@pytest.mark.parametrize(
    ("text", "number", "around"),
    [
        ("1,250.00 SAR", "1250", "SAR"),
        ("١٬٢٥٠٫٠٠ SAR", "1250", "SAR"),
        ("1,250", "1250", ""),
        ("1.250", "1.25", ""),  # dinars have three decimals
        ("12,5", "12.5", ""),
        ("1.234.567,89", "1234567.89", ""),
        ("1 250,50 €", "1250.5", "€"),
        ("-5", "-5", ""),
    ],
)
def test_amounts_are_decimals(text: str, number: str, around: str) -> None:
    assert values.parse_amount(text) == (Decimal(number).normalize(), around)


@pytest.mark.parametrize("text", ["USD", "", "10 to 12 pieces of 3", "1.2,3.4"])
def test_what_is_no_amount_is_not_guessed(text: str) -> None:
    assert values.parse_amount(text) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-03-05", ("gregorian", 2024, 3, 5)),
        ("5/3/2024", ("gregorian", 2024, 3, 5)),
        ("٥ مارس ٢٠٢٤", ("gregorian", 2024, 3, 5)),
        ("5 آذار 2024م", ("gregorian", 2024, 3, 5)),
        ("March 5th, 2024", ("gregorian", 2024, 3, 5)),
        ("١٥ شعبان ١٤٤٥ هـ", ("hijri", 1445, 8, 15)),
        ("15/8/1445", ("hijri", 1445, 8, 15)),
        ("15 من ذي الحجة 1444", ("hijri", 1444, 12, 15)),
    ],
)
def test_dates_of_both_calendars_and_digit_systems(text: str, expected: tuple[str, int, int, int]) -> None:
    assert dates.parse_date(text) == expected


@pytest.mark.parametrize("text", ["tomorrow", "2024/13", "5 Foo 2024", "45/1/2024", "", "12"])
def test_what_is_no_date_is_not_guessed(text: str) -> None:
    assert dates.parse_date(text) is None


@pytest.mark.parametrize(
    ("kind", "left", "right", "same"),
    [
        ("exact", "٢٠٢٤/١", "2024/1", True),
        ("exact", "INV-1", "INV-7", False),
        ("text", "مُحَمَّد", "محمد", True),
        ("text", "محمد", "محمود", False),
        ("text", "مدرسه", "مدرسة", False),
        ("amount", "9.5", "9.50", True),
        ("amount", "9.50 JOD", "9.50", False),
        ("date", "2024-03-05", "2024-03-06", False),
        ("date", "15/8/1445", "15 شعبان 1445", True),
    ],
)
def test_values_are_equal_by_their_kind(kind: values.Kind, left: str, right: str, same: bool) -> None:
    assert values.is_equal(kind, left, right) is same


def test_anls_of_free_text() -> None:
    assert values.anls("kitten", "sitten") == pytest.approx(5 / 6)
    assert values.anls("abc", "xyz") == 0
    assert values.anls("abcd", "ab") == 0.5


ROWS = [{"d": "a", "t": "1"}, {"d": "b", "t": "2"}, {"d": "c", "t": "3"}]


def test_reordered_items_are_equal_and_swapped_values_are_not() -> None:
    assert count_outcomes({"i": ROWS}, {"i": ROWS[::-1]}) == OutcomeCounts(correct=6)
    swapped = [{"d": "a", "t": "2"}, {"d": "b", "t": "1"}, ROWS[2]]
    assert count_outcomes({"i": ROWS}, {"i": swapped}) == OutcomeCounts(correct=4, wrong=2)


def test_an_item_in_front_makes_none_after_it_wrong() -> None:
    extra = [{"d": "x", "t": "9"}, *ROWS]
    assert count_outcomes({"i": ROWS}, {"i": extra}) == OutcomeCounts(correct=6, invented=2)
    assert count_outcomes({"i": extra}, {"i": ROWS}) == OutcomeCounts(correct=6, missing=2)


def test_lists_of_words_are_sets_with_repeats() -> None:
    assert count_outcomes({"i": ["ar", "en", "ar"]}, {"i": ["ar", "ar", "fr"]}) == OutcomeCounts(correct=2, wrong=1)


LISTS = st.lists(
    st.fixed_dictionaries({"a": st.sampled_from(["1", "2", None]), "b": st.sampled_from("xyz")}), max_size=4
)


@given(LISTS, LISTS, st.randoms())
def test_the_order_of_an_answers_list_changes_no_count(gold: list[Any], answer: list[Any], rng: Random) -> None:
    shuffled = list(answer)
    rng.shuffle(shuffled)
    assert count_outcomes({"i": gold}, {"i": answer}).correct == count_outcomes({"i": gold}, {"i": shuffled}).correct
    placed = align_lists({"i": gold}, {"i": answer}, {})["i"]
    assert sorted(map(str, filter(None, placed))) == sorted(map(str, answer))


def test_right_but_rewritten_counts_as_both() -> None:
    kinds: Kinds = {"total": "amount"}
    found = fields.score_fields({"total": "١٢٫٥٠", "id": "7"}, {"total": "12.5", "id": "7"}, kinds)
    assert found["field_f1"] == (4, 4)
    assert found["field_rewritten_share"] == (1, 2)


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        ('```json\n{"a": 1}\n```', {"a": 1}),
        ('Here is it: {"a": [1, 2]} I hope', {"a": [1, 2]}),
        ('{"a":"x","b":[{"c":"unfin', {"a": "x", "b": [{"c": "unfin"}]}),
        ('{"a":1,"b":{"c":2},"d', {"a": 1, "b": {"c": 2}}),
        ('{"a":1,"b":', {"a": 1}),
        ('{"a":"quote \\" and {","b":2', {"a": 'quote " and {'}),
        ("no JSON", None),
        ("", None),
        ('{"a": 1]', None),
    ],
)
def test_mending_closes_and_unwraps_and_makes_nothing_up(raw: str, value: object) -> None:
    assert next(fields.repair_json(raw), None) == value


JSON = st.recursive(
    st.one_of(st.text('ab"\\{[,]}:', max_size=4), st.sampled_from(["", "أ"])),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("xyz"), inner, max_size=3)),
    max_leaves=8,
).filter(lambda value: isinstance(value, dict | list))


@given(JSON, st.data())
def test_each_value_mended_from_a_cut_text_begins_one_that_was_there(value: object, data: st.DataObject) -> None:
    whole = stdlib.dumps(value, ensure_ascii=False)
    assert next(fields.repair_json("so: " + whole + " there")) == value
    there = [str(leaf) for leaf in fields.flatten(value).values()]
    for found in fields.repair_json(whole[: data.draw(st.integers(1, len(whole)))]):
        for leaf in fields.flatten(found).values():
            assert any(one.startswith(str(leaf)) for one in there)

"""Which printed values are the same: a table of pairs with a reader's verdict, and what holds for every text."""

import csv
import json
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warraq.metrics import dates, values
from warraq.metrics.arabic import normalize, unify_signs

with Path(__file__).with_name("values.tsv").open(encoding="utf-8") as _table:
    PAIRS = list(csv.DictReader(_table, delimiter="\t", quoting=csv.QUOTE_NONE))  # texts as JSON: marks can be seen
KINDS: tuple[values.Kind, ...] = ("exact", "text", "amount", "date")
PRINTED = st.text(
    st.one_of(
        st.sampled_from("0123456789٠١٢٣٥۴.,،٫٬'’ -−–+()/%٪½¼²①$€﷼"),
        st.sampled_from("ابهةىيیکكمٱٰ\u064e\u0651\u200c\u200f\u202e\u202cABah "),
    ),
    max_size=14,
)


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: f"{pair['kind']} {pair['reason']}")
def test_values_are_equal_when_a_reader_says_so(pair: dict[str, str]) -> None:
    kind = next(kind for kind in KINDS if kind == pair["kind"])
    reference, answer = json.loads(pair["reference"]), json.loads(pair["answer"])
    assert values.is_equal(kind, reference, answer) is json.loads(pair["same"])
    assert values.is_equal(kind, answer, reference) is json.loads(pair["same"])


@given(PRINTED, PRINTED)
def test_what_is_printed_the_same_is_the_same_and_each_way_round(left: str, right: str) -> None:
    for kind in KINDS:
        assert values.is_equal(kind, left, normalize(left))
        assert values.is_equal(kind, left, right) == values.is_equal(kind, right, left)
    if values.is_equal("exact", left, right):
        assert values.is_equal("text", left, right)
    if unify_signs(left) == unify_signs(right):
        assert all(values.is_equal(kind, left, right) for kind in KINDS)


@given(st.integers(1000, 10**12), st.integers(0, 999), st.sampled_from([",.", "٬٫", "٬.", " ,", " .", "'.", "’,"]))
def test_an_amount_is_the_same_however_it_is_grouped(number: int, decimals: int, signs: str) -> None:
    printed = f"{number:,}".replace(",", signs[0]) + f"{signs[1]}{decimals:03d}"
    assert values.parse_amount(printed) == (Decimal(f"{number}.{decimals:03d}"), "")
    assert not values.is_equal("amount", f"-{printed}", printed)


@given(st.integers(1, 31), st.integers(1, 12), st.integers(1600, 2999))
def test_a_date_is_the_same_in_each_order(day: int, month: int, year: int) -> None:
    for printed in (f"{day:02d}/{month:02d}/{year}م", f"{year}-{month}-{day}", f"يوم الأحد {day}. {month} .{year}"):
        assert dates.parse_date(printed) == ("gregorian", year, month, day)

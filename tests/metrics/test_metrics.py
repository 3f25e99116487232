"""Scores against values worked out by hand or elsewhere, and against what must hold for every input."""

import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warraq.metrics.arabic import normalize
from warraq.metrics.fields import OutcomeCounts, compare_fields, count_outcomes, flatten_texts
from warraq.metrics.text import Edits, count_character_edits, measure_distance

TEXTS = st.text(
    st.one_of(
        st.sampled_from("ابةيى كتabc 12\n\t\u00a0٢٣²½Ⅳﷺﷲﷻﷱ﷽ﹰﹱﹶﻻﬁÅ"),
        st.sampled_from(
            "\u064b\u064e\u0651\u0654\u0670\u0301\u0640\u200b\u200c\u200d\u200f\u202e\u2066\ufeff\u00ad\u06dd"
        ),
        st.characters(exclude_categories=["Cs"]),
    )
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.sampled_from(["", " ", "a", "b", "ﻻ", "لا"])),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("abc"), inner, max_size=3)),
)
ANSWERS = st.dictionaries(st.sampled_from("abc"), VALUES, max_size=3)


@pytest.mark.parametrize(
    ("text", "level_1"),
    [
        ("\ufefb", "لا"),  # the lam-alef ligature
        ("\u0634\u0651\u064e", "\u0634\u064e\u0651"),  # shadda and fatha in either order
        ("\u0627\u0654", "أ"),
        ("كتـــاب\u200f", "كتاب"),
        ("كتاب\ufe70", "كتاب\u064b"),  # the isolated tanwin, to NFKC a space and a mark
        ("\ufdfa", "صلى الله عليه وسلم"),
        ("\ufdfd", "بسم الله الرحمن الرحيم"),
        (" a\u00a0\n b\u2028", "a b"),
        ("٢٠٢٤ ى ة أ", "٢٠٢٤ ى ة أ"),  # digits and letter forms are what was printed
        ("5² 1½", "5² 1½"),
    ],
)
def test_the_encoding_level_unifies_what_looks_alike_and_nothing_else(text: str, level_1: str) -> None:
    assert normalize(text) == unicodedata.normalize("NFC", level_1)


@given(TEXTS)
def test_encoding_twice_changes_nothing(text: str) -> None:
    assert normalize(normalize(text)) == normalize(text)


@given(TEXTS, TEXTS)
def test_no_character_errors_is_the_same_as_equal_at_the_encoding_level(left: str, right: str) -> None:
    assert count_character_edits(left, left).errors == 0
    assert (count_character_edits(left, right).errors == 0) == (normalize(left) == normalize(right))


@given(TEXTS, TEXTS)
def test_edits_account_for_the_lengths_of_both_texts(left: str, right: str) -> None:
    edits = count_character_edits(left, right)
    assert edits.reference - edits.deletions + edits.insertions == len(normalize(right))
    assert edits.substitutions + edits.deletions <= edits.reference


def test_edits_of_the_textbook_pair() -> None:
    assert count_character_edits("kitten", "sitting") == Edits(substitutions=2, insertions=1, deletions=0, reference=6)


def test_words_are_split_at_any_white_space() -> None:
    assert measure_distance("a\nb\u00a0c", "a b c")[1] == 0
    assert measure_distance("a b", "a x b c")[1] == 2


def test_an_empty_answer_deletes_every_character_and_word() -> None:
    assert count_character_edits("كتاب جديد", "") == Edits(0, 0, 9, 9)
    assert measure_distance("كتاب جديد", "") == (9, 2)


def test_edits_add_up_and_an_error_rate_may_pass_one() -> None:
    total = count_character_edits("ab", "abcdefg") + count_character_edits("", "xyz")
    assert total == Edits(0, 8, 0, 2)
    assert total.errors / total.reference == 4


GOLD = {"number": "12", "date": None, "party": {"name": "أحمد", "tax": None}, "items": [{"x": "1"}, {"x": "2"}]}


def test_fields_by_hand() -> None:
    answer = {"number": "13", "date": "May", "party": {"name": None, "tax": None}, "items": [{"x": "1"}]}
    assert compare_fields(GOLD, answer) == {
        "number": "wrong", "date": "invented", "party.name": "missing", "party.tax": "correct_null",
        "items[0].x": "correct", "items[1].x": "missing",
    }  # fmt: skip
    found = count_outcomes(GOLD, answer)
    assert found == OutcomeCounts(correct=1, wrong=1, missing=2, invented=1, correct_null=1)
    assert (found.precision, found.recall, found.f1) == pytest.approx((1 / 3, 1 / 4, 2 / 7))


def test_an_unreadable_answer_misses_every_field() -> None:
    assert count_outcomes(GOLD, None) == OutcomeCounts(missing=4)


def test_blank_text_is_no_value_and_encodings_of_one_text_are_equal() -> None:
    assert compare_fields({"a": None, "b": "\ufefb"}, {"a": " \u200f", "b": "لا"}) == {
        "a": "correct_null",
        "b": "correct",
    }


def test_an_item_too_many_is_invented_and_its_nulls_are_nothing() -> None:
    assert count_outcomes({"i": []}, {"i": [{"a": "x", "b": None}]}) == OutcomeCounts(invented=1)


@given(ANSWERS, ANSWERS)
def test_field_counts_add_up_to_the_values_on_either_side(gold: dict[str, Any], answer: dict[str, Any]) -> None:
    found = count_outcomes(gold, answer)
    assert found.gold_count == sum(value is not None for value in flatten_texts(gold).values())
    assert found.answer_count == sum(value is not None for value in flatten_texts(answer).values())
    both = found.precision + found.recall
    assert found.f1 == pytest.approx(2 * found.precision * found.recall / both if both else 0)
    itself = count_outcomes(gold, gold)
    assert (itself.correct, itself.wrong, itself.missing, itself.invented) == (found.gold_count, 0, 0, 0)

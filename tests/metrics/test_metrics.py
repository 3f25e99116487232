"""Scores against values worked out by hand or elsewhere, and against what must hold for every input."""

import math
import unicodedata
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from warraq.metrics.arabic import normalize
from warraq.metrics.fields import OutcomeCounts, compare_fields, count_outcomes, flatten_texts
from warraq.metrics.statistics import Bootstrap, Estimate, choose_levels, holm, newcombe_interval, wilson_interval
from warraq.metrics.text import Edits, count_character_edits, count_word_edits

TEXTS = st.text(
    st.one_of(
        st.sampled_from("ابةيى كتabc 12\n\t\u00a0٢٣²½Ⅳﷺﷲﷻﷱ﷽ﹰﹱﹶﻻﬁÅ"),
        st.sampled_from("\u064b\u064e\u0651\u0654\u0670\u0301\u0640\u200b\u200d\u200f\u202e\u2066\ufeff\u00ad\u06dd"),
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
    for edits, length in (
        (count_character_edits(left, right), len(normalize(right))),
        (count_word_edits(left, right), len(normalize(right).split())),
    ):
        assert edits.reference - edits.deletions + edits.insertions == length
        assert edits.substitutions + edits.deletions <= edits.reference


def test_edits_of_the_textbook_pair() -> None:
    assert count_character_edits("kitten", "sitting") == Edits(substitutions=2, insertions=1, deletions=0, reference=6)


def test_words_are_split_at_any_white_space() -> None:
    assert count_word_edits("a\nb\u00a0c", "a b c").errors == 0
    assert count_word_edits("a b", "a x b c") == Edits(0, 2, 0, 2)


def test_an_empty_answer_deletes_every_character_and_word() -> None:
    assert count_character_edits("كتاب جديد", "") == Edits(0, 0, 9, 9)
    assert count_word_edits("كتاب جديد", "") == Edits(0, 0, 2, 2)


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


def test_wilson_bounds_what_never_happened() -> None:
    assert wilson_interval(0, 100)[1] == pytest.approx(0.0370, abs=1e-4)
    assert wilson_interval(0, 300)[1] == pytest.approx(0.0126, abs=1e-4)
    assert wilson_interval(0.5, 10) == pytest.approx((0.2366, 0.7634), abs=1e-4)


def test_newcombe_joins_two_wilson_intervals() -> None:
    low, high = wilson_interval(1, 12)
    assert newcombe_interval(1, 0, 12) == pytest.approx((1 - math.hypot(1 - low, 1 - low), 1))
    assert newcombe_interval(1, 1, 12) == pytest.approx((low - 1, 1 - low))
    assert high == 1


def make_world(generator: np.random.Generator, documents: int) -> list[dict[str, tuple[float, float]]]:
    """Documents of one to five pages that share an error rate; b is 0.05 better than a."""
    rows = []
    for rate in generator.beta(2, 8, documents):
        lengths = generator.integers(200, 2000, generator.integers(1, 6))
        first, second = (generator.binomial(lengths, r).sum() for r in (rate, max(rate - 0.05, 0)))
        rows.append({"a": (first, lengths.sum()), "b": (second, lengths.sum())})
    return rows


def test_the_interval_is_the_one_of_scipy_at_the_widened_level() -> None:
    from statistics import NormalDist

    from scipy import stats

    rows = make_world(np.random.default_rng(5), 30)
    errors, lengths = np.array([row["a"] for row in rows]).T
    tail = choose_levels(0.5, np.array([0.0, 1.0]), np.array([1.0, 1.0]), 30)
    ours = Bootstrap(rows, 20_000, 1).estimate("a", share=False)
    theirs = stats.bootstrap(
        (errors, lengths), lambda e, n, axis=-1: e.sum(axis) / n.sum(axis), paired=True, vectorized=True,
        n_resamples=20_000, method="BCa", confidence_level=tail[1] - tail[0], rng=np.random.default_rng(2),
    ).confidence_interval  # fmt: skip
    assert (ours.lo, ours.hi) == pytest.approx((theirs.low, theirs.high), rel=0.02)
    t = stats.t.ppf(0.975, 29) * math.sqrt(30 / 29)
    assert tail == [pytest.approx(NormalDist().cdf(-t)), pytest.approx(NormalDist().cdf(t))]


def bounds(estimate: Estimate) -> tuple[float, float]:
    assert estimate.lo is not None and estimate.hi is not None
    return estimate.lo, estimate.hi


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    everything = make_world(np.random.default_rng(0), 20_000)
    truth = {name: sum(row[name][0] for row in everything) / sum(row[name][1] for row in everything) for name in "ab"}
    gap = truth["b"] - truth["a"]
    generator = np.random.default_rng(1)
    hits = paired_hits = 0
    worlds = 150
    for seed in range(worlds):
        drawings = Bootstrap(make_world(generator, 60), 500, seed)
        found, difference = drawings.estimate("a", share=False), drawings.estimate_difference("b", "a", share=False)
        (lo, hi), (paired_lo, paired_hi) = bounds(found), bounds(difference)
        hits += lo <= truth["a"] <= hi
        paired_hits += paired_lo <= gap <= paired_hi
        assert paired_hi - paired_lo < hi - lo
    assert 0.90 <= hits / worlds <= 0.99
    assert 0.90 <= paired_hits / worlds <= 0.99


def test_a_sign_flip_is_the_permutation_test_of_scipy() -> None:
    from scipy import stats

    rows = make_world(np.random.default_rng(7), 14)
    gaps = np.array([row["b"][0] - row["a"][0] for row in rows])
    theirs = stats.permutation_test((gaps,), np.sum, permutation_type="samples", n_resamples=2**14).pvalue
    assert Bootstrap(rows, 2**14, 1).compute_p_value("b", "a") == pytest.approx(theirs, abs=1e-9)
    drawn = Bootstrap(rows, 2**13, 1).compute_p_value("b", "a")
    assert drawn == pytest.approx(theirs, abs=0.02)


def test_with_six_documents_all_better_the_chance_is_one_in_thirty_two() -> None:
    rows = [{"a": (1.0, 2.0), "b": (0.0, 2.0)}] * 6
    assert Bootstrap(rows, 1000, 1).compute_p_value("a", "b") == 2 / 2**6


def test_what_cannot_be_seen_is_the_published_formula() -> None:
    generator = np.random.default_rng(3)
    for documents, table in ((50, 0.040), (200, 0.020)):  # sd of the difference 0.10: 2.8 sd / sqrt(documents)
        gaps = generator.normal(0, 1, documents)
        gaps = 0.1 * (gaps - gaps.mean()) / gaps.std(ddof=1)
        rows = [{"a": (0.5 + gap, 1.0), "b": (0.5, 1.0)} for gap in gaps]
        assert Bootstrap(rows, 4000, 1).compute_detectable("a", "b") == pytest.approx(table, rel=0.05)


def test_holm_by_hand_and_against_one_test_alone() -> None:
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": None}) == {"a": 0.03, "b": 0.06, "c": 0.06, "d": None}
    assert holm({"a": 0.5}) == {"a": 0.5}
    assert holm({"a": 0.9, "b": 0.8}) == {"a": 1.0, "b": 1.0}


def test_pages_of_one_document_count_as_one_draw() -> None:
    pages = [(10.0, 100.0), (30.0, 100.0), (20.0, 100.0), (5.0, 100.0), (40.0, 100.0), (15.0, 100.0)]
    clustered = Bootstrap([{"a": (5 * errors, 5 * length)} for errors, length in pages], 1000, 1).estimate(
        "a", share=False
    )
    single = Bootstrap([{"a": page} for page in pages for _ in range(5)], 1000, 1).estimate("a", share=False)
    assert clustered.value == single.value == 0.2
    (lo, hi), (single_lo, single_hi) = bounds(clustered), bounds(single)
    assert hi - lo > 1.8 * (single_hi - single_lo)


def test_without_spread_a_share_gets_wilson_and_an_error_rate_nothing() -> None:
    drawings = Bootstrap([{"a": (2.0, 2.0), "b": (0.0, 2.0)}] * 12, 200, 1)
    assert (drawings.estimate("a", share=True).lo, drawings.estimate("a", share=True).hi) == wilson_interval(1, 12)
    assert drawings.estimate("a", share=False).lo is None
    assert drawings.estimate_difference("a", "b", share=True).lo == pytest.approx(newcombe_interval(1, 0, 12)[0])


def test_one_document_has_no_interval_and_nothing_to_divide_by_no_value() -> None:
    drawings = Bootstrap([{"a": (1.0, 2.0), "b": (0.0, 0.0)}], 200, 1)
    assert (drawings.estimate("a", share=True).value, drawings.estimate("a", share=True).lo) == (0.5, None)
    assert drawings.estimate("b", share=True).value is None
    assert drawings.estimate_difference("a", "b", share=True).value is None

"""No text that a model may write takes more than linear work: where some is quadratic, one of these does not end."""

import json
from collections import Counter
from collections.abc import Callable
from random import Random
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz.distance import Levenshtein

from warraq.metrics import arabic, dates, faithfulness, fields, loops, notations, reading, values
from warraq.records import Planted
from warraq.tasks import table_qa

SIZE = 40_000  # characters
FUNCTIONS: dict[str, Callable[[str], object]] = {
    "normalize": arabic.normalize,
    "fold_letters": arabic.fold_letters,
    "split_diacritics": arabic.split_diacritics,
    "find_loop": lambda text: loops.find_loop(text, 8),
    "count_facts": faithfulness.count_facts,
    "has_talk": lambda text: faithfulness.has_talk(text + "x", text),
    "has_added_loop": lambda text: faithfulness.has_added_loop(text, text[::-1]),
    "score_planted_errors": lambda text: faithfulness.score_planted_errors(
        [Planted(page_id="p", kind="spelling", printed="aaaab", mended="aaaac")], text
    ),
    "is_equal": lambda text: [values.is_equal(kind, text, text) for kind in get_args(values.Kind)],
    "parse_amount": values.parse_amount,
    "parse_dates": dates.parse_dates,
    "split_list": table_qa._split_list,
    "rewrite_as_json": lambda text: [
        notations.rewrite_as_json(before + text, {"kind", "text"}, labelled=labelled)
        for labelled in (True, False)
        for before in ("", "{'a': '", '{\\"a\\":')
    ],
    "convert_markdown_tables": notations.convert_markdown_tables,
    "read_passages": lambda text: reading.read_passages(text, ()),
    "read_loose_answer": lambda text: reading.read_loose_answer(text, ()),
    "repair_json": lambda text: next(fields.repair_json(text), None),
}
UNITS = (
    "a", "1", "1,234", "1 ", "1/", "-+", "a@", "a.b-", "www.", "www.a ", "+9", "01 234 ", "(", "<", "[", '{"a":[',
    '["\\', '"', "``` Sure, ", "ab.", "\u202ea ", "\u202ea\u202c", "ا\u064b\u200c", "ی\u064b", "\u0301\u0316\u064b",
    "١٬٢", "½", " ", "\n", "' ", "'x', ", "“", "|-|\n", "|a|\n|-|\n", "a: b\n", "<text>", "<text ",
    '["a",', "`", "".join(Random(0).choices("abcdefg", k=SIZE)),
)  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_no_text_takes_more_than_linear_work(name: str) -> None:
    for unit in UNITS:
        FUNCTIONS[name](unit * (SIZE // len(unit)))


def test_many_facts_are_not_compared_each_with_each() -> None:
    ours = Counter(str(number) for number in range(10**6, 10**6 + 40_000))
    theirs = Counter(f"{number}7" for number in range(10**6, 10**6 + 40_000))
    assert faithfulness.count_near_misses(ours, theirs) > 30_000


FACTS = st.lists(st.text("127", min_size=1, max_size=4), max_size=6).map(Counter)


@given(FACTS, FACTS)
def test_near_misses_are_one_character_apart(ours: Counter[str], theirs: Counter[str]) -> None:
    lost, invented = ours - theirs, theirs - ours
    pairs = [(one, other) for one in lost for other in invented if Levenshtein.distance(one, other) == 1]
    count = faithfulness.count_near_misses(ours, theirs)
    assert bool(count) == bool(pairs)
    assert count <= min(sum(lost[one] for one in {one for one, _ in pairs}),
                        sum(invented[other] for other in {other for _, other in pairs}))  # fmt: skip


@given(st.text('{}[]",:\\ab1 \n', max_size=40))
def test_what_is_read_from_broken_json_is_read_again(raw: str) -> None:
    for value in fields.repair_json("{" + raw):
        assert next(fields.repair_json(json.dumps(value)), value) == value


@pytest.mark.parametrize(
    ("reference", "answer"),
    [
        ("المبلغ ١٬٢٥٠٫٥٠", "المبلغ 1,250.50"),
        ("١٢٫٥", "12,5"),
        ("−٤٠", "-40"),
        ("2024–2025", "2024-2025"),
        ("+962 79 123 4567", "+962791234567"),
        ("see https://example.org/a.", "see https://example.org/a"),
        ("(www.example.org)", "www.example.org"),
    ],
)
def test_a_fact_is_one_fact_however_it_is_written(reference: str, answer: str) -> None:
    assert faithfulness.count_facts(reference) == faithfulness.count_facts(answer)


@pytest.mark.parametrize(
    ("reference", "answer"),
    [("-40", "40"), ("1.10", "1.1"), ("1,250", "1.250"), ("007", "7"), ("5-10", "5 10"), ("12 34", "1234")],
)
def test_a_fact_changed_is_another(reference: str, answer: str) -> None:
    assert faithfulness.count_facts(reference) != faithfulness.count_facts(answer)


def test_a_loop_is_found_behind_a_rule_in_the_same_word() -> None:
    assert loops.find_loop("." * 40 + "مرحبا" * 40, times=8) == "مرحبا"


@given(st.lists(st.sampled_from(["كتاب", "مدرسة", "قلم", "ab", "\n"]), max_size=6), st.text("اب.ج1", max_size=30))
def test_a_loop_stands_in_the_text_as_often_as_it_must(words: list[str], before: str) -> None:
    text = before + "".join(words) * 60 + " ".join(["", *words]) * 30
    if found := loops.find_loop(text, times=8):
        assert any(joint.join([found] * 8) in joint.join(text.split()) for joint in ("", " "))

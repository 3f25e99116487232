"""Elements found, lost, made up, merged and split, and the text within them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warraq.metrics import structure
from warraq.metrics.catalogue import ScoreSums
from warraq.metrics.grading import score_structure
from warraq.metrics.structure import Element


def test_elements_found_invented_miscalled_and_out_of_order() -> None:
    gold = [Element("heading", "Invoice"), Element("paragraph", "Dear Sir"), Element("paragraph", "Yours faithfully")]
    found = structure.score_elements(
        gold, [gold[2], Element("heading", "Dear Sir"), Element("paragraph", "A new sentence of its own")]
    )
    assert found["element_precision"] == (2, 3)
    assert found["element_recall"] == (2, 3)
    assert found["element_kind_accuracy"] == (1, 2)
    assert found["reading_order"] == (0, 1)
    same = structure.score_elements(gold, gold)
    assert same["element_f1"] == (6, 6) and same["reading_order"] == (3, 3)


def score(gold: list[str], answer: list[str]) -> ScoreSums:
    return structure.score_elements(*([Element("paragraph", text) for text in side] for side in (gold, answer)))


FIRST, SECOND, THIRD = "المادة الأولى من العقد", "the second party pays 1,250.00", "ثلاثون يوما من التاريخ"


def test_paragraphs_merged_into_one_are_all_found_and_nothing_is_made_up() -> None:
    found = score([FIRST, SECOND, THIRD], [f"{FIRST} {SECOND}\n{THIRD}"])
    assert found["element_recall"] == (3, 3) and found["element_precision"] == (1, 1)
    assert found["element_joined_share"] == (4, 4)


def test_a_paragraph_in_three_parts_is_found_and_none_of_them_is_made_up() -> None:
    found = score([f"{FIRST} {SECOND} {THIRD}"], [FIRST, SECOND, THIRD, "Terms that nobody agreed upon"])
    assert found["element_recall"] == (1, 1) and found["element_precision"] == (3, 4)
    assert found["element_f1"] == (4, 5)


def test_a_merged_heading_has_the_wrong_kind_and_no_order_of_its_own() -> None:
    gold = [Element("heading", FIRST), Element("paragraph", SECOND), Element("paragraph", THIRD)]
    found = structure.score_elements(gold, [Element("paragraph", THIRD), Element("paragraph", f"{FIRST} {SECOND}")])
    assert found["element_kind_accuracy"] == (2, 3)
    assert found["reading_order"] == (0, 2)


def test_a_box_is_right_with_its_state_and_a_language_where_it_is_told() -> None:
    gold = [Element("checkbox_checked", FIRST, "ar"), Element("checkbox_empty", SECOND), Element("paragraph", THIRD)]
    found = structure.score_elements(gold, [gold[0], Element("checkbox_checked", SECOND, "en"), gold[2]])
    assert found["checkbox_accuracy"] == (1, 2) and found["element_language_accuracy"] == (1, 1)
    assert structure.score_elements(gold, [])["checkbox_accuracy"] == (0, 2)


def test_what_was_invented_after_a_paragraph_is_not_the_next_one() -> None:
    found = score([FIRST, SECOND], [f"{FIRST} ثم اتفقا على غيره"])
    assert found["element_recall"] == (1, 2) and found["element_joined_share"] == (0, 2)


def test_equal_paragraphs_each_in_two_parts_are_all_found() -> None:
    found = score([f"{FIRST} {SECOND}"] * 2, [FIRST, SECOND] * 2)
    assert found["element_recall"] == (2, 2) and found["reading_order"] == (4, 4)


def test_a_table_is_one_in_any_element_and_its_text_that_of_its_cells() -> None:
    table = "<TABLE><tr><td>a<td>b &lt;td&gt;</tr><tr><td colspan=2>c<t<b>d></table>"
    elements = [
        Element("paragraph", f"Total: 5 {table} in <b>words</b>"),
        Element("list", "loose <td>cell</td> <td"),
        Element("other", "x < y"),
    ]
    text = structure.join_elements(elements)
    assert text == "Total: 5\na b\nc\nin <b>words</b>\nloose cell\nx < y"
    found = score_structure([Element("table", table)], elements)
    assert found["teds"] == (1, 1) and found["grits_recall"] == (4, 4)


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        ([f"w{number} x" for number in range(5000)], [f"w{number} y" for number in range(5000)]),
        (["a"] * 2000, ["a " * 1000] * 2),
        ([" ".join(map(str, range(2000)))], [str(number) for number in range(2000)]),
        (["كلمة " * 50_000], ["كلمة " * 50_000 + "أخرى"]),
    ],
    ids=["many", "merged", "split", "long"],
)
def test_many_and_long_elements_are_matched_within_bounds(gold: list[str], answer: list[str]) -> None:
    found = score(gold, answer)
    assert found["element_recall"][0] > 0
    assert (found["element_recall"][1], found["element_precision"][1]) == (len(gold), len(answer))


WORDS = st.text(st.sampled_from("ابتabc 12\n"), min_size=1).filter(str.strip)
TEXTS = st.lists(st.one_of(WORDS, st.just("")), max_size=5)


@given(WORDS, st.data())
def test_a_paragraph_in_two_parts_is_found(paragraph: str, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(paragraph)))
    assert score([paragraph], [paragraph[:cut], paragraph[cut:]])["element_recall"] == (1, 1)


@given(TEXTS, TEXTS)
def test_links_account_for_no_more_than_there_is(gold: list[str], answer: list[str]) -> None:
    for name, (numerator, denominator) in score(gold, answer).items():
        assert 0 <= numerator <= denominator, name
    itself = score(gold, gold)
    assert all(itself[name][0] == itself[name][1] for name in ("element_f1", "reading_order", "element_kind_accuracy"))
    assert itself["element_joined_share"][0] == 0


@given(TEXTS, TEXTS, st.integers(0, 5))
def test_a_made_up_element_raises_no_score(gold: list[str], answer: list[str], place: int) -> None:
    more = [*answer[:place], "Xylophon Quiz", *answer[place:]]
    before, after = score(gold, answer), score(gold, more)
    assert after["element_precision"] == (before["element_precision"][0], before["element_precision"][1] + 1)
    assert after["element_recall"] == before["element_recall"]
    assert after["reading_order"] == before["reading_order"]


PIECES = st.lists(
    st.sampled_from(["<table>", "</table>", "<tr>", "<td>", "</td", "<td", "<th colspan='2'", ">", "<", "t", "d", "<b>",
                     "/", "&lt;", "td", " ", "\n", "أ", '"', "'", "<br>"])
)  # fmt: skip


@given(PIECES)
def test_no_text_of_an_element_has_a_tag_of_a_table(pieces: list[str]) -> None:
    text = structure.join_elements([Element("paragraph", "".join(pieces)), Element("table", "".join(pieces))])
    assert not any(tag in text for tag in ("<td", "</td", "<table", "<tr>"))

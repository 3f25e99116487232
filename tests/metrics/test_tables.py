"""Tables: against values computed elsewhere, by properties, and where they are hostile."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warraq import tasks
from warraq.metrics import table_likeness, tables
from warraq.metrics.catalogue import ScoreSums
from warraq.tasks.scoring import score_answer


def write_table(rows: list[list[str]], cell: str = "td") -> str:
    inner = "".join("<tr>" + "".join(f"<{cell}>{text}</{cell}>" for text in row) + "</tr>" for row in rows)
    return f"<table>{inner}</table>"


PRICES = [["البند", "السعر"], ["كتاب", "12"], ["قلم", "34"]]


# as PubTabNet's metric.py (th as td) and Microsoft's GriTS give them
@pytest.mark.parametrize(
    ("rows", "teds", "structure", "precision", "recall", "mirrored"),
    [
        (PRICES, 1, 1, 1, 1, 0),
        ([PRICES[0], ["كتاب", "13"], PRICES[2]], 0.944, 1, 0.917, 0.917, 0),
        (PRICES[:2], 0.667, 0.667, 1, 0.667, 0),
        ([*PRICES, ["دفتر", "56"]], 0.75, 0.75, 0.75, 1, 0),
        ([row[::-1] for row in PRICES], 0.422, 1, 0.5, 0.5, 1),
    ],
    ids=["equal", "digit wrong", "row missing", "row invented", "mirrored"],
)
def test_tables_by_published_behaviour(
    rows: list[list[str]], teds: float, structure: float, precision: float, recall: float, mirrored: float
) -> None:
    found = tables.score_tables(tables.parse_tables(write_table(PRICES)), tables.parse_tables(write_table(rows)))
    assert found.pop("header_cell_f1") == (0, 0)  # nothing heads anything
    values = {name: numerator / denominator for name, (numerator, denominator) in found.items()}
    assert values == {
        "teds": pytest.approx(teds, abs=5e-4), "teds_structure": pytest.approx(structure, abs=5e-4),
        "grits_precision": pytest.approx(precision, abs=5e-4), "grits_recall": pytest.approx(recall, abs=5e-4),
        "mirrored_table_share": mirrored, "uncompared_table_share": 0,
    }  # fmt: skip


# as apted 1.0.3 gives them with the same costs
@pytest.mark.parametrize(
    ("left", "right", "similarity"),
    [
        (
            "<tr><td>ab</td><td>c</td></tr><tr><td colspan='2'>dd</td></tr>",
            "<tr><td>ab</td></tr><tr><td>c</td><td>dx</td></tr>",
            0.4,
        ),
        ("<tr><td>a</td><td>b</td><td>c</td></tr>", "<tr><td>a</td></tr><tr><td>b</td></tr><tr><td>c</td></tr>", 1 / 3),
        (
            "<tr><td>a</td><td>b</td></tr><tr><td>c</td><td>d</td></tr><tr><td rowspan='2'>e</td><td>f</td></tr>",
            "<tr><td>c</td><td>d</td></tr><tr><td>e</td><td>fg</td></tr>",
            0.5,
        ),
        ("<tr><td>abcd</td></tr>", "", 0),
    ],
)
def test_the_tree_distance_is_the_one_of_apted(left: str, right: str, similarity: float) -> None:
    (one,), (two,) = (tables.parse_tables(f"<table>{rows}</table>") for rows in (left, right))
    assert table_likeness.teds(one, two) == pytest.approx(similarity, abs=1e-9)


def test_header_cells_count_by_their_places_and_not_in_teds() -> None:
    gold, plain = "<table><tr><th>a<th>b<tr><th>1<td>2</table>", "<table><tr><th>x<th>b<tr><td>1<td>2</table>"
    found = tables.score_tables(tables.parse_tables(gold), tables.parse_tables(plain))
    assert found["header_cell_f1"] == (4, 5)
    assert found["teds_structure"] == (1, 1)
    assert tables.score_tables(tables.parse_tables(gold), [])["header_cell_f1"] == (0, 3)
    wide = tables.parse_tables("<table><tr><th colspan=2>a<tr><td>1<td>2</table>")
    assert tables.score_tables(wide, tables.parse_tables(gold))["header_cell_f1"] == (4, 5)
    marked = tables.parse_tables("| a | b |\n|---|---|\n| 1 | 2 |")
    assert tables.score_tables(wide, marked)["header_cell_f1"] == (4, 4)


def test_headers_and_groups_of_rows_do_not_matter_but_their_text_does() -> None:
    (plain,) = tables.parse_tables(write_table(PRICES))
    (head,) = tables.parse_tables(write_table(PRICES, "th").replace("<table>", "<table><thead>", 1))
    assert table_likeness.teds(plain, head) == 1
    (other,) = tables.parse_tables(write_table([["x", "y"], *PRICES[1:]], "th"))
    assert table_likeness.teds(plain, other) < 1


def test_cells_without_end_tags_spans_and_tables_within() -> None:
    found = tables.parse_tables(
        "<table><tr><td rowspan=2>a<td>b<tr><td>c<table><tr><td>in</table></table> t <table></table>"
    )
    assert [[cell.text for cell in row] for row in found[0].rows] == [["a", "b"], ["cin"]]
    assert table_likeness.expand_grid(found[0]) == [["a", "b"], ["a", "cin"]]
    assert len(found) == 2 and found[1].rows == []


# as PubTabNet's metric.py gives them after the normalisation that the catalogue names
@pytest.mark.parametrize(
    ("gold", "answer", "teds", "structure"),
    [
        (
            "<thead><tr><th colspan='2'>المجموع</th><th>ملاحظة</th></tr></thead>"
            "<tbody><tr><td>12</td><td>345</td><td>أ &amp; ب</td></tr></tbody>",
            "<tr><td>المجموع</td><td></td><td>ملاحظه</td></tr><tr><td>12</td><td>354</td><td>أ &amp; ب</td></tr>",
            0.6458333333333333,
            0.75,
        ),
        (
            "<tr><td rowspan='3'>A</td><td>one</td></tr><tr><td>two</td></tr><tr><td>three</td></tr>",
            "<tr><td rowspan='2'>A</td><td>one</td></tr><tr><td>two</td></tr><tr><td>B</td><td>tree</td></tr>",
            0.725,
            0.75,
        ),
        (
            "<tr><td>x <b>bold</b></td><td>10</td></tr><tr><td>y</td><td>20</td></tr>",
            "<tr><td>x bold</td><td>10</td><td>10</td></tr><tr><td>z</td><td>20</td></tr><tr><td>w</td></tr>",
            0.5555555555555556,
            0.6666666666666667,
        ),
    ],
)
def test_teds_is_the_one_of_its_authors(gold: str, answer: str, teds: float, structure: float) -> None:
    (one,), (two,) = (tables.parse_tables(f"<table>{rows}</table>") for rows in (gold, answer))
    assert table_likeness.teds(one, two) == pytest.approx(teds, abs=1e-9)
    assert table_likeness.teds(one, two, structure=True) == pytest.approx(structure, abs=1e-9)


def score(gold: str, answer: str) -> ScoreSums:
    return tables.score_tables(tables.parse_tables(gold), tables.parse_tables(answer))


PARTIES = [["الاسم", "المدينة"], ["أحمد", "الرياض"]]
DATES = [["Date", "Paid"], ["2024-03-05", "yes"]]
INVENTED = write_table([["Zürich", "Wien"], ["Qux", "Vexj"]])


def test_a_missed_table_costs_itself_alone() -> None:
    found = score(
        write_table(PRICES) + write_table(PARTIES) + write_table(DATES), write_table(PARTIES) + write_table(DATES)
    )
    assert found["teds"] == found["teds_structure"] == (2, 3)
    assert found["grits_precision"] == (8, 8) and found["grits_recall"] == (8, 14)


def test_the_tables_of_an_answer_count_in_whatever_block_they_stand() -> None:
    def write(*blocks: tuple[str, str]) -> str:
        return json.dumps(
            {"blocks": [{"kind": kind, "text": text, "level": None, "language": None} for kind, text in blocks]}
        )

    prices, parties, dates = (write_table(rows) for rows in (PRICES, PARTIES, DATES))
    gold = json.loads(write(("table", prices), ("table", parties), ("table", dates)))
    found = score_answer(tasks.load("content"), gold, write(("table", dates), ("paragraph", f"قائمة {parties}")))
    assert found.value("teds") == found.value("element_recall") == 2 / 3
    assert found.answer_text == "Date Paid\n2024-03-05 yes\nقائمة\nالاسم المدينة\nأحمد الرياض"


def test_a_lost_table_and_an_invented_one_are_both_shown() -> None:
    one = tables.parse_tables(write_table(PRICES))
    assert tables.score_tables(one, [])["teds"] == (0, 1)
    assert tables.score_tables([], one)["teds"] == (0, 1)
    assert tables.score_tables([], one)["grits_precision"] == (0, 6)
    assert tables.score_tables([], [])["teds"] == (0, 0)
    found = score(write_table(PRICES), INVENTED)
    assert found["teds"] == (0, 2) and found["grits_precision"] == (0, 4) and found["grits_recall"] == (0, 6)
    assert score("", "<table></table>")["teds"] == (0, 1)


def test_tables_with_the_same_words_are_told_apart_by_their_places() -> None:
    marks = [write_table([["✓", "✗"], ["✗", "✓"], ["✓", other]]) for other in ("✓", "✗")]
    read = [table.replace("</table>", "<tr><td>x</td></tr></table>") for table in marks]
    gold, answer = (tables.parse_tables("".join(one)) for one in (marks, read[::-1]))
    assert tables.pair_tables(gold, answer) == {0: 1, 1: 0}


def test_a_table_cut_short_is_no_invention() -> None:
    whole = [[f"بند {number}", str(number * 37)] for number in range(10)]
    found = score(write_table(whole), write_table(whole[:1]))
    assert found["grits_precision"] == (2, 2) and found["grits_recall"] == (2, 20)


def test_a_table_that_begins_in_another_one_ends_it() -> None:
    found = tables.parse_tables("<table><tr><td>1</td></tr><table><tr><td>2")
    assert [[cell.text for cell in table.cells] for table in found] == [["1"], ["2"]]


def test_an_endless_table_scores_nothing_quickly() -> None:
    endless = tables.parse_tables("<table>" + "<tr><td colspan=999>1</td></tr>" * 5000)
    found = tables.score_tables(tables.parse_tables(write_table(PRICES)), endless)
    assert found["teds"] == (0, 2) and found["grits_recall"] == (0, 6)


@pytest.mark.parametrize(
    "html",
    [
        "<td>" * 50_000,
        "<table>" + "<td>1" * 10_000,
        "<table>" * 10_000,
        "<table><tr><td>" * 20_000,
        "<td " * 50_000,
        "<table><td>" + "<!--" * 50_000,
        "<table><td>" + "a<br>" * 50_000,
        "<table><td>&#" + "9" * 5000 + ";",
        "<table><td colspan=" + "9" * 5000 + ">a",
        "<table><td colspan=" + " " * 500_000,
        "<td '" + '"' * 500_000,
    ],
    ids=["cells", "row", "tables", "nested", "unclosed", "comments", "breaks", "reference", "span", "blank", "quotes"],
)
def test_hostile_markup_is_read_and_counted(html: str) -> None:
    found = score(write_table(PRICES), html)
    assert found["teds"][0] == 0 and found["grits_recall"] == (0, 6)
    assert found["teds"][1] == 1 + len(tables.parse_tables(html))
    assert "<td" not in tables.strip_tags(html)


def test_a_reference_too_large_is_left_out_with_its_match_and_counted() -> None:
    large = "<table>" + "<tr><td>1" * 600 + "</table>"
    found = score(large + write_table(PRICES), large.replace("1", "2", 1) + write_table(PRICES))
    assert found["uncompared_table_share"] == (1, 2)
    assert found["teds"] == (1, 1) and found["grits_precision"] == (6, 6)


def test_what_comes_after_ten_of_the_largest_tables_is_left_out_and_counted() -> None:
    page = "".join("<table>" + f"<tr><td>{number}" * 500 + "</table>" for number in range(12))
    assert score(page, page)["uncompared_table_share"] == (2, 12)
    assert score(page, page)["teds"] == (10, 10)


def test_rows_spanned_beyond_the_last_take_no_place() -> None:
    (spanning,) = tables.parse_tables("<table><tr><td rowspan=100000>a<td>b<tr><td>c</table>")
    assert not spanning.is_too_large and table_likeness.expand_grid(spanning) == [["a", "b"], ["a", "c"]]
    assert tables.score_tables([spanning], [spanning])["teds"] == (1, 1)


def test_hundreds_of_tables_that_equal_none_are_paired() -> None:
    gold, answer = (
        "".join(write_table([[f"{number:04}", "رقم"], [f"{number * 7919 % 10**6:06}", last]]) for number in range(400))
        for last in "ab"
    )
    ours, theirs = tables.parse_tables(gold), tables.parse_tables(answer)
    assert tables.pair_tables(ours, theirs[::-1]) == {place: 399 - place for place in range(400)}


CELLS = st.lists(st.lists(st.sampled_from(["1", "22", "أ", ""]), min_size=1, max_size=3), min_size=1, max_size=3)


@given(CELLS, CELLS)
def test_tables_are_like_themselves_and_likeness_is_mutual(left: list[list[str]], right: list[list[str]]) -> None:
    (one,) = tables.parse_tables(write_table(left))
    (two,) = tables.parse_tables(write_table(right))
    assert table_likeness.teds(one, one) == 1
    assert table_likeness.teds(one, two) == pytest.approx(table_likeness.teds(two, one))
    ours, theirs = table_likeness.expand_grid(one), table_likeness.expand_grid(two)
    assert table_likeness.grits(ours, ours) == pytest.approx(sum(map(len, ours)))
    assert table_likeness.grits(ours, theirs) <= min(sum(map(len, ours)), sum(map(len, theirs))) + 1e-9


PAGES = st.lists(CELLS.map(write_table), max_size=4)


@given(PAGES, PAGES, st.data())
def test_the_order_of_the_answer_s_tables_does_not_matter(
    gold: list[str], answer: list[str], data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(answer))
    one, two = score("".join(gold), "".join(answer)), score("".join(gold), "".join(shuffled))
    assert one == {name: pytest.approx(sums) for name, sums in two.items()}


@given(PAGES)
def test_a_page_is_like_itself(page: list[str]) -> None:
    found = score("".join(page), "".join(page[::-1]))
    assert found["teds"] == found["teds_structure"] == (len(page), len(page))


@given(PAGES, PAGES, st.integers(0, 4))
def test_an_invented_table_raises_no_score(gold: list[str], answer: list[str], place: int) -> None:
    more = [*answer[:place], INVENTED, *answer[place:]]
    before, after = score("".join(gold), "".join(answer)), score("".join(gold), "".join(more))
    for name in ("teds", "teds_structure", "grits_precision", "grits_recall"):
        assert after[name][0] == pytest.approx(before[name][0]) and after[name][1] >= before[name][1]

"""Transcripts of models that only read: no word is lost or added, a cell stays a cell, half a page is none."""

import html
import json
import re
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warraq import tasks
from warraq.metrics.tables import parse_tables, strip_tags
from warraq.teachers.transcripts import Notation, read_transcript

WORD = st.text("abcdefgABCDEFG01234ابتثجحمنى", min_size=1, max_size=8)
LINE = st.lists(WORD, min_size=1, max_size=5).map(" ".join)
ROWS = st.lists(st.lists(LINE, min_size=1, max_size=4), min_size=1, max_size=4)
PART = st.one_of(
    st.tuples(st.sampled_from(["paragraph", "heading", "footer", "signature", "formula"]), LINE),
    st.tuples(st.sampled_from(["list", "numbers"]), st.lists(LINE, min_size=1, max_size=4)),
    st.tuples(st.just("table"), ROWS),
)
Part = tuple[str, Any]


def write_table(rows: list[list[str]]) -> str:
    inner = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table>{inner}</table>"


def write_bars(rows: list[list[str]]) -> str:
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])


def write_markdown(part: Part, table: Callable[[list[list[str]]], str]) -> str:
    kind, value = part
    if kind == "table":
        return table(value)
    if kind in {"list", "numbers"}:
        return "\n".join(f"{'-' if kind == 'list' else '7.'} {item}" for item in value)
    frames = {"paragraph": "{}", "heading": "## **{}**", "footer": "<footer>{}</footer>", "formula": "$${}$$"}
    return frames.get(kind, "<signature>{}</signature>").format(value)


def write_html(part: Part) -> str:
    kind, value = part
    if kind == "table":
        return write_table(value)
    if kind in {"list", "numbers"}:
        tag = "ul" if kind == "list" else 'ol start="7"'
        return f"<{tag}>" + "".join(f"<li>{item}</li>" for item in value) + f"</{tag[:2]}>"
    tag = {"paragraph": "p", "heading": "h2", "formula": "math"}.get(kind, kind)
    return f"<{tag}>{value}</{tag}>"


CATEGORIES = {
    "paragraph": "Text", "heading": "Section-header", "footer": "Page-footer", "signature": "Text",
    "formula": "Formula", "list": "List-item", "numbers": "List-item", "table": "Table",
}  # fmt: skip


def write_element(part: Part) -> dict[str, Any]:
    return {"bbox": [0, 0, 9, 9], "category": CATEGORIES[part[0]], "text": write_markdown(part, write_table)}


WRITERS: dict[str, tuple[Notation, Callable[[list[Part]], str]]] = {
    "Markdown with HTML tables": (
        "markdown", lambda parts: "\n\n".join(write_markdown(part, write_table) for part in parts)
    ),
    "Markdown with bars": ("markdown", lambda parts: "\n\n".join(write_markdown(part, write_bars) for part in parts)),
    "Markdown in a fence": (
        "markdown", lambda parts: "\n\n".join(["```markdown", *(write_markdown(p, write_table) for p in parts), "```"])
    ),
    "HTML": ("html", lambda parts: f"<html><body>{''.join(map(write_html, parts))}</body></html>"),
    "layout": ("layout", lambda parts: json.dumps([write_element(part) for part in parts], ensure_ascii=False)),
}  # fmt: skip


def read(text: str, notation: Notation = "markdown") -> list[dict[str, Any]]:
    answer = tasks.load("content").validate(read_transcript(text, notation))
    assert tasks.load("content").find_problem(answer) is None
    return list(answer["blocks"])


def list_kinds(text: str, notation: Notation = "markdown") -> list[tuple[str, str]]:
    return [(block["kind"], block["text"]) for block in read(text, notation)]


def count_words(blocks: list[dict[str, Any]]) -> Counter[str]:
    return Counter(re.findall(r"\w+", "\n".join(strip_tags(block["text"]) for block in blocks)))


@pytest.mark.parametrize("name", WRITERS)
@given(parts=st.lists(PART, max_size=6))
def test_every_word_is_there_once_and_every_cell(name: str, parts: list[Part]) -> None:
    notation, write = WRITERS[name]
    words = Counter(word for _, value in parts for word in re.findall(r"\w+", str(value)))
    for kind, value in parts:
        if kind == "numbers":  # as printed in Markdown, as counted in HTML
            words.update(map(str, range(7, 7 + len(value))) if notation == "html" else ["7"] * len(value))

    blocks = read(write(parts), notation)

    assert count_words(blocks) == words
    tables = [[[cell.text for cell in row] for row in table.rows]
              for block in blocks for table in parse_tables(block["text"])]  # fmt: skip
    assert tables == [value for kind, value in parts if kind == "table"]


@given(st.text("abc أب12 \n\t*_#|-+=>[]^!\\$~:.,;☐☑", max_size=80))
def test_no_letter_of_any_text_is_lost_or_added(text: str) -> None:
    """Whatever the signs between them come to."""
    kept = Counter(letter for block in read(text) for letter in strip_tags(block["text"]) if letter.isalnum())

    assert kept == Counter(filter(str.isalnum, text))


@given(st.text("<>/ab=\"' &;tdrh", max_size=60), st.sampled_from(["markdown", "html"]))
def test_what_is_no_tag_is_text_or_no_answer_at_all(text: str, notation: Notation) -> None:
    """Tags that the alphabet can spell: their letters alone may go."""
    try:
        blocks = read(text, notation)
    except ValueError:
        return
    bare = html.unescape(re.sub(r"</?(?:a|abbr|b|br|dd|dt|hr|tt|td|th|tr)(?:[\s/][^<>]*)?>", "", text))
    kept = Counter(letter for block in blocks for letter in block["text"] if letter.isalpha())
    assert not Counter(filter(str.isalpha, bare)) - kept


OLMOCR = """---
primary_language: fr
is_rotation_valid: True
rotation_correction: 0
is_table: False
is_diagram: False
---
"""


def test_what_olmocr_adds() -> None:
    blocks = read(OLMOCR + "# Avis\n\nBonjour\n\n![A drawing of a house](page_10_20_30_40.png)\n\nالسلام عليكم")

    assert [(block["kind"], block["text"], block["level"], block["language"]) for block in blocks] == [
        ("heading", "Avis", 1, "fr"),
        ("paragraph", "Bonjour", None, "fr"),
        ("figure", "", None, None),
        ("paragraph", "السلام عليكم", None, "ar"),
    ]
    assert read(OLMOCR) == []


def test_what_nanonets_adds() -> None:
    text = (
        "<watermark>OFFICIAL COPY</watermark>\n☐ Paid by card\n☑ Paid in cash\n<img>Figure 2: sales</img>\n\n"
        "<signature>J. Doe</signature>\n<page_number>9/22</page_number>"
    )

    assert list_kinds(text) == [
        ("stamp", "OFFICIAL COPY"),
        ("checkbox_empty", "Paid by card"),
        ("checkbox_checked", "Paid in cash"),
        ("figure", "Figure 2: sales"),
        ("signature", "J. Doe"),
        ("page_number", "9/22"),
    ]


def test_what_dots_ocr_writes() -> None:
    items = [
        ("Title", "# تقرير"), ("Section-header", "## الأول"), ("List-item", "- one"), ("List-item", "2. two"),
        ("Picture", None), ("Formula", "$$\na*b*c\n$$"), ("Caption", "Figure 1"), ("Footnote", "1 see there"),
        ("Page-header", "Ministry"), ("Page-footer", "Page 3 of 4"), ("Page-footer", "Riyadh"), ("Unheard-of", "x"),
    ]  # fmt: skip
    text = json.dumps([{"bbox": [1, 2, 3.5, 4], "category": name} | ({"text": text} if text is not None else {})
                       for name, text in items])  # fmt: skip

    assert list_kinds(text, "layout") == [
        ("heading", "تقرير"), ("heading", "الأول"), ("list", "one\n2. two"), ("figure", ""), ("formula", "a*b*c"),
        ("paragraph", "Figure 1"), ("footnote", "1 see there"), ("page_header", "Ministry"),
        ("page_number", "Page 3 of 4"), ("page_footer", "Riyadh"), ("other", "x"),
    ]  # fmt: skip
    assert [block["level"] for block in read(text, "layout")][:2] == [1, 2]


def test_heads_and_spans_of_a_table_stay() -> None:
    text = (
        '<table border="1"><thead><tr><td colspan="2">Sum</td></tr></thead><tr><td>a<br/>b</td><td rowspan=1>&lt;5</td>'
    )

    assert list_kinds(text + "</tr></table>") == [(
        "table", '<table><tr><th colspan="2">Sum</th></tr><tr><td>a<br>b</td><td>&lt;5</td></tr></table>'
    )]  # fmt: skip


def test_a_row_longer_than_its_head_keeps_its_cells() -> None:
    assert list_kinds("| | |\n|---|---|\n| 1 | 2 | 3 \\| 4 |") == [
        ("table", "<table><tr><td>1</td><td>2</td><td>3 | 4</td></tr></table>")
    ]


@pytest.mark.parametrize(
    ("text", "blocks"),
    [
        ("**Name:** Ali", [("form_field", "Name: Ali")]),
        ("**الاسم**: علي", [("form_field", "الاسم: علي")]),
        ("To: Ali\nDate: 3 May", [("form_field", "To: Ali"), ("form_field", "Date: 3 May")]),
        ("He said: come", [("paragraph", "He said: come")]),
        ("Male ☑ Female ☐", [("checkbox_checked", "Male"), ("checkbox_empty", "Female")]),
        ("Paid ☑ Sent ☐ by post", [("paragraph", "Paid ☑ Sent ☐ by post")]),
        ("- [x] done\n- [ ] open", [("checkbox_checked", "done"), ("checkbox_empty", "open")]),
        ("a text[^1]\n\n[^1]: a note", [("paragraph", "a text1"), ("footnote", "1 a note")]),
        ("1984. It was\n7. a day", [("list", "1984. It was\n7. a day")]),
        ("Total\n---\nfrom $5 to $6", [("paragraph", "Total"), ("paragraph", "from $5 to $6")]),
        ("[12]: word\n2*3*4 <Name> 1<2", [("paragraph", "[12]: word\n2*3*4 <Name> 1<2")]),
    ],
)  # fmt: skip
def test_lines_that_are_more_than_text(text: str, blocks: list[tuple[str, str]]) -> None:
    assert list_kinds(text) == blocks


@pytest.mark.parametrize(
    ("text", "language"),
    [("این یک نامه است که می‌گوید", "fa"), ("یہ خط ہے جو میں نے لکھا", "ur"), ("هذا خطاب إلى الوزارة", "ar"),
     ("שלום", "he"), ("the end of the day", "en"), ("la fin de la journée et du jour", "fr"), ("Riyadh", None),
     ("12/3", None)],
)  # fmt: skip
def test_the_language_of_a_block(text: str, language: str | None) -> None:
    assert read(text)[0]["language"] == language


@pytest.mark.parametrize(
    ("notation", "text", "reason"),
    [
        ("markdown", "a\n\n<table><tr><td>b", "<table> is never closed"),
        ("markdown", "```markdown\nhalf a page", "a fence of Markdown is never closed"),
        ("markdown", '[{"bbox": [1, 2, 3, 4]}]', "label.local.answers is another"),
        ("markdown", "the end<|im_end|>", "<|im_end|> is a token of the model's own"),
        ("markdown", "<fcel>a<fcel>b<nl>", "<fcel> is a token of the model's own"),
        ("markdown", "<signature>J. Doe", "<signature> is never closed"),
        ("markdown", OLMOCR.replace("True", "False").replace(": 0", ": 90") + "a", "turned by 90 degrees"),
        ("markdown", "> " * 200 + "deep", "without end"),
        ("html", "<table><tr>loose</tr></table>", "'loose' stands in a table outside its cells"),
        ("html", "<td>a</td>", "<td> stands outside a table"),
        ("html", '<table><td rowspan="x">a</td></table>', "a cell has the rowspan 'x'"),
        ("html", "<div><h1>a</div></h1>", "<h1> is not closed before </div>"),
        ("layout", '[{"bbox": [1, 2, 3, 4], "category": "Text", "text": "a', "Unterminated string"),
        ("layout", "# Markdown", "Expecting value"),
        ("layout", '{"blocks": []}', "label.local.answers is another"),
        ("layout", '[{"bbox": [1, 2, 3], "category": "Text", "text": "a"}]', "element 1: its bbox is not four numbers"),
        ("layout", '[{"bbox": [1, 2, 3, 4], "category": "Text"}]', "element 1: a Text without text"),
        ("layout", '[{"bbox": [1, 2, 3, 4], "category": "Text", "txt": "a"}]', "element 1: it is not an object"),
        ("layout", '[{"bbox": [1, 2, 3, 4], "category": "Table", "text": "a b"}]', "element 1: 'a b' stands"),
    ],
)  # fmt: skip
def test_half_a_page_is_none(notation: Notation, text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)):
        read_transcript(text, notation)

"""report.html, as text and as a browser shows it, and model_card.md."""

import base64
import hashlib
import re
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support import browser
from support.evaluate_project import (
    ATTACK,
    DOCUMENTS,
    VARIANTS,
    add_teacher_labels,
    add_validation,
    change_prediction,
    evaluate,
    make_gold,
    make_page_id,
    make_prediction,
    make_sample,
    read_views,
    rewrite,
    run_evaluate,
    write_dataset,
    write_predictions,
)
from support.params import params_yaml
from warraq import tasks
from warraq.files import read_json, write_json
from warraq.metrics.arabic import normalize
from warraq.records import Turn
from warraq.reports import page_views
from warraq.reports.text_diff import compare_letters, mark_differences, split_words


class Tags(HTMLParser):
    """The tags and addresses of a page, its policy, and what stands in its scripts and style."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.addresses: list[str] = []
        self.policy = ""
        self.texts: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        assert not any(name.startswith("on") or name == "style" for name, _ in attrs)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]
        if ("http-equiv", "Content-Security-Policy") in attrs:
            self.policy = dict(attrs)["content"] or ""

    def handle_data(self, data: str) -> None:
        if self.cdata_elem:
            self.texts.append(data)


def blocks(text: str) -> str:
    return tasks.dumps({"blocks": [{"kind": "paragraph", "text": text, "level": None, "language": None}]})


def test_the_report_stands_alone_and_what_was_read_stays_data(folder: Path) -> None:
    run_evaluate(folder)
    html = (folder / "out/report.html").read_text(encoding="utf-8")
    page = Tags(html)
    assert {address for address in page.addresses if not address.startswith("#")} == {
        "./metrics.json", "./review.json",
        *(f"./plots/{path.name}" for path in (folder / "out/plots").iterdir()),
    }  # fmt: skip
    assert all((folder / "out" / address).exists() for address in page.addresses if address.startswith("./"))
    assert "b" in page.tags and not page.tags & {"iframe", "object", "form", "link", "img"}
    hashes = {f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in page.texts}
    named = set(re.findall(r"'sha256-[^']+'", page.policy))
    assert len(named) == 3 and named <= hashes and "default-src 'none'" in page.policy
    assert "'unsafe" not in page.policy
    assert ATTACK not in html and "<b>1</b>" not in html
    assert ATTACK in {one["tasks"][0]["text"] for one in read_views(folder)["pages"]}


def test_words_that_differ_are_marked_in_both_and_equal_answers_name_the_first(folder: Path) -> None:
    change_prediction(folder, "merged", 4, "content", rewrite(blocks("إلى السيد الوزير رقم 4")))
    change_prediction(folder, "onnx", 4, "content", rewrite(blocks("إلى السيد الوزير رقم 4")))
    run_evaluate(folder)
    page = next(one for one in read_views(folder)["pages"] if one["id"] == make_page_id(4))
    answers = page["tasks"][0]["answers"]
    assert answers["merged"]["lost"] == answers["merged"]["added"] == [[2, [2, 2, 2]]]  # ال مد ير, ال وز ير
    assert answers["onnx"] == {"quality": answers["merged"]["quality"], "same": "merged"}


@given(st.text("األ\u200fـب م\n\u00a0", max_size=40), st.text("األ\u200fـب م\n\u00a0", max_size=40))
def test_what_no_mark_names_is_the_same_in_both(reference: str, answer: str) -> None:
    left, right = split_words(reference), split_words(answer)
    kept = []
    for words, marks in zip((left, right), mark_differences(reference, answer), strict=True):
        places = {at + i for at, size in marks for i in range(size if isinstance(size, int) else 1)}
        assert places <= set(range(len(words)))
        assert all(sum(size) == len(words[at]) for at, size in marks if not isinstance(size, int))
        kept.append([normalize(word) for place, word in enumerate(words) if place not in places])
    assert kept[0] == kept[1]


@given(st.text("ابت", min_size=1, max_size=8), st.text("ابت", min_size=1, max_size=8))
def test_the_equal_pieces_of_two_words_are_equal(word: str, other: str) -> None:
    def join_equal(text: str, lengths: list[int]) -> str:
        ends = [sum(lengths[: place + 1]) for place in range(len(lengths))]
        return "".join(text[end - size : end] for place, (end, size) in enumerate(zip(ends, lengths, strict=True))
                       if place % 2 == 0)  # fmt: skip

    ours, theirs = compare_letters(word, other)
    assert join_equal(word, ours) == join_equal(other, theirs)
    assert not ours or (sum(ours), sum(theirs)) == (len(word), len(other))


def test_a_blank_page_that_was_written_on_is_the_worst(folder: Path) -> None:
    blank = Turn(role="user", content="<image>?"), Turn(role="assistant", content='{"blocks":[]}')
    samples = [make_sample(number, "content") for number in range(DOCUMENTS)]
    samples[5] = samples[5].model_copy(update={"conversations": blank})
    write_dataset(folder, samples)
    for variant in VARIANTS:
        rows = [make_prediction(number, "content") for number in range(DOCUMENTS)]
        write_predictions(folder / f"predictions/{variant}/predictions.jsonl", rows)
    change_prediction(folder, "merged", 4, "content", rewrite(tasks.dumps(make_gold(5, "content"))))
    evaluate(folder)
    first, second, *_ = read_views(folder)["pages"]
    assert (first["id"], second["id"]) == (make_page_id(5), make_page_id(4))
    assert ["written on a blank page", ""] in first["tasks"][0]["answers"]["base"]["issues"]
    assert first["tasks"][0]["answers"]["merged"]["same"] == "base"


def test_other_models_stand_beside_the_students(folder: Path) -> None:
    asked = [(number, task) for number in range(DOCUMENTS) for task in ("content", "invoice")]
    write_predictions(folder / "predictions/tesseract/predictions.jsonl", [make_prediction(*one) for one in asked[:3]])
    found = evaluate(folder)
    assert found["variants"] == "base merged onnx tesseract"
    assert (found["tesseract_missing_predictions"], found["tesseract_failed_share"]) == (13, 13 / 16)
    assert read_views(folder)["variants"] == ["base", "merged", "onnx", "tesseract"]


def test_images_beyond_the_room_for_them_are_named_and_counted(folder: Path) -> None:
    (folder / "params.yaml").write_text(params_yaml({"evaluate.drawings": 1000, "evaluate.image_mib": 0}))
    evaluate(folder)
    assert {one["image"] for one in read_views(folder)["pages"]} == {None}
    assert "8 images did not fit into the file" in (folder / "out/report.html").read_text(encoding="utf-8")
    path = read_views(folder)["pages"][0]["path"]
    assert (folder / "out" / path).resolve().is_relative_to(folder.resolve() / "pages")
    assert (folder / "out" / path).exists()


def test_texts_and_lists_without_end_are_cut_and_say_so(folder: Path) -> None:
    gold = make_gold(3, "invoice")
    long = gold | {"currency": "S" * 100_000, "items": gold["items"] * 2_000}
    change_prediction(folder, "merged", 3, "invoice", rewrite(tasks.dumps(long)))
    change_prediction(folder, "merged", 4, "content", rewrite(blocks("word " * 20_000)))
    evaluate(folder)
    assert (folder / "out/report.html").stat().st_size < 1_000_000
    pages = {one["id"]: one["tasks"] for one in read_views(folder)["pages"]}
    text, invoice = pages[make_page_id(4)][0]["answers"]["merged"], pages[make_page_id(3)][1]
    limit = page_views.LIMITS[0]
    assert text["text"][1] == len("word " * 20_000) - limit
    assert text["added"] == [[0, limit // len("word ")]]
    row = invoice["paths"].index("currency")
    assert invoice["answers"]["merged"]["values"][row] == ["S" * limit, 100_000 - limit]
    assert len(invoice["paths"]) == page_views.FIELDS and invoice["fields_left_out"] > 5_000


def test_the_model_card_names_data_base_scores_and_limits(folder: Path) -> None:
    side = {"documents": 3, "pages": 4, "samples": {"content": 4}, "references": {"gold": 4}}
    write_json(folder / "dataset/audit.json", {"splits": {"train": side, "val": side, "test": side}, "left_out": {}})
    (folder / "dataset/train.json").write_text("[]")
    add_validation(folder, 1)
    found = evaluate(folder)
    card = (folder / "out/model_card.md").read_text(encoding="utf-8")
    assert "3 documents, 4 pages; 4 content; 4 gold; `train.json` 4f53cda18c2b" in card
    assert found["test_sha256"] in card and "revision `" + "0" * 64 in card
    assert "| field F1 | 0.000 [0.000, 0.353] | 1.000 [0.647, 1.000] | 1.000 [0.647, 1.000] |" in card

    write_predictions(folder / "predictions/onnx/predictions.jsonl", [])  # a student that is left out of export
    assert evaluate(folder)["variants"] == "base merged"
    card = (folder / "out/model_card.md").read_text(encoding="utf-8")
    assert "| field F1 | 0.000 [0.000, 0.353] | 1.000 [0.647, 1.000] |\n" in card and "onnx" not in card
    assert "onnx" not in run_evaluate(folder).output
    assert "| a page is shown as | page |" in card and "strips" not in card

    write_json(folder / "proof.json", read_json(folder / "proof.json") | {"views": "page + 2 bands"})
    evaluate(folder)
    card = (folder / "out/model_card.md").read_text(encoding="utf-8")
    assert "| a page is shown as | page + 2 bands |" in card and "Show each page as page + 2 bands" in card


def test_the_model_card_tells_of_samples_that_were_not_handed_on(folder: Path) -> None:
    side = {"documents": 3, "pages": 4, "samples": {"content": 4}, "references": {"gold": 4}}
    write_json(folder / "dataset/audit.json", {"splits": {"train": side, "val": side, "test": side}, "left_out": {}})
    evaluate(folder)
    card = (folder / "out/model_card.md").read_text(encoding="utf-8")
    assert "| validation set | 3 documents, 4 pages; 4 content; 4 gold; `val.json` is not here |" in card


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[browser.Browser]:
    if browser.PROGRAM is None:
        pytest.skip(f"no Chromium: none of {', '.join(browser.NAMES)} is on the PATH")
    with browser.browser(tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.fixture(scope="module")
def shown(evaluable: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report with everything in it: a teacher, validation, errors in Arabic, English, fields, values without end."""
    folder = tmp_path_factory.mktemp("shown")
    shutil.copytree(evaluable, folder, dirs_exist_ok=True)
    gold = make_gold(6, "invoice")
    answers = {
        (2, "content"): blocks("إلى\u200f السيد\u00a0المدير\u200c رقــم 2"),
        (3, "content"): blocks("كتاب" * 60 + " Dear Sir " + "W" * 90),
        (4, "content"): blocks("إلى السيد الوزير رقم 4"),
        (4, "invoice"): tasks.dumps(make_gold(4, "invoice") | {"total": "1", "tax_amount": "2", "currency": None}),
        (5, "invoice"): "plain",
        (6, "invoice"): tasks.dumps(gold | {"currency": "S" * 100_000, "items": gold["items"] * 2_000}),
    }
    for (number, task), text in answers.items():
        change_prediction(folder, "merged", number, task, rewrite(text))
    add_teacher_labels(folder, range(DOCUMENTS), total="1")
    add_validation(folder, 2)
    assert run_evaluate(folder).exit_code == 0
    return folder / "out/report.html"


TOO_WIDE = """
    [document.scrollingElement, ...document.querySelectorAll('.scroll, .panel, .text, .pairs')]
        .filter(one => one.scrollWidth > one.clientWidth).map(one => one.getAttribute('aria-label') || one.tagName)
"""
TOLD = {"Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded"}
LISTED = "[...document.querySelectorAll('.sheet')].map(one => Number.parseInt(one.dataset.page, 16))"


def choose(page: browser.Browser, name: str, value: str) -> list[int]:
    """Set a control of the list of pages; the numbers of the documents that it then lists."""
    if value in ("on", "off"):
        page.run(f"at('{name}').checked = {str(value == 'on').lower()}")
    else:
        page.run(f"at('{name}').value = {value!r}")
    page.run(f"at('{name}').dispatchEvent(new Event('input'))")
    found: list[int] = page.run(LISTED)
    return found


def unfold(page: browser.Browser, number: int) -> None:
    """Open the page of a document, once it is drawn."""
    page.run(
        f"""new Promise(drawn => {{
            const one = document.querySelector('[data-page="{make_page_id(number)}"]');
            if (one.open) return drawn();
            one.addEventListener('toggle', drawn, {{once: true}});
            one.open = true;
        }})"""
    )


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_a_browser_shows_it_whole_to_all_and_has_nothing_to_say(
    chromium: browser.Browser, shown: Path, width: int, dark: bool
) -> None:
    chromium.open(shown.as_uri(), width, 900, dark)
    for number in range(DOCUMENTS):
        unfold(chromium, number)
    chromium.run("document.querySelectorAll('.fold').forEach(one => one.open = true)")
    assert chromium.run(TOO_WIDE) == []
    chromium.run("document.querySelectorAll('.fold').forEach(one => one.open = one.matches('#review ~ * *'))")
    for number in (0, 1, 6, 7):  # as the others, and long
        chromium.run(f"""document.querySelector('[data-page="{make_page_id(number)}"]').open = false""")
    paper = "rgb(22, 20, 18)" if dark else "rgb(250, 247, 240)"
    assert chromium.run("getComputedStyle(document.body).backgroundColor") == paper
    choose(chromium, "unseen", "on")
    assert chromium.find_barriers() == []
    assert chromium.run("[...document.querySelectorAll('th')].filter(one => !one.textContent).length") == 0
    assert [event for event in chromium.events if event.get("method") in TOLD] == []
    asked = [event["params"]["request"]["url"] for event in chromium.events
             if event.get("method") == "Network.requestWillBeSent"]  # fmt: skip
    assert {url for url in asked if not url.startswith("data:")} == {shown.as_uri()}


def test_what_a_document_says_is_shown_and_never_run(chromium: browser.Browser, shown: Path) -> None:
    chromium.open(shown.as_uri(), 1280, 900, dark=False)
    unfold(chromium, 0)
    assert chromium.run(f"""document.querySelector('[data-page="{make_page_id(0)}"] .text').textContent""") == ATTACK
    assert chromium.run("document.querySelectorAll('#sheets script, #sheets img[src=x], summary b b').length") == 0
    chromium.run("document.body.append(Object.assign(document.createElement('script'), {text: 'window.run = 1'}))")
    assert chromium.run("'run' in window") is False  # the policy holds


def test_pages_are_found_by_words_and_faults_and_sorted(chromium: browser.Browser, shown: Path) -> None:
    chromium.open(shown.as_uri(), 1280, 900, dark=False)
    assert choose(chromium, "search", "الوزير رقم ٤") == []
    assert choose(chromium, "search", "الى السيد  الوزير") == [4]  # in merged's answer alone, hamza and spaces apart
    assert choose(chromium, "search", "خطاب <b>7") == [7]
    assert sorted(choose(chromium, "search", "")) == list(range(DOCUMENTS))
    assert choose(chromium, "reason", "missing") == [4]
    assert choose(chromium, "reason", "not JSON") == [5]
    assert choose(chromium, "task", "content") == []
    choose(chromium, "task", "")
    assert len(choose(chromium, "model", "base")) == DOCUMENTS  # all of its answers are no JSON
    choose(chromium, "model", "merged")
    choose(chromium, "reason", "")
    assert choose(chromium, "document", f"{3:012x}") == [3]
    choose(chromium, "document", "")
    assert choose(chromium, "sort", "name") == list(range(DOCUMENTS))
    assert choose(chromium, "reversed", "on") == list(range(DOCUMENTS))[::-1]
    choose(chromium, "reversed", "off")
    labels = chromium.run("data.scores.map(one => one.label)")
    worst = choose(chromium, "sort", f"score:{labels.index('field F1')}")
    assert worst[:2] == [5, 6] and worst[2] == 4
    assert choose(chromium, "sort", f"gain:{labels.index('CER')}")[0] == 3
    assert chromium.run("at('count').textContent") == "8 of 8 pages"


def test_an_image_is_zoomed_by_wheel_keys_and_buttons_and_dragged(chromium: browser.Browser, shown: Path) -> None:
    chromium.open(shown.as_uri(), 1280, 900, dark=False)
    unfold(chromium, 1)
    chromium.run(
        f"""window.sheet = document.querySelector('[data-page="{make_page_id(1)}"]'); sheet.scrollIntoView()"""
    )
    place = "(({left, top, width, height}) => [left + width / 2, top + height / 2])"
    x, y = chromium.run(f"{place}(sheet.querySelector('.viewer').getBoundingClientRect())")
    matrix = "[...new DOMMatrix(sheet.querySelector('img').style.transform || 'none').toFloat64Array()]"

    def read_place() -> list[float]:
        values: list[float] = chromium.run(matrix)
        return [round(value, 3) for value in (values[0], values[12], values[13])]

    chromium.mouse("mouseWheel", x, y, deltaX=0, deltaY=-200)
    assert read_place()[0] == 1  # the wheel scrolls the page until the image is chosen
    x, y = chromium.run(f"{place}(sheet.querySelector('.viewer').getBoundingClientRect())")
    chromium.mouse("mousePressed", x, y)
    chromium.mouse("mouseReleased", x, y)
    chromium.mouse("mouseWheel", x, y, deltaX=0, deltaY=-400)
    scale, left, top = read_place()
    assert scale == round(2.718282, 3)
    chromium.mouse("mousePressed", x, y)
    chromium.mouse("mouseMoved", x + 30, y + 20)
    chromium.mouse("mouseReleased", x + 30, y + 20)
    chromium.mouse("mouseMoved", x, y)
    assert read_place() == pytest.approx([scale, left + 30, top + 20])
    chromium.press("ArrowRight", 39)
    assert read_place()[1] == pytest.approx(left - 30)
    chromium.press("0", 48, "0")
    assert read_place() == [1, 0, 0]
    chromium.run("sheet.querySelector('[aria-label=\"Zoom in\"]').click()")
    assert read_place()[0] == 1.25 and chromium.run("sheet.querySelector('output').textContent") == "125 %"


def test_characters_that_cannot_be_seen_are_shown_on_demand(chromium: browser.Browser, shown: Path) -> None:
    chromium.open(shown.as_uri(), 1280, 900, dark=False)
    unfold(chromium, 2)
    assert chromium.run("document.querySelectorAll('.unseen').length") == 0
    choose(chromium, "unseen", "on")
    unfold(chromium, 2)
    sheet = f"""document.querySelector('[data-page="{make_page_id(2)}"] .columns > :last-child')"""
    told = chromium.run(f"[...{sheet}.querySelectorAll('.unseen')].map(one => one.textContent)")
    assert told == ["RLM U+200F", "NBSP U+00A0", "ZWNJ U+200C", "TATWEEL U+0640", "TATWEEL U+0640"]


def test_values_and_lists_without_end_scroll_in_their_place(chromium: browser.Browser, shown: Path) -> None:
    chromium.open(shown.as_uri(), 1280, 900, dark=False)
    unfold(chromium, 6)
    sheet = f"""document.querySelector('[data-page="{make_page_id(6)}"]')"""
    assert chromium.run(f"{sheet}.offsetHeight") < 2000
    text = chromium.run(f"{sheet}.textContent")
    assert "80000 more characters are left out here" in text and "more fields are left out here" in text
    assert chromium.run("document.querySelectorAll('*').length") < 10_000


def test_documents_and_folds_answer_to_the_keyboard(chromium: browser.Browser, shown: Path) -> None:
    chromium.open(shown.as_uri(), 1280, 900, dark=False)
    assert chromium.run("at('pair-note').textContent").startswith("7 better, 0 worse, 1 the same")
    chromium.run("document.querySelector('#pairs button').focus()")
    chromium.press("ArrowDown", 40)
    name = chromium.run("document.activeElement.querySelector('bdi').textContent")
    chromium.press("Enter", 13, "\r")
    assert [f"خطاب <b>{number}</b>.pdf" for number in chromium.run(LISTED)] == [name]
    chromium.run("document.querySelector('details.fold summary').focus()")
    chromium.press("Enter", 13, "\r")
    assert chromium.run("document.querySelector('details.fold').open")


def test_arabic_runs_from_the_right_and_a_marked_word_keeps_its_place(chromium: browser.Browser, shown: Path) -> None:
    chromium.open(shown.as_uri(), 390, 844, dark=False)
    unfold(chromium, 4)
    unfold(chromium, 3)
    places = """
        [...document.querySelectorAll('p[dir=rtl]')].filter(one => one.textContent == 'إلى السيد الوزير رقم 4')
            .map(line => [...line.querySelectorAll('bdi')].map(one => one.getBoundingClientRect().right))
    """
    first, *_ = chromium.run(places)
    assert first == sorted(first, reverse=True) and len(first) == 3
    marks: list[Any] = chromium.run("[...document.querySelectorAll('mark.added')].map(one => one.innerHTML)")
    assert "<span>ال</span><b>وز</b><span>ير</span>" in marks

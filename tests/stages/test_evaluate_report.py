"""report.html, as text and as a browser shows it, and model_card.md."""

import re
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

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
    rewrite,
    run_evaluate,
    write_dataset,
    write_predictions,
)
from warraq import tasks
from warraq.files import write_json
from warraq.records import Turn


class Tags(HTMLParser):
    """The tags and addresses of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        assert not any(name.startswith("on") for name, _ in attrs)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]


def test_the_report_stands_alone_and_what_was_read_stays_text(folder: Path) -> None:
    run_evaluate(folder)
    html = (folder / "out/report.html").read_text(encoding="utf-8")
    parsed = Tags()
    parsed.feed(html)
    assert "script" not in parsed.tags and "b" in parsed.tags
    assert all(address.startswith(("data:image/webp;base64,", "#")) for address in parsed.addresses)
    assert "&lt;script&gt;alert(&#34;1&#34;)&lt;/script&gt;" in html
    assert ATTACK not in html and "<b>1</b>" not in html
    assert re.search(r"url\(|@import|https?:", html) is None


def test_the_report_sets_arabic_right_to_left_and_isolates_marked_words(folder: Path) -> None:
    spoilt = {"blocks": [{"kind": "paragraph", "text": "إلى السيد الوزير رقم 4", "level": None}]}
    change_prediction(folder, "merged", 4, "content", rewrite(tasks.dumps(spoilt)))
    run_evaluate(folder)
    html = (folder / "out/report.html").read_text(encoding="utf-8")
    words = '<bdi>إلى السيد</bdi> <bdi><mark class="added">ال<b>وز</b>ير</mark></bdi> <bdi>رقم 4</bdi>'
    assert f'<p dir="rtl">{words}</p>' in html
    assert '<mark class="lost">ال<b>مد</b>ير</mark>' in html
    assert "Letter for letter the answer of merged." in html


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
    first, second = (folder / "out/report.html").read_text(encoding="utf-8").split('<details class="sheet"')[1:3]
    assert make_page_id(5) in first and "written on a blank page" in first
    assert make_page_id(4) in second


def test_other_models_stand_beside_the_students(folder: Path) -> None:
    asked = [(number, task) for number in range(DOCUMENTS) for task in ("content", "invoice")]
    write_predictions(folder / "predictions/tesseract/predictions.jsonl", [make_prediction(*one) for one in asked[:3]])
    found = evaluate(folder)
    assert found["variants"] == "base merged onnx tesseract"
    assert (found["tesseract_missing_predictions"], found["tesseract_failed_share"]) == (13, 13 / 16)
    assert ">tesseract <" in (folder / "out/report.html").read_text(encoding="utf-8")


def test_the_model_card_names_data_base_scores_and_limits(folder: Path) -> None:
    side = {"documents": 3, "pages": 4, "samples": {"content": 4}, "references": {"gold": 4}}
    write_json(folder / "dataset/audit.json", {"splits": {"train": side, "val": side, "test": side}, "left_out": {}})
    (folder / "dataset/train.json").write_text("[]")
    add_validation(folder, 1)
    found = evaluate(folder)
    card = (folder / "out/model_card.md").read_text(encoding="utf-8")
    assert "3 documents, 4 pages; 4 content; 4 gold; `train.json` 4f53cda18c2b" in card
    assert found["test_sha256"] in card and "revision `" + "0" * 64 in card
    assert "| field F1 | 0.000 [0.000, 0.324] | 1.000 [0.676, 1.000] | 1.000 [0.676, 1.000] |" in card

    write_predictions(folder / "predictions/onnx/predictions.jsonl", [])  # a student that is left out of export
    assert evaluate(folder)["variants"] == "base merged"
    card = (folder / "out/model_card.md").read_text(encoding="utf-8")
    assert "| field F1 | 0.000 [0.000, 0.324] | 1.000 [0.676, 1.000] |\n" in card and "onnx" not in card
    assert "onnx" not in run_evaluate(folder).output


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[browser.Browser]:
    if browser.PROGRAM is None:
        pytest.skip(f"no Chromium: none of {', '.join(browser.NAMES)} is on the PATH")
    with browser.browser(tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.fixture(scope="module")
def shown(evaluable: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report with everything in it: a teacher, validation, errors in Arabic, English, fields and tables."""
    folder = tmp_path_factory.mktemp("shown")
    shutil.copytree(evaluable, folder, dirs_exist_ok=True)
    long = {"blocks": [{"kind": "paragraph", "text": "كتاب" * 60 + " Dear Sir " + "W" * 90, "level": None}]}
    arabic = {"blocks": [{"kind": "paragraph", "text": "إلى السيد الوزير رقم 4", "level": None}]}
    for number, spoilt in ((3, tasks.dumps(long)), (4, tasks.dumps(arabic))):
        change_prediction(folder, "merged", number, "content", rewrite(spoilt))
    wrong = make_gold(4, "invoice") | {"total": "1", "tax": "2", "currency": None}
    change_prediction(folder, "merged", 4, "invoice", rewrite(tasks.dumps(wrong)))
    add_teacher_labels(folder, range(DOCUMENTS), total="1")
    add_validation(folder, 2)
    assert run_evaluate(folder).exit_code == 0
    return folder / "out/report.html"


TOO_WIDE = """
    [document.scrollingElement, ...document.querySelectorAll('.scroll')]
        .filter(one => one.scrollWidth > one.clientWidth).map(one => one.getAttribute('aria-label') || one.tagName)
"""
TOLD = {"Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded"}


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_a_browser_shows_it_whole_and_has_nothing_to_say(
    chromium: browser.Browser, shown: Path, width: int, dark: bool
) -> None:
    chromium.open(shown.as_uri(), width, 900, dark)
    chromium.run("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert chromium.run(TOO_WIDE) == []
    paper = "rgb(22, 20, 18)" if dark else "rgb(250, 247, 240)"
    assert chromium.run("getComputedStyle(document.body).backgroundColor") == paper
    assert [event for event in chromium.events if event.get("method") in TOLD] == []
    asked = [event["params"]["request"]["url"] for event in chromium.events
             if event.get("method") == "Network.requestWillBeSent"]  # fmt: skip
    assert {url for url in asked if not url.startswith("data:")} == {shown.as_uri()}


def test_tabs_and_folds_answer_to_the_keyboard(chromium: browser.Browser, shown: Path) -> None:
    chromium.open(shown.as_uri(), 1280, 900, dark=False)
    seen = "[...document.querySelector('fieldset').querySelectorAll('.panel')].map(one => one.checkVisibility())"
    chromium.run("document.querySelector('fieldset input').focus()")
    assert chromium.run(seen) == [True, False, False, False]
    chromium.press("ArrowRight", 39)
    assert chromium.run(seen) == [False, True, False, False]
    assert chromium.run("document.activeElement.labels[0].className") == "base"
    chromium.run("document.querySelector('details.fold summary').focus()")
    chromium.press("Enter", 13, "\r")
    assert chromium.run("document.querySelector('details.fold').open")


def test_arabic_runs_from_the_right_and_a_marked_word_keeps_its_place(chromium: browser.Browser, shown: Path) -> None:
    chromium.open(shown.as_uri(), 390, 844, dark=False)
    places = """
        [...document.querySelectorAll('p[dir=rtl]')].filter(one => one.textContent == 'إلى السيد الوزير رقم 4')
            .map(line => [...line.querySelectorAll('bdi')].map(one => one.getBoundingClientRect().right))
    """
    first, *_ = chromium.run(places)
    assert first == sorted(first, reverse=True) and len(first) == 3
    english = "[...document.querySelectorAll('.text p[dir=ltr]')].map(one => getComputedStyle(one).direction)"
    assert set(chromium.run(english)) == {"ltr"}

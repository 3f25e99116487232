"""The page in a browser, by keyboard alone; one session for all, a page of the project for each."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import warraq.tasks
from support import browser
from support.browser import Browser
from support.label_project import content_answer
from support.review_project import LINES, ReviewProject, Server

pytestmark = pytest.mark.skipif(browser.PROGRAM is None, reason="no Chromium on the PATH")

ALT, CTRL, SHIFT = 1, 2, 8
HOSTILE = "<img src=x onerror=\"document.title='run'\"><script>document.title='run'</script>"
TABLE = '<table><tr><td colspan="2">المجموع</td></tr><tr><td>الصنف</td><td>8</td></tr></table>'
INVOICE: dict[str, Any] = {
    "invoice_number": "1001", "customer_id": None, "status": None, "date": None, "due_date": None,
    "currency": None, "subtotal": None, "tax_rate": None, "tax_amount": None, "notes": None,
    "total": "10.00", "items": [],
    **{name: dict.fromkeys(("name", "address", "tax_id")) for name in ("sender", "recipient")},
}  # fmt: skip


@dataclass
class Desk:
    project: ReviewProject
    server: Server
    page: Browser

    def open(self, page_id: str, task: str = "content", queue: str = "all") -> None:
        """Open a page of a queue."""
        self.page.run(f"(at('task').value = '{task}', at('queue').value = '{queue}', loadQueue(false))")
        self.page.run(f"openPage(app.items.findIndex(one => one.page_id === '{page_id}'))")

    def save(self) -> None:
        self.page.run("say('')")
        self.press("KeyS", CTRL)
        self.page.wait("at('state').textContent && !app.busy")
        assert self.page.run("at('state').textContent") == self.page.run("t('saved')")

    def press(self, code: str, modifiers: int = 0) -> None:
        self.page.press(code, 0, modifiers=modifiers, key={"Enter": "Enter", "Escape": "Escape"}.get(code, code))

    def base(self, page_id: str) -> str:
        told: str = self.server.get(f"page/content/{page_id}")["base"]
        return told

    def last(self, task: str = "content") -> Any:
        return self.project.reviews(task)[-1].answer


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("review")
    (folder / "data").mkdir()
    project = ReviewProject(folder / "data")
    for number in range(12):
        project.add_page(number)
    ids = [page.page_id for page in project.pages]
    project.add_label(ids[2], reason="disagrees", message="20% of the words", teacher="local", key="q")
    project.add_label(ids[3], answer={"blocks": [{"kind": "table", "text": TABLE, "level": None, "language": None}]})
    project.add_label(ids[4], answer=content_answer(HOSTILE))
    project.add_label(ids[5], "invoice", answer=INVOICE, message="arithmetic: total: 10.00 is not 11.00")
    project.add_label(ids[6], answer=content_answer("one two"))
    project.keep_refused("q", content_answer("the qick fox"))
    project.pages[4] = project.pages[4].model_copy(update={"files": (HOSTILE + ".pdf",)})
    with project.start("--second", "100") as server, browser.browser(folder / "profile") as page:
        page.open(server.url, 1280, 860, dark=False)
        page.wait("app.page")
        yield Desk(project, server, page)
        told = [event["params"]["entry"] for event in page.events if event["method"] == "Log.entryAdded"]
        assert not [
            one for one in told if one["level"] == "error" and one["source"] != "network"
        ]  # 409 and 422 are meant
        assert "Runtime.exceptionThrown" not in {event["method"] for event in page.events}


def test_seven_printed_lines_take_one_key(desk: Desk) -> None:
    """Prefilled from Tesseract: Ctrl+Enter, against the 631 letters of its JSON."""
    page_id = desk.project.pages[0].page_id
    desk.open(page_id, queue="todo")
    desk.page.wait("app.candidates.length")
    desk.press("Enter", CTRL)
    desk.page.wait("app.page.page_id !== " + json.dumps(page_id))
    assert desk.last() == content_answer("\n".join(LINES))
    desk.press("KeyZ", ALT)
    desk.page.wait(f"at('state').textContent === t('undone') && app.page.page_id === '{page_id}'")
    assert desk.project.reviews()[-1].status == "withdrawn"


def test_a_page_is_written_from_nothing(desk: Desk) -> None:
    """Blocks with kinds, a level, a split and a join; Arabic with digits and Latin stays as typed."""
    desk.open(desk.project.pages[1].page_id)
    desk.page.wait("app.candidates.length")
    desk.page.run("fillFrom(-1)")
    desk.page.run("at('form').querySelector('button').focus()")
    desk.page.press("Enter", 13, "\r")
    arabic = "رقم ١٢٣ / 45 كتاب REF\u200f"
    desk.page.type(arabic)
    desk.press("Digit1", ALT)
    assert desk.page.run("getComputedStyle(document.activeElement).direction") == "rtl"
    desk.press("KeyI", ALT)
    assert "RLM" in desk.page.run("at('form').querySelector('.hidden-signs').textContent")
    desk.press("Enter", ALT)
    desk.page.type("first second")
    desk.page.run("document.activeElement.setSelectionRange(5, 5)")
    desk.press("KeyS", ALT)
    assert desk.page.run("document.activeElement.value") == "second"
    desk.press("ArrowUp", ALT + SHIFT)
    desk.save()
    blocks = [("heading", arabic, 1), ("paragraph", "second", None), ("paragraph", "first", None)]
    expected = [{"kind": kind, "text": text, "level": level, "language": None} for kind, text, level in blocks]
    assert desk.last() == {"blocks": expected}
    desk.press("ArrowDown", ALT + SHIFT)
    desk.press("KeyM", ALT)
    desk.save()
    assert desk.last()["blocks"][1:] == [
        {"kind": "paragraph", "text": "first\nsecond", "level": None, "language": None}
    ]


def test_a_refused_label_is_corrected(desk: Desk) -> None:
    desk.open(desk.project.pages[2].page_id, queue="quarantined")
    assert desk.page.run("app.candidates[0].source") == "quarantined"
    assert "disagrees" in desk.page.run("at('notes').textContent")
    desk.page.run("document.activeElement.setSelectionRange(5, 5)")
    desk.page.type("u")
    desk.save()
    assert desk.last() == content_answer("the quick fox")


def test_a_table_is_edited_in_its_cells(desk: Desk) -> None:
    desk.open(desk.project.pages[3].page_id)
    cells = "[...at('form').querySelectorAll('.grid textarea')]"
    assert desk.page.run(f"{cells}.map(one => one.value)") == ["المجموع", "الصنف", "8"]
    desk.save()
    assert desk.last()["blocks"][0]["text"] == TABLE  # nothing was changed: the same letters
    desk.page.run(f"{cells}[1].focus()")
    desk.press("Enter", ALT)
    desk.page.type("< 5")
    desk.press("KeyM", ALT)
    desk.page.run(f"{cells}[0].focus()")
    desk.press("KeyS", ALT)
    desk.press("KeyH", ALT)
    desk.save()
    assert desk.last()["blocks"][0]["text"] == (
        "<table><tr><th>المجموع</th><td></td></tr><tr><td>الصنف</td><td>8</td></tr>"
        '<tr><td colspan="2">&lt; 5</td></tr></table>'
    )


def test_lines_of_text_become_a_table(desk: Desk) -> None:
    """As a text layer has them, a cell a line; one cell of them is a row by itself."""
    desk.open(desk.project.pages[10].page_id)
    desk.page.wait("app.candidates.length")
    desk.page.run(
        "(load({blocks: [{kind: 'paragraph', text: 'الكميات\\nالصنف\\n2024\\nورق\\n8', level: null}]}), mark())"
    )
    desk.page.run("document.querySelector('.wide textarea').focus()")
    desk.press("Digit4", ALT)
    assert desk.page.run("form.answer.blocks[0].kind") == "table"
    desk.press("KeyC", ALT)
    desk.press("KeyW", ALT)
    desk.save()
    assert desk.last()["blocks"][0]["text"] == (
        '<table><tr><td colspan="2">الكميات</td></tr><tr><td>الصنف</td><td>2024</td></tr>'
        "<tr><td>ورق</td><td>8</td></tr></table>"
    )
    assert desk.page.run("writeTable(parseLines('| a | b |\\nc\\t\\nd   e'))") == (
        "<table><tr><td>a</td><td>b</td></tr><tr><td>c</td><td></td></tr><tr><td>d</td><td>e</td></tr></table>"
    )


def test_hostile_text_and_names_run_nothing(desk: Desk) -> None:
    desk.open(desk.project.pages[4].page_id)
    assert desk.page.run("at('form').querySelector('textarea').value") == HOSTILE
    desk.page.run("(document.activeElement.select(), 0)")
    desk.page.type(HOSTILE.replace("x", "y"))
    desk.page.wait("at('form').querySelector('.diff')") if desk.page.run("app.others && app.other >= 0") else None
    desk.page.run("(app.problems = [{path: 'x', message: document.activeElement.value}], mark())")
    assert HOSTILE in desk.page.run("at('name').textContent")
    assert desk.page.run("document.querySelectorAll('img, script').length") == 2  # the page's own
    assert desk.page.run("document.title") == "warraq review"


def test_fields_are_filled_and_doubts_are_walked(desk: Desk) -> None:
    desk.open(desk.project.pages[5].page_id, "invoice")
    assert desk.page.run("document.activeElement.dataset.input") == "total"  # the doubtful one
    desk.page.run("(document.activeElement.select(), 0)")
    desk.page.type("11.00")
    desk.page.run("[...at('form').querySelectorAll('button')].find(one => one.textContent.includes('items')).focus()")
    desk.page.press("Enter", 13, "\r")
    desk.page.type("Paper")
    desk.press("KeyA", ALT)
    assert desk.page.run("at('form').querySelectorAll('.doubt').length") == 0
    desk.save()
    answer = desk.last("invoice")
    assert (answer["total"], answer["items"][0]["description"], answer["items"][0]["quantity"]) == (
        "11.00",
        "Paper",
        None,
    )


def test_what_does_not_fit_says_where(desk: Desk) -> None:
    desk.open(desk.project.pages[6].page_id, "metadata")
    desk.press("KeyS", CTRL)
    desk.page.wait("app.problems.length")
    assert desk.page.run("document.activeElement.dataset.input") == "classification.document_type"
    assert not (desk.project.root / "reviews/metadata.jsonl").exists()
    for path, value in (
        ("classification.document_type", "letter"), ("physical.script_direction", "rtl"),
        ("quality.confidence", "high"),
    ):  # fmt: skip
        desk.page.run(f"document.querySelector('[data-input=\"{path}\"]').focus()")
        for letter in value:  # a choice is made by its first letters
            desk.page.press("Key" + letter.upper(), ord(letter.upper()), letter, key=letter)
    desk.save()
    answer = desk.last("metadata")
    assert answer["classification"]["document_type"] == "letter"
    assert answer["physical"]["production"] == "born_digital"  # as render had it


SET = """(([path, value]) => {
  const control = document.querySelector(`[data-input='${path}']`);
  control.value = value; control.dispatchEvent(new Event(control.matches("select") ? "change" : "input"));
})(%s)"""


def test_dates_notes_boxes_and_languages_are_filled_in(desk: Desk) -> None:
    page_id = desk.project.pages[8].page_id
    desk.open(page_id, "metadata")
    for name in ("dates", "registrations", "marginal_notes"):
        desk.page.run(f"document.querySelector('[data-list={name}] > button:last-child').click()")
    told = {"dates[0].kind": "received", "dates[0].text": "١٤٤٥/٣/١٢", "dates[0].calendar": "hijri",
            "registrations[0].direction": "incoming", "registrations[0].number": "77", "marginal_notes[0]": "للحفظ",
            "classification.document_type": "circular", "physical.script_direction": "rtl",
            "quality.confidence": "high"}  # fmt: skip
    for pair in told.items():
        desk.page.run(SET % json.dumps(pair))
    desk.save()
    answer = desk.last("metadata")
    assert answer["dates"] == [{"kind": "received", "text": "١٤٤٥/٣/١٢", "calendar": "hijri"}]
    assert answer["registrations"] == [{"direction": "incoming", "number": "77", "date": None}]
    assert answer["marginal_notes"] == ["للحفظ"]

    desk.open(page_id)
    desk.page.run("document.querySelector('[data-list=blocks] > button:last-child').click()")
    for name, value in {"kind": "checkbox_checked", "language": "ar", "text": "نقدا"}.items():
        desk.page.run(SET % json.dumps((f"blocks[0].{name}", value)))
    desk.save()
    assert desk.last() == {"blocks": [{"kind": "checkbox_checked", "text": "نقدا", "level": None, "language": "ar"}]}


def test_a_draft_outlives_the_tab_and_the_other_source_is_one_key_away(desk: Desk) -> None:
    page_id = desk.project.pages[6].page_id
    desk.server.post("save", page_id=page_id, answer=content_answer("one three"))
    desk.open(page_id)
    assert desk.page.run("at('form').querySelector('.diff del').textContent")  # of the label, letter by letter
    desk.press("KeyT", ALT)
    assert desk.page.run("form.answer.blocks[0].text") == "one two"
    desk.page.run("(localStorage.clear(), keepDraft())")
    desk.page.call("Page.reload")
    desk.page.wait("typeof app !== 'undefined' && app.page")
    desk.open(page_id)
    assert desk.page.run("[form.answer.blocks[0].text, at('state').textContent === t('draftFound')]") == [
        "one two",
        True,
    ]
    desk.press("Escape")
    assert desk.page.run("form.answer.blocks[0].text") == "one three"
    desk.press("Escape")
    assert desk.page.run("form.answer.blocks[0].text") == "one two"


def test_another_person_is_told(desk: Desk) -> None:
    page_id = desk.project.pages[7].page_id
    assert desk.server.get(f"page/content/{page_id}?tab=other&reviewer=Mona")["holder"] is None
    desk.open(page_id)
    desk.page.wait("at('state').textContent.startsWith('Mona')")
    desk.server.post("save", page_id=page_id, answer=content_answer("hers"), reviewer="Mona")
    desk.page.run("fillFrom(-1)")
    desk.press("KeyS", CTRL)
    desk.page.wait("at('state').className === 'error' && app.candidates.at(-1)?.answer.blocks[0].text === 'hers'")
    assert desk.last() == content_answer("hers")


def test_a_second_reader_does_not_see_the_first(desk: Desk) -> None:
    page_id = desk.project.pages[3].page_id
    desk.server.post("save", page_id=page_id, answer=content_answer("of the first"), base=desk.base(page_id))
    desk.page.run("(at('reviewer').value = 'r2', app.reviewer = 'r2', 0)")
    desk.open(page_id, queue="second")
    assert desk.page.run("app.candidates.map(one => one.source)") == ["label"]
    desk.press("KeyU", ALT)  # leaves what the first said
    desk.open(page_id, queue="second")
    desk.save()
    first, second = [row for row in desk.project.reviews() if row.page_id == page_id][-2:]
    assert (first.answer, second.status, second.reviewer) == (content_answer("of the first"), "second", "r2")
    desk.press("KeyZ", ALT)
    desk.page.wait("at('state').textContent === t('undone')")
    assert desk.project.reviews()[-1].status == "second_withdrawn"
    assert desk.page.run("[app.page.page_id, app.page.status]") == [page_id, ""]
    desk.page.run("(at('reviewer').value = 'r1', app.reviewer = 'r1', 0)")


def test_pages_without_an_answer(desk: Desk) -> None:
    first, second = (page.page_id for page in desk.project.pages[8:10])
    desk.open(first)
    desk.press("KeyU", ALT)
    desk.page.type("stained")
    desk.page.press("Enter", 13, "\r")
    desk.page.wait(f"app.page.page_id === '{second}'")
    row = desk.project.reviews()[-1]
    assert (row.page_id, row.status, row.reason) == (first, "unreadable", "stained")
    desk.press("KeyB", ALT)
    desk.page.wait(f"app.page.page_id !== '{second}'")
    assert desk.last() == {"blocks": []}


def test_labels_that_have_come_are_told_of_and_listed(desk: Desk) -> None:
    first, second = (page.page_id for page in desk.project.pages[8:10])
    desk.open(first, task="invoice")
    desk.project.add_label(second, "invoice", answer=INVOICE, message="arithmetic: total")
    desk.press("KeyJ", ALT)
    desk.page.press("Enter", 13, "\r")
    desk.page.wait(f"app.page.page_id === '{second}' && app.stale")
    desk.press("PageDown", ALT)
    desk.page.wait("at('state').textContent === t('renewed') && !app.stale")
    desk.open(second, task="invoice", queue="doubtful")
    desk.page.wait("app.candidates[0]?.source === 'label'")


@pytest.mark.parametrize("language", ["en", "ar"])
def test_it_is_usable_in_both_languages_and_on_a_tablet(desk: Desk, language: str) -> None:
    desk.page.run(f"localStorage.setItem('language', '{language}')")
    for width, dark in ((1280, False), (820, True)):
        desk.page.open(desk.server.url, width, 900, dark=dark)
        desk.page.wait("app.page && app.items.length")
        assert desk.page.run("document.documentElement.dir") == ("rtl" if language == "ar" else "ltr")
        desk.page.run("showCounts({...app, left: 1234, pace_s: 45, left_s: 55000})")
        assert width < 1280 or desk.page.run("document.querySelector('header').offsetHeight") < 60  # one line
        assert desk.page.run("document.documentElement.scrollWidth") <= width
        assert desk.page.find_barriers() == []
        desk.open(desk.project.pages[6].page_id, "metadata")
        desk.page.run("(at('more').click(), showKeys())")
        desk.page.wait("at('progress').children.length")
        assert desk.page.find_barriers() == []
        desk.page.run("at('keys').close()")
        assert desk.page.find_barriers() == []
    assert desk.page.run("Object.keys(WORDS.en).filter(key => !(key in WORDS.ar))") == []
    assert desk.page.run("KEYS.filter(key => key[3] && !(key[3] in WORDS.en))") == []


def test_every_field_and_choice_of_every_task_has_its_words(desk: Desk) -> None:
    """In Arabic, and in English where the name itself is none."""
    names: set[str] = set()

    def collect(part: Any) -> None:
        if isinstance(part, dict):
            names.update(part.get("properties", {}), (one for one in part.get("enum", ()) if one is not None))
        for one in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
            collect(one)

    tasks = Path(warraq.tasks.__file__).parent
    for path in sorted(tasks.glob("*.py")):
        if "\nTASK = " in path.read_text(encoding="utf-8"):
            task = warraq.tasks.load(path.stem)
            names.add(task.name)
            collect((task.label or task.answer).model_json_schema())
    assert {"blocks", "tax_amount", "checkbox_empty", "hijri", "question"} <= names
    told = json.dumps(sorted(names))
    assert desk.page.run(f"{told}.filter(name => !(name in WORDS.ar.names))") == []
    assert desk.page.run(f"{told}.filter(name => name.length < 3 && !(name in WORDS.en.names))") == []


def test_the_image_zooms_pans_and_turns(desk: Desk, tmp_path: Path) -> None:
    desk.open(desk.project.pages[10].page_id)
    desk.page.wait("at('image').naturalWidth > 0 && at('image').alt === at('name').textContent")
    desk.page.run("at('stage').focus()")
    desk.page.press("Equal", 187, "+", key="+")
    desk.press("KeyR", ALT)
    assert desk.page.run("[view.zoom, view.turn]") == [1.25, 90]
    left, top = desk.page.run("(box => [box.left + 100, box.top + 100])(at('stage').getBoundingClientRect())")
    desk.page.mouse("mouseWheel", left, top, deltaX=0, deltaY=-200)
    desk.page.wait("view.zoom > 1.25")
    before = desk.page.run("view.x")
    for kind, by in (("mousePressed", 0), ("mouseMoved", -40), ("mouseReleased", -40)):
        desk.page.mouse(kind, left + by, top)
    desk.page.wait(f"view.x < {before}")
    zoom = desk.page.run("view.zoom")
    desk.open(desk.project.pages[11].page_id)
    desk.page.wait("view.turn === 0")
    assert desk.page.run("view.zoom") == zoom


def test_two_fingers_zoom_and_one_moves_the_image(desk: Desk) -> None:
    """On a tablet: the place between the fingers stays under them, and the page itself neither zooms nor scrolls."""
    desk.page.open(desk.server.url, 820, 1180, dark=False)
    desk.page.wait("app.page")
    desk.open(desk.project.pages[10].page_id)
    desk.page.wait("at('image').naturalWidth > 0 && at('image').alt === at('name').textContent")
    desk.page.run("(view.zoom = 1, view.x = view.y = 0, drawPage())")
    x, y = desk.page.run("(box => [box.left + 200, box.top + 80])(at('stage').getBoundingClientRect())")
    desk.page.touch("touchStart", (x - 40, y), (x + 40, y))
    for step in (50, 65, 80):
        desk.page.touch("touchMove", (x - step, y), (x + step, y))
    desk.page.touch("touchEnd")
    desk.page.wait("view.zoom > 1.9 && !view.pointers.size")
    zoom, left = desk.page.run("[view.zoom, view.x]")
    assert zoom == pytest.approx(2, rel=0.02) and left == pytest.approx(200 - 200 * zoom, abs=2)
    desk.page.touch("touchStart", (x, y))
    desk.page.touch("touchMove", (x - 30, y - 20))
    desk.page.touch("touchEnd")
    desk.page.wait(f"view.x < {left - 25}")
    assert desk.page.run("[visualViewport.scale, scrollY, view.zoom]") == [1, 0, zoom]
    assert desk.page.run(
        "[...document.querySelectorAll('button')].every(one => one.offsetHeight === 0 || one.offsetHeight >= 24)"
    )


def test_a_killed_server_costs_nothing(desk: Desk) -> None:
    page_id = desk.project.pages[11].page_id
    desk.open(page_id)
    desk.page.wait("app.candidates.length")
    desk.page.run("(document.activeElement.select(), 0)")
    desk.page.type("kept")
    desk.server.process.kill()
    desk.server.process.wait()
    desk.press("KeyS", CTRL)
    desk.page.wait("at('state').textContent === t('gone')")
    desk.server.__enter__()
    desk.page.call("Page.reload")
    desk.page.wait("typeof app !== 'undefined' && app.page")
    desk.open(page_id)
    desk.save()
    assert desk.last() == content_answer("kept")


def test_whatever_is_done_to_a_table_it_stays_one(desk: Desk) -> None:
    """Rows and columns come and go, cells are merged and split: each place has one cell, and HTML says the same."""
    fault = desk.page.run("""(() => {
      let seed = 7;
      const random = n => { seed = (seed * 1103515245 + 12345) % 2147483648; return Math.floor(seed / 65536) % n; };
      for (let round = 0; round < 300; round++) {
        const table = parseTable("");
        for (let n = 0; n < 12; n++) {
          const cell = table.cells[random(table.cells.length)], axis = ["row", "column"][random(2)];
          [() => addLine(table, axis, cell[axis]), () => mergeCells(table, cell, axis), () => splitCell(table, cell),
           () => mergeCells(table, cell, axis), () => dropLine(table, axis, cell[axis]),
           () => layCells(table, table.columns + random(3) - 1)][random(6)]();
          cell.text = String(n);
          const places = new Map();
          for (const one of table.cells) for (let i = 0; i < one.rows; i++) for (let j = 0; j < one.columns; j++) {
            const place = `${one.row + i} ${one.column + j}`;
            places.set(place, (places.get(place) ?? 0) + 1);
          }
          const all = table.sections.length * table.columns;
          if (places.size !== all || Math.max(...places.values()) > 1) return writeTable(table);
          const again = parseTable(writeTable(table));
          if (!again || writeTable(again) !== writeTable(table)) return "again " + writeTable(table);
        }
      }
      return null;
    })()""")
    assert fault is None

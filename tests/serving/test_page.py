"""The page of `warraq serve` in a browser: files are read, corrected and saved by keyboard. One server for all."""

import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from support import browser
from support.browser import Browser
from support.label_project import Project, content_answer
from support.rendering import render
from support.scripted_model import CONTENT, INVOICE, ScriptedModel, describe_model
from support.serving import start_server
from support.waiting import LONGEST_S
from warraq.editor.page import load_page
from warraq.files import write_json
from warraq.local_server import hash_policy
from warraq.records import Review, read_rows
from warraq.serving.server import PAGE

pytestmark = pytest.mark.skipif(browser.PROGRAM is None, reason="no Chromium on the PATH")

ALT, CTRL = 1, 2
TOKEN = "secret"
READ = "app.page && !opening && queue.files.every(file => ENDED.has(file.state))"
ENDED = "queue.files.length && queue.files.every(file => ENDED.has(file.state))"


@dataclass
class Desk:
    page: Browser
    model: ScriptedModel
    url: str
    data: Path
    files: Path

    def open(self, *names: str, width: int = 1280, dark: bool = False, url: str = "") -> None:
        """An empty desk, then with these files."""
        self.model.__dict__.update(reply=answer, logprob=-0.01, doubtful="")
        self.page.run(
            "typeof queue !== 'undefined' && (queue.files.length = 0)"
        )  # nothing that a window would ask about
        self.page.open(url or self.url, width, 860, dark=dark)
        self.page.wait("app.told || !at('secret').hidden")
        if names:
            self.choose(*names)

    def choose(self, *names: str) -> None:
        field = self.page.call("Runtime.evaluate", expression="at('file')")["result"]["objectId"]
        files = [str(self.files / name) for name in names]
        self.page.call("DOM.setFileInputFiles", files=files, objectId=field)

    def press(self, code: str, modifiers: int = 0) -> None:
        self.page.press(
            code, 13 if code == "Enter" else 0, "\r" if code == "Enter" and not modifiers else "", modifiers
        )

    def reviews(self, task: str = "content") -> list[Review]:
        return read_rows(self.data / f"reviews/{task}.jsonl", Review)

    def states(self) -> list[str]:
        told: list[str] = self.page.run("queue.files.map(file => file.state)")
        return told


def answer(prompt: str, _: bool) -> tuple[str, str]:
    return INVOICE if "invoice" in prompt else CONTENT, "stop"


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, documents: dict[str, bytes]) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("desk")
    for name in ("data", "files", "model"):
        (folder / name).mkdir()
    for name, data in documents.items():
        (folder / "files" / name).write_bytes(data)
    with ScriptedModel() as model, browser.browser(folder / "profile") as page:
        threading.Thread(target=model.serve_forever, daemon=True).start()
        server = f"http://127.0.0.1:{model.server_port}/v1"
        write_json(folder / "model/config.json", {"runtime": "endpoint", "url": server, "model": "scripted"})
        describe_model(folder / "model", "content", "invoice")
        process, url = start_server(folder / "model", "--data", str(folder / "data"), WARRAQ_TOKEN=TOKEN)
        desk = Desk(page, model, url, folder / "data", folder / "files")
        desk.open()
        desk.page.run("at('token').focus()")  # asked for once, and kept for the session
        page.type(TOKEN)
        desk.press("Enter")
        page.wait("app.told")
        page.run("(at('reviewer').focus(), 0)")
        page.type("منى")
        desk.press("Enter")
        yield desk
        model.shutdown()
        process.terminate()
        process.wait()
        told = [event["params"]["entry"] for event in page.events if event["method"] == "Log.entryAdded"]
        assert not [one for one in told if one["level"] == "error" and one["source"] != "network"]  # 4xx are meant
        assert "Runtime.exceptionThrown" not in {event["method"] for event in page.events}


def test_a_corrected_answer_is_a_label(desk: Desk) -> None:
    """By keyboard; nothing of the file is kept before, and it goes where no line of documents.csv speaks of it."""
    desk.open("letter.pdf")
    desk.page.wait(READ)
    assert desk.page.run("document.activeElement.dataset.input") == "blocks[0].text"
    assert desk.page.run("getComputedStyle(document.activeElement).direction") == "rtl"
    assert not list(desk.data.iterdir())
    desk.page.run("(document.activeElement.select(), 0)")
    desk.page.type("وزارة المالية ١٤٤٥")
    desk.press("Enter", CTRL)
    desk.page.wait("app.at === 1 && at('state').textContent === t('saved')")
    assert desk.page.run("at('list').querySelectorAll('.answered').length") == 1

    (row,) = desk.reviews()
    assert (row.answer, row.status, row.reviewer) == (content_answer("وزارة المالية ١٤٤٥"), "answered", "منى")
    assert row.seen and row.seen.startswith("student ") and row.seconds is not None
    (kept,) = (desk.data / "raw/served").iterdir()
    assert (
        kept.name == f"{row.page_id[:12]}-letter.pdf" and kept.read_bytes() == (desk.files / "letter.pdf").read_bytes()
    )

    project = Project(desk.data)
    project.pages, _ = render(desk.data / "raw", desk.data / "pages")
    assert project.label("human").exit_code == 0
    labels = {label.page_id: label for label in project.rows()}
    assert labels[row.page_id].teacher == "human" and labels[row.page_id].answer == row.answer

    desk.page.run("openPage(0)")
    assert desk.page.run("[form.answer.blocks[0].text, app.candidates.map(one => one.source)]") == [
        "وزارة المالية ١٤٤٥", ["review", "student"],
    ]  # fmt: skip
    desk.press("KeyZ", ALT)
    desk.page.wait("at('state').textContent === t('undone')")
    assert desk.reviews()[-1].status == "withdrawn"


def test_what_does_not_fit_is_not_saved_and_keeps_no_file(desk: Desk) -> None:
    desk.open("scan.pdf")
    desk.page.wait(READ)
    desk.page.run("form.answer.blocks[0].kind = null")
    before = sorted(desk.data.rglob("*"))
    desk.press("KeyS", CTRL)
    desk.page.wait("app.problems.length")
    assert desk.page.run("document.activeElement.dataset.input") == "blocks[0].kind"
    assert sorted(desk.data.rglob("*")) == before


def test_three_files_of_which_one_is_cancelled(desk: Desk) -> None:
    desk.open()
    full = threading.Event()
    desk.model.reply = lambda prompt, schema: (full.wait(LONGEST_S) and answer(prompt, schema)) or ("", "stop")
    desk.choose("letter.pdf", "picture.png", "text.pdf")
    desk.page.wait("queue.files[0].state === 'reading'")
    assert desk.states() == ["reading", "waiting", "waiting"] and not desk.page.run("at('bar').hidden")
    desk.page.run("at('list').querySelector('.file button').focus()")
    desk.press("Enter")
    desk.page.wait("queue.files[0].state === 'cancelled'")
    full.set()
    desk.page.wait(ENDED)
    assert desk.states() == ["cancelled", "done", "refused"]
    assert desk.page.run("[at('left').textContent, at('bar').hidden]") == [desk.page.run("t('queueLeft', 3, 3)"), True]
    assert "convert it" in desk.page.run("at('list').textContent")
    assert desk.page.run("queue.files[1].items.length") == 2


def test_a_folder_is_read_as_its_files(desk: Desk) -> None:
    desk.open()
    found = """listDropped({files: [], items: [{webkitGetAsEntry: () => ({isDirectory: true, createReader: () => {
      const parts = [[{isFile: true, fullPath: "/in/a.pdf", file: done => done(new File(["x"], "a.pdf"))},
        {isDirectory: true, createReader: () => ({readEntries: done => done([])})}], []];
      return {readEntries: done => done(parts.shift())};
    }})}]}).then(files => files.map(file => [file.name, file.path]))"""
    assert desk.page.run(found) == [["a.pdf", "in/a.pdf"]]


def test_an_encrypted_file_asks_for_its_password(desk: Desk) -> None:
    desk.open("encrypted.pdf")
    for password in ("wrong", "user"):
        desk.page.wait("at('lock').open && document.activeElement === at('password')")
        desk.page.type(password)
        desk.press("Enter")
        desk.page.wait("!at('lock').open")
    desk.page.wait(f"queue.files[0].state === 'done' && {READ}")
    assert desk.page.run("queue.files[0].items.length") == 6
    desk.press("KeyS", CTRL)
    desk.page.wait("at('state').textContent === t('lockedSaved')")
    kept = [path.name for path in (desk.data / "raw/served").iterdir()]
    assert any(name.endswith("-encrypted.pdf") for name in kept)
    texts = [path.read_bytes() for path in (desk.data / "reviews").iterdir()]
    assert not any(b"user" in text for text in texts)


def test_doubtful_values_are_marked_and_walked(desk: Desk) -> None:
    desk.open()
    desk.model.doubtful = '"1001"'
    desk.choose("picture.png")
    desk.page.wait(READ)
    assert "⚠" not in desk.page.run("at('list').textContent")
    assert desk.page.run("t('doubts', 1)") in desk.page.run("at('list').textContent")
    desk.page.run("openPage(1)")
    desk.page.wait("app.at === 1")
    assert desk.page.run("[...at('form').querySelectorAll('.doubt')].map(one => one.dataset.path)") == [
        "invoice_number"
    ]
    assert desk.page.run("document.activeElement.dataset.input") == "invoice_number"
    described = "document.getElementById(document.activeElement.getAttribute('aria-describedby')).textContent"
    assert "50" in desk.page.run(described)
    desk.press("KeyA", ALT)
    assert desk.page.run("at('form').querySelectorAll('.doubt').length") == 0


def test_an_answer_is_copied_and_downloaded_as_it_was_corrected(desk: Desk) -> None:
    """Where the browser gives no clipboard, as over plain HTTP; a table is one, without its tags."""
    table = "<table><tr><td>الصنف</td><td>8</td></tr></table>"
    desk.open()
    told = json.dumps(
        {"blocks": [*json.loads(CONTENT)["blocks"], content_answer(table)["blocks"][0] | {"kind": "table"}]}
    )
    desk.model.reply = lambda prompt, _: (INVOICE if "invoice" in prompt else told, "stop")
    desk.choose("picture.png")
    desk.page.wait(READ)
    desk.page.run("""(Object.defineProperty(navigator, 'clipboard', {value: undefined}), window.taken = {},
      document.addEventListener('copy', event => setTimeout(() => 0) && queueMicrotask(() => {
        for (const kind of ['text/plain', 'text/html']) taken[kind] = event.clipboardData.getData(kind); })), 0)""")
    desk.page.run("(document.activeElement.select(), 0)")
    desk.page.type("corrected")
    assert desk.page.run("writeAnswer(form.answer)[0]") == "corrected\n\nالصنف\t8"
    desk.press("KeyX", ALT)
    assert desk.page.run("at('state').textContent") == desk.page.run("t('copied')")
    assert desk.page.run("'<table' === writeAnswer(form.answer)[1].querySelector('table').outerHTML.slice(0, 6)")
    desk.page.run("(window.saved = [], window.download = (...told) => saved.push(told), 0)")
    for form in ("json", "markdown"):
        desk.page.run(f"downloadAnswers('{form}')")
    (name, document), (_, markdown) = desk.page.run("saved")
    assert name == "picture.png.json"
    assert json.loads(document)["pages"][0]["answers"]["content"]["answer"]["blocks"][0]["text"] == "corrected"
    assert "corrected" in markdown and "وزارة المالية" not in markdown


@pytest.mark.parametrize("language", ["en", "ar"])
def test_it_is_usable_in_both_languages_and_on_a_phone(desk: Desk, language: str) -> None:
    desk.page.run(f"localStorage.setItem('language', '{language}')")
    for width, dark in ((1280, False), (390, True)):
        desk.open(width=width, dark=dark)
        assert desk.page.find_barriers() == []
        desk.choose("letter.pdf", "text.pdf")
        desk.page.wait(READ)
        desk.page.run("(openPage(1), at('more').click())")
        desk.page.wait("app.at === 1 && at('image').naturalWidth > 0")
        assert desk.page.run("document.documentElement.dir") == ("rtl" if language == "ar" else "ltr")
        assert desk.page.run("document.documentElement.scrollWidth") <= width
        assert desk.page.find_barriers() == []
        shown = desk.page.run("at('form').innerText")
        assert "_" not in shown and ("رقم الفاتورة" if language == "ar" else "invoice number") in shown
    assert desk.page.run("Object.keys(WORDS.en).filter(key => !(key in WORDS.ar))") == []
    assert desk.page.run("KEYS.filter(key => key[3] && !(key[3] in WORDS.en))") == []


def test_without_a_folder_it_says_so_and_offers_a_download(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    model = desk.data.parent / "model"
    process, url = start_server(model)
    try:
        desk.open("picture.png", url=url)
        desk.page.wait(READ)
        assert desk.page.run("at('note').offsetHeight") > 0
        desk.page.run("(at('reviewer').focus(), 0)")
        desk.page.type("r1")
        desk.press("Enter")
        desk.press("KeyS", CTRL)
        desk.page.wait("at('state').textContent === t('checked')")
        desk.page.run("(window.saved = [], window.download = (...told) => saved.push(told), 0)")
        desk.page.run("at('corrections').click()")
        ((name, text),) = desk.page.run("saved")
        row = Review.model_validate_json(text)
        assert (name, row.answer, row.reviewer) == ("corrections.jsonl", json.loads(CONTENT), "r1")
        desk.page.run("rows.clear()")
    finally:
        process.terminate()
        process.wait()
    assert not list(tmp_path.iterdir())


def test_the_page_loads_nothing_from_elsewhere() -> None:
    text = load_page(PAGE)
    assert not re.search(r"https?://|\son\w+=|style=|eval\(|innerHTML|\{\{file", text)
    assert hash_policy(text).count("sha256-") == 2

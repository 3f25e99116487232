import hashlib
import json
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
import yaml
from click.testing import CliRunner, Result

from gemini_server import KEY, GeminiServer
from warraq import tasks
from warraq.cli import main
from warraq.records import Label, Page, Review, line, read_rows, write_rows
from warraq.tasks import Answered
from warraq.teachers import portable

ROOT = Path(__file__).parents[2]
ENGLISH = "Minutes of the meeting of 4 May\nAll members were present.\n\nThe budget was approved."
ARABIC = "محضر اجتماع اللجنة المالية\nحضر جميع الأعضاء، وأقرت الميزانية إلى نهاية العام."


def content(text: str) -> dict[str, Any]:
    return {"blocks": [{"kind": "paragraph", "text": text, "level": None}]}


@dataclass
class Project:
    """The folders that the stage reads and writes, and the command run on them."""

    root: Path
    pages: list[Page] = field(default_factory=list)

    @property
    def out(self) -> Path:
        return self.root / "labels/content.jsonl"

    def page(self, number: int, text: str | None = None, image: bytes | None = None) -> Page:
        """Page `number` of a document of its own, file `<number>.pdf`."""
        document = f"{number:012x}"
        folder = self.root / "pages" / document
        folder.mkdir(parents=True)
        image = image or f"image of page {number}".encode()
        (folder / "0001.png").write_bytes(image)
        if text is not None:
            (folder / "0001.txt").write_text(text, encoding="utf-8")
        page = Page(
            page_id=f"{document}-p0001",
            document=document,
            page=1,
            files=(f"{number}.pdf",),
            image=f"{document}/0001.png",
            image_sha256=hashlib.sha256(image).hexdigest(),
            width_px=100,
            height_px=100,
            px_per_pt=1.0,
            text=None if text is None else f"{document}/0001.txt",
            repaired=False,
            recipe="-",
        )
        self.pages.append(page)
        self.write()
        return page

    def write(self) -> None:
        write_rows(self.root / "pages/pages.jsonl", self.pages, lambda page: page.page_id)

    def manifest(self, *rows: str) -> None:
        (self.root / "raw").mkdir(exist_ok=True)
        text = "\n".join(["file,sensitivity,source", *rows]) + "\n"
        (self.root / "raw/documents.csv").write_text(text, encoding="utf-8")

    def public(self, numbers: Iterable[int]) -> None:
        self.manifest(*(f"{number}.pdf,public,archive" for number in numbers))

    def review(self, page: Page, answer: dict[str, Any], task: str = "content") -> None:
        path = self.root / f"reviews/{task}.jsonl"
        path.parent.mkdir(exist_ok=True)
        with path.open("a", encoding="utf-8") as stream:
            stream.write(line(Review(page_id=page.page_id, task=task, answer=answer, reviewer="r1")))

    def arguments(self, *teachers: str, task: str = "content", **gemini: Any) -> list[str]:
        tree = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
        tree["label"]["teachers"] = list(teachers)
        tree["label"]["gemini"] |= gemini
        params = self.root / "params.yaml"
        params.write_text(yaml.safe_dump(tree), encoding="utf-8")
        options = {name: str(self.root / name) for name in ("raw", "pages", "reviews")}
        options |= {"task": task, "out": str(self.root / f"labels/{task}.jsonl")}
        return [
            "--params",
            str(params),
            "label",
            *(part for name, value in options.items() for part in (f"--{name}", value)),
        ]

    def label(self, *teachers: str, task: str = "content", **gemini: Any) -> Result:
        return CliRunner().invoke(main, self.arguments(*teachers, task=task, **gemini))

    @contextmanager
    def started(self, *teachers: str) -> Iterator["subprocess.Popen[str]"]:
        command = [sys.executable, "-m", "warraq", *self.arguments(*teachers)]
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL, text=True)
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def rows(self, task: str = "content") -> list[Label]:
        return read_rows(self.root / f"labels/{task}.jsonl", Label)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


@pytest.fixture
def gemini(monkeypatch: pytest.MonkeyPatch) -> Iterator[GeminiServer]:
    """A server that answers each page with its image's hash; `warraq` asks it one page after another."""
    with GeminiServer(reply=content) as server:
        monkeypatch.setenv("GEMINI_API_KEY", KEY)
        monkeypatch.setenv("WARRAQ_GEMINI_URL", server.url)
        monkeypatch.setenv("WARRAQ_IN_FLIGHT", "1")
        yield server


def test_gold_flows_through(project: Project) -> None:
    reviewed, _ = project.page(1), project.page(2)
    project.review(reviewed, content("نص"))

    result = project.label("human")

    assert result.exit_code == 0, result.output
    first, second = project.rows()
    assert (first.answer, first.teacher, first.reference, first.model) == (content("نص"), "human", "gold", None)
    assert (second.answer, second.reason) == (None, "no_review")
    assert "label content: 2 pages, 0 known, 2 asked: human 1, declined 1 (no_review 1)" in result.output


def test_the_same_again_gives_the_same_bytes(project: Project) -> None:
    project.review(project.page(1), content("x"))
    project.page(2, text=ENGLISH)
    project.label("human", "textlayer")
    before = project.out.read_bytes()

    result = project.label("human", "textlayer")

    assert project.out.read_bytes() == before
    assert "2 pages, 2 known, 0 asked\n" in result.output


def test_a_page_that_is_gone_is_gone_from_the_labels(project: Project) -> None:
    project.page(1, text=ENGLISH)
    project.page(2, text=ENGLISH)
    project.label("textlayer")
    project.pages.pop()
    project.write()

    project.label("textlayer")

    assert [row.page_id for row in project.rows()] == [page.page_id for page in project.pages]


def test_the_last_review_wins_and_beats_the_text_layer(project: Project) -> None:
    page = project.page(1, text=ENGLISH)
    project.review(page, content("first"))
    project.review(page, content("second"))

    project.label("human", "textlayer")

    (row,) = project.rows()
    assert (row.reference, row.answer) == ("gold", content("second"))


@pytest.mark.parametrize("answer", [{"blocks": [{"kind": "paragraph", "text": "x"}]}, {"blocks": [], "more": 1}, {}])
def test_an_invalid_review_is_refused_before_any_work(project: Project, gemini: GeminiServer, answer: Any) -> None:
    project.page(1)
    page = project.page(2)
    project.review(page, answer)
    project.public([1, 2])

    result = project.label("gemini", "human")

    assert result.exit_code == 2
    assert page.page_id in result.output and "reviews/content.jsonl" in result.output
    assert not gemini.requests and not project.out.exists()


@pytest.mark.parametrize(
    ("text", "paragraphs"),
    [
        (ENGLISH, ["Minutes of the meeting of 4 May\nAll members were present.", "The budget was approved."]),
        (ARABIC, [ARABIC]),
        ("ﻭﺯﺍﺭﺓ ﺍﻟﺘﻌﻠﻴﻢ ﺍﻟﻌﺎﻟﻲ ﻭﺍﻟﺒﺤﺚ ﺍﻟﻌﻠﻤﻲ\u200f", ["وزارة التعليم العالي والبحث العلمي"]),
    ],
    ids=["english", "arabic", "presentation forms"],
)
def test_a_usable_text_layer_answers(project: Project, text: str, paragraphs: list[str]) -> None:
    project.page(1, text=text)

    project.label("textlayer")

    (row,) = project.rows()
    assert row.reference == "textlayer" and row.answer is not None
    assert [block["text"] for block in row.answer["blocks"]] == paragraphs


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "no_text_layer"),
        (" \n\f\n", "no_text_layer"),
        ("Page 3 of 7", "text_layer_unusable"),
        (ARABIC.replace("الأ", "األ").replace("الإ", "اإل"), "text_layer_unusable"),
        ("\n".join(row[::-1] for row in ARABIC.split("\n")), "text_layer_unusable"),
        ("ﺍǄﺴǂبﻡ ﻋǁﻴﻜﻢ ﻭﺭﺣﻤﺔ ﺍǄǁﻪ ﻣﻦ ﺍǄﺸﻬﺮ", "text_layer_unusable"),
        (ARABIC + " في ٤٢٠٢", "text_layer_unusable"),
        (ENGLISH + "\x03", "text_layer_unusable"),
        (ENGLISH + "\uf04e\uf04e", "text_layer_unusable"),
        ("䴀甀氀琀椀挀漀氀漀爀 䈀氀愀挀欀 倀甀爀攀 䈀氀愀挀欀 倀甀爀攀 䴀愀最攀渀琀愀", "text_layer_unusable"),
    ],
    ids=[
        "none",
        "blank",
        "few letters",
        "lam-alef",
        "visual order",
        "foreign",
        "numbers",
        "control",
        "private",
        "byte order",
    ],
)
def test_an_unproved_text_layer_is_declined(project: Project, text: str | None, reason: str) -> None:
    project.page(1, text=text)

    project.label("human", "textlayer")

    (row,) = project.rows()
    assert (row.answer, row.reason) == (None, reason)


def test_a_text_layer_has_no_fields(project: Project) -> None:
    project.page(1, text=ENGLISH)

    project.label("human", "textlayer", task="invoice")

    assert [row.reason for row in project.rows("invoice")] == ["no_review"]


def test_a_request_says_all_that_matters(
    project: Project, gemini: GeminiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GOOGLE_GEMINI_BASE_URL", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("GOOGLE_API_KEY", "another-key")
    monkeypatch.setenv("GOOGLE_GENAI_USE_VERTEXAI", "true")
    page = project.page(1)
    project.public([1])

    result = project.label("human", "textlayer", "gemini")

    assert result.exit_code == 0, result.output
    (request,) = gemini.requests
    task = tasks.load("content")
    assert request.path == "/v1/models/gemini-3.8-flash:generateContent"
    assert request.headers["x-goog-api-key"] == KEY
    assert request.images == (page.image_sha256,)
    assert request.body["contents"][0]["parts"][1:] == [{"text": task.PROMPT}]
    assert request.body["systemInstruction"]["parts"] == [{"text": task.INSTRUCTION}]
    assert {setting["threshold"] for setting in request.body["safetySettings"]} == {"OFF"}
    assert request.body["store"] is False
    asked = request.body["generationConfig"]
    assert asked["responseMimeType"] == "application/json"
    assert asked["mediaResolution"] == "MEDIA_RESOLUTION_HIGH"
    assert asked["thinkingConfig"] == {"thinking_level": "LOW"}
    assert asked["maxOutputTokens"] == 16384
    blocks = asked["responseSchema"]["properties"]["blocks"]["items"]
    assert blocks["required"] == blocks["property_ordering"] == ["kind", "text", "level"]
    assert blocks["properties"]["level"] == {"type": "INTEGER", "nullable": True}
    assert "heading" in blocks["properties"]["kind"]["enum"]
    assert "additionalProperties" not in json.dumps(asked) and "$" not in json.dumps(asked["responseSchema"])
    (row,) = project.rows()
    assert (row.answer, row.teacher, row.reference) == (content(page.image_sha256), "gemini", "silver")
    assert row.model == "gemini-3.8-flash"


@pytest.mark.parametrize(
    ("case", "reason", "message"),
    [
        ("truncated", "truncated", "MAX_TOKENS"),
        ("thinking_only", "truncated", "MAX_TOKENS"),
        ("continuation", "truncated", "CONTINUATION"),
        ("recitation", "blocked", "RECITATION"),
        ("safety", "blocked", "SAFETY"),
        ("prompt_blocked", "blocked", "prompt: PROHIBITED_CONTENT"),
        ("empty", "empty", "STOP"),
        ("not_json", "schema_invalid", "Invalid JSON"),
        ("wrong_schema", "schema_invalid", "blocks"),
    ],
)
def test_a_paid_refusal_is_a_row_and_not_bought_again(
    project: Project, gemini: GeminiServer, case: str, reason: str, message: str
) -> None:
    project.page(1)
    project.public([1])
    gemini.script = [case]

    results = [project.label("gemini"), project.label("gemini")]

    assert [result.exit_code for result in results] == [0, 0], results
    (row,) = project.rows()
    assert (row.answer, row.reason) == (None, reason)
    assert row.message is not None and message in row.message
    assert len(gemini.requests) == 1


@pytest.mark.parametrize("case", ["dated", "no_usage", "rate_limited", "error_500", "html_503", "reset"])
def test_what_passes_ends_in_an_answer(project: Project, gemini: GeminiServer, case: str) -> None:
    page = project.page(1)
    project.public([1])
    gemini.script = [case]

    project.label("gemini")

    assert [row.answer for row in project.rows()] == [content(page.image_sha256)]


@pytest.mark.parametrize(
    ("script", "reason"), [(["rate_limited"] * 10, "rate_limited"), (["error_500"] * 3, "server_error")]
)
def test_what_does_not_pass_is_given_up_and_asked_again_by_the_next_run(
    project: Project, gemini: GeminiServer, script: list[str], reason: str
) -> None:
    project.page(1)
    project.public([1])
    gemini.script = script

    result = project.label("gemini")
    first = project.rows()
    project.label("gemini")

    assert "1 pages have no answer for a passing reason" in result.output
    assert [row.reason for row in first] == [reason]
    assert [row.reason for row in project.rows()] == [None]
    assert len(gemini.requests) == len(script) + 1


@pytest.mark.parametrize(
    ("case", "sentence"),
    [
        ("bad_key", "check GEMINI_API_KEY"),
        ("forbidden", "check GEMINI_API_KEY"),
        ("retired", "change label.gemini.model"),
        ("day_quota", "PerDayPerProject"),
        ("bad_request", "refuses the request"),
        ("rerouted", "gemini-9-other answered"),
    ],
)
def test_what_concerns_every_page_stops_the_run_and_keeps_what_was_paid(
    project: Project, gemini: GeminiServer, case: str, sentence: str
) -> None:
    for number in range(4):
        project.page(number)
    project.public(range(4))
    gemini.script = ["ok", "ok", case]

    stopped = project.label("gemini")
    asked = len(gemini.requests)
    again = project.label("gemini")

    assert stopped.exit_code == 2 and sentence in stopped.output, stopped.output
    assert stopped.output.count(KEY) == 0
    assert asked == 3
    assert again.exit_code == 0
    assert len(gemini.requests) == 5
    assert all(row.answer for row in project.rows())


def test_a_server_that_is_not_there_stops_the_run(
    project: Project, gemini: GeminiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.page(1)
    project.public([1])
    monkeypatch.setenv("WARRAQ_GEMINI_URL", "http://127.0.0.1:9")

    result = project.label("gemini")

    assert result.exit_code == 2 and "no connection to http://127.0.0.1:9" in result.output


def test_an_answer_is_bought_once_until_the_question_changes(project: Project, gemini: GeminiServer) -> None:
    project.page(1)
    project.public([1])
    project.label("gemini")

    project.label("human", "gemini", usd_per_million_input=9.0, max_usd=1.0)
    same = len(gemini.requests)
    project.label("gemini", thinking_level="high")

    assert (same, len(gemini.requests)) == (1, 2)


def test_equal_pages_are_bought_once(project: Project, gemini: GeminiServer) -> None:
    project.page(1, image=b"same")
    project.page(2, image=b"same")
    project.public([1, 2])

    project.label("gemini")

    assert len(gemini.requests) == 1
    first, second = project.rows()
    assert first.answer == second.answer and first.page_id != second.page_id


def test_only_pages_called_public_reach_the_server(
    project: Project, gemini: GeminiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WARRAQ_IN_FLIGHT", "4")
    for number in range(8):
        project.page(number, image=b"shared" if number in {5, 6} else None)
    project.pages[7] = project.pages[7].model_copy(update={"files": ("7.pdf", "secret/7.pdf")})
    project.write()
    project.manifest(
        "0.pdf,public,archive", "1.pdf,internal,archive", "2.pdf,,archive", "3.pdf,Public,archive",
        "4.pdf,public,archive", "4.pdf,secret,archive", "5.pdf,public,archive", "7.pdf,public,archive",
    )  # fmt: skip

    result = project.label("gemini")

    assert result.exit_code == 0, result.output
    assert [request.images for request in gemini.requests] == [(project.pages[0].image_sha256,)]
    assert [row.reason for row in project.rows()] == [None] + ["not_sendable"] * 7


def test_without_a_manifest_nothing_is_sent(project: Project, gemini: GeminiServer) -> None:
    project.page(1)

    project.label("gemini")

    assert [row.reason for row in project.rows()] == ["not_sendable"]
    assert not gemini.requests


def test_a_manifest_without_its_column_is_refused(project: Project) -> None:
    project.page(1)
    (project.root / "raw").mkdir()
    (project.root / "raw/documents.csv").write_text("name,sensitivity\n1.pdf,public\n", encoding="utf-8")

    result = project.label("gemini")

    assert result.exit_code == 2 and "has no column file" in result.output


def test_an_image_that_is_not_the_one_named_is_not_sent(project: Project, gemini: GeminiServer) -> None:
    page = project.page(1)
    project.public([1])
    (project.root / "pages" / page.image).write_bytes(b"something else")

    result = project.label("gemini")

    assert result.exit_code == 2 and "run render again" in result.output
    assert not gemini.requests


def test_a_missing_key_stops_before_spending_only_where_it_is_needed(
    project: Project, gemini: GeminiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.page(1)
    project.page(2)
    project.public([1])
    monkeypatch.delenv("GEMINI_API_KEY")
    without = project.label("textlayer", "gemini")
    monkeypatch.setenv("GEMINI_API_KEY", KEY)
    project.label("textlayer", "gemini")
    monkeypatch.delenv("GEMINI_API_KEY")
    known = project.label("textlayer", "gemini")

    assert without.exit_code == 2
    assert "1 pages need gemini for task content: set GEMINI_API_KEY" in without.output
    assert known.exit_code == 0
    assert len(gemini.requests) == 1


@pytest.mark.parametrize(
    "url", ["http://example.com", "http://127.0.0.1@example.com", "ftp://127.0.0.1", "example.com"]
)
def test_pages_never_travel_in_the_clear(project: Project, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    project.page(1)
    project.public([1])
    monkeypatch.setenv("GEMINI_API_KEY", KEY)
    monkeypatch.setenv("WARRAQ_GEMINI_URL", url)

    result = project.label("gemini")

    assert result.exit_code == 2 and "WARRAQ_GEMINI_URL" in result.output


@pytest.mark.parametrize(("in_flight", "fit"), [(1, 1), (6, 4)])
def test_the_budget_is_never_passed(
    project: Project, gemini: GeminiServer, monkeypatch: pytest.MonkeyPatch, in_flight: int, fit: int
) -> None:
    """`fit` requests at their worst fit at once; the others wait for what those really cost."""
    monkeypatch.setenv("WARRAQ_IN_FLIGHT", str(in_flight))
    for number in range(12):
        project.page(number)
    project.public(range(12))
    price = (2000 * 0.75 + 500 * 3.75) / 1e6  # of each answer of the server, thoughts included

    gemini.hold(after=0)

    with ThreadPoolExecutor() as pool:
        running = pool.submit(project.label, "gemini", max_usd=0.03, max_output_tokens=1024)
        gemini.await_requests(fit)
        gemini.release()
        result = running.result()

    bought = [row for row in project.rows() if row.answer]
    assert {row.reason for row in project.rows()} == {None, "budget"}
    assert len(gemini.requests) == len(bought)
    assert len(bought) * price + 0.08 > 0.075 and len(bought) * price <= 0.15
    assert f"USD {len(bought) * price:.4f} spent" in result.output


def test_a_killed_run_loses_at_most_what_was_in_flight(
    project: Project, gemini: GeminiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WARRAQ_IN_FLIGHT", "3")
    for number in range(12):
        project.page(number)
    project.public(range(12))
    gemini.hold(after=5)
    with project.started("gemini"):
        gemini.await_requests(5 + 3)

    gemini.release()
    resumed = project.label("gemini")
    requests = len(gemini.requests)
    again = project.label("gemini")

    assert resumed.exit_code == 0, resumed.output
    assert [row.page_id for row in project.rows()] == [page.page_id for page in project.pages]
    assert all(
        row.answer == content(page.image_sha256) for row, page in zip(project.rows(), project.pages, strict=True)
    )
    assert requests == 12 + 3
    assert "12 pages, 12 known, 0 asked" in again.output
    assert len(gemini.requests) == requests


def test_an_interrupted_run_keeps_what_was_in_flight(
    project: Project, gemini: GeminiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WARRAQ_IN_FLIGHT", "3")
    for number in range(12):
        project.page(number)
    project.public(range(12))
    gemini.hold(after=2)
    with project.started("gemini") as process:
        gemini.await_requests(2 + 3)

        process.send_signal(signal.SIGINT)
        gemini.release()
        process.wait()
    project.label("gemini")

    assert process.returncode != 0
    assert len(gemini.requests) == 12
    assert all(row.answer for row in project.rows())


@pytest.mark.parametrize("task", ["content", "metadata", "invoice"])
def test_each_task_has_a_portable_schema(task: str) -> None:
    schema = portable(tasks.load(task).Answer)

    assert schema["type"] == "OBJECT"
    assert schema["required"] == list(tasks.load(task).Answer.model_fields)


class Union(Answered):
    field: int | str


class Free(Answered):
    field: dict[str, str]


class Default(Answered):
    field: str = ""


class Recursive(Answered):
    field: "list[Recursive]"


class Anything(Answered):
    field: Any


class Numbered(Answered):
    field: Literal[1, 2]


@pytest.mark.parametrize("answer", [Union, Free, Default, Recursive, Anything, Numbered])
def test_a_schema_that_is_not_portable_is_refused(answer: type[Answered]) -> None:
    with pytest.raises(TypeError, match=r"portable|needs fields"):
        portable(answer)

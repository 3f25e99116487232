"""Paid once: what a kill, a signal, a review, a lost file or another task changes, and what it does not."""

import os
import random
import signal
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from support.gemini_server import GeminiServer
from support.label_project import Project, content_answer, draw_page
from warraq.teachers.remote import ledger_file
from warraq.teachers.remote.ledger import Ledger


def test_a_killed_run_loses_at_most_what_was_in_flight(
    project: Project, gemini: GeminiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WARRAQ_IN_FLIGHT", "3")
    project.add_cleared_pages(12)
    gemini.hold(after=5)
    with project.start("gemini"):
        gemini.await_requests(5 + 3)

    gemini.release()
    resumed = project.label("gemini")
    requests = len(gemini.requests)
    again = project.label("gemini")

    assert resumed.exit_code == 0, resumed.output
    assert [row.answer for row in project.rows()] == [content_answer(page.image_sha256) for page in project.pages]
    assert requests == 12 + 3
    assert [attempt.state for attempt in project.attempts()].count("unknown") == 3
    assert "12 pages, 12 known, 0 asked" in again.output
    assert len(gemini.requests) == requests


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_awaits_what_is_in_flight(
    project: Project, gemini: GeminiServer, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    monkeypatch.setenv("WARRAQ_IN_FLIGHT", "3")
    project.add_cleared_pages(12)
    gemini.hold(after=2)
    with project.start("gemini") as process:
        gemini.await_requests(2 + 3)

        process.send_signal(number)
        gemini.release()
        process.wait()
    project.label("gemini")

    assert process.returncode != 0
    assert len(gemini.requests) == 12
    assert all(row.answer for row in project.rows())


def test_what_a_killed_run_may_have_spent_counts_as_spent(project: Project, gemini: GeminiServer) -> None:
    project.add_cleared_pages(1)
    gemini.hold(after=0)
    with project.start("gemini"):
        gemini.await_requests(1)

    gemini.release()
    project.label("gemini", max_usd=0.01)

    assert [row.reason for row in project.rows()] == ["budget"]
    assert 0.05 < project.spent() < 0.1
    assert len(gemini.requests) == 1


def test_a_review_replaces_a_paid_label_without_losing_it(project: Project, gemini: GeminiServer) -> None:
    project.add_cleared_pages(1)
    project.label("human", "gemini")
    project.add_review(project.pages[0], content_answer("by hand"))
    project.label("human", "gemini")
    (project.root / "reviews/content.jsonl").unlink()

    project.label("human", "gemini")

    assert [row.answer for row in project.rows()] == [content_answer(project.pages[0].image_sha256)]
    assert len(gemini.requests) == 1


@pytest.fixture
def before(project: Project, gemini: GeminiServer) -> bytes:
    """A labels file of three pages: an answer, a refusal, an answer in doubt."""
    project.add_cleared_pages(3)
    gemini.script = ["ok", "safety", "spoken_to"]
    project.label("gemini")
    return project.out.read_bytes()


def test_a_lost_labels_file_is_written_again_for_nothing(project: Project, gemini: GeminiServer, before: bytes) -> None:
    project.out.unlink()

    project.label("gemini")

    assert project.out.read_bytes() == before
    assert len(gemini.requests) == 3


def test_a_labels_file_without_its_ledger_is_adopted(project: Project, gemini: GeminiServer, before: bytes) -> None:
    """As after a clone and `dvc pull`; once more without the file, the ledger has it."""
    for file in (project.root / "ledger").iterdir():
        file.unlink()

    preview = project.label("gemini", options=["--dry-run"])
    project.label("gemini")
    project.out.unlink()
    project.label("gemini")

    assert "nothing to buy" in preview.output
    assert project.out.read_bytes() == before
    assert len(gemini.requests) == 3


def test_a_better_reader_costs_nothing(project: Project, gemini: GeminiServer) -> None:
    """Rows are what reading the stored responses gives: here a text layer that contradicts the answer comes later."""
    gemini.reply = lambda image: content_answer("كتب المعلم شيئا آخر تماما لا يوجد في هذه الصفحة")
    project.add_cleared_pages(1)
    project.label("gemini")
    page = project.pages.pop()
    project.add_page(0, text="محضر اجتماع اللجنة المالية وأقرت الميزانية إلى نهاية العام\n" * 3)
    assert project.pages[0].image_sha256 == page.image_sha256

    project.label("gemini")

    assert [row.reason for row in project.rows()] == ["disagrees"]
    assert len(gemini.requests) == 1


def test_an_answer_is_bought_once_until_the_question_changes(project: Project, gemini: GeminiServer) -> None:
    project.add_cleared_pages(1)
    project.label("gemini")

    project.label("human", "gemini", max_usd=1.0, lane="flex", second_model=None)
    same = len(gemini.requests)
    project.label("gemini", thinking_level="high")

    assert (same, len(gemini.requests)) == (1, 2)


def test_equal_pages_are_bought_once(project: Project, gemini: GeminiServer) -> None:
    project.add_page(1, image=draw_page("same"))
    project.add_page(2, image=draw_page("same"))
    project.declare_public([1, 2])

    project.label("gemini")

    assert len(gemini.requests) == 1
    first, second = project.rows()
    assert first.answer == second.answer and first.page_id != second.page_id


def test_a_reason_can_be_asked_again(project: Project, gemini: GeminiServer) -> None:
    project.add_cleared_pages(2)
    gemini.script = ["safety"]
    project.label("gemini")

    project.label("gemini", options=["--retry", "blocked"])
    project.label("gemini")

    assert all(row.answer for row in project.rows())
    assert len(gemini.requests) == 3


def test_what_is_no_reason_cannot_be_asked_again(project: Project) -> None:
    project.add_page(1)

    result = project.label("human", options=["--retry", "blockd"])

    assert result.exit_code == 2 and "there is no such reason" in result.output


def test_two_runs_do_not_write_one_ledger(project: Project, gemini: GeminiServer) -> None:
    project.add_cleared_pages(1)
    gemini.hold(after=0)
    with project.start("gemini"):
        gemini.await_requests(1)

        result = project.label("gemini")
        looked_at = project.label("gemini", options=["--dry-run"])
        gemini.release()

    assert result.exit_code == 2 and "is being written by another" in result.output
    assert looked_at.exit_code == 0


def write_foreign_database(path: Path) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE songs (id INTEGER, title TEXT)")


@pytest.mark.parametrize(
    "write",
    [lambda path: path.write_bytes(b"not a database" * 100), Path.touch, write_foreign_database],
    ids=["no database", "empty", "of something else"],
)
@pytest.mark.parametrize("options", [[], ["--dry-run"]], ids=["run", "dry run"])
def test_what_is_no_ledger_is_refused(
    project: Project, gemini: GeminiServer, write: Callable[[Path], None], options: list[str]
) -> None:
    project.add_cleared_pages(1)
    path = project.root / "ledger/ledger.sqlite"
    path.parent.mkdir()
    write(path)
    before = path.read_bytes()

    result = project.label("gemini", options=options)

    assert result.exit_code == 2 and "cannot be used as a ledger" in result.output, result.output
    assert path.read_bytes() == before and not gemini.requests


def test_a_full_disk_is_told(project: Project, gemini: GeminiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was answered before is kept; once there is room, the run goes on."""
    gemini.reply = lambda image: content_answer(random.Random(image).randbytes(1500).hex())
    project.add_cleared_pages(8)
    full = ledger_file.SCHEMA + "PRAGMA max_page_count = 10;"
    with monkeypatch.context() as patched:
        patched.setattr(ledger_file, "SCHEMA", full)
        stopped = project.label("gemini")
    answered = len(gemini.requests)

    project.label("gemini")

    assert stopped.exit_code == 2 and "make room on its disk" in stopped.output, stopped.output
    assert all(row.answer for row in project.rows())
    assert len(gemini.requests) <= 8 + 1 and answered > 1


@pytest.mark.parametrize("writable", [True, False])
def test_a_ledger_that_can_only_be_read_serves_a_dry_run(
    project: Project, gemini: GeminiServer, monkeypatch: pytest.MonkeyPatch, writable: bool
) -> None:
    """On a medium that cannot be written SQLite may leave nothing beside it."""
    project.add_cleared_pages(2)
    project.label("gemini")
    folder = project.root / "ledger"
    if not writable:
        access = os.access
        monkeypatch.setattr(os, "access", lambda path, mode: path != folder and access(path, mode))
        folder.chmod(0o555)
    files = sorted(folder.iterdir())

    result = project.label("gemini", options=["--dry-run"])

    folder.chmod(0o755)
    assert result.exit_code == 0 and "nothing to buy" in result.output, result.output
    assert writable or sorted(folder.iterdir()) == files


@pytest.mark.parametrize(
    "damage",
    ["UPDATE response SET body = x'00' WHERE id = 1", "DELETE FROM response WHERE id = 1",
     "UPDATE attempt SET lane = 'adopted' WHERE id = 1",
     "UPDATE attempt SET state = 'failed', code = 'no such reason' WHERE id = 1; DELETE FROM response WHERE id = 1"],
)  # fmt: skip
def test_a_row_that_cannot_be_read_is_one_reason_for_one_page(
    project: Project, gemini: GeminiServer, damage: str
) -> None:
    """It may have been paid, so the page is not asked again unless that is wanted."""
    project.add_cleared_pages(3)
    project.label("gemini")
    with closing(sqlite3.connect(project.root / "ledger/ledger.sqlite")) as ledger:
        ledger.executescript(damage)

    project.out.unlink()
    result = project.label("gemini")
    reasons = Counter(row.reason for row in project.rows())
    project.label("gemini", options=["--retry", "ledger_unreadable"])

    assert result.exit_code == 0, result.output
    assert reasons == {None: 2, "ledger_unreadable": 1}
    assert len(gemini.requests) == 4 and all(row.answer for row in project.rows())


def test_an_odd_share_of_ink_is_none(project: Project, gemini: GeminiServer) -> None:
    project.add_cleared_pages(1)
    project.label("gemini")
    with closing(sqlite3.connect(project.root / "ledger/ledger.sqlite")) as ledger, ledger:
        ledger.execute("UPDATE attempt SET ink = 'much'")

    assert project.label("gemini").exit_code == 0 and project.rows()[0].answer


def test_kills_at_random_moments_lose_nothing(
    project: Project, gemini: GeminiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The long form, 600 pages and 16 in flight, is benchmarks/label.py."""
    monkeypatch.setenv("WARRAQ_IN_FLIGHT", "4")
    project.add_cleared_pages(40)
    dice = random.Random(1)
    for _ in range(2):
        seen = len(gemini.requests)
        with project.start("gemini"):
            gemini.await_requests(seen + dice.randrange(4, 12))

    project.label("gemini")
    requests = len(gemini.requests)
    project.label("gemini")

    assert all(row.answer for row in project.rows()) and len(project.rows()) == 40
    assert requests <= 40 + 2 * 4
    assert len(gemini.requests) == requests


def test_an_attempt_is_on_disk_before_its_request(tmp_path: Path, project: Project) -> None:
    page = project.add_page(1)
    with Ledger.open(tmp_path / "books", write=True) as ledger:
        ledger.begin_request("key", page, "content", "model", "standard", 0.5)

        with sqlite3.connect(tmp_path / "books/ledger.sqlite") as other:
            assert other.execute("SELECT state, usd FROM attempt").fetchall() == [("started", 0.5)]

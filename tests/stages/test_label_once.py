"""What a label costs besides money: its key never changes, and nothing about a page is worked out twice in a run."""

import hashlib
from collections import Counter
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from support.gemini_server import GeminiServer
from support.label_project import Project, content_answer, draw_page
from warraq import tasks
from warraq.teachers import Teacher, cache_key, teacher_chain
from warraq.teachers.remote import gemini, local, parse_response
from warraq.teachers.remote.ledger import Ledger

TIMES = {"key": 10, "query": 10, "parse": 10, "check": 10}  # of ten pages


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often a key is made, the ledger asked about one, a response parsed, an answer checked."""
    counts: Counter[str] = Counter()

    def count(name: str, place: Any, attribute: str) -> None:
        function: Callable[..., Any] = getattr(place, attribute)

        def counted(*arguments: Any) -> Any:
            counts[name] += 1
            return function(*arguments)

        monkeypatch.setattr(place, attribute, counted)

    count("key", teacher_chain, "cache_key")
    count("query", Ledger, "history")
    count("parse", gemini, "parse_reply")
    count("check", parse_response, "find_issues")
    return counts


@pytest.mark.parametrize("lane", ["standard", "batch"])
def test_a_bought_page_is_looked_up_and_read_once(
    project: Project, gemini: GeminiServer, calls: Counter[str], monkeypatch: pytest.MonkeyPatch, lane: str
) -> None:
    monkeypatch.setenv("WARRAQ_POLL", "0.01")
    project.add_cleared_pages(10)

    result = project.label("gemini", lane=lane)

    assert result.exit_code == 0 and len(gemini.requests) == 10
    assert calls == TIMES


def test_a_known_page_is_looked_up_and_read_once(project: Project, gemini: GeminiServer, calls: Counter[str]) -> None:
    project.add_cleared_pages(10)
    project.label("gemini")
    calls.clear()

    project.label("gemini")

    assert len(gemini.requests) == 10 and calls == TIMES


def test_a_second_request_reads_only_what_it_brought(
    project: Project, gemini: GeminiServer, calls: Counter[str]
) -> None:
    project.add_cleared_pages(10)
    gemini.script = ["error_500", "truncated", "not_json"]

    result = project.label("gemini")

    assert result.exit_code == 0 and len(gemini.requests) == 13
    assert calls == TIMES | {"parse": 12}  # no response, and no answer to check in the other two


def test_equal_pages_are_each_checked_against_their_own_text(project: Project, gemini: GeminiServer) -> None:
    """They have one key and one answer; the text layer of one of them contradicts it."""
    gemini.reply = lambda image: content_answer("كتب المعلم شيئا آخر تماما لا يوجد في هذه الصفحة")
    project.add_page(1, image=draw_page("same"))
    project.add_page(
        2, image=draw_page("same"), text="محضر اجتماع اللجنة المالية وأقرت الميزانية إلى نهاية العام\n" * 3
    )
    project.add_page(3, image=draw_page("same"))
    project.declare_public([1, 2, 3])

    project.label("gemini")

    assert [row.reason for row in project.rows()] == [None, "disagrees", None]
    assert len(gemini.requests) == 1


KEYS = {
    "content": "e724b24fa58639bff4f09164934fd622e2fd4e7bb068cf7827c3852fd978d2fb",
    "invoice": "ad5cf3036427dccdc2415021bcf86555cf6f0542add44bce6210e6752b8470ac",
    "metadata": "acfdf993e7148f3157f24d3ca134c587645a510b1f98e87e437b46e0a853c8e8",
    "table_qa": "c1d004bad4887fa890c103135bc214aaa882976da422d33103f01f4856f1f62a",
}
LOCAL_KEY = "3ebcd4d28884ee8df44c38266e134ff172320c670fbbf0ea231ed201d1b091a8"


def key_of(project: Project, provider: Any) -> str:
    """The key of a page whose image is always the same bytes."""
    page = project.add_page(1, image=b"image")
    assert page.image_sha256 == hashlib.sha256(b"image").hexdigest()
    teacher = SimpleNamespace(name=provider.name, identity=lambda page: provider.identity())
    return cache_key(page, provider.task.name, cast(Teacher, teacher))


@pytest.mark.parametrize("task", KEYS)
def test_the_key_of_a_paid_answer_stays(project: Project, task: str) -> None:
    """Labels are found by it: where it is another, every page is bought again. A new prompt or schema is a new key."""
    parameters = gemini.Parameters(
        model="gemini-3.8-flash", second_model=None, thinking_level="low", max_output_tokens=16384,
        media_resolution="high", lane="auto",
    )  # fmt: skip
    assert key_of(project, gemini.GeminiProvider(tasks.load(task), parameters)) == KEYS[task]


def test_the_key_of_a_local_answer_stays(project: Project) -> None:
    parameters = local.Parameters(model="m", max_output_tokens=4096, private_network=False)
    assert key_of(project, local.LocalProvider(tasks.load("content"), parameters)) == LOCAL_KEY

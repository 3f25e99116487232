"""`warraq review` over real HTTP: what is shown, what is saved, and who is refused."""

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from support.label_project import content_answer
from support.review_project import LINES, ReviewProject, Server, find_port, write_tesseract
from support.scripted_model import INVOICE, ScriptedModel, describe_model
from warraq import tasks
from warraq.editor.log import ReviewLog, hash_review
from warraq.editor.page import load_page
from warraq.files import write_json
from warraq.records import Prediction, Review, write_rows
from warraq.reviewing.machine import MachineReaders
from warraq.reviewing.project import ReviewFolders
from warraq.reviewing.project import ReviewProject as LoadedProject
from warraq.reviewing.server import PAGE


def test_a_page_begins_with_the_best_that_is_known_and_ends_as_a_row(project: ReviewProject) -> None:
    known, scan = project.add_page(1, text="A letter of many words, as the file itself has it."), project.add_page(2)
    project.add_label(known.page_id, answer=content_answer("a label"), message="number_not_in_layer: 17")
    with project.start() as server:
        page = server.get(f"page/content/{known.page_id}")
        assert [one["source"] for one in page["candidates"]] == ["label", "textlayer"]
        assert page["candidates"][0]["doubts"] == [{"path": "", "message": "number_not_in_layer: 17"}]
        assert server.get(f"page/content/{scan.page_id}")["candidates"] == []
        (read,) = server.get(f"machine/content/{scan.page_id}")["candidates"]
        assert read["source"] == "tesseract" and read["answer"] == content_answer("\n".join(LINES))
        told = server.get(f"machine/metadata/{scan.page_id}")
        assert told == {"candidates": [], "text": "\n".join(LINES)}  # to be copied from
        assert server.get(f"machine/metadata/{known.page_id}")["text"] == ""  # its own is shown

        seen = page["candidates"][0]["seen"]
        assert server.post("save", page_id=known.page_id, answer=content_answer("right"), seen=seen, seconds=4.5,
                           base=page["base"]).json()["status"] == "answered"  # fmt: skip
        again = server.get(f"page/content/{known.page_id}")
        assert [one["source"] for one in again["candidates"]] == ["review", "label", "textlayer"]
        assert server.post("undo", page_id=known.page_id, base=again["base"]).json()["status"] == "withdrawn"
    first, second = project.reviews()
    assert first.answer == content_answer("right") and (first.seen, first.seconds) == (seen, 4.5) and first.at
    assert second.status == "withdrawn"
    assert project.label("human", "textlayer").exit_code == 0
    assert "human" not in {row.teacher for row in project.rows()}


def test_what_was_written_for_an_earlier_schema_opens_and_is_saved_in_today_s_shape(project: ReviewProject) -> None:
    page_id, old = project.add_page(1).page_id, [{"kind": "paragraph", "text": "by hand", "level": None}]
    project.add_row(Review(page_id=page_id, task="content", answer={"blocks": old}, reviewer="r2"))
    draft = {"source": {"date": "1445/3/12", "calendar": "hijri"}, "classification": {"title": "قرار"}}
    with project.start() as server:
        page = server.get(f"page/content/{page_id}")
        assert page["candidates"][0]["answer"] == content_answer("by hand")
        server.post("draft", page_id=page_id, task="metadata", draft={"answer": draft})
        kept = server.get(f"page/metadata/{page_id}?reviewer=r1")["draft"]["answer"]
        assert kept["dates"] == [{"kind": "issued", "text": "1445/3/12", "calendar": "hijri"}]
        assert kept["classification"] == {"title": "قرار"} and kept["source"] == {}
        again = {"blocks": [*old, *old]}  # of a tab that was open before
        assert server.post("save", page_id=page_id, answer=again, base=page["base"]).status_code == 200
    assert project.reviews()[-1].answer == {"blocks": content_answer("by hand")["blocks"] * 2}


@pytest.mark.parametrize(
    ("script", "seen", "asked"),
    [
        (None, "Invoice 17 لط of the lot that came in May and was not paid for", ["ara+eng", "eng"]),
        (None, "فاتورة 17", ["ara+eng"]),
        ("arabic", "no letter of it", ["ara+eng"]),
        ("latin", "Invoice 17", ["eng"]),
    ],
)
def test_arabic_is_looked_for_where_it_may_stand(
    project: ReviewProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str | None, seen: str,
    asked: list[str],
) -> None:  # fmt: skip
    """Where it is not, Tesseract sees it in noise, and loses the order of the columns over it."""
    page = project.add_page(1).model_copy(update={"script": script})
    log = tmp_path / "asked"
    program = write_tesseract(tmp_path / "programs") / "tesseract"
    program.write_text(f"""#!/bin/sh
if [ "$1" = --list-langs ]; then printf 'eng\nara\n'; else echo "$4" >>{log}; echo '{seen}'; fi
""")
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    readers = MachineReaders(LoadedProject(ReviewFolders(project.root, project.root / "reports"), ["content"]))
    (read,) = readers.read(page, tasks.load("content"))
    assert (read.name, log.read_text().split()) == (asked[-1], asked)


def test_a_finished_model_reads_what_nobody_has_answered(project: ReviewProject, tmp_path: Path) -> None:
    page_id = project.add_page(1).page_id
    with ScriptedModel() as model:
        threading.Thread(target=model.serve_forever, daemon=True).start()
        model.logprob = -0.5
        folder = tmp_path / "nano/onnx"
        url = f"http://127.0.0.1:{model.server_port}/v1"
        write_json(folder / "config.json", {"runtime": "endpoint", "url": url, "model": "scripted"})
        describe_model(folder, "invoice")
        with project.start("--model", str(folder)) as server:
            for _ in range(2):  # the second time from what was kept
                (read,) = server.get(f"machine/invoice/{page_id}")["candidates"]
                assert (read["source"], read["name"], read["answer"]) == ("student", "nano onnx", json.loads(INVOICE))
                assert read["confidence"]["invoice_number"] == 0.6065
        model.shutdown()
    assert len(model.asked) == 1


def test_what_does_not_fit_or_comes_second_is_not_saved(project: ReviewProject) -> None:
    page_id = project.add_page(1).page_id
    with project.start() as server:
        bad = server.post("save", page_id=page_id, answer={"blocks": [{"kind": None, "text": "x", "level": "2"}]})
        assert bad.status_code == 422
        assert [one["path"] for one in bad.json()["problems"]] == ["blocks[0].kind", "blocks[0].level"]
        assert server.get(f"page/content/{page_id}?tab=one&reviewer=r1")["holder"] is None
        assert server.get(f"page/content/{page_id}?tab=two&reviewer=r2")["holder"] == "r1"
        first = server.post("save", page_id=page_id, answer=content_answer("one"))
        assert first.status_code == 200
        assert server.post("save", page_id=page_id, answer=content_answer("one")).status_code == 200  # sent again
        late = server.post("save", page_id=page_id, answer=content_answer("two"), reviewer="r2")
        assert late.status_code == 409 and late.json()["answer"] == content_answer("one")
        assert late.json()["base"] == first.json()["base"]
    assert [row.answer for row in project.reviews()] == [content_answer("one")]


@contextmanager
def read_twice(project: ReviewProject) -> Iterator[tuple[Server, dict[str, str], dict[str, str]]]:
    """The server of a page that a second person has read, how that row begins, and what saving it told."""
    second = {"page_id": project.add_page(1).page_id, "status": "second", "reviewer": "r2"}
    project.add_review(project.pages[0], content_answer("first"))
    with project.start("--second", "100") as server:
        yield server, second, server.post("save", **second, answer=content_answer("one")).json()


def test_a_second_reading_is_taken_back_alone(project: ReviewProject) -> None:
    with read_twice(project) as (server, second, told):
        told = server.post("save", **second, answer=content_answer("two"), base=told["base"]).json()
        told = server.post("undo", **second, base=told["base"]).json()
        assert told["status"] == "second" and project.reviews()[-1].answer == content_answer("one")
        assert server.post("undo", **second, base="0").status_code == 409
        assert server.get("queue?queue=second&task=content&reviewer=r2")["items"] == []
    log = ReviewLog(project.root / "reviews", tasks.load("content"))
    row = Review.model_validate({**second, "task": "content", "answer": content_answer("three")})
    log.add(row, told["base"])
    page_id = second["page_id"]
    log.undo(page_id, "r2", hash_review(log.second[page_id]), second=True)
    assert log.second[page_id].answer == content_answer("one")
    assert log.current[page_id].answer == content_answer("first")


def test_the_only_second_reading_taken_back_is_none(project: ReviewProject) -> None:
    with read_twice(project) as (server, second, told):
        assert server.post("undo", **second, base=told["base"]).json() == {"base": "", "status": ""}
        assert len(server.get("queue?queue=second&task=content&reviewer=r2")["items"]) == 1
        assert server.get("progress")["people"] == [] and server.get("progress")["gold"]["content"] == 1


def test_what_has_come_since_the_start_is_seen(project: ReviewProject) -> None:
    page_id = project.add_page(1).page_id
    with project.start() as server:
        before = server.get("queue?task=content")
        assert server.get("queue?task=content")["version"] == before["version"]
        project.add_label(page_id, answer=content_answer("a label"))
        project.add_page(2)
        project.write_pages()
        after = server.get("queue?task=content")
        assert (len(before["items"]), len(after["items"])) == (1, 1) and after["version"] > before["version"]
        assert after["items"][0]["page_id"] != page_id
        assert [one["source"] for one in server.get(f"page/content/{page_id}")["candidates"]] == ["label"]
        (project.root / "labels/content.jsonl").write_text("{}\n")
        reply = httpx2.get(f"{server.url}/v1/queue", trust_env=False)
        assert reply.status_code == 503 and "content.jsonl" in reply.json()["error"]["message"]


def test_each_queue_has_what_pays(project: ReviewProject) -> None:
    pages = [project.add_page(number) for number in range(40)]
    for page in pages[:30]:
        project.add_label(page.page_id, answer=content_answer("x"))
    project.add_label(pages[30].page_id, reason="disagrees", message="with the layer")
    project.add_label(pages[31].page_id, answer=content_answer("x"), message="date: 2099")
    answers = [
        Prediction(page_id=page.page_id, task="content", split="test", text=json.dumps(content_answer("read")),
                   tokens=1, finish_reason="stop", seconds=0.1, confidence=sure,
                   confidence_by_field={"blocks[0].text": sure})
        for page, sure in zip(pages[33:36], (0.9, 0.2, 0.5), strict=True)
    ]  # fmt: skip
    write_rows(project.root / "reports/nano/merged/predictions.jsonl", answers, lambda row: row.page_id)
    project.write_manifest("0.pdf,secret,archive", "1.pdf,public,archive")
    project.add_review(pages[39], content_answer("done"))
    with project.start("--sample", "20", "--second", "100") as server:
        told = server.get("queue?queue=todo&task=content&reviewer=r2")
        counts = told["counts"]
        assert (counts["todo"], counts["quarantined"], counts["doubtful"], counts["done"]) == (7, 1, 1, 1)
        assert 0 < counts["sample"] < 20 and counts["second"] == 1
        assert server.get("queue?queue=second&task=content&reviewer=r1")["items"] == []
        shown = server.get("queue?queue=all&task=content&sensitivity=secret")["items"]
        assert [one["file"] for one in shown] == ["0.pdf"]
        unsure = [one["page_id"] for one in server.get("queue?queue=unsure&task=content")["items"]]
        assert unsure == [pages[number].page_id for number in (34, 35, 33)]
        (read,) = server.get(f"page/content/{unsure[0]}")["candidates"]
        assert (read["name"], read["confidence"]) == ("nano merged", {"blocks[0].text": 0.2})
        told = server.get("queue?queue=all&task=content&reason=disagrees")
        assert [one["page_id"] for one in told["items"]] == [pages[30].page_id]
        server.post("save", page_id=pages[32].page_id, status="skipped", reason="later", seconds=30)
        told = server.get("queue?queue=todo&task=content")
        assert told["items"][-1]["page_id"] == pages[32].page_id and told["left_s"] == 7 * 30
        progress = server.get("progress")
        assert progress["gold"] == {"content": 1, "metadata": 0, "invoice": 0} and progress["validation_needed"] == 73
        assert progress["next"] == "make repro"


def test_a_thousand_pages_are_listed_at_once(project: ReviewProject) -> None:
    page = project.add_page(1)
    project.pages = [page.model_copy(update={"page_id": f"{page.document}-p{n:04}", "page": n}) for n in range(1000)]
    with project.start() as server:
        began = time.monotonic()
        assert len(server.get("queue?queue=todo")["items"]) == 3000
        assert time.monotonic() - began < 60  # 0.1 s on a quiet machine; a quadratic one takes minutes


def test_nothing_is_lost_or_halved_by_kills(project: ReviewProject) -> None:
    """A process that saves is killed twenty times; what it has confirmed is there, and every line is whole."""
    log = ReviewLog(project.root / "reviews", tasks.load("content"))
    told = 0
    for turn in range(20):
        receive, send = os.pipe()
        if not (child := os.fork()):
            for number in range(10_000):
                log.add(
                    Review(
                        page_id=f"{turn}-{number}", task="content", answer=content_answer("x" * 20_000), reviewer="r"
                    ),
                    "",
                )
                os.write(send, b".")
        os.close(send)
        confirmed = sum(len(os.read(receive, 1)) for _ in range(1 + turn % 3))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        while piece := os.read(receive, 1000):
            confirmed += len(piece)
        os.close(receive)
        rows = {row.page_id for row in project.reviews()}
        assert {f"{turn}-{number}" for number in range(confirmed)} <= rows
        told += confirmed
    assert told <= len(project.reviews()) <= told + 20 and all(row.answer for row in project.reviews())


def test_others_need_the_token_and_no_other_site_may_ask(project: ReviewProject) -> None:
    page_id = project.add_page(1).page_id
    with project.start() as server:
        for headers, status in (({"Origin": "https://example.org"}, 403), ({"Host": "example.org"}, 421)):
            assert httpx2.get(f"{server.url}/v1/start", headers=headers, trust_env=False).status_code == status
        page = httpx2.get(server.url, trust_env=False)
        assert "default-src 'none'" in page.headers["content-security-policy"]
        image = httpx2.get(f"{server.url}/v1/image/{page_id}", trust_env=False)
        assert image.headers["content-type"] == "image/png" and image.headers["cross-origin-resource-policy"]
        assert httpx2.get(f"{server.url}/v1/image/../../x", trust_env=False).status_code == 404
        assert server.post("save", page_id="x" * 12, answer=content_answer("")).status_code == 404
    server = Server(project.root, ("--host", "0.0.0.0"), find_port())
    done = subprocess.run(server.command, capture_output=True, text=True)
    assert done.returncode == 2 and "WARRAQ_TOKEN" in done.stderr


def test_the_page_loads_nothing_and_makes_no_markup_of_text() -> None:
    text = load_page(PAGE)
    for forbidden in (
        "http://",
        "https://",
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "eval(",
        "document.write",
        "<script src",
    ):
        assert forbidden not in text, forbidden
    assert "{{file" not in text  # every file is in it

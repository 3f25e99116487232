"""`warraq serve`, over real HTTP: files in, answers out, and whoever is refused is told why."""

import json
import multiprocessing
import os
import struct
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest

from support import ROOT
from support.scripted_model import CONTENT, INVOICE, ScriptedModel
from support.serving import Start, send
from support.waiting import LONGEST_S
from warraq.rendering.page_ranges import ALL_PAGES
from warraq.serving import queue
from warraq.serving.finished_model import load_finished_model

CORPUS = ROOT.parent / "shared" / "corpus"


def test_a_file_is_read_at_once_or_page_by_page(
    start: Start, server: ScriptedModel, documents: dict[str, bytes]
) -> None:
    url = start()
    reply = send(url, documents["letter.pdf"])
    assert reply.status_code == 200, reply.text
    held = reply.json()
    assert held["files"] == ["letter.pdf"] and [page["page"] for page in held["pages"]] == [1, 2, 3]
    assert held["pages"][0]["answers"]["content"]["answer"] == json.loads(CONTENT)
    assert held["pages"][2]["answers"]["invoice"]["answer"] == json.loads(INVOICE)

    lines = send(url, documents["letter.pdf"], query="?stream=true&task=content&pages=2-").text.splitlines()
    events = [json.loads(line) for line in lines]
    assert [one["event"] for one in events] == ["pages", "page", "answer", "page", "answer", "document"]
    assert events[1]["image"].startswith("data:image/jpeg;base64,")
    assert "وزارة المالية" in events[-1]["markdown"]

    metrics = httpx2.get(f"{url}/metrics", trust_env=False).text
    assert 'warraq_requests_total{path="/v1/read",status="200"} 2' in metrics
    assert "warraq_pages_total 5" in metrics and "warraq_queue 0" in metrics


def test_a_bad_file_is_told_as_in_render(start: Start, documents: dict[str, bytes]) -> None:
    url = start("--max-pages", "2", "--max-mib", "1")
    for name, reason in (("encrypted.pdf", "encrypted"), ("empty.pdf", "empty"), ("letter.pdf", "too_many_pages")):
        reply = send(url, documents[name], name)
        assert reply.status_code == 422 and reply.json()["rejected"][0]["reason"] == reason, name
    assert send(url, bytes(2**20 + 1)).status_code == 413
    assert send(url, documents["scan.pdf"], query="?task=letters").json()["error"]["message"].startswith("There is no")
    assert send(url, documents["scan.pdf"], query="?pages=x").status_code == 400
    assert send(url, documents["scan.pdf"]).status_code == 200


def test_two_hundred_uploads_against_a_queue_of_eight(
    start: Start, server: ScriptedModel, documents: dict[str, bytes]
) -> None:
    url, full = start("--queue", "8"), threading.Event()
    server.reply = lambda *_: (CONTENT, "stop" if full.wait(LONGEST_S) else "length")

    def upload(_: int) -> httpx2.Response:
        reply = send(url, documents["scan.pdf"], query="?task=content")
        if reply.status_code == 429:
            full.set()  # no answer is given before
        return reply

    with ThreadPoolExecutor(200) as pool:
        replies = list(pool.map(upload, range(200)))
    found = Counter(reply.status_code for reply in replies)
    assert set(found) == {200, 429} and found[200] >= 8, found
    assert all(int(reply.headers["Retry-After"]) >= 1 for reply in replies if reply.status_code == 429)
    assert send(url, documents["scan.pdf"], query="?task=content").status_code == 200


@pytest.mark.parametrize("sent", [b"", struct.pack("!i", 100) + b"half"])
def test_a_reader_that_dies_leaves_no_pages(
    model: Path, raw: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    """Before its result, or amid it."""

    def die(*arguments: Any) -> None:
        os.write(arguments[-1].fileno(), sent)

    monkeypatch.setattr(queue, "_CONTEXT", multiprocessing.get_context("fork"))
    monkeypatch.setattr(queue, "_render_and_send", die)
    limits = queue.ServiceLimits(queue=1, max_mib=1, max_pages=1, max_seconds=60, max_images=1, max_prompt_tokens=1000)
    service = queue.ReadService(load_finished_model(model, (), None, None), limits)
    job = queue.ReadJob(raw("picture.png") / "picture.png", "picture.png", (), ALL_PAGES, with_images=False)
    assert [event.event for event in service.read(job)] == ["rejected"]


@pytest.mark.skipif(not CORPUS.exists(), reason="no corpus")
def test_a_hostile_file_takes_nothing_down(start: Start, documents: dict[str, bytes]) -> None:
    url = start()
    hostile = [CORPUS / f"syn__{name}.pdf" for name in ("flate_bomb_300MB_double", "pixel_bomb_1bit_40000x40000")]
    with ThreadPoolExecutor(3) as pool:
        bombs = [pool.submit(send, url, path.read_bytes(), path.name, "?task=content") for path in hostile]
        neighbour = pool.submit(send, url, documents["letter.pdf"], "letter.pdf", "?task=content")
        assert neighbour.result().status_code == 200
        assert {bomb.result().status_code for bomb in bombs} <= {200, 422}
    assert httpx2.get(f"{url}/healthz", trust_env=False).status_code == 200


def test_a_server_for_others_needs_a_token(start: Start, model: Path, documents: dict[str, bytes]) -> None:
    command = [sys.executable, "-m", "warraq", "serve", "--model", str(model), "--host", "0.0.0.0"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2 and "WARRAQ_TOKEN" in done.stderr
    url = start(WARRAQ_TOKEN="secret")
    assert send(url, documents["scan.pdf"]).status_code == 401
    assert send(url, documents["scan.pdf"], Authorization="bearer secret").status_code == 200
    assert httpx2.get(f"{url}/metrics", trust_env=False).status_code == 401


def test_other_sites_may_not_use_it(start: Start, documents: dict[str, bytes]) -> None:
    url = start()
    assert send(url, documents["scan.pdf"], Origin="https://example.org").status_code == 403
    assert httpx2.get(url, headers={"Host": "example.org"}, trust_env=False).status_code == 421
    page = httpx2.get(url, trust_env=False)
    assert page.status_code == 200 and "default-src 'none'" in page.headers["content-security-policy"]

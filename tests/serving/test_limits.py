"""`warraq serve` under load: nobody takes its memory, its model or its connections from the others."""

import asyncio
import json
import random
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from support.scripted_model import CONTENT, ScriptedModel, describe_model
from support.serving import Start, ask, read_metric, send, start_server, write_parts
from support.waiting import LONGEST_S, wait_until
from warraq.files import write_json
from warraq.local_server import MOST_IDLE
from warraq.serving.bodies import MOST_BODIES
from warraq.serving.turns import JobLimit, QueueFullError, TimeOverError, Turns

HEAD = "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\n"


def connect(url: str, data: bytes) -> socket.socket:
    connection = socket.create_connection((urlsplit(url).hostname, urlsplit(url).port))
    connection.sendall(data)
    return connection


def measure_resident(process: int) -> int:
    """Bytes."""
    status = Path(f"/proc/{process}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) * 1024


def post(body: dict[str, object]) -> bytes:
    data = json.dumps(body).encode()
    return f"{HEAD}Content-Length: {len(data)}\r\n\r\n".encode() + data


@pytest.fixture(scope="module")
def endless(cut: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, str]]:
    """A server whose answers go on for long."""
    folder = tmp_path_factory.mktemp("endless") / "onnx"
    shutil.copytree(cut / "onnx", folder)
    settings = json.loads((folder / "generation_config.json").read_text())
    write_json(folder / "generation_config.json", settings | {"max_new_tokens": 8000})
    describe_model(folder, "content")
    process, url = start_server(folder, "--max-images", "20", "--max-prompt-tokens", "8000")
    yield process.pid, url
    process.terminate()
    process.wait()


def write_long_question() -> dict[str, object]:
    """Its answer is 7,000 digits without a pattern: it ends when nobody waits for it, and not before."""
    schema = {"const": "".join(random.Random(1).choices("0123456789", k=7000))}
    response_format = {"type": "json_schema", "json_schema": {"name": "digits", "schema": schema}}
    return {"messages": [{"role": "user", "content": "Read."}], "response_format": response_format}


def test_the_memory_of_a_large_request_is_given_back(endless: tuple[int, str], documents: dict[str, bytes]) -> None:
    process, url = endless
    picture = documents["picture.png"]
    assert ask(url, write_parts("Read.", picture), max_tokens=1).status_code == 200
    before = measure_resident(process)
    for count in (12, 1, 12):
        assert ask(url, write_parts("Read.", *[picture] * count), max_tokens=1).status_code == 200
    assert measure_resident(process) - before < 50 * 2**20


@pytest.mark.parametrize("stream", [False, True])
def test_who_leaves_frees_the_model(endless: tuple[int, str], stream: bool) -> None:
    _, url = endless
    jobs, answers = read_metric(url, "warraq_jobs_total"), read_metric(url, "warraq_answers_total")
    with connect(url, post(write_long_question() | {"stream": stream})):
        wait_until(lambda: read_metric(url, "warraq_queue ") == 1)
    wait_until(lambda: read_metric(url, "warraq_queue ") == 0)
    assert read_metric(url, "warraq_jobs_total") == jobs + 1
    assert read_metric(url, "warraq_answers_total") == answers


def test_who_leaves_frees_the_place_and_another_server(start: Start, server: ScriptedModel) -> None:
    """Which does not answer before all have left."""
    url, held = start(), threading.Event()
    server.reply = lambda *_: (CONTENT, "stop" if held.wait(LONGEST_S) else "length")
    question: dict[str, object] = {"messages": [{"role": "user", "content": "Read."}]}
    with connect(url, post(question)):
        wait_until(lambda: server.asked)
        with ExitStack() as others:
            for number in range(3):
                others.enter_context(connect(url, post(question | {"stream": number == 1})))
            wait_until(lambda: read_metric(url, "warraq_queue ") == 4)
        wait_until(lambda: read_metric(url, "warraq_queue ") == 1)
    wait_until(lambda: read_metric(url, "warraq_queue ") == 0)
    assert read_metric(url, "warraq_jobs_total") == len(server.asked) == 1
    held.set()


def test_an_answer_ends_with_its_time() -> None:
    limit = JobLimit(deadline=time.monotonic())
    with pytest.raises(TimeOverError):
        limit.check()


def test_slow_clients_keep_nobody_waiting(start: Start) -> None:
    """More connections without a request than are kept, and more bodies that do not come than places."""
    url = start()
    with ExitStack() as slow:
        for number in range(MOST_IDLE + 50):
            slow.enter_context(connect(url, b"" if number % 2 else HEAD.encode()[:-9]))
        for _ in range(20):
            slow.enter_context(connect(url, f"{HEAD}Content-Length: 1000\r\n\r\n{{".encode()))
        assert httpx2.get(f"{url}/healthz", timeout=LONGEST_S, trust_env=False).status_code == 200
        assert read_metric(url, "warraq_queue ") == 0
        assert ask(url, "Read.").status_code == 200


def test_bodies_that_do_not_come_are_not_kept_for_ever(start: Start) -> None:
    url = start()
    with ExitStack() as slow:
        for _ in range(MOST_BODIES):
            slow.enter_context(connect(url, f"{HEAD}Content-Length: 1000\r\n\r\n{{".encode()))

        def is_answered() -> bool:
            reply = ask(url, "Read.")
            assert reply.status_code == 200 or reply.headers["Retry-After"]
            return reply.status_code == 200

        wait_until(is_answered)


def test_a_body_is_in_no_place_of_the_queue(start: Start, server: ScriptedModel) -> None:
    url, held = start("--queue", "1"), threading.Event()
    server.reply = lambda *_: (CONTENT, "stop" if held.wait(LONGEST_S) else "length")
    with connect(url, f"{HEAD}Content-Length: 1000\r\n\r\n{{".encode()), ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ask, url, "Read.")
        wait_until(lambda: read_metric(url, "warraq_queue ") == 1)
        refused = ask(url, "Read.")
        assert refused.status_code == 429 and refused.json()["error"]["code"] == "queue_full"
        held.set()
        assert asked.result().status_code == 200


def test_retry_after_is_what_is_left_of_the_running_job() -> None:
    """Of jobs of 10 s, whatever the number of those that wait."""

    async def refuse() -> int:
        turns = Turns(2, 100)
        turns._lengths_s.extend([10.0] * 5)
        release = threading.Event()
        with turns.reserve_place(), turns.reserve_place():
            job = turns.run(lambda: iter([release.wait(LONGEST_S)]), JobLimit(), ExitStack())
            while turns._began is None:
                await asyncio.sleep(0)
            turns._began -= 4
            try:
                with turns.reserve_place():
                    raise AssertionError
            except QueueFullError as error:
                return error.retry_s
            finally:
                release.set()
                assert [one async for one in job] == [True]

    assert asyncio.run(refuse()) == 6


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data; boundary=x", b"garbage"), ("multipart/form-data", b"--x"), ("text/plain", b"a"),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data; name=other\r\n\r\na\r\n--x--\r\n"),
        ("multipart/form-data; boundary=x", b"--x--\r\n"), ("multipart/form-data; boundary=\xff", b"--x--\r\n"),
    ],
    ids=range(6),
)  # fmt: skip
def test_a_form_that_is_none_is_told_and_counted(endless: tuple[int, str], kind: str, body: bytes) -> None:
    _, url = endless
    counted = 'warraq_requests_total{path="/v1/read",status="400"}'
    before = read_metric(url, counted) if counted in httpx2.get(f"{url}/metrics", trust_env=False).text else 0
    headers = {b"Content-Type": kind.encode("latin-1")}
    reply = httpx2.post(f"{url}/v1/read", content=body, headers=headers, timeout=LONGEST_S, trust_env=False)
    assert reply.status_code == 400 and reply.json()["error"]["code"] == "bad_request"
    assert read_metric(url, counted) == before + 1


def test_errors_have_one_form(endless: tuple[int, str]) -> None:
    _, url = endless
    for method, path, status in (("GET", "/no", 404), ("GET", "/v1/read", 405), ("POST", "/v1/read?stream=x", 400)):
        reply = httpx2.request(method, url + path, trust_env=False)
        assert reply.status_code == status and set(reply.json()["error"]) == {"code", "message"}


def test_a_long_name_is_a_name(start: Start, documents: dict[str, bytes]) -> None:
    """Of 254 bytes."""
    name = "م" * 125 + ".png"
    reply = send(start(), documents["picture.png"], name, "?task=content")
    assert reply.status_code == 200 and reply.json()["files"] == [name]


def test_pages_are_read_of_a_document_of_too_many(start: Start, documents: dict[str, bytes]) -> None:
    url = start("--max-pages", "2")
    reply = send(url, documents["letter.pdf"], query="?task=content&pages=3,7")
    assert [page["page"] for page in reply.json()["pages"]] == [3]
    assert [(row["page"], row["reason"]) for row in reply.json()["rejected"]] == [(7, "no_such_page")]
    reply = send(url, documents["letter.pdf"], query="?task=content&pages=9")
    assert reply.status_code == 422 and "the last is 3" in reply.json()["rejected"][0]["message"]
    reply = send(url, documents["letter.pdf"], query="?task=content&pages=1-")
    assert reply.status_code == 422 and reply.json()["rejected"][0]["reason"] == "too_many_pages"


def test_a_document_imports_no_engine_anew() -> None:
    """What the server of forks was told to import is all of it."""
    lines = (
        "import importlib, sys",
        "from contextlib import suppress",
        "from warraq.rendering.readers import import_engines, list_engine_modules",
        "for name in ('pymupdf', *list_engine_modules()):",
        "    with suppress(ImportError):",
        "        importlib.import_module(name)",
        "before = set(sys.modules)",
        "import_engines()",
        "print(*set(sys.modules) - before)",
    )
    result = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=True)
    assert result.stdout.split() == []

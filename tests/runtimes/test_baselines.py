"""Baselines through `warraq predict`: tesseract, and a server on loopback that speaks OpenAI's interface."""

import json
import shutil
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from click.testing import CliRunner, Result

from support import PARAMS
from support.waiting import LONGEST_S
from warraq.cli.main import main
from warraq.files import write_json
from warraq.records import Prediction, read_rows
from warraq.runtimes import Request
from warraq.runtimes.endpoint import EndpointRuntime
from warraq.tasks import content


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three synthetic pages, `pages/` and `dataset/`."""
    assert CliRunner().invoke(main, ["synth", str(tmp_path), "--planted", "--documents=3"]).exit_code == 0
    return tmp_path


def predict(folder: Path, **config: str) -> Result:
    write_json(folder / "model/config.json", config)
    paths = [f"--{name}={folder / name}" for name in ("model", "dataset", "pages")]
    return CliRunner().invoke(main, ["--params", str(PARAMS), "predict", *paths, f"--out={folder / 'out.jsonl'}"])


@pytest.mark.skipif(shutil.which("tesseract") is None, reason="tesseract is not installed")
def test_tesseract_transcribes_the_same_pages(folder: Path) -> None:
    result = predict(folder, runtime="tesseract", languages="eng")
    assert result.exit_code == 0, result.output
    rows = read_rows(folder / "out.jsonl", Prediction)
    assert [row.finish_reason for row in rows] == ["stop"] * 3 and all(row.text and row.seconds > 0 for row in rows)


@pytest.mark.skipif(shutil.which("tesseract") is None, reason="tesseract is not installed")
def test_a_language_that_is_not_installed_is_one_sentence(folder: Path) -> None:
    result = predict(folder, runtime="tesseract", languages="eng+tlh")
    assert result.exit_code == 2
    assert result.stderr == "warraq: tesseract has no tlh; `apt install tesseract-ocr-tlh`.\n"


def test_without_tesseract_one_sentence_says_what_to_do(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(folder))
    result = predict(folder, runtime="tesseract", languages="ara+eng")
    assert result.exit_code == 2
    assert "tesseract is not installed; `apt install" in result.stderr


@pytest.fixture
def server() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Its address, and the requests that it was sent; it answers with an empty page and is cut the second time."""
    asked: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            reason = "length" if len(asked) == 2 else "stop"
            choice = {"message": {"content": '{"blocks":[]}'}, "finish_reason": reason}
            body = json.dumps({"choices": [choice], "usage": {"completion_tokens": 7}}).encode()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    served = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=served.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{served.server_port}/v1", asked
    served.shutdown()
    thread.join()
    served.server_close()


def test_an_endpoint_is_asked_as_a_student_is(folder: Path, server: tuple[str, list[dict[str, Any]]]) -> None:
    url, asked = server
    result = predict(folder, runtime="endpoint", url=url, model="any")
    assert result.exit_code == 0, result.output
    rows = read_rows(folder / "out.jsonl", Prediction)
    assert sorted(row.finish_reason for row in rows) == ["length", "stop", "stop"]
    assert {row.tokens for row in rows} == {7}
    for body in asked:
        image, text = body["messages"][0]["content"]
        assert image["image_url"]["url"].startswith("data:image/png;base64,iVBOR")
        assert (text["text"], body["temperature"], body["max_tokens"]) == (content.PROMPT, 0, 8192)


class Ollama(BaseHTTPRequestHandler):
    """It lists its models and tells where it hands one on to."""

    asked: ClassVar[list[str]] = []

    def do_HEAD(self) -> None:
        self.respond(b"")

    def do_POST(self) -> None:
        self.asked.append(self.path)
        self.rfile.read(int(self.headers["Content-Length"]))
        self.respond(b'{"remote_host": "https://ollama.com:443", "remote_model": "gpt-oss:120b"}')

    def respond(self, body: bytes) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize(("model", "why"), [("gpt-oss:120b-cloud", "its name"), ("mine", "its server forwards it to")])
def test_a_model_in_a_cloud_is_sent_no_page(folder: Path, model: str, why: str) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Ollama) as served:
        threading.Thread(target=served.serve_forever).start()
        result = predict(folder, runtime="endpoint", url=f"http://127.0.0.1:{served.server_port}/v1", model=model)
        served.shutdown()
    assert result.exit_code == 2 and f"is not on this machine, as {why}" in result.output
    assert set(Ollama.asked) <= {"/api/show"}


@pytest.mark.parametrize("url", ["https://api.example.org/v1", "http://127.0.0.1.example.org/v1", "http://10.0.0.7/v1"])
def test_no_page_is_sent_to_another_machine(folder: Path, url: str) -> None:
    result = predict(folder, runtime="endpoint", url=url, model="any")
    assert result.exit_code == 2
    assert "is not on this machine" in result.stderr


def test_a_server_that_is_not_there_is_one_sentence(folder: Path) -> None:
    result = predict(folder, runtime="endpoint", url="http://127.0.0.1:9/v1", model="any")
    assert result.exit_code == 2
    assert "start the server and run again" in result.stderr


def test_who_listens_no_more_ends_the_request_to_the_server(folder: Path) -> None:
    """Which hears nothing but that its client is gone."""
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(1) as pool:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/v1"
        write_json(folder / "model/config.json", {"runtime": "endpoint", "url": url, "model": "any"})
        came = threading.Event()

        def serve() -> None:
            while not came.is_set():  # what comes first asks whether it is Ollama
                connection, _ = server.accept()
                with connection:
                    if connection.recv(2**16).startswith(b"POST /v1/chat/completions"):
                        came.set()
                        while connection.recv(2**16):
                            pass

        def leave(_: str) -> None:
            if came.is_set():
                raise InterruptedError

        served = pool.submit(serve)
        with pytest.raises(InterruptedError):
            EndpointRuntime(folder / "model").answer([Request((), "Read.", listener=leave)], 9)
        served.result(LONGEST_S)

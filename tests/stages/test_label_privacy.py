"""Three locks between a page and the network, each tried alone."""

import base64
import hashlib
import json
import socket
from typing import Any

import httpx2
import pytest

from support.gemini_server import KEY, GeminiServer
from support.label_project import Project, draw_page
from warraq.errors import InputError
from warraq.teachers.remote.transport import LeakError, build_client, check_body, resolve_local_url
from warraq.teachers.safety.clearance import Clearance, clear_all


def test_only_pages_called_public_reach_the_server(
    project: Project, gemini: GeminiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WARRAQ_IN_FLIGHT", "4")
    for number in range(8):
        project.add_page(number, image=draw_page("shared") if number in {5, 6} else None)
    project.pages[7] = project.pages[7].model_copy(update={"files": ("7.pdf", "secret/7.pdf")})
    project.write_manifest(
        "0.pdf,public,archive", "1.pdf,internal,archive", "2.pdf,,archive", "3.pdf,Public,archive",
        "4.pdf,secret,archive", "5.pdf,public,archive", "7.pdf,public,archive",
    )  # fmt: skip

    result = project.label("gemini")

    assert result.exit_code == 0, result.output
    assert [request.images for request in gemini.requests] == [(project.pages[0].image_sha256,)]
    assert "1/1 pages, 0 without an answer, 7 denied" in result.output
    assert [row.reason for row in project.rows()] == [None] + ["not_sendable"] * 7


def test_what_is_attached_is_sent_only_where_what_carries_it_is(project: Project, gemini: GeminiServer) -> None:
    """A line of its own takes the permission away, and gives none; nor does a document that is free elsewhere."""
    names = [
        "a.pdf",
        "a.pdf/1.pdf",
        "a.pdf/2.pdf",
        "a.pdf/1.pdf/x.png",
        "b.pdf",
        "b.pdf/1.pdf",
        "b.pdf/2.pdf",
        "c/d.pdf",
    ]
    for number, name in enumerate(names):
        page = project.add_page(number)
        carriers = tuple(one.document for one in project.pages[:-1] if name.startswith(f"{one.files[0]}/"))
        project.pages[-1] = page.model_copy(update={"files": (name,), "containers": carriers})
    project.pages[6] = project.pages[6].model_copy(update={"files": ("b.pdf/2.pdf", "free.pdf")})
    project.write_manifest(
        "a.pdf,public,archive", "a.pdf/2.pdf,internal,archive", "b.pdf/1.pdf,public,archive", "free.pdf,public,archive"
    )
    assert project.label("gemini").exit_code == 0
    sent = {image for request in gemini.requests for image in request.images}
    assert sent == {page.image_sha256 for page in project.pages if page.files[0] in ("a.pdf", "a.pdf/1.pdf", names[3])}


def test_a_mark_in_what_carries_them_denies_attached_files(project: Project, gemini: GeminiServer) -> None:
    project.add_page(0, text="CONFIDENTIAL - INTERNAL USE ONLY\nDear Sir, please find the invoices enclosed.")
    for number, name in ((1, "0.pdf/a.pdf"), (2, "2.pdf")):
        project.add_page(number)
        carriers = (project.pages[0].document,) if number == 1 else ()
        project.pages[-1] = project.pages[-1].model_copy(update={"files": (name,), "containers": carriers})
    project.declare_public((0, 2))
    assert project.label("gemini").exit_code == 0
    assert [request.images for request in gemini.requests] == [(project.pages[2].image_sha256,)]
    assert [row.reason for row in project.rows()] == ["marked_confidential", "marked_confidential", None]


def test_no_way_in_sends_a_denied_page(project: Project, gemini: GeminiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """100 pages, half of them not public: standard, flex, batch, the second model, a retry, another name."""
    monkeypatch.setenv("WARRAQ_IN_FLIGHT", "8")
    monkeypatch.setenv("WARRAQ_POLL", "0.01")
    connected: list[Any] = []
    connect = socket.socket.connect

    def noted(self: socket.socket, address: Any) -> None:
        connected.append(address)
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", noted)
    for number in range(100):
        project.add_page(number, image=draw_page(f"page {number % 90}"))  # the last ten are also the first ten
    project.write_manifest(*(f"{n}.pdf,{'public' if n % 2 else 'secret'}" for n in range(0, 90)))
    public = {project.pages[n].image_sha256 for n in range(11, 90, 2)}
    gemini.script = ["recitation"] * 20

    for lane, level in {"standard": "low", "flex": "medium", "batch": "high"}.items():
        result = project.label("gemini", lane=lane, thinking_level=level, max_usd=50.0)
        assert result.exit_code == 0, result.output
    project.label("gemini", options=["--retry", "recitation"])
    project.label("gemini", task="invoice", options=["--pilot", "60"])

    assert gemini.seen == public
    assert {"generateContent", "batchGenerateContent"} == {
        request.path.rpartition(":")[2] for request in gemini.requests
    }
    assert any("gemini-3.1-flash-lite" in request.path for request in gemini.requests)
    assert {to[0] for to in connected} == {"127.0.0.1"}


def test_without_a_manifest_nothing_is_sent(project: Project, gemini: GeminiServer) -> None:
    project.add_page(1)

    project.label("gemini")

    assert [row.reason for row in project.rows()] == ["not_sendable"]
    assert not gemini.requests


def test_a_manifest_without_its_column_is_refused(project: Project) -> None:
    project.add_page(1)
    (project.root / "raw").mkdir()
    (project.root / "raw/documents.csv").write_text("name,sensitivity\n1.pdf,public\n", encoding="utf-8")

    result = project.label("gemini")

    assert result.exit_code == 2 and "has no column file" in result.output


def test_an_image_that_is_not_the_one_named_is_not_sent(project: Project, gemini: GeminiServer) -> None:
    project.add_cleared_pages(1)
    (project.root / "pages" / project.pages[0].image).write_bytes(b"something else")

    result = project.label("gemini")

    assert result.exit_code == 2 and "run render again" in result.output
    assert not gemini.requests


def test_a_document_that_says_it_is_confidential_is_quarantined_whole(project: Project, gemini: GeminiServer) -> None:
    for number in (1, 2, 3):
        project.add_page(number, document="0" * 12)
    other = project.add_page(4)
    project.declare_public([1, 2, 3, 4])
    gemini.script = ["ok", "marked"]

    result = project.label("gemini")
    asked = len(gemini.requests)
    project.label("gemini")
    for file in (project.root / "ledger").iterdir():  # as after a clone: the labels file says it
        file.unlink()
    project.label("gemini")
    project.label("gemini", task="invoice", options=["--pilot", "9"])

    assert "its document is not sent to a cloud any more" in result.output
    assert [row.reason for row in project.rows()] == ["marked_confidential"] * 3 + [None]
    assert {request.images[0] for request in gemini.requests[3:]} == {other.image_sha256}  # for the invoice task
    assert asked == 3  # the third page was never sent


def test_what_a_local_teacher_finds_confidential_it_may_answer_and_a_cloud_never_sees(
    project: Project, gemini: GeminiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WARRAQ_LOCAL_URL", f"{gemini.url}/v1")
    project.add_cleared_pages(1)
    gemini.script = ["marked"]

    project.label("local")
    local = project.rows()
    project.label("gemini")

    assert local[0].answer and local[0].message and "marked_confidential" in local[0].message
    assert [row.reason for row in project.rows()] == ["marked_confidential"]
    assert len(gemini.requests) == 1


def test_what_a_local_teacher_finds_confidential_no_cloud_sees_in_the_same_run(
    project: Project, gemini: GeminiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second page of the document is one that the local teacher cannot answer."""
    monkeypatch.setenv("WARRAQ_LOCAL_URL", f"{gemini.url}/v1")
    for number in (1, 2):
        project.add_page(number, document="0" * 12)
    project.declare_public([1, 2])
    gemini.script = ["marked", "wrong_schema", "wrong_schema"]

    result = project.label("local", "gemini")

    assert result.exit_code == 0, result.output
    assert [row.reason for row in project.rows()] == [None, "marked_confidential"]
    assert len(gemini.requests) == 3


def test_a_missing_key_stops_before_spending_only_where_it_is_needed(
    project: Project, gemini: GeminiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.add_page(1)
    project.add_page(2)
    project.declare_public([1])
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


@pytest.mark.parametrize(("url", "named"), [("https://gateway.invalid/gemini", True), ("", False)])
def test_another_host_than_googles_is_named_before_the_first_page(
    project: Project, gemini: GeminiServer, monkeypatch: pytest.MonkeyPatch, url: str, named: bool
) -> None:
    project.add_cleared_pages(1)
    monkeypatch.setenv("WARRAQ_GEMINI_URL", url or gemini.url)
    monkeypatch.setattr("warraq.teachers.remote.gemini.GeminiProvider.send", lambda *_: "{}")

    result = project.label("gemini")

    assert ("pages go to gateway.invalid, which WARRAQ_GEMINI_URL names" in result.output) == named


@pytest.mark.parametrize(
    "url", ["http://example.com", "http://127.0.0.1@example.com", "ftp://127.0.0.1", "example.com"]
)
def test_pages_never_travel_in_the_clear(project: Project, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    project.add_cleared_pages(1)
    monkeypatch.setenv("GEMINI_API_KEY", KEY)
    monkeypatch.setenv("WARRAQ_GEMINI_URL", url)

    result = project.label("gemini")

    assert result.exit_code == 2 and "WARRAQ_GEMINI_URL" in result.output


def test_the_transport_lets_only_cleared_bytes_out(gemini: GeminiServer) -> None:
    """Whoever asks it: the second lock does not know the first."""
    image = draw_page("secret")
    data = base64.b64encode(image).decode()
    body = {"contents": [{"parts": [{"inlineData": {"mimeType": "image/png", "data": data}}]}]}
    with build_client(gemini.url, Clearance(frozenset())) as http, pytest.raises(LeakError, match="not cleared"):
        http.post(f"{gemini.url}/v1/models/m:generateContent", json=body)
    assert not gemini.requests


def test_the_transport_looks_into_every_line_of_a_file(gemini: GeminiServer) -> None:
    cleared, secret = (
        json.dumps({"request": {"data": base64.b64encode(image).decode()}})
        for image in (draw_page("a"), draw_page("b"))
    )
    clearance = Clearance(frozenset({hashlib.sha256(draw_page("a")).hexdigest()}))
    check_body(f"{cleared}\n{cleared}".encode(), clearance)
    with build_client(gemini.url, clearance) as http, pytest.raises(LeakError, match="not cleared"):
        http.post(f"{gemini.url}/upload/v1/files/x", content=f"{cleared}\n{secret}".encode())
    assert not gemini.seen


@pytest.mark.parametrize("to", ["http://127.0.0.1:1/v1", "http://localhost:{port}/v1", "https://127.0.0.1:{port}/v1"])
def test_the_transport_reaches_one_host_alone(gemini: GeminiServer, to: str) -> None:
    with build_client(gemini.url, clear_all([])) as http, pytest.raises(LeakError, match="about to go to"):
        http.post(to.format(port=gemini.server_address[1]), json={})


def test_a_redirect_is_not_followed() -> None:
    with build_client("http://127.0.0.1:9", clear_all([])) as http:
        assert http.follow_redirects is False and http.trust_env is False
        assert isinstance(http, httpx2.Client)


@pytest.mark.parametrize(
    "value",
    [
        {"image_url": {"url": "data:image/png;base64," + base64.b64encode(b"secret").decode()}},
        {"data": base64.urlsafe_b64encode(b"\xff\xfe secret").decode()},
        {"data": "%%%"},
        {"text": "x" * 60_000},
        {"fileData": {"fileUri": "files/1"}},
    ],
)
def test_an_image_in_any_form_is_looked_at(value: object) -> None:
    with pytest.raises(LeakError):
        check_body(json.dumps({"parts": [value]}).encode(), Clearance(frozenset()))


def test_what_is_denied_wins_over_what_is_cleared() -> None:
    digest = hashlib.sha256(b"image").hexdigest()
    body = json.dumps({"data": base64.b64encode(b"image").decode()}).encode()
    check_body(body, Clearance(frozenset({digest})))
    with pytest.raises(LeakError):
        check_body(body, Clearance(frozenset({digest}), {digest}))


@pytest.mark.parametrize(
    "url",
    [
        "http://8.8.8.8/v1", "http://0.0.0.0:8000/v1", "http://169.254.169.254/v1", "http://10.0.0.5:8000/v1",
        "http://127.0.0.1@8.8.8.8/v1", "https://127.0.0.1/v1", "ftp://127.0.0.1", "127.0.0.1:8000", "http://[::]:8000/v1",
    ],
)  # fmt: skip
def test_a_local_teacher_is_resolve_local_url(url: str) -> None:
    with pytest.raises(InputError, match="WARRAQ_LOCAL_URL"):
        resolve_local_url("WARRAQ_LOCAL_URL", url, private=False)


def test_a_private_network_has_to_be_allowed() -> None:
    assert resolve_local_url("V", "http://10.0.0.5:8000/v1", private=True) == (
        "http://10.0.0.5:8000/v1",
        "10.0.0.5:8000",
    )
    for url in ("http://8.8.8.8/v1", "http://169.254.169.254/v1", "http://0.0.0.0/v1"):
        with pytest.raises(InputError):
            resolve_local_url("V", url, private=True)


def test_a_name_is_resolved_once() -> None:
    """So that it cannot come to mean another machine between the proof and the request."""
    url, host = resolve_local_url("V", "http://localhost:8000/v1", private=False)
    assert url in {"http://127.0.0.1:8000/v1", "http://[::1]:8000/v1"} and host == "localhost:8000"

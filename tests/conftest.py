"""Documents made in code, and no network."""

import ipaddress
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pymupdf
import pytest
from hypothesis import HealthCheck, settings

# No example may take too long: on a busy machine any does. Each run has the same examples; `search` looks for others.
patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.register_profile("warraq", patient, derandomize=True)
settings.register_profile("search", patient, max_examples=1000)
settings.load_profile("warraq")

AES_256: int = pymupdf.PDF_ENCRYPT_AES_256  # type: ignore[attr-defined]  # defined as it is imported


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("gpu"):
        import torch

        if not torch.cuda.is_available():
            pytest.skip("there is no GPU")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take long begin first, the longest before them, so that no worker waits for one at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: (item.path.name != "test_demo.py", item.path not in slow))


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only this machine can be reached."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if isinstance(address, tuple):
            host = address[0]
            if host != "localhost" and not ipaddress.ip_address(host).is_loopback:
                raise AssertionError(f"a test connects to {host}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture(scope="session")
def documents() -> dict[str, bytes]:
    """File name to bytes: a good PDF and a scan, and files that no reader can take whole."""
    arabic = '<p dir="rtl" style="font-size:24px">وزارة المالية</p>'
    letter = pymupdf.open()
    for number in (1, 2, 3):
        page = letter.new_page(width=300, height=420)
        page.insert_htmlbox(pymupdf.Rect(30, 30, 270, 390), f"{arabic}<p>Invoice no. 100{number}</p>")
    picture = letter[0].get_pixmap(dpi=100, alpha=False)
    scan = pymupdf.open()
    page = scan.new_page(width=300, height=420)
    page.insert_image(page.rect, stream=picture.tobytes("jpeg"))
    whole = _save(letter)
    return {
        "letter.pdf": whole,
        "scan.pdf": _save(scan),
        "picture.png": picture.tobytes("png"),
        "encrypted.pdf": _save(letter, encryption=AES_256, owner_pw="owner", user_pw="user"),
        "owner.pdf": _save(letter, encryption=AES_256, owner_pw="owner", user_pw=""),
        "truncated.pdf": whole[: len(whole) // 2],
        "empty.pdf": b"",
        "text.pdf": b"Minutes of the meeting\n",
    }


@pytest.fixture
def raw(tmp_path: Path, documents: dict[str, bytes]) -> Callable[..., Path]:
    """A folder of the named documents and any others given as bytes."""

    def make(*names: str, **others: bytes) -> Path:
        folder = tmp_path / "raw"
        folder.mkdir(exist_ok=True)
        for name, data in {**{name: documents[name] for name in names}, **others}.items():
            (folder / name).write_bytes(data)
        return folder

    return make


def _save(document: pymupdf.Document, **options: object) -> bytes:
    data: bytes = document.tobytes(deflate=True, garbage=3, no_new_id=True, **options)
    return data

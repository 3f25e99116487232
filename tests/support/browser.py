"""A headless Chromium, spoken to in the DevTools protocol over a pipe: no driver, no port, nothing to install.

axe/axe.min.js beside this file is axe-core 4.12.1 as npm has it (MPL-2.0), which finds faults of accessibility; it is
part of the tests alone.
"""

import itertools
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from support.waiting import wait_until

AXE = Path(__file__).with_name("axe") / "axe.min.js"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
PROGRAM = next((path for name in NAMES if (path := shutil.which(name))), None)
OPTIONS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-extensions", "--remote-debugging-pipe",
)  # fmt: skip


class Browser:
    """One page. `events` are what it has told since it was opened: console, exceptions, requests."""

    def __init__(self, send: int, receive: int) -> None:
        self._send, self._receive = os.fdopen(send, "wb", buffering=0), os.fdopen(receive, "rb")
        self._numbers, self._session = itertools.count(1), ""
        self.events: list[dict[str, Any]] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        self._send.write(json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == number:
                assert "error" not in answer, (method, answer)
                return dict(answer["result"])
            self.events.append(answer)

    def _next(self) -> dict[str, Any]:
        parts = bytearray()
        while (byte := self._receive.read(1)) != b"\0":
            assert byte, "the browser is gone"
            parts += byte
        return dict(json.loads(parts))

    def open(self, url: str, width: int, height: int, dark: bool) -> None:
        """Open `url` at this size; a narrow one as a phone does."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1,
                  mobile=width < 600)  # fmt: skip
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.events.clear()
        self.call("Page.navigate", url=url)
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self._next())

    def run(self, script: str) -> Any:
        """The value of a JavaScript expression."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def press(self, name: str, code: int, text: str = "", modifiers: int = 0, key: str = "") -> None:
        """`name` is the code of the key; `modifiers` are 1 Alt, 2 Ctrl, 8 Shift, added up."""
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key or name, code=name, windowsVirtualKeyCode=code,
                      text=text, modifiers=modifiers)  # fmt: skip

    def type(self, text: str) -> None:
        """As an input method does: into what has the focus, in one piece."""
        self.call("Input.insertText", text=text)

    def wait(self, script: str) -> None:
        """Return as soon as a JavaScript expression is true."""
        wait_until(lambda: self.run(script))

    def mouse(self, kind: str, x: float, y: float, **parameters: Any) -> None:
        """`mousePressed`, `mouseMoved`, `mouseReleased` of the left button, or `mouseWheel`, at a place in px."""
        button = {} if kind == "mouseWheel" else {"button": "left", "buttons": int(kind != "mouseReleased")}
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, clickCount=1, **button, **parameters)

    def touch(self, kind: str, *points: tuple[float, float]) -> None:
        """`touchStart`, `touchMove` or `touchEnd` of a finger at each of these places in px."""
        fingers = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(points)]
        self.call("Input.dispatchTouchEvent", type=kind, touchPoints=fingers)

    def find_barriers(self) -> list[str]:
        """What axe-core calls serious or critical in the page as it is shown: rule and element."""
        if not self.run("'axe' in window"):
            self.run(f"{AXE.read_text(encoding='utf-8')};0")
        grave = "one => ['serious', 'critical'].includes(one.impact)"
        told = "one => one.nodes.map(node => `${one.id}: ${node.html.slice(0, 200)}`)"
        options = "{resultTypes: ['violations']}"
        found: list[str] = self.run(
            f"axe.run(document, {options}).then(all => all.violations.filter({grave}).flatMap({told}))"
        )
        return found

    def screenshot(self) -> bytes:
        """A PNG of the whole page."""
        import base64

        return base64.b64decode(self.call("Page.captureScreenshot", captureBeyondViewport=True)["data"])


@contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    assert PROGRAM is not None
    (ours_in, theirs_out), (theirs_in, ours_out) = os.pipe(), os.pipe()

    def connect() -> None:
        """The pipe's ends are file descriptors 3 and 4, by the protocol."""
        first, second = os.dup(theirs_in), os.dup(theirs_out)
        os.dup2(first, 3)
        os.dup2(second, 4)

    process = subprocess.Popen(
        [PROGRAM, *OPTIONS, f"--user-data-dir={profile}"], preexec_fn=connect, close_fds=False,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(theirs_in)
    os.close(theirs_out)
    try:
        yield Browser(ours_out, ours_in)
    finally:
        process.terminate()
        process.wait()

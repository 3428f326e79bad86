"""A real Chromium, driven over its DevTools protocol: pages are opened, keys pressed, and what went wrong is kept."""

from __future__ import annotations

import base64
import fcntl
import itertools
import json
import os
import signal
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from command_line import wait_until


class Browser:
    """A headless browser with one page; a context manager.

    errors  what pages threw or logged as an error since the browser was started
    """

    def __init__(self, profile: Path, size: tuple[int, int] = (1440, 900)) -> None:
        theirs_in, self._to = os.pipe()
        self._from, theirs_out = os.pipe()
        flags = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}", "--remote-debugging-pipe"]
        high = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10) for fd in (theirs_in, theirs_out)]
        quiet = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in (0, 1, 2)]
        theirs = [
            (os.POSIX_SPAWN_DUP2, fd, number) for fd, number in zip(high, (3, 4), strict=True)
        ]  # as Chromium wants
        self._process = os.posix_spawnp(
            "chromium", ["chromium", *flags, "about:blank"], os.environ, file_actions=[*quiet, *theirs]
        )
        for fd in (theirs_in, theirs_out, *high):
            os.close(fd)
        self._numbers, self._heard, self._session = itertools.count(1), b"", ""
        self.errors: list[str] = []
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self._call(f"{domain}.enable")
        self.resize(*size)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.kill(self._process, signal.SIGKILL)
        os.waitpid(self._process, 0)
        os.close(self._to)
        os.close(self._from)

    def open(self, page: Path) -> None:
        """Open a file and wait until it and its pictures are loaded."""
        assert "errorText" not in self._call("Page.navigate", url=page.as_uri())
        self.wait("document.readyState === 'complete' && location.protocol === 'file:'")

    def evaluate(self, script: str) -> Any:
        """Return what an expression comes to on the page, as JSON-able values."""
        told = self._call("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in told, told
        return told["result"].get("value")

    def wait(self, condition: str) -> None:
        """Wait until an expression is true on the page, which may be another one by then."""
        asked = {"expression": f"Boolean({condition})", "returnByValue": True}

        def is_true() -> bool:
            told = self._ask("Runtime.evaluate", **asked).get("result", {})  # an error: it is just leaving this page
            found: Any = told.get("result", {}).get("value")
            return found is True

        wait_until(is_true)

    def press(self, key: str, code: int) -> None:
        """Press and release a key, named and numbered as the DOM does."""
        text = {"text": key} if len(key) == 1 else {}
        for kind in ("keyDown", "keyUp"):
            self._call("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, **text)

    def move(self, x: float, y: float) -> None:
        """Move the mouse to a point of the window, CSS px."""
        self._call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def resize(self, width: int, height: int) -> None:
        """Give the window a size, CSS px."""
        self._call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def screenshot(self, path: Path, *, whole: bool = False) -> None:
        """Save what the window shows as PNG, or the whole page."""
        shot = self._call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(shot["data"]))

    def _call(self, method: str, **parameters: Any) -> Any:
        answer = self._ask(method, **parameters)
        assert "error" not in answer, (method, answer)
        return answer["result"]

    def _ask(self, method: str, **parameters: Any) -> Any:
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != number:
            self._note(answer)
        return answer

    def _next(self) -> Any:
        while b"\0" not in self._heard:
            more = os.read(self._from, 1 << 20)
            assert more, "the browser is gone"
            self._heard += more
        message, self._heard = self._heard.split(b"\0", 1)
        return json.loads(message)

    def _note(self, event: Any) -> None:
        told = event.get("params", {})
        if event.get("method") == "Runtime.exceptionThrown":
            self.errors.append(json.dumps(told["exceptionDetails"]))
        elif event.get("method") == "Log.entryAdded" and told["entry"]["level"] == "error":
            self.errors.append(json.dumps(told["entry"]))
        elif event.get("method") == "Runtime.consoleAPICalled" and told["type"] == "error":
            self.errors.append(json.dumps(told))

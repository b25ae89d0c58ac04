"""A headless Chromium that loads one page and tells what happened: errors, requests, pixels.

It is driven through the DevTools protocol over a pipe, so neither a driver nor a websocket library is needed.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any, Self

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)

_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--enable-unsafe-swiftshader",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--hide-scrollbars",
)


class Browser:
    """One page in one browser.

    Attributes
    ----------
    errors
        Console errors and uncaught exceptions, as text.
    requests
        URLs that the page asked for, itself not counted.
    """

    def __init__(self, profile: Path, width: int = 1400, height: int = 1000, flags: tuple[str, ...] = ()) -> None:
        assert CHROMIUM is not None, "no Chromium here"
        self.errors: list[str] = []
        self.requests: list[str] = []
        self._number = 0
        self._buffer = b""
        self._answers: dict[int, dict[str, Any]] = {}
        to_read, self._write = os.pipe()
        self._read, to_write = os.pipe()
        command = [CHROMIUM, *_FLAGS, *flags, f"--user-data-dir={profile}", f"--window-size={width},{height}"]
        # Chromium speaks on file descriptors 3 and 4; the shell puts the pipes there.
        script = f'exec "$@" 3<&{to_read} 4>&{to_write}'
        self._process = subprocess.Popen(
            ["bash", "-c", script, "bash", *command, "--remote-debugging-pipe", "about:blank"],
            pass_fds=(to_read, to_write),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_read)
        os.close(to_write)
        self._session: str | None = None
        targets = self.call("Target.getTargets")["targetInfos"]
        target = next(t["targetId"] for t in targets if t["type"] == "page")
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Runtime", "Log", "Network", "Page"):
            self.call(f"{domain}.enable")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(Exception):
            self._session = None
            self.call("Browser.close", timeout=5)
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._write)
        os.close(self._read)

    def call(self, method: str, *, timeout: float = 300, **params: Any) -> dict[str, Any]:
        """Send one command and wait for its answer."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + timeout
        while self._number not in self._answers:
            self._listen(end - time.monotonic())
        answer = self._answers.pop(self._number)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        return answer["result"]

    def load(self, page: Path, settle: float = 1.0, fragment: str = "") -> None:
        """Open a file, wait until its script says it has drawn, and let it settle."""
        self.call("Page.navigate", url=page.resolve().as_uri() + (f"#{fragment}" if fragment else ""))
        end = time.monotonic() + 120
        drawn = "document.documentElement?.dataset.drawn || ''"
        own = json.dumps(page.resolve().as_uri())
        while self.run(f"location.href.startsWith({own}) && document.readyState + ({drawn})") != "completeyes":
            if self.errors:
                break
            assert time.monotonic() < end, f"{page} has not drawn after two minutes"
            time.sleep(0.1)
        time.sleep(settle)
        self.run("1")  # whatever was said meanwhile is read now
        own = page.resolve().as_uri()
        self.requests = [url for url in self.requests if url != own and not url.startswith("data:")]

    def run(self, script: str) -> Any:
        """Value of a JavaScript expression in the page."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(str(answer["exceptionDetails"]))
        return answer["result"].get("value")

    def screenshot(self, selector: str | None = None) -> bytes:
        """PNG of the whole page, or of one element."""
        options: dict[str, Any] = {"format": "png", "captureBeyondViewport": True}
        if selector:
            box = self.run(
                f"(() => {{ const b = document.querySelector({json.dumps(selector)}).getBoundingClientRect();"
                "return {x: b.x + scrollX, y: b.y + scrollY, width: b.width, height: b.height}; })()"
            )
            options["clip"] = {**box, "scale": 1}
        else:
            size = self.call("Page.getLayoutMetrics")["cssContentSize"]
            options["clip"] = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        return base64.b64decode(self.call("Page.captureScreenshot", **options)["data"])

    def _listen(self, timeout: float) -> None:
        ready, _, _ = select.select([self._read], [], [], max(timeout, 0))
        if not ready:
            raise TimeoutError("Chromium does not answer")
        data = os.read(self._read, 1 << 20)
        if not data:
            raise RuntimeError("Chromium ended")
        *messages, self._buffer = (self._buffer + data).split(b"\0")
        for message in messages:
            self._take(json.loads(message))

    def _take(self, message: dict[str, Any]) -> None:
        if "id" in message:
            self._answers[message["id"]] = message
            return
        params, method = message.get("params", {}), message.get("method")
        if method == "Runtime.consoleAPICalled" and params["type"] in ("error", "assert"):
            self.errors.append(" ".join(str(a.get("value", a.get("description"))) for a in params["args"]))
        elif method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.errors.append(details.get("exception", {}).get("description", details["text"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.errors.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")
        elif method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])

"""Debian's Chromium without a screen, driven over WebDriver (W3C) by its own chromedriver.

Plain JSON over HTTP: a library for it would bring a second event loop into every test process.
"""

import base64
import json
import shutil
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from harness.ports import free_port
from harness.wait import wait_until

_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
"""The name of an element's id (WebDriver, 12.1)."""


def installed() -> bool:
    """Tell whether both are there."""
    return shutil.which("chromium") is not None and shutil.which("chromedriver") is not None


class Browser:
    """One window."""

    def __init__(
        self, directory: Path, *, width: int = 1280, height: int = 900, dark: bool = False
    ) -> None:
        self._port = free_port()
        self._driver = subprocess.Popen(
            ["chromedriver", f"--port={self._port}", "--log-level=OFF"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        arguments = [
            "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run",
            "--disable-dev-shm-usage", "--force-prefers-reduced-motion", "--disable-component-update",
            f"--user-data-dir={directory / 'profile'}", f"--window-size={width},{height}",
            *(["--force-dark-mode"] if dark else []),
        ]  # fmt: skip
        wants = {
            "browserName": "chrome",
            "goog:chromeOptions": {"binary": "/usr/bin/chromium", "args": arguments},
            "goog:loggingPrefs": {"browser": "ALL"},
        }
        wait_until("chromedriver", lambda: self._call("GET", "/status")["ready"], timeout=30)
        made = self._call("POST", "/session", {"capabilities": {"alwaysMatch": wants}})
        self._session = f"/session/{made['sessionId']}"

    def open(self, url: str) -> None:
        """Go to a page and wait until it is loaded."""
        self._call("POST", f"{self._session}/url", {"url": url})

    def run(self, script: str, *arguments: object) -> Any:
        """Run JavaScript; return what it returns."""
        said = {"script": script, "args": list(arguments)}
        return self._call("POST", f"{self._session}/execute/sync", said)

    def text(self, selector: str = "body") -> str:
        """Return the text of an element as it is shown; empty where there is none."""
        return str(
            self.run("return document.querySelector(arguments[0])?.innerText ?? ''", selector)
        )

    def wait_for_text(self, text: str, selector: str = "body", timeout: float = 60.0) -> None:
        """Wait until an element shows a text."""
        wait_until(f"{text!r} on the page", lambda: text in self.text(selector), timeout=timeout)

    def click(self, selector: str) -> None:
        """Click an element."""
        self._call("POST", f"{self._session}/element/{self._find(selector)}/click", {})

    def type(self, selector: str, text: str) -> None:
        """Type into an element."""
        self._call("POST", f"{self._session}/element/{self._find(selector)}/value", {"text": text})

    def press(self, key: str, times: int = 1) -> None:
        """Press one key so many times, wherever the focus is."""
        keys = [{"type": kind, "value": key} for kind in ("keyDown", "keyUp")] * times
        actions = [{"type": "key", "id": "keyboard", "actions": keys}]
        self._call("POST", f"{self._session}/actions", {"actions": actions})

    def resize(self, width: int, height: int) -> None:
        """Make the page as large as this, also narrower than a window can be."""
        self.command("Emulation.setDeviceMetricsOverride",
                     width=width, height=height, deviceScaleFactor=1, mobile=width < 600)  # fmt: skip

    def prefer(self, scheme: str) -> None:
        """Prefer a colour scheme, `light` or `dark`."""
        self.command(
            "Emulation.setEmulatedMedia",
            features=[{"name": "prefers-color-scheme", "value": scheme}],
        )

    def command(self, name: str, **parameters: object) -> Any:
        """Send a command of Chromium's own protocol."""
        said = {"cmd": name, "params": parameters}
        return self._call("POST", f"{self._session}/goog/cdp/execute", said)

    def screenshot(self, path: Path) -> None:
        """Save what is seen."""
        path.write_bytes(base64.b64decode(self._call("GET", f"{self._session}/screenshot")))

    def complaints(self) -> list[str]:
        """Return what the browser complained of since the last call: errors of scripts, refused files."""
        found = self._call("POST", f"{self._session}/se/log", {"type": "browser"})
        return [each["message"] for each in found if each["level"] in ("SEVERE", "WARNING")]

    def close(self) -> None:
        """End both."""
        try:
            self._call("DELETE", self._session)
        finally:
            self._driver.terminate()
            self._driver.wait(10)

    def _find(self, selector: str) -> str:
        found = self._call(
            "POST", f"{self._session}/element", {"using": "css selector", "value": selector}
        )
        return str(found[_ELEMENT])

    def _call(self, method: str, path: str, body: object = None) -> Any:
        data = json.dumps(body).encode() if body is not None else None
        url = f"http://127.0.0.1:{self._port}{path}"
        request = urllib.request.Request(
            url, data, {"Content-Type": "application/json"}, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=90) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            with error:
                raise RuntimeError(f"{method} {path}: {error.read().decode()[:500]}") from error

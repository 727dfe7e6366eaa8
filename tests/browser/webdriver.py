"""A headless Chromium, driven over the W3C WebDriver protocol that chromedriver speaks: JSON over HTTP, so no package.

Source: W3C, WebDriver, Recommendation 2018, https://www.w3.org/TR/webdriver1/.
"""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from tests.servers.mlflow_server import free_port

HANGS = 120.0
PATIENCE = 120.0  # seconds for a page to show something, however busy the machine
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the protocol's name for a reference to an element

# Nothing but the page under test: no sandbox (root has none), no updates, no sync, no first-run pages.
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--window-size=1600,1000",
)

Found = TypeVar("Found")


def programs() -> tuple[str, str] | None:
    """Return the paths of Chromium and of chromedriver, None without either."""
    found = shutil.which("chromium"), shutil.which("chromedriver")
    return (found[0], found[1]) if found[0] and found[1] else None


class WebDriverError(AssertionError):
    """The browser could not do it."""


@dataclass(frozen=True)
class Element:
    """Something on the page."""

    browser: Browser
    id: str

    @property
    def text(self) -> str:
        """What it reads as."""
        return str(self.browser.call("GET", f"/element/{self.id}/text"))

    def property(self, name: str) -> str:
        """Return a property, as the whole address of a link."""
        return str(self.browser.call("GET", f"/element/{self.id}/property/{name}"))

    def click(self) -> None:
        """Click in its middle."""
        self.browser.call("POST", f"/element/{self.id}/click", {})


@dataclass(frozen=True)
class Browser:
    """A session of a browser. session: its URL."""

    session: str

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Do a command of the protocol; WebDriverError if the browser cannot."""
        return _request(method, f"{self.session}{path}", body)

    def open(self, url: str) -> None:
        """Go to a page, loading it anew also where only what follows the # differs."""
        for each in ("about:blank", url):
            self.call("POST", "/url", {"url": each})

    @property
    def url(self) -> str:
        """Where it is."""
        return str(self.call("GET", "/url"))

    def all(self, css: str) -> list[Element]:
        """Return the elements that a CSS selector finds now."""
        found = self.call("POST", "/elements", {"using": "css selector", "value": css})
        return [Element(self, each[ELEMENT]) for each in found]

    def with_text(self, css: str, text: str) -> Element | None:
        """Return the first element of a CSS selector that reads as the text, None without one."""
        return next((each for each in self.all(css) if each.text.strip() == text), None)

    def run(self, script: str, *arguments: Any) -> Any:
        """Run JavaScript in the page and return what it returns."""
        return self.call("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def until(self, what: str, look: Callable[[], Found | None], holds: Callable[[Found], object] = bool) -> Found:
        """Look again and again until what is found holds, and return it. what: for the error."""
        end, error = time.monotonic() + PATIENCE, ""
        while time.monotonic() < end:
            try:
                found = look()
                if found is not None and holds(found):
                    return found
            except WebDriverError as failed:  # as when the page draws an element anew between two calls
                error = f" ({failed})"
            time.sleep(0.1)
        raise WebDriverError(f"the page never showed {what}{error}: {self.url}\n{self.text()[:3000]}")

    def text(self) -> str:
        """Return all that the page reads as."""
        return str(self.run("return document.body.innerText"))

    def picture(self, path: Path) -> None:
        """Write what is to be seen as PNG."""
        path.write_bytes(base64.b64decode(self.call("GET", "/screenshot")))


def _request(method: str, url: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = Request(url, data, {"Content-Type": "application/json"}, method=method)
    try:
        with urlopen(request, timeout=HANGS) as response:
            return json.load(response)["value"]
    except HTTPError as error:
        value = json.load(error)["value"]
        raise WebDriverError(f"{value['error']}: {value['message'].splitlines()[0]}") from None


@contextmanager
def running_browser(chromium: str, chromedriver: str, profile: Path) -> Iterator[Browser]:
    """Keep a browser with an empty profile open for a while."""
    port = free_port()
    driver = subprocess.Popen(
        [chromedriver, f"--port={port}"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _wait(f"http://127.0.0.1:{port}/status", driver)
        options = {"binary": chromium, "args": [*FLAGS, f"--user-data-dir={profile}"]}
        wanted = {"capabilities": {"alwaysMatch": {"browserName": "chrome", "goog:chromeOptions": options}}}
        session = _request("POST", f"http://127.0.0.1:{port}/session", wanted)["sessionId"]
        browser = Browser(f"http://127.0.0.1:{port}/session/{session}")
        try:
            yield browser
        finally:
            browser.call("DELETE", "")
    finally:
        driver.terminate()
        driver.wait(HANGS)


def _wait(url: str, driver: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + HANGS
    while True:
        try:
            if _request("GET", url)["ready"]:
                return
        except (URLError, OSError):
            if driver.poll() is not None or time.monotonic() > end:
                raise WebDriverError("chromedriver did not start") from None
        time.sleep(0.05)

"""Opens pages in headless Chromium and tells what they did: dialogs, requests, console messages. Used by the tests."""

import base64
import json
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
HOSTILE_HOST = "hostile.example"
"""Every address in the hostile texts has this host."""

_QUIET = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--hide-scrollbars",
    "--enable-logging=stderr",
    "--proxy-bypass-list=<-loopback>",
]


LAYOUTS = ((1200, "screen"), (390, "screen"), (725, "print"))
"""Widths and media of a screen, of a phone, and of US Letter without its margins."""


@dataclass(frozen=True)
class Visit:
    dom: str
    console: list[str]
    requests: list[str]


def visit(page: Path, folder: Path, *, dark: bool = False, width: int = 1000) -> Visit:
    """Opens a page, lets its timers run, and takes a screenshot."""
    name = f"{page.stem}-{width}-{'dark' if dark else 'light'}.png"
    with socket.create_server(("127.0.0.1", 0)) as server:
        seen: list[str] = []
        threading.Thread(target=_record, args=(server, seen), daemon=True).start()
        shown = subprocess.run(
            [
                CHROMIUM,
                *_QUIET,
                "--virtual-time-budget=2000",
                f"--proxy-server=http://127.0.0.1:{server.getsockname()[1]}",
                f"--user-data-dir={folder / 'profile'}",
                f"--blink-settings=preferredColorScheme={0 if dark else 1}",
                f"--window-size={width},1600",
                f"--screenshot={folder / name}",
                "--dump-dom",
                page.as_uri(),
            ],
            capture_output=True,
            text=True,
            timeout=600,
            check=True,
            env={**os.environ, "HOME": str(folder)},
        )
    console = [line for line in shown.stderr.splitlines() if "CONSOLE" in line]
    return Visit(shown.stdout, console, [line for line in seen if HOSTILE_HOST in line])


def text_of(page: Path, folder: Path, tries: int = 2) -> str:
    """Opens a page of which only the text counts that its script leaves in the only `<pre>`.

    A browser that does not come up in half a minute, as happens on a machine under load, is started once more.
    """
    command = [CHROMIUM, *_QUIET, f"--user-data-dir={folder / 'profile'}", "--dump-dom", page.as_uri()]
    environment = {**os.environ, "HOME": str(folder)}
    try:
        shown = subprocess.run(command, capture_output=True, text=True, timeout=600, check=True, env=environment)
    except subprocess.TimeoutExpired:
        if tries == 1:
            raise
        return text_of(page, folder, tries - 1)
    return shown.stdout.partition("<pre>")[2].partition("</pre>")[0]


def _record(server: socket.socket, seen: list[str]) -> None:
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        with connection:
            connection.settimeout(2)
            try:
                seen.append(connection.recv(4096).decode(errors="replace").splitlines()[0])
            except (OSError, IndexError):
                continue


@dataclass
class Tab:
    """One page of a browser that stays open, spoken to by the DevTools protocol over two pipes."""

    to_browser: BinaryIO
    from_browser: BinaryIO
    session: str = ""
    count: int = 0

    def ask(self, method: str, **parameters: object) -> dict:
        """Sends a command and gives its result; events that come in between are passed over."""
        self.count += 1
        told = {"id": self.count, "method": method, "params": parameters}
        self.to_browser.write(json.dumps(told | ({"sessionId": self.session} if self.session else {})).encode() + b"\0")
        self.to_browser.flush()
        while (answer := self._answer()).get("id") != self.count:
            pass
        assert "error" not in answer, answer
        return answer["result"]

    def _answer(self) -> dict:
        read = bytearray()
        while (byte := self.from_browser.read(1)) != b"\0":
            assert byte, "the browser has ended"
            read += byte
        return json.loads(read)

    def open(self, page: Path) -> None:
        """Opens a page."""
        self.ask("Page.navigate", url=page.as_uri())
        while self.value("document.readyState") != "complete" or page.as_uri() != self.value("location.href"):
            time.sleep(0.05)

    def value(self, expression: str) -> object:
        """Gives the value of a JavaScript expression, whatever the page's policy says of scripts."""
        return self.ask("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def lay_out(self, width: int, *, media: str = "screen", dark: bool = False) -> list[str]:
        """Lays the page out, and names what lies beyond its right edge or is cut off by what holds it."""
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.ask("Emulation.setEmulatedMedia", media=media, features=scheme)
        size = {"width": width, "height": 1000, "deviceScaleFactor": 1}
        self.ask("Emulation.setDeviceMetricsOverride", **size, mobile=False)
        return self.value(_OUTSIDE)

    def cut_off(self) -> list[str]:
        """Names what `lay_out` finds on a screen, on a phone and on paper."""
        return [found for width, media in LAYOUTS for found in self.lay_out(width, media=media)]

    def picture(self, path: Path, height: int | None = None) -> None:
        """Saves a picture of the page, or of its first `height` pixels."""
        size = self.ask("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": height or size["height"], "scale": 1}
        shot = self.ask("Page.captureScreenshot", clip=clip, captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))

    def pdf(self) -> bytes:
        """Prints the page on US Letter."""
        return base64.b64decode(self.ask("Page.printToPDF", preferCSSPageSize=True, printBackground=True)["data"])


_OUTSIDE = """
(() => {
  const edge = document.documentElement.clientWidth, found = [];
  if (document.documentElement.scrollWidth > edge) found.push("the page scrolls sideways");
  for (const each of document.body.querySelectorAll("*")) {
    const box = each.getBoundingClientRect(), style = getComputedStyle(each);
    const isCut = style.overflowX !== "visible" && each.scrollWidth > each.clientWidth + 1;
    if (box.width && !each.closest("svg *") && (box.right > edge + 1 || box.left < -1 || isCut))
      found.push(`${each.tagName}.${each.className} ${Math.round(box.left)}-${Math.round(box.right)} of ${edge}: ` +
        each.textContent.trim().slice(0, 60));
  }
  return found.slice(0, 20);
})()
"""


@contextmanager
def open_tab(folder: Path) -> Iterator[Tab]:
    """Starts a browser for many pages and sizes."""
    (its_in, our_out), (our_in, its_out) = os.pipe(), os.pipe()

    # The protocol's pipes are 3 and 4.
    shell = ["bash", "-c", f'exec "$@" 3<&{its_in} 4>&{its_out}', "bash", CHROMIUM]
    with subprocess.Popen(
        [*shell, *_QUIET, "--remote-debugging-pipe", f"--user-data-dir={folder / 'profile'}"],
        pass_fds=(its_in, its_out),
        stderr=subprocess.DEVNULL,
        env={**os.environ, "HOME": str(folder)},
    ) as browser:
        os.close(its_in)
        os.close(its_out)
        try:
            tab = Tab(os.fdopen(our_out, "wb"), os.fdopen(our_in, "rb"))
            target = tab.ask("Target.createTarget", url="about:blank")["targetId"]
            tab.session = tab.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            tab.ask("Page.enable")
            yield tab
        finally:
            browser.kill()

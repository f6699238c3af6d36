"""Opens pages in headless Chromium and tells what they did: dialogs, requests, console messages. Used by the tests."""

import os
import shutil
import socket
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path

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

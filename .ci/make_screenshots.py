"""Makes the pictures of the README and the documentation: the terminal after a run on the sample, and its report.

`python .ci/make_screenshots.py` needs Java, Chromium and two minutes. Nothing is drawn by hand: the command runs in
a terminal of its own, and both pictures are screenshots of what it wrote.
"""

import os
import pty
import re
import shlex
import shutil
import sys
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import DIMMED_MONOKAI
from rich.text import Text

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.support.browser import Tab, open_tab  # noqa: E402 - found by the line above

PLACE = ROOT / "build/screenshots"
PICTURES = ROOT / "tests/data"
COMMAND = (
    "metaclip-spark curate --archives 'crawl/*.warc.gz' --metadata metadata.txt.gz --output runs/first "
    "--threshold-t 20 --identify-language"
)
COLUMNS = 100
MOST_BYTES = 200 * 1024
_PIECE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r|\n|[^\x1b\r\n]+")
_PAGE = """<!doctype html><meta charset="utf-8"><style>
body {{ margin:0; background:#12151b; color:#e6e9ef }} pre {{ margin:0; padding:18px 20px; font:12px/1.45 monospace }}
</style><pre>{}</pre>"""
_END_OF_CHARTS = "document.querySelector('#balance figure:nth-child(2)').getBoundingClientRect().bottom + 14"


def main() -> None:
    """Runs the command, and makes both pictures."""
    shutil.rmtree(PLACE, ignore_errors=True)
    PLACE.mkdir(parents=True)
    (PLACE / "crawl").symlink_to(ROOT / "tests/data/sample")
    (PLACE / "metadata.txt.gz").symlink_to(ROOT / "tests/data/wordnet_lemmas.txt.gz")
    os.chdir(PLACE)
    shown = run_in_terminal(COMMAND).replace(str(PLACE), "~")
    (report,) = PLACE.glob("runs/first/report/*/report.html")
    terminal = PLACE / "terminal.html"
    terminal.write_text(_PAGE.format(as_html(f"$ {COMMAND}\n{shown}")), encoding="utf-8")
    with open_tab(PLACE) as tab:
        take(tab, terminal, "terminal.png", 780, "document.body.scrollHeight")
        take(tab, report, "report.png", 1100, f"document.querySelector('#funnel').remove(), {_END_OF_CHARTS}")


def run_in_terminal(command: str) -> str:
    """Gives what is left on a terminal once a command has ended, with the codes of its colours."""
    os.environ |= {"PYTHONPATH": str(ROOT), "TERM": "xterm-256color", "COLUMNS": str(COLUMNS), "LINES": "200"}
    read = bytearray()

    def keep(descriptor: int) -> bytes:
        content = os.read(descriptor, 1 << 16)
        read.extend(content)
        return content

    status = pty.spawn([sys.executable, "-m", "metaclip_spark", *shlex.split(command)[1:]], keep)
    if status:
        sys.exit(f"{command} ended with status {status}")
    return on_screen(read.decode())


def on_screen(output: str) -> str:
    """Follows what progress bars do to the lines above them: up, and erased."""
    lines, row = [""], 0
    for piece in _PIECE.findall(output):
        if piece == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif piece.endswith("A") and piece[0] == "\x1b":
            row -= int(piece[2:-1] or 1)
        elif piece.endswith("K") and piece[0] == "\x1b":
            lines[row] = ""
        elif piece[0] != "\x1b" or piece.endswith("m"):
            lines[row] += piece.replace("\r", "")
    return "\n".join(lines).rstrip()


def as_html(shown: str) -> str:
    """Writes coloured text as HTML."""
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        console = Console(record=True, width=COLUMNS, file=nowhere, force_terminal=True, color_system="truecolor")
        console.print(Text.from_ansi(shown))
    return console.export_html(inline_styles=True, code_format="{code}", theme=DIMMED_MONOKAI)


def take(tab: Tab, page: Path, name: str, width: int, height: str) -> None:
    """Saves the upper part of a page, whose height a JavaScript expression gives; it must not be too large."""
    tab.open(page)
    tab.lay_out(width)
    picture = PICTURES / name
    tab.picture(picture, round(float(str(tab.value(height)))))
    size = picture.stat().st_size
    sys.stdout.write(f"{name}: {size:,} bytes\n")
    if size > MOST_BYTES:
        sys.exit(f"{picture} is larger than {MOST_BYTES:,} bytes")


if __name__ == "__main__":
    main()

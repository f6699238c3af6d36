"""What mkdocs calls while it builds the site: fills in generated text, and adds files that live outside docs/."""

import re
import sys
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.plugins import event_priority
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / ".ci")]

import docs_pages  # noqa: E402 - found by the line above

ADDED = {
    "assets/report.png": ROOT / "tests/data/report.png",
    "assets/terminal.png": ROOT / "tests/data/terminal.png",
    "assets/benchmarks.svg": ROOT / "tests/benchmarks/benchmarks.svg",
}
"""Place in the site -> file of the repository."""

_FROM_ELSEWHERE = re.compile(r"""<(?:link|script|img|iframe|source)\b[^>]*\b(?:src|href)=["']?(?:https?:)?//[^>]*>""")


@event_priority(100)  # before mkdocs-jupyter looks for notebooks
def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the notebooks and the pictures."""
    for notebook in sorted((ROOT / "notebooks").glob("*.ipynb")):
        # Not as a generated file, of which mkdocs-jupyter knows nothing.
        place = notebook.relative_to(ROOT).as_posix()
        files.append(File(place, str(ROOT), config.site_dir, config.use_directory_urls))
    for place, path in ADDED.items():
        files.append(File.generated(config, place, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Fills in what a page asks for by a line `<!-- generated: NAME -->`."""
    return docs_pages.fill_in(markdown)


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Refuses a page that a browser would fill with fonts, scripts or images from elsewhere."""
    found = _FROM_ELSEWHERE.search(output)
    if found:
        raise PluginError(f"{page.file.src_uri} loads something from elsewhere: {found[0][:200]}")
    return output

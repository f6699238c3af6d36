"""No pattern that sees foreign bytes takes longer than in proportion to them, whatever is repeated in them."""

import importlib
import itertools
import pkgutil
import re
import time
from pathlib import Path

import pytest

import udfs

FEW_BYTES, BYTES = 1 << 11, 1 << 16
MOST_SECONDS = 2.0
"""A quadratic pattern takes ten times as long, a linear one a hundredth, on a busy machine, too."""

SUSPICIOUS_SECONDS = 0.001
"""A linear pattern takes a tenth of it for few bytes, a quadratic one ten times as long: only that is tried on many."""

STARTS = ["", "\n", "http:", "charset", "<meta ", "content-type:", "HTTP/1.1 200", "<", "{{"]
REPEATED = [
    " ", "\t", "\n", "\r\n", "\0", "a", "0", "/", "<", "-", "=", "'", '"', ":", ";", "_A", "{", "[", "&", "\x80",
    "a/", "../", "a:", "a=", "a ", "0 ", "\r\n ", "\n:", "x:y\r\n", "<!--", "-->", "<a ", "<?xml ", "<meta ",
    "charset=", "http:", "000000000000 ", "WARC/1.0\n", "content-type:", "<page>", "[[a", "{{a|", "<!doctype ",
]  # fmt: skip
ENDS = ["", "\n", "!\0"]
METHODS = {"match", "fullmatch", "search", "findall", "finditer", "sub"}


def patterns() -> dict[str, tuple[re.Pattern, str]]:
    """Every compiled pattern of the package with each way in which its module uses it."""
    found = {}
    for module_info in pkgutil.walk_packages(udfs.__path__, "udfs."):
        if module_info.name in {"udfs.pages.isolated_worker", "udfs.probe"}:
            continue
        module = importlib.import_module(module_info.name)
        source = Path(module.__file__).read_text(encoding="utf-8")
        for name, value in vars(module).items():
            pattern = getattr(value, "pattern", None) if not isinstance(value, re.Pattern) else value
            if not isinstance(pattern, re.Pattern):
                continue
            methods = set(re.findall(rf"\b{name}\.(\w+)\(", source)) & METHODS
            # By other names the starts of records are matched, and landmarks are searched.
            for method in sorted(methods) or ["match" if pattern is value else "search"]:
                found[f"{module_info.name.removeprefix('udfs.')}.{name}.{method}"] = (pattern, method)
    return found


PATTERNS = patterns()


def use(pattern: re.Pattern, method: str, text: str) -> None:
    content = text.encode("latin-1") if isinstance(pattern.pattern, bytes) else text
    if method == "finditer":
        for _ in pattern.finditer(content):
            pass
    elif method == "sub":
        pattern.sub(content[:0], content)
    else:
        getattr(pattern, method)(content)


def test_all_patterns_are_found() -> None:
    assert len(PATTERNS) > 40
    assert "archives.members._PLAIN_ARC.search" in PATTERNS


def seconds(name: str, start: str, repeated: str, end: str, size: int) -> float:
    text = (start + repeated * (size // len(repeated)))[: size - len(end)] + end
    begun = time.process_time()
    use(*PATTERNS[name], text)
    return time.process_time() - begun


@pytest.mark.parametrize("name", PATTERNS)
def test_time_grows_with_the_length(name: str) -> None:
    for part in itertools.product(STARTS, REPEATED, ENDS):
        if seconds(name, *part, FEW_BYTES) > SUSPICIOUS_SECONDS:
            assert seconds(name, *part, BYTES) < MOST_SECONDS, part

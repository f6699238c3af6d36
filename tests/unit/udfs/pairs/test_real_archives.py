"""Real WARCs, and the WATs that Common Crawl's generator made of them, against counts of an independent extraction.

EXPECTED.json in words of ours: `imgs` = images that have a `src`; `no_alt` = those of them without an alt, or with an
empty one; `pairs` = rows of source alt; `sha1_strip` = SHA-1 over the sorted distinct [url, text] of those rows.
"""

import hashlib
import json
import os
from pathlib import Path

import pytest

from tests.support.archive_files import extract_path

DATA = os.environ.get("METACLIP_TEST_DATA")
NAMES = ["debian-docs.warc.gz", "gimp-en.warc.gz", "debian-docs.warc.wat.gz", "gimp-en.warc.wat.gz"]

pytestmark = pytest.mark.skipif(DATA is None, reason="METACLIP_TEST_DATA is not set")


@pytest.mark.parametrize("name", NAMES)
def test_real_archives_give_what_an_independent_extraction_gave(name: str) -> None:
    folder = Path(str(DATA)) / "archives"
    expected = json.loads((folder / "EXPECTED.json").read_text(encoding="utf-8"))[name]
    outcome = extract_path(folder / name)
    pairs = [(pair["image_url"], pair["alt_text"]) for pair in outcome.pairs if pair["source"] == "alt"]
    lines = sorted(
        json.dumps(pair, ensure_ascii=False, separators=(",", ":")).encode() for pair in {(u, t) for u, t in pairs}
    )
    without_source = outcome.rejected["image.no_url"]
    without_alt = outcome.rejected["image.no_text"] + outcome.rejected["text.empty"]
    assert {
        "pages": outcome.archive["pages"],
        "imgs": outcome.archive["images"] - without_source,
        "no_alt": without_alt,
        "pairs": len(pairs),
        "distinct_pairs": len(lines),
        "sha1_strip": hashlib.sha1(b"\n".join(lines)).hexdigest(),
    } == {key: expected[key] for key in ("pages", "imgs", "no_alt", "pairs", "distinct_pairs", "sha1_strip")}
    assert outcome.status == "ok"
    bad = [
        reason for reason in outcome.rejected if reason.startswith(("record.", "archive.")) and "skipped" not in reason
    ]
    assert bad == []

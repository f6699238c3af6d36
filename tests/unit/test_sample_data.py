"""The committed sample is what its script makes, and both oracles (WARC and WAT) find the same in it."""

import gzip
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from warcio.archiveiterator import ArchiveIterator

from tests.support import oracle
from tests.support.paths import DATA

SAMPLE = DATA / "sample"
WARCS = sorted(SAMPLE.glob("*.warc.gz"))
WATS = sorted(SAMPLE.glob("*.wat.gz"))


def _records(path: Path) -> list[tuple[str, bytes]]:
    """Reads an archive without what depends on the compressor: where a record starts and how long it is."""
    records = []
    with path.open("rb") as stream:
        for record in ArchiveIterator(stream, no_record_parse=True):
            block = record.raw_stream.read()
            if record.content_type == "application/json":
                block = json.dumps(json.loads(block)["Envelope"]).encode()
            records.append((record.rec_type, block))
    return records


def test_the_committed_sample_is_what_its_script_makes(tmp_path: Path) -> None:
    subprocess.run([sys.executable, str(DATA / "make_sample.py"), str(tmp_path)], check=True)

    names = sorted(path.name for path in SAMPLE.iterdir())
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    assert (tmp_path / "PAGES.json").read_bytes() == (SAMPLE / "PAGES.json").read_bytes()
    for path in (*WARCS, *WATS):
        assert _records(tmp_path / path.name) == _records(path), path.name


def test_warc_and_wat_hold_the_same_texts() -> None:
    from_warc, from_wat = (
        Counter(
            (row["page_url"], row["image_url"], row["alt_text"], row["source"])
            for row in oracle.oracle_pairs(paths)
            if row["source"] in oracle.WAT_SOURCES
        )
        for paths in (WARCS, WATS)
    )

    assert from_warc == from_wat
    assert len(WARCS) == len(WATS) >= 4


def test_the_sample_is_large_and_varied_enough() -> None:
    rows = oracle.oracle_pairs(WARCS)
    distinct = oracle.pool(rows)
    languages = Counter(page["language"] for page in json.loads((SAMPLE / "PAGES.json").read_text()).values())

    assert 6_000 <= len(rows) <= 10_000
    assert len(distinct) < len(rows)
    assert {row["source"] for row in distinct} == set(oracle.SOURCES)
    assert 0.5 < languages["en"] / languages.total() < 0.7


def test_the_metadata_list_has_the_published_number_of_entries() -> None:
    entries = oracle.read_entries(DATA / "wordnet_lemmas.txt.gz")

    assert len(entries) == len(set(entries)) == 86_654
    assert entries[:3] == ["0", "1", "2"]
    assert entries[100] == "entity"
    assert all(entry.strip() for entry in entries)


@pytest.mark.skipif(not Path("/usr/share/wordnet/data.noun").exists(), reason="needs Debian's package wordnet-base")
def test_the_metadata_list_is_what_its_script_makes(tmp_path: Path) -> None:
    output = tmp_path / "list.gz"
    subprocess.run([sys.executable, str(DATA / "make_wordnet_list.py"), "--output", str(output)], check=True)

    assert gzip.decompress(output.read_bytes()) == gzip.decompress((DATA / "wordnet_lemmas.txt.gz").read_bytes())


def test_a_threshold_of_twenty_cuts_head_entries_and_leaves_a_tail() -> None:
    entries = oracle.read_entries(DATA / "wordnet_lemmas.txt.gz")
    matched = oracle.match(oracle.pool(oracle.oracle_pairs(WARCS)), entries)
    counts = oracle.count(matched, entries)
    kept = oracle.keep(matched, counts, 20, seed=0)

    assert sum(count > 20 for count in counts) > 50
    assert 0.05 < oracle.tail_share(counts, 20) < 0.5
    assert 0.3 < len(kept) / len(matched) < 0.9
    assert abs(len(kept) - oracle.expected_size(matched, counts, 20)) < 150


@pytest.mark.parametrize(
    ("seed", "pair_id", "draw"),
    [
        (0, "1dd62dcbd227f59fd29d1db590211c15", 0.2188273979795643),
        (3, "51e22e4c18be2f1e25738a09b810768b", 0.3201229339337036),
    ],
)
def test_the_oracle_draws_the_published_vectors(seed: int, pair_id: str, draw: float) -> None:
    assert oracle.pair_draw(pair_id, seed) == draw
    assert oracle.splitmix64(0) == 0xE220A8397B1DCDAF


def test_the_oracle_keeps_as_worked_out_by_hand() -> None:
    counts = [8, 4, 0, 1]

    # min(1, 2 / 8) and min(1, 2 / 4) refuse together with 3/4 * 1/2.
    assert oracle.keep_probability([0, 1], counts, 2) == 1 - 0.75 * 0.5
    assert oracle.keep_probability([2], counts, 2) == 1
    assert [oracle.tail_share(counts, t) * 13 for t in (1, 2, 5, 9)] == [0, 1, 5, 13]
    assert oracle.tail_share_threshold(counts, "0.06") == 2
    assert oracle.tail_share_threshold(counts, "0.01") == 1


def test_the_oracle_matches_as_the_method_says() -> None:
    entries = ["dog", "A", "new york", "york", "3", "!", "U.S.", "AT&T", "new  york"]
    texts = ["A dog.", "(dog) dog's", "new york!", "new  york", "3.5", "U.S. AT&T", "a Dog"]
    matched = oracle.match(({"alt_text": text} for text in texts), entries)

    assert {row["alt_text"]: row["entry_ids"] for row in matched} == {
        "A dog.": [0, 1],
        "new york!": [2, 3, 5],
        "new  york": [3, 8],
        "3.5": [4],
        "U.S. AT&T": [7],
    }

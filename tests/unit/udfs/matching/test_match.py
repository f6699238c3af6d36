import pyarrow as pa
import pytest

from tests.support.matching import naive_ids
from udfs.matching import match as match_module
from udfs.matching.engine import ENGINES
from udfs.matching.entries import entries_as_json, write_entries
from udfs.matching.language import identify_languages
from udfs.matching.match import match_batches
from udfs.matching.token_automaton import build_token_tables, write_token_tables
from udfs.pairs.rules import pair_id
from udfs.schemas import MATCHED, PAIRS

ENTRIES = ["dog", "new york", "Hund", "!"]
TEXTS = ["a dog on the beach", "nothing", "Das ist der Hund von meiner Schwester!", "new york", ""]


def pairs(alt_texts):
    rows = [
        {
            "pair_id": pair_id("https://example.org/", text),
            "image_url": f"https://example.org/{place}.png",
            "alt_text": text,
            "source": "alt",
            "page_url": None,
            "archive": "a.warc",
            "record_offset": 2**40 + place,
            "image_index": place,
        }
        for place, text in enumerate(alt_texts)
    ]
    return pa.RecordBatch.from_pylist(rows, schema=PAIRS)


@pytest.fixture(scope="module", params=ENGINES)
def engine(request, tmp_path_factory):
    import hashlib

    digest = hashlib.sha256(entries_as_json(ENTRIES)).hexdigest()
    path = str(tmp_path_factory.mktemp("engine") / "file")
    if request.param == "token":
        write_token_tables(build_token_tables(ENTRIES, digest), path)
    else:
        write_entries(ENTRIES, digest, path)
    return {"engine": request.param, "path": path, "metadata_digest": digest}


def matched(batches, engine, *, identify_language=False):
    found = list(match_batches(iter(batches), **engine, identify_language=identify_language))
    assert all(batch.schema == MATCHED and batch.num_rows for batch in found)
    return [row for batch in found for row in batch.to_pylist()]


def test_only_pairs_with_entries_leave_with_all_their_columns(engine):
    expected = [
        row | {"language": None, "language_probability": None, "metadata_language": None, "entry_ids": ids}
        for row, ids in zip(pairs(TEXTS).to_pylist(), naive_ids(TEXTS, ENTRIES), strict=True)
        if ids
    ]
    assert [row["entry_ids"] for row in expected] == [[0], [2, 3], [1]]
    assert matched([pairs(TEXTS)], engine) == expected
    assert matched([pairs(TEXTS)[:2], pairs([]), pairs(["nothing"]), pairs(TEXTS)[2:]], engine) == expected


def test_columns_are_taken_by_name(engine):
    shuffled = pairs(TEXTS).select(list(reversed(PAIRS.names)))
    assert matched([shuffled], engine) == matched([pairs(TEXTS)], engine)


def test_the_language_of_matched_pairs_only(engine, monkeypatch):
    asked = []
    monkeypatch.setattr(
        match_module, "identify_languages", lambda texts: asked.extend(texts) or identify_languages(texts)
    )
    rows = matched([pairs(TEXTS), pairs(["nothing"])], engine, identify_language=True)
    assert asked == [TEXTS[0], TEXTS[2], TEXTS[3]]
    assert [row["language"] for row in rows[:2]] == ["en", "de"]
    assert all(0 < row["language_probability"] <= 1 for row in rows)


def test_another_lists_file_is_refused(engine):
    with pytest.raises(ValueError, match="no such digest"):
        matched([pairs(TEXTS)], engine | {"metadata_digest": "no such digest"})

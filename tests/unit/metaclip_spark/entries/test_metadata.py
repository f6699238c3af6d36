import gzip
import hashlib
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from metaclip_spark.entries import Metadata, load_metadata
from metaclip_spark.errors import MetadataError

ENTRIES = ["dog", "New York", " padded", "é", '"quoted"', "[bracket"]
DIGEST = hashlib.sha256(json.dumps(ENTRIES, ensure_ascii=False, separators=(",", ":")).encode()).hexdigest()


def parquet_bytes(table):
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return sink.getvalue().to_pybytes()


FORMS = {
    "list.json": json.dumps(ENTRIES, indent=1).encode(),
    "object.json": json.dumps({entry: {"count": 1} for entry in ENTRIES}).encode(),
    "bom.json": b"\xef\xbb\xbf" + json.dumps(ENTRIES, ensure_ascii=False).encode(),
    "no_suffix": b" \n" + json.dumps(ENTRIES).encode(),
    "lines.txt": "\n".join(ENTRIES).encode(),
    "lines": ("\r\n".join(ENTRIES) + "\r\n").encode(),
    "bom.txt": b"\xef\xbb\xbf" + ("\n".join(ENTRIES) + "\n").encode(),
    "plain.parquet": parquet_bytes(pa.table({"entry_text": ENTRIES})),
    "with_ids.parquet": parquet_bytes(
        pa.table({"entry_id": [2, 1, 0, 3, 4, 5], "entry_text": [ENTRIES[i] for i in (2, 1, 0, 3, 4, 5)]})
    ),
}


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("packing", ["", ".gz", ".zst", "members.gz"])
def test_every_form_gives_one_list_and_one_digest(name, packing, tmp_path):
    content = FORMS[name]
    packed = {
        "": content,
        ".gz": gzip.compress(content),
        ".zst": pa.compress(content, codec="zstd", asbytes=True),
        "members.gz": gzip.compress(content[:5]) + gzip.compress(content[5:]),
    }[packing]
    path = tmp_path / (name + packing.removeprefix("members"))
    path.write_bytes(packed)
    assert load_metadata(str(path)) == Metadata(tuple(ENTRIES), DIGEST)


REFUSED = {
    "repeated": ('["a", "b", "a", "b", "a"]', r"3 of 5 entries repeat earlier ones: ids 2 \('a'\), 3 \('b'\), 4"),
    "repeated keys": ('{"a": 1, "b": 2, "a": 3}', r"1 of 3 entries repeats an earlier one: id 2 \('a'\)"),
    "empty": ('["a", "", " ", "\\u3000"]', r"3 of 4 entries are empty or white space only: ids 1 \(''\), 2"),
    "blank line": ("a\n\nb\n", r"1 of 3 entries is empty or white space only: id 1"),
    "not strings": ('["a", 1, null, ["b"]]', r"3 of 4 entries are not strings: ids 1 \(1\), 2 \(None\)"),
    "surrogate": ('["a", "\\ud83d"]', r"not valid Unicode.*id 1 \('\\ud83d'\)"),
    "nothing": ("[]", "has no entries"),
    "empty file": ("", "has no entries"),
    "number.json": ("3", "neither a JSON list nor a JSON object"),
    "broken": ('["a",', "not valid JSON"),
    "deep": ("[" * 100_000, "not valid JSON"),
    "many": (json.dumps(["a"] * 20), "and 14 more"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_unusable_lists_are_refused_in_one_line(name, tmp_path):
    content, message = REFUSED[name]
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(MetadataError, match=message) as caught:
        load_metadata(str(path))
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_unreadable_files_are_refused(tmp_path):
    for content, message in (
        (b"caf\xe9", "not UTF-8 at byte 3"),
        (gzip.compress(b"abcdef" * 1000)[:30], "cannot be read"),
        (b"PAR1 and no more", "cannot be read"),
        (parquet_bytes(pa.table({"text": ["a"]})), "has no column entry_text; its columns are text"),
        (parquet_bytes(pa.table({"entry_text": ["a", None]})), r"is not a string: id 1 \(None\)"),
        (parquet_bytes(pa.table({"entry_text": ["a", "b"], "entry_id": [0, 2]})), "from 0 to 1 once"),
        (parquet_bytes(pa.table({"entry_text": ["a", "b"], "entry_id": [[0], [1]]})), "from 0 to 1 once"),
    ):
        path = tmp_path / "file"
        path.write_bytes(content)
        with pytest.raises(MetadataError, match=message):
            load_metadata(str(path))
    with pytest.raises(MetadataError, match="absent: no such file"):
        load_metadata(str(tmp_path / "absent"))
    with pytest.raises(MetadataError, match=r"languages\.json: no such file"):
        load_metadata(str(tmp_path))

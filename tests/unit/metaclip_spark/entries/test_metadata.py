import gzip
import hashlib
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from metaclip_spark.entries import DIGEST_KEY, Metadata, load_entry_counts, load_metadata, load_summed_counts
from metaclip_spark.errors import MetadataError
from udfs.schemas import ENTRY_COUNTS

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
    "repeated": ('["a", "b", "a", "b", "a"]', r"3 of 5 entries that are repeated.*ids 2 \('a'\), 3 \('b'\), 4"),
    "repeated keys": ('{"a": 1, "b": 2, "a": 3}', r"repeated.*ids 2 \('a'\)"),
    "empty": ('["a", "", " ", "\\u3000"]', r"3 of 4 entries that are empty or white space only: ids 1 \(''\), 2"),
    "blank line": ("a\n\nb\n", r"empty or white space only: ids 1"),
    "not strings": ('["a", 1, null, ["b"]]', r"3 of 4 entries that are no strings: ids 1 \(1\), 2 \(None\)"),
    "surrogate": ('["a", "\\ud83d"]', r"not valid Unicode.*ids 1 \('\\ud83d'\)"),
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
        (parquet_bytes(pa.table({"text": ["a"]})), "lacks entry_text"),
        (parquet_bytes(pa.table({"entry_text": ["a", None]})), r"no strings: ids 1 \(None\)"),
        (parquet_bytes(pa.table({"entry_text": ["a", "b"], "entry_id": [0, 2]})), "from 0 to 1 once"),
    ):
        path = tmp_path / "file"
        path.write_bytes(content)
        with pytest.raises(MetadataError, match=message):
            load_metadata(str(path))
    with pytest.raises(MetadataError, match="does not exist"):
        load_metadata(str(tmp_path / "absent"))
    with pytest.raises(MetadataError, match="cannot be read"):
        load_metadata(str(tmp_path))


METADATA = Metadata(("a", "b", "c"), "digest")


def counts_table(texts=("a", "b", "c"), counts=(3, 0, 2**40), digest=None):
    schema = ENTRY_COUNTS.with_metadata({DIGEST_KEY: digest}) if digest else ENTRY_COUNTS
    return pa.table([list(range(len(texts))), list(texts), list(counts)], schema=schema)


def test_counts_of_every_form(tmp_path):
    expected = np.array([3, 0, 2**40])
    (tmp_path / "c.json").write_text(json.dumps({"c": 2**40, "a": 3, "b": 0}))
    (tmp_path / "c.json.gz").write_bytes(gzip.compress(json.dumps({"c": 2**40, "a": 3, "b": 0}).encode()))
    pq.write_table(counts_table(digest="digest"), tmp_path / "c.parquet")
    folder = tmp_path / "counts"
    folder.mkdir()
    pq.write_table(counts_table(digest="digest")[:1], folder / "part-1.parquet")
    pq.write_table(counts_table()[1:], folder / "part-0.parquet")
    (folder / "_SUCCESS").touch()
    (folder / ".part-0.parquet.crc").touch()
    (folder / "_half.parquet").touch()
    for name in ("c.json", "c.json.gz", "c.parquet", "counts"):
        counts = load_entry_counts(str(tmp_path / name), METADATA)
        assert counts.dtype == np.int64
        assert (counts == expected).all()


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({"a": 1, "b": 1}, "1 entries are missing, such as 'c'"),
        ({"a": 1, "b": 1, "c": 1, "d": 1}, "1 entries are not in the metadata list, such as 'd'"),
        ({"a": 1, "b": -1, "c": 1}, "whole number of at least 0: 'b': -1"),
        ({"a": 1, "b": 1.0, "c": 1}, "'b': 1.0"),
        ({"a": 1, "b": True, "c": 1}, "'b': True"),
        ({"a": 1, "b": None, "c": 1}, "'b': None"),
        ({"a": 1, "b": float("nan"), "c": 1}, "'b': nan"),
        ({"a": 1, "b": 2**63, "c": 1}, "'b': 9223372036854775808"),
        ([1, 2, 3], "no JSON object"),
    ],
)
def test_unusable_counts_are_refused(counts, message, tmp_path):
    path = tmp_path / "counts.json"
    path.write_text(json.dumps(counts))
    with pytest.raises(MetadataError, match=message):
        load_entry_counts(str(path), METADATA)


@pytest.mark.parametrize(
    ("counts_of_a", "total"),
    [
        ([2**62, 2**62 - 1], 2**63 - 1),
        ([2**63 - 1, 0], 2**63 - 1),
        ([2**62, 2**62], None),
        ([2**63 - 1, 1], None),
        ([1, 2**63 - 1, 5], None),
        # Wraps around to a harmless number.
        ([2**62, 2**62, 2**62, 2**62, 7], None),
    ],
)
def test_counts_of_several_files_add_up_or_are_refused(tmp_path, counts_of_a, total):
    paths = [str(tmp_path / f"counts-{place}.json") for place in range(len(counts_of_a))]
    for path, count in zip(paths, counts_of_a, strict=True):
        Path(path).write_text(json.dumps({"a": count, "b": 1, "c": 0}))
    if total is not None:
        assert load_summed_counts(paths, METADATA).tolist() == [total, len(paths), 0]
        return
    with pytest.raises(MetadataError, match=r"--entry-counts .* add up to \d{19} for the entry 'a'.*at most 2\^63 - 1"):
        load_summed_counts(paths, METADATA)


def test_counts_of_another_list_or_twice_are_refused(tmp_path):
    path = str(tmp_path / "counts.parquet")
    pq.write_table(counts_table(digest="another"), path)
    with pytest.raises(MetadataError, match=r"another.*digest"):
        load_entry_counts(path, METADATA)
    pq.write_table(counts_table(("a", "b", "c", "a"), (1, 1, 1, 1)), path)
    with pytest.raises(MetadataError, match="1 entries more than once"):
        load_entry_counts(path, METADATA)
    (tmp_path / "twice.json").write_text('{"a": 1, "b": 1, "c": 1, "a": 2}')
    with pytest.raises(MetadataError, match="1 entries more than once"):
        load_entry_counts(str(tmp_path / "twice.json"), METADATA)
    pq.write_table(counts_table(counts=(1, None, 1)), path)
    with pytest.raises(MetadataError, match="without nulls"):
        load_entry_counts(path, METADATA)
    (tmp_path / "empty").mkdir()
    with pytest.raises(MetadataError, match="no Parquet file"):
        load_entry_counts(str(tmp_path / "empty"), METADATA)
    with pytest.raises(MetadataError, match="does not exist"):
        load_entry_counts(str(tmp_path / "absent"), METADATA)

"""The entries of a log: written and read back as they were, and refused by name where they are not whole."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaclip_spark.commits.entries import (
    LAYOUT,
    AnyEntry,
    ArchiveSummary,
    Attempt,
    Begin,
    Drop,
    End,
    FileWritten,
    Finish,
    Import,
    Open,
    Process,
    Purge,
    Removal,
    Removed,
    Reset,
    Sample,
    Table,
    Wave,
    Written,
    check_layout,
    decode,
    encode,
    entry_name,
)
from metaclip_spark.errors import InputError
from tests.support.runs import archive_summary, opened, wave

TEXT = st.text(max_size=8)
NUMBER = st.integers(0, 2**53)
WRITTEN = st.builds(
    Written, folder=TEXT, files=st.lists(st.builds(FileWritten, TEXT, NUMBER, NUMBER), max_size=2).map(tuple)
)
SUMMARY = st.builds(
    ArchiveSummary,
    **dict.fromkeys(("archive", "status", "etag"), TEXT),
    **dict.fromkeys(("size", "bytes_read", "records", "pages", "images", "images_kept", "texts", "pairs"), NUMBER),
    rejected=st.dictionaries(TEXT, NUMBER, max_size=2),
)
JSON = st.dictionaries(TEXT, st.one_of(st.none(), st.booleans(), NUMBER, TEXT, st.lists(TEXT, max_size=2)), max_size=2)
TABLES = st.dictionaries(TEXT, WRITTEN, max_size=2)
BEGIN = st.builds(Begin, owner=TEXT, step=TEXT, config=JSON, input=TEXT, buckets=NUMBER)
SAMPLE = st.builds(Sample, owner=TEXT, tables=TABLES, manifest=JSON)
ENTRIES = st.one_of(
    st.builds(
        Open,
        owner=TEXT,
        name=TEXT,
        process=st.builds(Process, host=TEXT, pid=NUMBER, started=st.none() | NUMBER, boot_id=st.none() | TEXT),
        application=st.none() | TEXT,
        attempt=st.none() | TEXT,
    ),
    BEGIN,
    SAMPLE,
    st.builds(Wave, owner=TEXT, wave=NUMBER, written=WRITTEN, archives=st.lists(SUMMARY, max_size=2).map(tuple)),
    st.builds(Table, owner=TEXT, step=TEXT, bucket=st.none() | NUMBER, begin=NUMBER, tables=TABLES, manifest=JSON),
    st.builds(Finish, owner=TEXT, sample=TEXT, report=TEXT),
    st.builds(Drop, owner=TEXT, attempts=st.lists(st.builds(Attempt, TEXT, TEXT), max_size=2).map(tuple), reason=TEXT),
    st.builds(Reset, owner=TEXT),
    st.builds(Import, owner=TEXT, entries=st.lists(BEGIN | SAMPLE, max_size=2).map(tuple)),
    st.builds(
        Removal,
        owner=TEXT,
        tables=TABLES,
        **dict.fromkeys(("reason", "by", "input", "sample"), TEXT),
        **dict.fromkeys(("values", "without_pairs", "matched", "curated"), st.dictionaries(TEXT, NUMBER, max_size=2)),
        settings=st.dictionaries(TEXT, JSON, max_size=2),
    ),
    st.builds(Removed, owner=TEXT, removal=NUMBER, mode=TEXT, pairs=NUMBER, entered=st.none() | NUMBER),
    st.builds(Purge, owner=TEXT, settings=st.dictionaries(TEXT, JSON, max_size=2)),
    st.builds(End, owner=TEXT),
)


@given(ENTRIES)
def test_an_entry_is_read_back_as_it_was_and_equal_ones_have_one_content(entry: AnyEntry):
    content = encode(entry)
    assert decode(content, "entry") == entry
    assert encode(decode(content, "entry")) == content


@given(ENTRIES, st.data())
def test_a_truncated_entry_is_refused_by_name(entry, data):
    content = encode(entry)
    cut = data.draw(st.integers(0, len(content) - 1))
    with pytest.raises(InputError, match=r"^out/commits/1 is not an entry .*: restore it, .* another --output$"):
        decode(content[:cut], "out/commits/1")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"kind": "open"}',
        b'{"kind": "lease", "owner": "me"}',
        b'{"kind": "end", "owner": 5}',
        b'{"kind": "end", "owner": "me", "colour": "red"}',
        b'{"wave": 0, "config": {"input": "archives"}, "files": [], "archives": []}',
        b"<html>503 Slow Down</html>",
        b"\xff\xfe\x00",
        b"[" * 100_000,
    ],
    ids=["empty", "null", "list", "no_kind", "no_owner", "kind", "type", "key", "ledger", "page", "bytes", "deep"],
)
def test_what_is_no_entry_is_refused_in_one_line(content):
    with pytest.raises(InputError, match=r"^out/commits/1 is not an entry that this version .* writes") as refused:
        decode(content, "out/commits/1")
    assert "\n" not in str(refused.value)


def test_what_a_newer_version_wrote_is_refused_by_its_layout():
    newer = opened(layout=LAYOUT + 1)
    message = f"^out/1 was written by a newer version .* in layout {LAYOUT + 1}; this version reads layout {LAYOUT}"
    with pytest.raises(InputError, match=message):
        check_layout(decode(encode(newer), "out/1"), "out/1")
    unknown = msgspec.json.encode({**msgspec.to_builtins(newer), "lease": 5, "kind": "open"})
    with pytest.raises(InputError, match=message):
        decode(unknown, "out/1")
    check_layout(opened(), "out/1")


def test_names_sort_as_numbers_do():
    names = [entry_name(number) for number in (1, 9, 10, 99_999_999)]
    assert names == sorted(names)
    assert names[0] == "commits/00000001.json"


def test_waves_are_packed():
    """A hundred thousand archives must be read within seconds."""
    entry = wave(
        "00000-0123abcd", *(archive_summary(f"crawl-data/segment/{number:05d}.warc.gz") for number in range(50))
    )
    assert len(encode(entry)) < 50 * 100 + 200

import hashlib
import json

import pytest

from metaclip_spark import Metadata, MetadataError, entries

ENTRIES = ["dog", "New York", " padded", "é"]
DIGEST = hashlib.sha256(json.dumps(ENTRIES, ensure_ascii=False, separators=(",", ":")).encode()).hexdigest()


def test_a_list_in_memory_equals_the_same_list_in_a_file(tmp_path):
    path = tmp_path / "list.txt"
    path.write_text("\n".join(ENTRIES))
    for metadata in (Metadata.load(path), Metadata.load(str(path)), Metadata.from_entries(iter(ENTRIES))):
        assert metadata.entries == tuple(ENTRIES)
        assert metadata.digest == DIGEST
        assert list(metadata) == ENTRIES
        assert len(metadata) == 4
    assert Metadata.load(path) == Metadata.from_entries(ENTRIES)


def test_it_is_what_the_steps_take():
    assert type(Metadata.from_entries(ENTRIES)) is entries.Metadata


def test_the_representation_does_not_show_all_entries():
    shown = repr(Metadata.from_entries(f"entry {number}" for number in range(100_000)))
    assert "100,000 entries" in shown
    assert len(shown) < 80


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "the metadata list in memory has no entries"),
        (["a", ""], r"1 of 2 entries is empty or white space only: id 1 \(''\)"),
        (["a", "b", "a"], r"1 of 3 entries repeats an earlier one: id 2 \('a'\)"),
        (["a", 5], r"1 of 2 entries is not a string: id 1 \(5\)"),
        (["a", "\ud800"], "not valid Unicode"),
        ("dog", "the single string 'dog': pass a list of strings"),
    ],
)
def test_lists_that_cannot_be_used_are_refused(given, message):
    with pytest.raises(MetadataError, match=message):
        Metadata.from_entries(given)


def test_a_missing_file_is_refused_by_name(tmp_path):
    with pytest.raises(MetadataError, match=r"missing\.json: no such file"):
        Metadata.load(tmp_path / "missing.json")

"""The ledger: which attempts at which archives count, and when extraction may not go on."""

import hashlib

import pytest

from metaclip_spark.errors import ConfigError, InputError
from metaclip_spark.runs.layout import wave_folder
from metaclip_spark.runs.ledger import check_same_extraction, check_unchanged, delete_unledgered_waves, read_ledger
from metaclip_spark.runs.records import ExtractionSettings
from tests.support.runs import archive_row, put_entry
from udfs.sources import stat_archive

ROW = archive_row("a")


ENTRY = {"wave": 0, "config": {"input": "archives"}, "files": [], "archives": [ROW]}


@pytest.mark.parametrize(
    ("entry", "lacking"),
    [
        ({}, "wave, config, files, archives"),
        ({**ENTRY, "wave": "0"}, "wave"),
        ({**ENTRY, "archives": {"a": ROW}}, "archives"),
        ({**ENTRY, "archives": [ROW, {}]}, "what its archives gave"),
        ({**ENTRY, "archives": ["a"]}, "what its archives gave"),
        ({**ENTRY, "archives": [{**ROW, "archive": 5}]}, "what its archives gave"),
        ({**ENTRY, "archives": [{**ROW, "rejected": []}]}, "what its archives gave"),
        ({**ENTRY, "files": [1]}, "what its archives gave"),
        ({**ENTRY, "superseded": None}, "what its archives gave"),
        ({**ENTRY, "superseded": [{}]}, "what its archives gave"),
    ],
)
def test_an_object_that_is_no_ledger_entry_is_refused_by_name(storage, entry, lacking):
    storage.put_json("ledger/00000-aa.json", ENTRY)
    assert list(read_ledger(storage).entries) == ["00000-aa"]
    storage.put_json("ledger/00001-bb.json", entry)
    with pytest.raises(InputError, match=rf"ledger/00001-bb\.json is no ledger entry \(it lacks {lacking}\): restore"):
        read_ledger(storage)


def test_the_smallest_entry_of_an_archive_wins_and_failed_never_counts(storage):
    put_entry(storage, "00000-bb", archive_row("a", "failed"), archive_row("b"))
    put_entry(storage, "00001-aa", archive_row("a", "damaged"), archive_row("c", "failed"))
    put_entry(storage, "00001-bb", archive_row("a"), archive_row("b"), archive_row("c", "failed"))
    ledger = read_ledger(storage)
    assert {archive: name for archive, (name, _) in ledger.accepted().items()} == {"a": "00001-aa", "b": "00000-bb"}
    assert {archive: name for archive, (name, _) in ledger.failed().items()} == {"c": "00001-bb"}
    assert ledger.superseded(ledger.accepted()) == [
        ("00000-bb", "a"),
        ("00001-aa", "c"),
        ("00001-bb", "a"),
        ("00001-bb", "b"),
        ("00001-bb", "c"),
    ]
    assert ledger.next_wave() == 2


def test_waves_without_an_entry_are_deleted(storage):
    put_entry(storage, "00000-aa", archive_row("a"))
    for name in ("00000-aa", "00000-bb", "00001-cc"):
        (storage.root / wave_folder(name)).mkdir(parents=True)
    delete_unledgered_waves(storage, read_ledger(storage))
    assert storage.names("extracted") == ["wave=00000-aa"]


def test_other_settings_are_named(storage):
    put_entry(storage, "00000-aa", archive_row("a"), config=ExtractionSettings(input="archives", max_page_bytes=5))
    ledger = read_ledger(storage)
    check_same_extraction(ledger, ExtractionSettings(input="archives", max_page_bytes=5))
    with pytest.raises(ConfigError, match="max_page_bytes was 5 and is now 6"):
        check_same_extraction(ledger, ExtractionSettings(input="archives", max_page_bytes=6))


def test_a_changed_archive_is_refused(storage, tmp_path):
    path = tmp_path / "a.warc"
    path.write_bytes(b"x")
    put_entry(storage, "00000-aa", archive_row("a", etag=stat_archive(str(path)).etag))
    check_unchanged(storage, read_ledger(storage), [("a", str(path)), ("new", str(tmp_path / "missing"))])
    path.write_bytes(b"xy")
    with pytest.raises(ConfigError, match="has changed since its pairs were extracted"):
        check_unchanged(storage, read_ledger(storage), [("a", str(path))])

    ledger = check_unchanged(storage, read_ledger(storage), [("a", str(path))], accept=True)
    # Neither accepted nor failed: it is extracted again, and the old attempt's rows no longer count.
    assert (ledger.accepted(), ledger.failed()) == ({}, {})
    assert ledger.superseded(ledger.accepted()) == [("00000-aa", "a")]
    put_entry(storage, "00002-aa", archive_row("a", etag=stat_archive(str(path)).etag))
    ledger = check_unchanged(storage, read_ledger(storage), [("a", str(path))])
    assert ledger.accepted()["a"][0] == "00002-aa"


def test_a_change_in_an_archives_middle_is_refused_and_earlier_tags_stay_good(storage, tmp_path):
    path = tmp_path / "a.warc"
    content = bytes(1 << 18)
    path.write_bytes(content)
    put_entry(storage, "00000-aa", archive_row("a", etag=stat_archive(str(path)).etag))
    of_ends = hashlib.blake2b(bytes(1 << 17), digest_size=12).hexdigest()
    put_entry(storage, "00000-bb", archive_row("b", etag=f"{1 << 18:x}-{of_ends}"))
    paths = [("a", str(path)), ("b", str(path))]
    check_unchanged(storage, read_ledger(storage), paths)
    path.write_bytes(content[: 1 << 17] + b"?" + content[(1 << 17) + 1 :])
    with pytest.raises(ConfigError, match=r"a\.warc has changed since its pairs were extracted"):
        check_unchanged(storage, read_ledger(storage), paths[:1])


def test_the_files_of_one_kind_are_listed_over_all_waves(storage):
    for name, archive in (("00001-aa", "b"), ("00000-bb", "a")):
        put_entry(storage, name, archive_row(archive))
        entry = storage.read_json(f"ledger/{name}.json")
        files = [f"{wave_folder(name)}/kind={kind}/part-0.parquet" for kind in ("pair", "reject")]
        storage.put_json(f"ledger/{name}.json", {**entry, "files": files})
    assert read_ledger(storage).files("pair") == [
        f"extracted/wave={name}/kind=pair/part-0.parquet" for name in ("00000-bb", "00001-aa")
    ]


def test_the_digest_tells_of_what_counts_only(storage):
    put_entry(storage, "00000-aa", archive_row("a"))
    digest = read_ledger(storage).digest()
    put_entry(storage, "00001-aa", archive_row("a", "damaged"))
    assert read_ledger(storage).digest() == digest
    put_entry(storage, "00002-aa", archive_row("b", "failed"))
    assert read_ledger(storage).digest() != digest


def test_a_run_that_has_not_begun_has_an_empty_ledger(storage):
    ledger = read_ledger(storage)
    assert (ledger.entries, ledger.accepted(), ledger.failed(), ledger.next_wave()) == ({}, {}, {}, 0)

"""The ledger: which attempts at archives count, and when extraction may not go on."""

import hashlib
from functools import partial

import pytest

from metaclip_spark.commits.entries import Attempt, Drop, FileWritten
from metaclip_spark.commits.files import tidy
from metaclip_spark.errors import ConfigError
from metaclip_spark.runs.layout import wave_place
from metaclip_spark.runs.ledger import changed_attempts, check_same_extraction, lost_attempts
from metaclip_spark.runs.records import ExtractionSettings
from tests.support.runs import (
    ARCHIVES,
    OWNER,
    archive_summary,
    begin,
    ledger_after,
    state_after,
    take_folder,
    wave,
    wave_folder,
)
from udfs.sources import stat_archive


def test_the_first_entry_of_an_archive_wins_and_failed_never_counts():
    ledger = ledger_after(
        wave("00000-bb", archive_summary("a", "failed"), archive_summary("b")),
        wave("00001-aa", archive_summary("a", "damaged"), archive_summary("c", "failed")),
        wave("00001-bb", archive_summary("a"), archive_summary("b"), archive_summary("c", "failed")),
    )
    accepted = {archive: folder for archive, (folder, _) in ledger.accepted().items()}
    assert accepted == {"a": wave_folder("00001-aa"), "b": wave_folder("00000-bb")}
    assert {archive: folder for archive, (folder, _) in ledger.failed().items()} == {"c": wave_folder("00001-bb")}
    assert ledger.superseded(ledger.accepted()) == [
        (wave_folder("00000-bb"), "a"),
        (wave_folder("00001-aa"), "c"),
        (wave_folder("00001-bb"), "a"),
        (wave_folder("00001-bb"), "b"),
        (wave_folder("00001-bb"), "c"),
    ]
    assert ledger.next_wave() == 2


def test_waves_without_an_entry_are_deleted(storage):
    first = take_folder(storage)
    counts, lost = first.new_folder(wave_place()), first.new_folder(wave_place())
    first.commit(wave(counts.removeprefix(wave_place()), archive_summary("a"), owner=first.nonce))
    second = take_folder(storage)
    under_way = second.new_folder(wave_place())
    for folder in (counts, lost, under_way, wave_folder("00000-0123abcd")):
        (storage.root / folder).mkdir(parents=True)
    tidy(second, wave_place())
    assert sorted(f"extracted/{name}" for name in storage.names("extracted")) == sorted([counts, under_way])


def test_other_settings_are_named():
    state = state_after(begin(config=ARCHIVES), wave("00000-aa", archive_summary("a")))
    check_same_extraction(state, ExtractionSettings(input="archives", max_page_bytes=5), "out")
    with pytest.raises(ConfigError, match=r"^out was extracted with other .* max_page_bytes was 5 and is now 6"):
        check_same_extraction(state, ExtractionSettings(input="archives", max_page_bytes=6), "out")
    # What no wave holds yet may still be extracted with other settings.
    check_same_extraction(state_after(begin()), ExtractionSettings(input="archives", max_page_bytes=6), "out")


def test_a_changed_archive_is_refused(tmp_path):
    path = tmp_path / "a.warc"
    path.write_bytes(b"x")
    waves = [wave("00000-aa", archive_summary("a", etag=stat_archive(str(path)).etag))]
    paths = [("a", str(path)), ("new", str(tmp_path / "missing"))]
    assert changed_attempts(ledger_after(*waves), paths) == ()
    path.write_bytes(b"xy")
    with pytest.raises(ConfigError, match="has changed since its pairs were extracted"):
        changed_attempts(ledger_after(*waves), paths)

    dropped = changed_attempts(ledger_after(*waves), paths, accept=True)
    assert dropped == (Attempt(wave_folder("00000-aa"), "a"),)
    waves.append(Drop(owner=OWNER, attempts=dropped, reason="the archive has changed"))
    ledger = ledger_after(*waves)
    # Neither accepted nor failed: it is extracted again, and the old attempt's rows no longer count.
    assert (ledger.accepted(), ledger.failed()) == ({}, {})
    assert ledger.superseded(ledger.accepted()) == [(wave_folder("00000-aa"), "a")]
    ledger = ledger_after(*waves, wave("00002-aa", archive_summary("a", etag=stat_archive(str(path)).etag)))
    assert changed_attempts(ledger, paths) == ()
    assert ledger.accepted()["a"][0] == wave_folder("00002-aa")


def test_every_attempt_of_the_old_content_is_dropped(tmp_path):
    """A later attempt at the old content must not count in place of the one that is dropped."""
    path = tmp_path / "a.warc"
    path.write_bytes(b"x")
    old = archive_summary("a", etag=stat_archive(str(path)).etag)
    waves = [wave("00000-aa", old, archive_summary("b")), wave("00001-bb", old)]
    path.write_bytes(b"xy")
    dropped = changed_attempts(ledger_after(*waves), [("a", str(path))], accept=True)
    assert dropped == (Attempt(wave_folder("00000-aa"), "a"), Attempt(wave_folder("00001-bb"), "a"))
    ledger = ledger_after(*waves, Drop(owner=OWNER, attempts=dropped, reason="changed"))
    assert list(ledger.accepted()) == ["b"]
    assert changed_attempts(ledger, [("a", str(path))]) == ()


def test_a_change_in_an_archives_middle_is_refused_and_earlier_tags_stay_good(tmp_path):
    path = tmp_path / "a.warc"
    content = bytes(1 << 18)
    path.write_bytes(content)
    of_ends = hashlib.blake2b(bytes(1 << 17), digest_size=12).hexdigest()
    check = partial(
        changed_attempts,
        ledger_after(
            wave("00000-aa", archive_summary("a", etag=stat_archive(str(path)).etag)),
            wave("00000-bb", archive_summary("b", etag=f"{1 << 18:x}-{of_ends}")),
        ),
    )
    paths = [("a", str(path)), ("b", str(path))]
    check(paths)
    path.write_bytes(content[: 1 << 17] + b"?" + content[(1 << 17) + 1 :])
    with pytest.raises(ConfigError, match=r"a\.warc has changed since its pairs were extracted"):
        check(paths[:1])


def test_the_files_of_one_kind_are_listed_over_all_waves():
    files = tuple(FileWritten(f"kind={kind}/part-0.parquet", 10, rows) for kind, rows in (("pair", 3), ("reject", 4)))
    ledger = ledger_after(
        wave("00001-aa", archive_summary("b"), files=files), wave("00000-bb", archive_summary("a"), files=files)
    )
    assert ledger.written("pair") == [
        (f"extracted/wave={name}/kind=pair/part-0.parquet", 3) for name in ("00000-bb", "00001-aa")
    ]
    assert ledger.written("pair", 0) == []


def test_files_of_a_wave_that_counts_no_more_are_not_listed():
    """They may be deleted by now."""
    files = (FileWritten("kind=pair/part-0.parquet", 10, 3),)
    waves = [
        wave("00000-aa", archive_summary("a"), files=files),
        wave("00001-bb", archive_summary("b"), archive_summary("c"), files=files),
    ]
    gone = [Attempt(wave_folder("00000-aa"), "a"), Attempt(wave_folder("00001-bb"), "b")]
    ledger = ledger_after(*waves, Drop(owner=OWNER, attempts=tuple(gone), reason="gone"))
    assert ledger.written("pair") == [(f"{wave_folder('00001-bb')}/kind=pair/part-0.parquet", 3)]


def test_attempts_whose_files_are_gone_are_listed(storage):
    name = "kind=pair/part-0.parquet"
    for folder in ("00000-aa", "00001-bb"):
        storage.put_bytes(f"{wave_folder(folder)}/{name}", b"1234567890")
    waves = [
        wave("00000-aa", archive_summary("a"), archive_summary("b"), files=(FileWritten(name, 10, 3),)),
        wave("00001-bb", archive_summary("c"), files=(FileWritten(name, 10, 3),)),
    ]
    assert lost_attempts(storage, ledger_after(*waves)) == ()
    storage.delete(f"{wave_folder('00000-aa')}/{name}")
    lost = lost_attempts(storage, ledger_after(*waves))
    assert [attempt.archive for attempt in lost] == ["a", "b"]
    storage.put_bytes(f"{wave_folder('00001-bb')}/{name}", b"another size")
    ledger = ledger_after(*waves, Drop(owner=OWNER, attempts=lost, reason="gone"))
    assert lost_attempts(storage, ledger) == (Attempt(wave_folder("00001-bb"), "c"),)


def test_the_digest_tells_of_what_counts_only():
    first = wave("00000-aa", archive_summary("a"))
    again = wave("00001-aa", archive_summary("a", "damaged"))
    digest = ledger_after(first).digest()
    assert ledger_after(first, again).digest() == digest
    assert ledger_after(first, again, wave("00002-aa", archive_summary("b", "failed"))).digest() != digest


def test_a_run_that_has_not_begun_has_an_empty_ledger():
    ledger = ledger_after()
    assert (ledger.waves, ledger.accepted(), ledger.failed(), ledger.next_wave()) == ({}, {}, {}, 0)

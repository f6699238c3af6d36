"""The log: entries under the next number, created once; whatever is not whole is refused by name."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from metaclip_spark.commits.entries import LAYOUT, Reset, encode, entry_name
from metaclip_spark.commits.log import Log, has_log
from metaclip_spark.errors import InputError, OutputExistsError
from metaclip_spark.stores.storage import Storage
from tests.support.runs import OWNER, archive_summary, begin, opened, wave


@pytest.fixture
def log(storage):
    """A log of three entries: a driver, a round of extraction, a wave."""
    log = Log(storage)
    for entry in (opened(), begin(), wave("00000-aa", archive_summary("a"))):
        log.append(entry)
    return log


def read(storage):
    log = Log(Storage(str(storage.root)))
    return log.read_all()


def test_what_is_appended_is_read_by_all(storage, log):
    assert log.state.number == 3
    assert storage.names("commits") == [f"0000000{number}.json" for number in (1, 2, 3)]
    assert read(storage) == log.state
    behind = Log(storage)
    behind.read_on()
    log.append(Reset(owner=OWNER))
    assert behind.read_on() == log.state == read(storage)


def test_a_folder_without_entries_has_an_empty_log(storage):
    assert not has_log(storage)
    storage.put_bytes("commits/notes.txt", b"mine")
    storage.put_bytes("commits/1.json", b"mine")
    assert read(storage).number == 0
    assert not has_log(storage)


@pytest.mark.usefixtures("log")
@pytest.mark.parametrize("number", [1, 2])
def test_a_gap_is_named(storage, number):
    storage.delete(entry_name(number))
    with pytest.raises(InputError) as refused:
        read(storage)
    told = str(refused.value)
    assert told.startswith(f"{storage.root}/{entry_name(number)} is missing although later entries are there")
    assert "lifecycle rule" in told
    assert "restore it, or give another --output" in told
    assert "\n" not in told


BROKEN = {
    "empty": b"",
    "cut": encode(begin())[:-9],
    "page": b"<html>",
    "kind": b'{"kind": "lease", "owner": "me"}',
}


@pytest.mark.usefixtures("log")
@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_an_entry_that_is_not_whole_is_named(storage, content):
    storage.put_bytes(entry_name(2), content)
    with pytest.raises(InputError, match=f"^{storage.root}/{entry_name(2)} is not an entry that this version"):
        read(storage)


def test_what_follows_a_newer_layout_is_refused(storage, log):
    log.append(opened("newer", layout=LAYOUT + 1))
    with pytest.raises(InputError, match=rf"{entry_name(4)} was written by a newer version .* in layout {LAYOUT + 1}"):
        read(storage)


def test_a_listing_that_is_ahead_of_the_objects_is_no_gap(storage, log, monkeypatch):
    late, read_object = {entry_name(2)}, storage.read_object

    def read_late(name):
        if name in late:
            late.remove(name)
            return None
        return read_object(name)

    monkeypatch.setattr(storage, "read_object", read_late)
    again = Log(storage)
    assert again.read_all() == log.state
    assert not late


def test_a_listing_that_is_behind_the_objects_loses_nothing(storage, log, monkeypatch):
    monkeypatch.setattr(storage, "names", lambda _folder: ["00000001.json"])
    assert Log(storage).read_all() == log.state


def test_only_one_of_two_drivers_creates_a_number(storage, log):
    other = Log(storage)
    other.read_all()
    other.append(opened("other"))
    before = read(storage)
    with pytest.raises(OutputExistsError, match="another driver has taken the run over while this one was silent"):
        log.append(wave("00001-bb", archive_summary("b")))
    assert read(storage) == before
    assert before.owner.owner == "other"


def test_who_has_lost_the_folder_takes_no_number_from_its_owner(storage, log):
    """Other threads of a driver go on for a while after one of them has seen that the folder is lost."""
    other = Log(storage)
    other.read_all()
    other.append(opened("other"))
    for number in (1, 2):
        with pytest.raises(OutputExistsError, match="another driver has taken the run over"):
            log.append(wave(f"{number:05d}-bb", archive_summary("b")))
    assert read(storage).number == 4
    assert other.append(wave("00001-cc", archive_summary("c"), owner="other")) == 5


def test_an_answer_that_was_lost_is_no_other_driver(storage, log, monkeypatch):
    create = storage.create_bytes
    monkeypatch.setattr(storage, "create_bytes", lambda name, content: create(name, content) and False)
    number = log.append(wave("00001-bb", archive_summary("b")))
    assert (number, len(read(storage).waves)) == (4, 2)
    assert read(storage) == log.state


@pytest.mark.parametrize("arrives", ["never", "before", "after"])
def test_a_creation_that_failed_may_arrive_later(storage, log, monkeypatch, arrives):
    """Its sender, which goes on, counts it once, or not at all."""
    create = storage.create_bytes
    first, second = wave("00001-bb", archive_summary("b")), wave("00002-cc", archive_summary("c"))

    def fail(name, content):
        if arrives == "before":
            create(name, content)
        raise OSError("time-out")

    with monkeypatch.context() as patch:
        patch.setattr(storage, "create_bytes", fail)
        with pytest.raises(OSError, match="time-out"):
            log.append(first)
    number = log.append(second)
    if arrives == "after":
        # The number is taken now.
        assert not create(entry_name(4), encode(first))
    assert number == (5 if arrives == "before" else 4)
    assert read(storage) == log.state
    assert second.written.folder in log.state.waves
    assert (first.written.folder in log.state.waves) == (arrives == "before")


def test_waves_that_are_committed_at_once_all_count(storage, log):
    entries = [wave(f"{number:05d}-bb", archive_summary(str(number))) for number in range(1, 41)]
    with ThreadPoolExecutor(8) as pool:
        numbers = list(pool.map(log.append, entries))
    assert sorted(numbers) == list(range(4, 44))
    assert len(read(storage).waves) == 41


def test_who_follows_is_seen_and_nobody_is_not(storage, log):
    assert not log.is_followed(OWNER)
    other = Log(storage)
    other.read_all()
    other.append(opened("other"))
    assert log.is_followed(OWNER)


def test_an_entry_of_ones_own_whose_answer_was_lost_is_nobody_who_follows(storage, log):
    storage.create_bytes(entry_name(4), encode(wave("00001-bb", archive_summary("b"))))
    assert not log.is_followed(OWNER)


def test_content_that_another_driver_put_under_a_number_of_ones_own_is_refused(storage, log):
    """A foreign object under the next number: neither an entry nor a driver."""
    storage.put_bytes(entry_name(4), b"mine")
    with pytest.raises(InputError, match=f"{entry_name(4)} is not an entry"):
        log.append(wave("00001-bb", archive_summary("b")))


def test_a_file_of_a_far_number_is_a_gap_at_once(storage, log):
    assert log.state.number == 3
    reads = []
    storage.put_bytes("commits/99999999.json", encode(opened()))
    other = Storage(str(storage.root))
    content = other.read_object
    other.read_object = lambda name: reads.append(name) or content(name)
    with pytest.raises(InputError, match=r"00000004\.json is missing although later entries are there"):
        Log(other).read_all()
    assert reads == [entry_name(4)]


def test_an_entry_that_is_taken_and_cannot_be_read_is_an_error_of_the_store(storage, log, monkeypatch):
    monkeypatch.setattr(storage, "create_bytes", lambda *_: False)
    with pytest.raises(OSError, match=r"00000004\.json is taken, but cannot be read"):
        log.append(begin())
    assert log.state.number == 3

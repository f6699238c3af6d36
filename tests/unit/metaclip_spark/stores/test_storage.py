"""The run's folder: objects put whole, the lock, the ledger, and what is refused."""

import hashlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import replace
from functools import partial
from itertools import count
from types import SimpleNamespace
from unittest.mock import MagicMock

import pyarrow as pa
import pytest
from py4j.protocol import Py4JJavaError
from rich.console import Console

from metaclip_spark.config.curation import ExtractConfig, OutputConfig
from metaclip_spark.errors import ConfigError, InputError, OutputExistsError, TooManyRejectsError
from metaclip_spark.pipeline import run_extract
from metaclip_spark.reports.compare import check_other
from metaclip_spark.runs.buckets import combined_manifest
from metaclip_spark.runs.ledger import (
    Ledger,
    check_same_extraction,
    check_unchanged,
    delete_unledgered_waves,
    read_ledger,
    wave_folder,
)
from metaclip_spark.runs.lock import locked
from metaclip_spark.runs.run import Run, prepare_output, prepare_step
from metaclip_spark.runs.waves import WaveLayout, check_losses, run_waves
from metaclip_spark.stores.object_store import HadoopStore
from metaclip_spark.stores.spark_io import prepare_compression
from metaclip_spark.stores.storage import (
    LAYOUT,
    LEDGER,
    LOCK,
    MANIFESTS,
    MARKER,
    RUN,
    TABLES,
    Storage,
    check_apart,
    manifest_digest,
    manifest_name,
)
from udfs.schemas import EXPECTED_KEPT
from udfs.sources.fetch import stat_archive


@pytest.fixture
def storage(tmp_path):
    return Storage(str(tmp_path / "out"))


def archive_row(name: str, status: str = "ok", etag: str = "e") -> dict:
    return {"archive": name, "status": status, "etag": etag, "pairs": 1}


def put_entry(storage, name: str, *rows: dict, config: dict | None = None) -> None:
    entry = {"wave": int(name[:5]), "config": config or {}, "files": [], "archives": list(rows)}
    storage.put_json(f"ledger/{name}.json", entry)


def test_an_object_is_put_whole_and_read_back(storage):
    assert storage.read_json("a/b.json") is None
    storage.put_json("a/b.json", {"text": "東京"})
    storage.put_json("a/b.json", {"text": "x"})
    assert storage.read_json("a/b.json") == {"text": "x"}
    assert storage.names("a") == ["b.json"]
    assert not storage.create_json("a/b.json", {})
    assert storage.read_json("a/b.json") == {"text": "x"}


def test_a_broken_object_is_named(storage):
    storage.put_json("manifests/match.json", {})
    (storage.root / "manifests/match.json").write_text('{"a": ')
    with pytest.raises(InputError, match=r"match\.json is not JSON"):
        storage.read_json("manifests/match.json")


NOT_OBJECTS = ["[]", "null", "5", '"text"', '{"step": ', "", "\udcff", "[" * 100_000]
NOT_OBJECT_IDS = ["list", "null", "number", "text", "cut", "empty", "no_utf8", "deep"]


@pytest.mark.parametrize("content", NOT_OBJECTS, ids=NOT_OBJECT_IDS)
@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("ledger/00000-aa.json", "restore it"),
        ("manifests/count.json", "restore it"),
        ("manifests/buckets.json", "restore it"),
        ("run.json", "run report_curation"),
        ("report/report.json", "run report_curation"),
        ("lock.json", "delete it"),
    ],
)
def test_what_is_no_json_object_is_refused_by_name(storage, name, advice, content):
    storage.put_bytes(name, content.encode(errors="surrogateescape"))
    with pytest.raises(InputError, match=f"{name} is (not JSON|no JSON object): {advice}") as refused:
        storage.read_json(name)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "lacking"),
    [
        ("manifests/count.json", "config, input, numbers"),
        ("manifests/buckets.json", "buckets"),
        ("report/report.json", "fu"),
    ],
)
def test_an_object_that_lacks_its_content_is_refused_by_name(storage, name, lacking):
    storage.put_json(name, {"step": "count", "seconds": 1, "numbers": [], "buckets": "many", "funnel": {}})
    with pytest.raises(InputError, match=f"{name} lacks {lacking}"):
        storage.read_json(name)


def test_a_run_whose_report_cannot_be_read_is_refused_before_spark_starts(storage):
    storage.put_json("run.json", {"layout": LAYOUT})
    check_other(str(storage.root))
    storage.put_json("report/report.json", {})
    with pytest.raises(InputError, match=r"report\.json lacks funnel.*: run report_curation on that folder again"):
        check_other(str(storage.root))


def test_an_empty_manifest_is_that_of_a_step_that_is_not_done(storage):
    storage.put_json("manifests/count.json", {})
    with pytest.raises(InputError, match="no finished step 'count': run that step first"):
        combined_manifest(storage, "count", [storage.read_json("manifests/count.json")])


ROW = {"archive": "a", "status": "ok", "etag": "e", "pairs": 1}
ENTRY = {"wave": 0, "config": {}, "files": [], "archives": [ROW]}


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


@pytest.mark.parametrize("output", ["s3://", "s3:///x", "file://host/x", "file://", "http://x/y", "https://x/y"])
def test_a_url_that_names_no_folder_is_no_output(output):
    with pytest.raises(ConfigError) as refused:
        Storage(output)
    assert output in str(refused.value)


def test_a_url_that_hadoop_knows_nothing_of_is_told_in_one_line(spark):
    for url, why in {"foo://x/y": 'No FileSystem for scheme "foo"', "hdfs:///y": "no host"}.items():
        with pytest.raises(ConfigError, match=f"{url} cannot be reached through Hadoop .*{why}") as refused:
            Storage(url).names("")
        assert "\n" not in str(refused.value)
    assert spark


def test_the_lock_keeps_a_living_run_out(storage):
    with locked(storage, "first"), pytest.raises(OutputExistsError, match=f"in use by .* on {socket.gethostname()}"):
        # A living process other than this one holds it.
        storage.put_json(LOCK, {"owner": "first", "host": socket.gethostname(), "pid": os.getppid()})
        with locked(storage, "second"):
            pass
    storage.delete(LOCK)
    with locked(storage, "first"):
        assert storage.read_json(LOCK)["owner"] == "first"
    assert storage.read_json(LOCK) is None


def test_the_lock_of_a_dead_process_is_taken_over(storage):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    storage.put_json(LOCK, {"owner": "gone", "host": socket.gethostname(), "pid": gone.pid})
    with locked(storage, "next"):
        assert storage.read_json(LOCK)["owner"] == "next"


@pytest.mark.parametrize("beats", [True, False])
def test_the_lock_of_another_host_is_taken_over_once_it_is_silent(storage, monkeypatch, beats):
    monkeypatch.setattr("metaclip_spark.runs.lock.HEARTBEAT_SECONDS", 0.2)
    far = {"owner": "far", "host": "elsewhere", "pid": 1, "nonce": "x", "heartbeat": time.time() - 121}
    storage.put_json(LOCK, far)
    # Its clock may only be behind: a heartbeat that moves while we look is a living run's.
    beat = threading.Timer(0.1, storage.put_unguarded, (LOCK, {**far, "heartbeat": far["heartbeat"] + 1}))
    if beats:
        beat.start()
        with pytest.raises(OutputExistsError, match="on elsewhere"), locked(storage, "next"):
            pass
        return
    with locked(storage, "next"):
        assert storage.read_json(LOCK)["owner"] == "next"


def test_the_heartbeat_goes_on_and_a_lost_lock_stops_the_run(storage, monkeypatch):
    monkeypatch.setattr("metaclip_spark.runs.lock.HEARTBEAT_SECONDS", 0.05)
    monkeypatch.setattr("metaclip_spark.runs.lock.SECONDS_BETWEEN_CHECKS", 0.0)
    with locked(storage, "first"):
        begun = storage.read_json(LOCK)["heartbeat"]
        time.sleep(0.3)
        assert storage.read_json(LOCK)["heartbeat"] > begun
        storage.put_json("ledger/00000-aa.json", {})
        # No beat comes between, so that the lock stays the other's.
        monkeypatch.setattr("metaclip_spark.runs.lock.HEARTBEAT_SECONDS", 60.0)
        time.sleep(0.3)
        storage.put_unguarded(LOCK, {"owner": "second", "nonce": "y"})
        with pytest.raises(OutputExistsError, match="another run took the lock over"):
            storage.put_json("ledger/00001-aa.json", {})
    assert storage.names("ledger") == ["00000-aa.json"]
    assert storage.read_json(LOCK)["owner"] == "second"


def test_the_lock_of_another_host_is_not_taken(storage):
    storage.put_json(LOCK, {"owner": "far", "host": "elsewhere", "pid": 1})
    with pytest.raises(OutputExistsError, match="on elsewhere"), locked(storage, "next"):
        pass


def test_outputs_are_refused_resumed_or_emptied(storage):
    prepare_output(storage, OutputConfig(output="x", resume=True))
    put_entry(storage, "00000-aa", archive_row("a"))
    with pytest.raises(OutputExistsError, match="--resume to go on"):
        prepare_output(storage, OutputConfig(output="x"))
    prepare_output(storage, OutputConfig(output="x", resume=True))
    assert storage.names("ledger") == ["00000-aa.json"]
    (storage.root / "notes.txt").write_text("mine")
    storage.check_usable()
    prepare_output(storage, OutputConfig(output="x", overwrite=True))
    assert storage.names("") == ["notes.txt", "output.json"]


@pytest.mark.parametrize("name", ["thesis.tex", "archives/mine.warc.gz", "pool/mine.parquet", "run.json"])
def test_a_strangers_folder_is_not_written_to(storage, name):
    mine = storage.root / name
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    with pytest.raises(OutputExistsError, match="which no run wrote"):
        storage.check_usable()


def test_a_file_or_a_pattern_is_no_output(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(OutputExistsError, match="is a file"):
        Storage(str(file)).check_usable()
    with pytest.raises(ConfigError, match="takes for a pattern"):
        Storage(str(tmp_path / "out[1]"))


def test_inputs_inside_the_output_are_refused(storage):
    check_apart(str(storage.root), [("a.parquet", f"{storage.root}/other/a.parquet")])
    with pytest.raises(ConfigError, match="lies in the output's own folders"):
        check_apart(str(storage.root), [("a.parquet", f"{storage.root}/pool/a.parquet")])


def test_a_manifest_of_an_earlier_version_may_name_no_files(storage):
    done = {"step": "match", "input": "x", "seconds": 1.0, "config": {}, "numbers": {}, "settings": {}}
    storage.put_json(manifest_name("match", 0), done)
    assert storage.read_json(manifest_name("match", 0)) == done


def test_one_step_is_refused_or_undone(storage):
    storage.put_json(manifest_name("sample"), {})
    storage.put_json("run.json", {})
    with pytest.raises(OutputExistsError, match="the step 'sample' already"):
        prepare_step(storage, OutputConfig(output="x"), "sample")
    prepare_step(storage, OutputConfig(output="x", resume=True), "sample")
    assert storage.names("manifests") == ["sample.json"]
    prepare_step(storage, OutputConfig(output="x", overwrite=True), "sample")
    assert storage.names("manifests") == []
    assert storage.read_json("run.json") is None


class Kill(BaseException):
    """In place of a signal: nothing catches it."""


def pass_or_kill(passes):
    if next(passes, None) is None:
        raise Kill


def finished_run(folder):
    storage = Storage(str(folder))
    storage.begin_run()
    for name in (*(f"{table}/part-0.parquet" for table in TABLES), "ledger/00000-aa.json", "report/report.json", RUN):
        storage.put_json(name, {})
    for step in ("match-000", "match-001", "count"):
        done = {"step": step, "input": "before", "seconds": 1.0}
        storage.put_json(manifest_name(step), {**done, "config": {}, "numbers": {}, "settings": {}, "files": {}})
    return storage


def files_of(storage) -> dict[str, bytes]:
    paths = [path for path in storage.root.rglob("*") if path.is_file()]
    return {path.relative_to(storage.root).as_posix(): path.read_bytes() for path in paths}


def killed_at_each_change(folder, change):
    """Kills what changes a finished run at its first put or deletion, at its second, and so on to its last.

    Yields:
        The files before and after, name -> content.
    """
    for passes in count():
        storage = finished_run(folder / str(passes))
        before = files_of(storage)
        storage.guard = partial(pass_or_kill, iter(range(passes)))
        try:
            change(storage)
        except Kill:
            yield before, files_of(storage)
        else:
            return


def test_a_killed_deletion_of_a_run_leaves_no_table_that_counts_and_can_be_begun_again(tmp_path):
    states = list(killed_at_each_change(tmp_path, Storage.delete_run))
    assert len(states) > len(TABLES)
    for before, left in states:
        gone = {name.partition("/")[0] for name in before.keys() - left.keys()}
        assert not gone or RUN in gone
        assert gone.isdisjoint(TABLES) or {RUN, MANIFESTS, LEDGER} <= gone
        assert MARKER in left


def test_a_run_whose_step_is_undone_stops_counting_as_finished_first(tmp_path):
    undo = partial(prepare_step, output=OutputConfig(output="x", overwrite=True), step="match")
    states = list(killed_at_each_change(tmp_path, undo))
    assert len(states) > 2
    assert all(RUN not in left or left == before for before, left in states)


def test_a_run_whose_step_works_again_counts_as_finished_at_no_moment(spark, tmp_path):
    def work_again(storage):
        def work(_progress):
            storage.delete("entry_counts")
            storage.put_json("entry_counts/part-1.parquet", {})
            return {"pairs": 1}

        run = Run(spark, storage, OutputConfig(output="x"), Console(stderr=True))
        run.step("count", config={}, settings={}, input_digest="now", work=work, folders=["entry_counts"])

    states = list(killed_at_each_change(tmp_path, work_again))
    assert len(states) > 3
    for before, left in states:
        assert RUN not in left or left == before
        tables = [{name: files[name] for name in files if name.startswith("entry_counts/")} for files in (before, left)]
        assert manifest_name("count") not in left or tables[0] == tables[1]


def test_a_run_to_which_archives_are_added_does_not_count_as_finished_meanwhile(run, tmp_path, monkeypatch):
    def waves(storage, *_arguments):
        assert storage.read_json(RUN) is None
        raise Kill

    monkeypatch.setattr("metaclip_spark.pipeline.run_waves", waves)
    run.storage.put_json(RUN, {})
    with pytest.raises(Kill):
        run_extract(run, ExtractConfig(archives=("a.warc",)), [("a.warc", str(tmp_path / "a.warc"))])


def test_as_many_rejects_as_the_limit_says_are_accepted_and_one_more_is_not():
    def check(bad, percent):
        rejected = {"record.undecodable": bad, "record.skipped_type": 1_000, "image.no_src": 1_000}
        config = ExtractConfig(archives=("x",), max_rejects=percent / 100)
        check_losses(Ledger({}), {"pages": 300 - bad, "rejected": rejected}, config, [])

    for percent in range(100):
        check(3 * percent, percent)
        with pytest.raises(TooManyRejectsError, match=rf"of 300 records are bad \(limit {percent}\.0%\)"):
            check(3 * percent + 1, percent)
    check(300, 100)


def test_as_many_failed_archives_as_the_limit_says_stop_neither_the_waves_nor_the_run(storage, monkeypatch):
    def wave(storage, number, names, *_arguments):
        name = f"{number:05d}-aa"
        put_entry(storage, name, *(archive_row(each, "failed" if each in "ab" else "ok") for each in names))
        return name, storage.read_json(f"ledger/{name}.json")

    monkeypatch.setattr("metaclip_spark.runs.waves.extract_wave", wave)
    limits = {"archives_per_wave": 1, "attempts": 1}
    config = ExtractConfig(archives=("x",), **limits, max_failed_archives=2)
    named = list("abcd")
    ledger = run_waves(storage, [(each, each) for each in named], config, MagicMock(), MagicMock(), WaveLayout(10))
    assert (list(ledger.failed()), list(ledger.accepted())) == (["a", "b"], ["c", "d"])
    numbers = {"pages": 1, "rejected": {}}
    check_losses(ledger, numbers, config, named)
    with pytest.raises(TooManyRejectsError, match=r"2 archives could not be read \(limit 1\), first a"):
        check_losses(ledger, numbers, replace(config, max_failed_archives=1), named)


@pytest.mark.parametrize("failures", [1, 2, 99])
def test_waves_that_were_left_out_behind_a_failed_one_are_tried_again_or_told(storage, monkeypatch, failures):
    """An archive that an earlier run failed to read, and that is not named now, makes no difference."""
    put_entry(storage, "00000-aa", archive_row("earlier", "failed"))
    tries = Counter()

    def wave(storage, number, names, *_arguments):
        name = f"{number:05d}-aa"
        tries.update(names)
        put_entry(storage, name, *(archive_row(each, "failed" if tries["a"] <= failures else "ok") for each in names))
        return name, storage.read_json(f"ledger/{name}.json")

    monkeypatch.setattr("metaclip_spark.runs.waves.extract_wave", wave)
    config = ExtractConfig(archives=("x",), archives_per_wave=1, attempts=3)
    named = list("abcd")
    ledger = run_waves(storage, [(each, each) for each in named], config, MagicMock(), MagicMock(), WaveLayout(10))
    if failures < config.attempts:
        assert list(ledger.accepted()) == named
        check_losses(ledger, {"pages": 1, "rejected": {}}, config, named)
        return
    assert set(tries) == {"a"}
    with pytest.raises(TooManyRejectsError, match="1 archives could not be read"):
        check_losses(ledger, {"pages": 1, "rejected": {}}, config, named)
    with pytest.raises(TooManyRejectsError, match="3 archives were not read at all, first b: --resume reads them"):
        check_losses(ledger, {"pages": 1, "rejected": {}}, replace(config, max_failed_archives=1), named)


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
    put_entry(storage, "00000-aa", archive_row("a"), config={"max_page_bytes": 5, "input": "archives"})
    ledger = read_ledger(storage)
    check_same_extraction(ledger, {"max_page_bytes": 5, "input": "archives"})
    with pytest.raises(ConfigError, match="max_page_bytes was 5 and is now 6"):
        check_same_extraction(ledger, {"max_page_bytes": 6, "input": "archives"})


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


def test_a_manifest_digest_ignores_time_and_settings():
    manifest = {"step": "match", "config": {"a": 1}, "input": "x", "numbers": {"pairs": 1}, "seconds": 1.0}
    same = json.loads(json.dumps({**manifest, "seconds": 9.0, "settings": {"engine": "token"}}))
    assert manifest_digest(manifest) == manifest_digest(same)
    assert manifest_digest(manifest) != manifest_digest({**manifest, "numbers": {"pairs": 2}})


@pytest.fixture
def run(spark, storage):
    return Run(spark, storage, OutputConfig(output=str(storage.root)), Console(stderr=True))


EXPECTED = pa.table({"entry_id": [1, 0], "expected_kept": [0.5, 2.0]}, schema=EXPECTED_KEPT)


def test_rows_of_the_driver_are_read_back_by_both(run):
    run.write_rows(EXPECTED, "expected_kept")
    assert run.read_rows("expected_kept", EXPECTED_KEPT) == EXPECTED
    assert [tuple(row) for row in run.read("expected_kept", EXPECTED_KEPT).collect()] == [(1, 0.5), (0, 2.0)]
    assert run.read_rows("entry_counts", EXPECTED_KEPT).num_rows == 0


def test_rows_written_by_spark_are_read_by_the_driver(run):
    run.write(run.spark.createDataFrame([(7, 1.5), (8, 2.5)], "entry_id int, expected_kept double"), "expected_kept")
    rows = run.read_rows("expected_kept", EXPECTED_KEPT)
    assert sorted(rows.to_pylist(), key=str) == [
        {"entry_id": 7, "expected_kept": 1.5},
        {"entry_id": 8, "expected_kept": 2.5},
    ]


def test_another_write_of_the_same_table_is_noticed(run):
    run.write_rows(EXPECTED, "expected_kept")
    manifest = {"files": {"expected_kept": run.storage.data_files("expected_kept")}}
    assert run.lost_files(manifest) == []
    run.write_rows(EXPECTED, "expected_kept")
    assert len(run.lost_files(manifest)) == 2


@pytest.mark.parametrize("write", ["write", "write_rows"])
def test_who_lost_the_lock_empties_no_table(run, write):
    run.write_rows(EXPECTED, "expected_kept")

    def lost():
        raise OutputExistsError("another has the lock")

    run.storage.guard = lost
    with pytest.raises(OutputExistsError):
        getattr(run, write)(EXPECTED, "expected_kept")
    assert run.read_rows("expected_kept", EXPECTED_KEPT) == EXPECTED


def test_tables_are_packed_as_measured_unless_the_user_says_otherwise(spark, monkeypatch):
    name = "parquet.compression.codec.zstd.level"
    hadoop = spark.sparkContext._jsc.hadoopConfiguration()
    hadoop.unset(name)
    prepare_compression(spark)
    assert hadoop.get(name) == "1"
    hadoop.set(name, "9")
    given = SimpleNamespace(getAll=lambda: [(f"spark.hadoop.{name}", "9")])
    monkeypatch.setattr(type(spark.sparkContext), "getConf", lambda _context: given)
    prepare_compression(spark)
    assert hadoop.get(name) == "9"
    hadoop.unset(name)


def test_an_unfinished_put_through_hadoop_is_hidden(spark, tmp_path, monkeypatch):
    store = HadoopStore(f"file://{tmp_path}")
    names = []
    monkeypatch.setattr(HadoopStore, "_write", lambda _self, _files, path, _content: names.append(path.getName()))
    with pytest.raises(Py4JJavaError):
        store.put("expected_kept/part-00000.parquet", b"x")
    assert spark
    assert names[0].startswith(".part-00000")

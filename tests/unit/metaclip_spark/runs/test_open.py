"""What is refused, resumed or emptied before a run's folder is touched."""

import shutil
from dataclasses import replace

import pytest
from pyspark.sql import SparkSession

from metaclip_spark.commits.entries import LAYOUT, Finish, encode
from metaclip_spark.commits.log import Log
from metaclip_spark.commits.owner import Applicant
from metaclip_spark.config.curation import ExtractConfig, OutputConfig
from metaclip_spark.errors import ConfigError, InputError, OutputExistsError
from metaclip_spark.runs import open as open_module
from metaclip_spark.runs.layout import check_apart, check_usable, mark_as_run, wave_place
from metaclip_spark.runs.open import begin_run, continue_run, open_run, try_output
from metaclip_spark.runs.records import ExtractionSettings
from metaclip_spark.runs.step import EXTRACT
from metaclip_spark.stores.storage import Storage
from tests.support.jobs import call
from tests.support.paths import DATA
from tests.support.runs import OWNER, archive_summary, begin, opened, sample, table, take_folder, wave

STORED = DATA / "stored_run"


def test_outputs_are_refused_resumed_or_emptied(spark, storage):
    output = OutputConfig(output=str(storage.root))
    with begin_run(replace(output, resume=True)) as run:
        name = run.owned.new_folder(wave_place())
        storage.put_bytes(f"{name}/part-0.parquet", b"x")
        first = run.owned.commit(wave(name.removeprefix(wave_place()), archive_summary("a"), owner=run.owned.nonce))
    (storage.root / "notes.txt").write_text("mine")
    check_usable(storage)
    for refused in (output, replace(output, overwrite=False, resume=False)):
        with pytest.raises(OutputExistsError, match="--resume goes on with it"), begin_run(refused):
            pass
    with begin_run(replace(output, resume=True)) as run:
        assert list(run.state.waves) == [name]
        assert run.owned.opened > first
    assert storage.files(name) == {f"{name}/part-0.parquet": 1}
    with begin_run(replace(output, overwrite=True)) as run:
        assert run.state.waves == {}
    assert {file for file in storage.files("") if not file.startswith("commits/")} == {
        "lock.json",
        "notes.txt",
        "output.json",
    }
    assert spark


@pytest.mark.parametrize("attempt", ["1", "2"])
def test_the_next_attempt_of_an_application_goes_on_with_a_step(attempt, spark, storage, monkeypatch):
    mark_as_run(storage)
    log = Log(storage)
    log.append(opened(application="application_1_0001", attempt="1"))
    for step in ("deduplicate", "match"):
        log.append(table(OWNER, step, begin=log.append(begin(step))))
    monkeypatch.setattr(open_module, "is_submitted", lambda: True)
    mine = Applicant("match", "application_1_0001", attempt)
    monkeypatch.setattr(open_module, "_applicant", lambda *_: mine)
    output = OutputConfig(output=str(storage.root))
    if attempt == "2":
        with continue_run(output, "match") as run:
            assert ("match", None) in run.state.tables
    else:
        monkeypatch.setattr(open_module, "check_free", lambda *_, **__: None)
        with pytest.raises(OutputExistsError), continue_run(output, "match"):
            pass
    assert spark


def test_a_start_that_came_to_nothing_claims_nothing(spark, storage):
    output = OutputConfig(output=str(storage.root))
    for buckets in (2, 4):
        with begin_run(output) as run:
            # Settings of the start before are forgotten.
            assert not run.state.begins
            run.begin(EXTRACT, ExtractionSettings.of(ExtractConfig(archives=("a",))), "", buckets=buckets)
    with begin_run(replace(output, resume=True)) as run:
        assert run.buckets == 4
        name = run.owned.new_folder(wave_place())
        run.owned.commit(wave(name.removeprefix(wave_place()), archive_summary("a"), owner=run.owned.nonce))
    with pytest.raises(OutputExistsError, match="holds a run: --resume goes on with it"), begin_run(output):
        pass
    assert spark


def test_a_start_without_java_leaves_nothing(storage, monkeypatch):
    monkeypatch.setattr(SparkSession, "getActiveSession", classmethod(lambda _: None))
    monkeypatch.setenv("JAVA_HOME", str(storage.root / "no-java"))
    with pytest.raises(ConfigError, match="no Java found"), begin_run(OutputConfig(output=str(storage.root))):
        pass
    assert storage.names("") == []


@pytest.mark.parametrize("said", ['java version "1.8.0_392"', 'openjdk version "8-ea" 2025-01-01'])
def test_an_old_java_is_refused_whatever_options_it_repeats(storage, tmp_path, monkeypatch, said):
    java = tmp_path / "java" / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text(f"#!/bin/sh\ncat >&2 <<'END'\nPicked up JAVA_TOOL_OPTIONS: -Dfolder=\"/17/a b\"\n{said}\nEND\n")
    java.chmod(0o755)
    monkeypatch.setattr(SparkSession, "getActiveSession", classmethod(lambda _: None))
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "java"))
    with (
        pytest.raises(ConfigError, match=r"java is Java 8: install Java 17 or newer"),
        begin_run(OutputConfig(output=str(storage.root))),
    ):
        pass


@pytest.mark.parametrize(
    "name",
    ["thesis.tex", "archives/mine.warc.gz", "pool/mine.parquet", "run.json", "commits/thesis.tex", "beats/drum.wav"],
)
def test_a_strangers_folder_is_not_written_to(storage, name):
    mine = storage.root / name
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    with pytest.raises(OutputExistsError, match="which no run wrote"):
        check_usable(storage)


def test_a_file_or_a_pattern_is_no_output(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(OutputExistsError, match="is a file"):
        check_usable(Storage(str(file)))
    with pytest.raises(ConfigError, match="takes for a pattern"):
        Storage(str(tmp_path / "out[1]"))


def test_inputs_inside_the_output_are_refused(storage):
    check_apart(str(storage.root), [f"{storage.root}/other/a.parquet"])
    with pytest.raises(ConfigError, match="lies in the output's own folders"):
        check_apart(str(storage.root), [f"{storage.root}/pool/a.parquet"])


def test_one_step_is_refused_or_done_again(spark, storage):
    output = OutputConfig(output=str(storage.root))
    owner = take_folder(storage)
    owner.commit(table(owner.nonce, "count"))
    kept = owner.commit(sample(owner.nonce))
    owner.leave()
    with (
        pytest.raises(OutputExistsError, match="has already been sampled: --resume keeps that"),
        continue_run(output, "sample"),
    ):
        pass
    for more in ({"resume": True}, {"overwrite": True}):
        with continue_run(replace(output, **more), "sample") as run:
            # What is done again counts until its successor does.
            assert (run.redone, run.state.sample is not None) == ("sample" if "overwrite" in more else None, True)
            assert run.state.tables.keys() == {("count", None)}
            assert run.owned.opened > kept
    assert spark


def test_a_step_whose_input_is_missing_is_refused(storage):
    storage.put_json("output.json", {})
    with (
        pytest.raises(InputError, match="has no finished step 'count': run that step first"),
        continue_run(OutputConfig(output=str(storage.root)), "sample"),
    ):
        pass
    assert storage.names("") == ["output.json"]


def test_a_folder_that_is_no_run_is_not_opened(tmp_path):
    for finished, message in (
        (True, "is not a run: give the"),
        (False, "is not a run: give the folder that"),
    ):
        with pytest.raises(InputError) as refused:
            open_run(str(tmp_path / "nowhere"), finished=finished)
        assert str(refused.value).startswith(f"{tmp_path / 'nowhere'} {message}")
        assert "\n" not in str(refused.value)


def test_a_run_that_is_unfinished_is_not_opened_as_a_finished_one(storage):
    run = shutil.copytree(STORED / "stopped", storage.root)
    with pytest.raises(InputError) as refused:
        open_run(str(run))
    assert str(refused.value).startswith(f"{run} is unfinished: give the folder of a finished run")
    assert "\n" not in str(refused.value)
    owner = take_folder(storage)
    owner.commit(Finish(owner=owner.nonce, sample="", report="report"))
    owner.commit(table(owner.nonce, "count"))
    with pytest.raises(InputError, match="is unfinished: give"):
        open_run(str(run))


def test_a_step_of_a_folder_that_is_no_run_is_refused(tmp_path):
    output = OutputConfig(output=str(tmp_path / "nowhere"))
    for step in ("match", None):
        with pytest.raises(InputError, match="holds no run: make one with curate"), continue_run(output, step):
            pass
    assert not (tmp_path / "nowhere").exists()


NEWER = {
    "marker": ("output.json", b'{"holds": "a metaclip-spark run", "layout": 3}'),
    "log": ("commits/00000001.json", encode(opened(layout=LAYOUT + 1))),
    "entry": ("commits/00000001.json", b'{"kind": "lease", "owner": "me", "layout": 3}'),
}


@pytest.mark.parametrize("newer", NEWER)
def test_a_run_of_a_newer_version_is_refused_before_anything_changes(storage, capfd, newer):
    shutil.copytree(STORED / "stopped", storage.root)
    storage.put_bytes(*NEWER[newer])
    before = {path: path.read_bytes() for path in storage.root.rglob("*") if path.is_file()}
    curate = ("curate", "--archives", DATA / "sample" / "sample-00000.warc.gz", "--metadata", STORED / "entries.txt")
    for job in (
        (*curate, "--threshold-t", 5, "--output", storage.root, "--resume"),
        ("count_entries", "--metadata", STORED / "entries.txt", "--output", storage.root),
        ("report_curation", "--output", storage.root),
    ):
        assert call(*job) == 2
        told = capfd.readouterr().err
        assert str(storage.root) in told
        assert "version of metaclip-spark" in told
        assert "in layout 3; this version reads layout" in told
        assert told.count("\n") == 1
    assert {path: path.read_bytes() for path in storage.root.rglob("*") if path.is_file()} == before


def test_a_run_is_begun_continued_and_read(spark, tmp_path):
    output = OutputConfig(output=str(tmp_path / "run"))
    with begin_run(output) as run:
        assert run.storage.names("") == ["commits", "lock.json", "output.json"]
        with pytest.raises(InputError, match="no finished step 'extract'"):
            run.manifest(EXTRACT)
    with continue_run(output) as run:
        assert run.storage.names("") == ["commits", "lock.json", "output.json"]
        assert run.storage.names("commits") == ["00000001.json", "00000002.json", "00000003.json"]
    with pytest.raises(InputError, match="is not a run: give the folder that"):
        open_run(output.output, finished=False)
    assert spark


def test_trial_writes_begin_no_run(spark, tmp_path):
    with try_output(OutputConfig(output=str(tmp_path / "run")), "check", ()) as run:
        assert run.storage.names("") == []
    assert Storage(str(tmp_path / "run")).names("") == []
    assert spark


def test_a_driver_that_came_no_further_than_the_folder_of_its_log_blocks_nobody(tmp_path):
    (tmp_path / "commits").mkdir()
    check_usable(Storage(str(tmp_path)))
    (tmp_path / "commits" / "notes.txt").write_text("mine")
    with pytest.raises(OutputExistsError, match="holds commits, which no run wrote"):
        check_usable(Storage(str(tmp_path)))

"""What is refused, resumed or emptied before a run's folder is touched."""

import shutil

import pytest

from metaclip_spark.config.curation import OutputConfig
from metaclip_spark.errors import ConfigError, InputError, OutputExistsError
from metaclip_spark.inputs.archive_path import ArchivePath
from metaclip_spark.runs.layout import check_apart, check_usable, manifest_name
from metaclip_spark.runs.open import begin_run, continue_run, hold_output, open_run, prepare_output, prepare_step
from metaclip_spark.runs.step import EXTRACT
from metaclip_spark.stores.storage import Storage
from tests.support.jobs import call
from tests.support.paths import DATA
from tests.support.runs import archive_row, put_entry

STORED = DATA / "stored_run"


def test_outputs_are_refused_resumed_or_emptied(storage):
    prepare_output(storage, OutputConfig(output="x", resume=True))
    put_entry(storage, "00000-aa", archive_row("a"))
    with pytest.raises(OutputExistsError, match="--resume to go on"):
        prepare_output(storage, OutputConfig(output="x"))
    prepare_output(storage, OutputConfig(output="x", resume=True))
    assert storage.names("ledger") == ["00000-aa.json"]
    (storage.root / "notes.txt").write_text("mine")
    check_usable(storage)
    prepare_output(storage, OutputConfig(output="x", overwrite=True))
    assert storage.names("") == ["notes.txt", "output.json"]


@pytest.mark.parametrize("name", ["thesis.tex", "archives/mine.warc.gz", "pool/mine.parquet", "run.json"])
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
    check_apart(str(storage.root), [ArchivePath("a.parquet", f"{storage.root}/other/a.parquet")])
    with pytest.raises(ConfigError, match="lies in the output's own folders"):
        check_apart(str(storage.root), [ArchivePath("a.parquet", f"{storage.root}/pool/a.parquet")])


def test_one_step_is_refused_or_undone(storage):
    storage.put_json(manifest_name("count"), {})
    storage.put_json(manifest_name("sample"), {})
    storage.put_json("run.json", {})
    with pytest.raises(OutputExistsError, match="the step 'sample' already"):
        prepare_step(storage, OutputConfig(output="x"), "sample")
    prepare_step(storage, OutputConfig(output="x", resume=True), "sample")
    assert storage.names("manifests") == ["count.json", "sample.json"]
    prepare_step(storage, OutputConfig(output="x", overwrite=True), "sample")
    assert storage.names("manifests") == ["count.json"]
    assert storage.read_json("run.json") is None


def test_a_step_whose_input_is_missing_is_refused(storage):
    storage.put_json("output.json", {})
    with pytest.raises(InputError, match="has no finished step 'count': run that step first"):
        prepare_step(storage, OutputConfig(output="x"), "sample")


def test_a_folder_that_is_no_run_is_not_opened(tmp_path):
    for finished, message in ((True, "is no run (it has no run.json)"), (False, "is no run: give the folder that")):
        with pytest.raises(InputError) as refused:
            open_run(str(tmp_path / "nowhere"), finished=finished)
        assert str(refused.value).startswith(f"{tmp_path / 'nowhere'} {message}")
        assert "\n" not in str(refused.value)


def test_a_run_that_is_unfinished_is_not_opened_as_a_finished_one(tmp_path):
    run = shutil.copytree(STORED / "stopped", tmp_path / "run")
    with pytest.raises(InputError) as refused:
        open_run(str(run))
    assert str(refused.value).startswith(f"{run} is unfinished (it has no run.json): give the folder of a finished run")
    assert "\n" not in str(refused.value)


def test_a_step_of_a_folder_that_is_no_run_is_refused(tmp_path):
    output = OutputConfig(output=str(tmp_path / "nowhere"))
    for step in ("match", None):
        with pytest.raises(InputError, match="holds no run: make one with curate"), continue_run(output, step):
            pass
    assert not (tmp_path / "nowhere").exists()


def test_a_run_of_a_newer_version_is_refused_before_anything_changes(storage, capfd):
    shutil.copytree(STORED / "stopped", storage.root)
    storage.put_json("output.json", {"holds": "a metaclip-spark run", "layout": 2})
    before = sorted(path for path in storage.root.rglob("*") if path.is_file())
    curate = ("curate", "--archives", DATA / "sample" / "sample-00000.warc.gz", "--metadata", STORED / "entries.txt")
    for job in (
        (*curate, "--threshold-t", 5, "--output", storage.root, "--resume"),
        ("count_entries", "--metadata", STORED / "entries.txt", "--output", storage.root),
        ("report_curation", "--output", storage.root),
    ):
        assert call(*job) == 2
        told = capfd.readouterr().err
        assert f"{storage.root} was written by another version of metaclip-spark in layout 2" in told
        assert told.count("\n") == 1
    assert sorted(path for path in storage.root.rglob("*") if path.is_file()) == before


def test_a_run_is_begun_continued_and_read(spark, tmp_path):
    output = OutputConfig(output=str(tmp_path / "run"))
    with begin_run(output) as run:
        assert run.storage.names("") == ["lock.json", "output.json"]
        with pytest.raises(InputError, match="no finished step 'extract'"):
            run.manifest(EXTRACT)
    with pytest.raises(OutputExistsError, match="--resume to go on"), begin_run(output):
        pass
    with continue_run(output) as run:
        assert run.storage.names("") == ["lock.json", "output.json"]
    assert Storage(output.output).names("") == ["output.json"]
    assert spark


def test_trial_writes_begin_no_run(spark, tmp_path):
    with hold_output(OutputConfig(output=str(tmp_path / "run")), "check") as run:
        assert run.storage.names("") == ["lock.json"]
    assert Storage(str(tmp_path / "run")).names("") == []
    assert spark

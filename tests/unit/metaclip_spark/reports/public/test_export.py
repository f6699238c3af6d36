"""Where a curated set may be copied to: refused before anything is done."""

import pytest

from metaclip_spark.config.curation import OutputConfig
from metaclip_spark.errors import ConfigError
from metaclip_spark.reports.public.export import MARK, check_export
from metaclip_spark.runs.layout import resolved_place
from metaclip_spark.stores.storage import Storage


@pytest.fixture
def output(tmp_path):
    return OutputConfig(output=str(tmp_path / "run"))


def test_an_empty_folder_or_none_is_fine(output, tmp_path):
    (tmp_path / "empty").mkdir()
    for folder in ("empty", "new", "run-of-another"):
        check_export(str(tmp_path / folder), output)
    check_export(f"file://{tmp_path}/new", output)


@pytest.mark.parametrize(
    ("folder", "told"),
    [
        ("run", "overlap: give a folder outside of it"),
        ("run/exported", "overlap: give a folder outside of it"),
        ("link/exported", "overlap: give a folder outside of it"),
        (".", "overlap: give a folder outside of it"),
        ("full", "holds a.txt: give an empty folder"),
        ("full/a.txt", "is a file: give an empty folder"),
        ("a*", "which Spark takes for a pattern"),
    ],
)
def test_any_other_folder_is_refused(output, tmp_path, folder, told):
    (tmp_path / "full").mkdir()
    (tmp_path / "full/a.txt").touch()
    (tmp_path / "link").symlink_to(tmp_path / "run")
    with pytest.raises(ConfigError, match=told.replace("*", r"\*")):
        check_export(str(tmp_path / folder), output)


def test_a_bucket_that_holds_the_run_is_refused():
    for export, run in (("s3a://bucket/runs/a/x", "s3://bucket/runs/a"), ("s3://bucket/runs", "s3a://bucket//runs/a")):
        with pytest.raises(ConfigError, match="overlap: give a folder outside of it"):
            check_export(export, OutputConfig(output=run))


def test_only_a_resumed_run_goes_on_with_its_own_export(output, tmp_path):
    storage = Storage(str(tmp_path / "begun"))
    storage.put_json(MARK, {"run": resolved_place(output.output), "curated": "curated-1", "whole": False})
    storage.put_text("part-0.parquet", "")
    resumed = OutputConfig(output=output.output, resume=True)
    check_export(str(storage.root), resumed)
    for other in (output, OutputConfig(output=str(tmp_path / "other"), resume=True)):
        with pytest.raises(ConfigError, match=r"holds part-0\.parquet: give an empty folder"):
            check_export(str(storage.root), other)

"""The files that --downloaded names: their forms, and a line for each mistake."""

import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from metaclip_spark.errors import CurationError, InputError, SchemaMismatchError
from metaclip_spark.inputs.downloads import Downloads, DownloadTally, check_tally, find_downloads
from tests.support.img2dataset_run import RECORDED


def write(folder: Path, name: str = "a.parquet", **columns: object) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)
    return path


def find(*paths: Path) -> Downloads:
    return find_downloads([str(path) for path in paths])


def refusal(folder: Path, *paths: Path) -> str:
    with pytest.raises(CurationError) as error:
        find(*(paths or [folder]))
    return str(error.value).replace(f"{folder}/", "")


def test_what_img2dataset_leaves_is_read_as_it_is(tmp_path):
    shutil.copytree(RECORDED, tmp_path / "images/00")
    (tmp_path / "images/00/00000.tar").write_bytes(b"no Parquet")
    (tmp_path / "images/_tmp").mkdir()
    (tmp_path / "images/_tmp/0.parquet").write_bytes(b"half-written")
    found = find(tmp_path / "images")
    assert [Path(file.path).name for file in found.table.files] == ["00000.parquet"]
    assert (found.key, found.hash_name, found.table.rows) == ("pair_id", "sha256", 13)
    assert found.table.columns == (("pair_id", "", "status", "error_message", "sha256"),)


def test_the_url_is_the_key_where_a_file_has_no_pair_id(tmp_path):
    with_ids = write(tmp_path, "1.parquet", pair_id=["1"], url=["http://a/"], status=["success"], md5=["0"])
    without = write(tmp_path, "2.parquet", image_url=["http://b/"], url=["b"], status=["success"], sha256=["0"])
    found = find(with_ids, without, tmp_path)
    assert (found.key, found.hash_name, found.table.rows) == ("image_url", None, 2)
    assert [each[:3] for each in found.table.columns] == [("", "url", "status"), ("", "image_url", "status")]


@pytest.mark.parametrize(
    ("columns", "problem"),
    [
        ({"link": ["a"], "status": ["success"]}, "no column pair_id, image_url or url; it has link, status"),
        ({"url": ["a"], "state": ["success"]}, "no column status; it has url, state"),
        ({"url": ["a"], "status": [200]}, "status is int64, not a string"),
        ({"url": [7], "status": ["success"]}, "url is int64, not a string"),
        ({"pair_id": [7], "url": ["a"], "status": ["success"]}, "pair_id is int64, not a string"),
    ],
)
def test_a_file_with_other_columns_is_refused_by_name(tmp_path, columns, problem):
    path = write(tmp_path, **columns)
    assert refusal(tmp_path, path) == (
        f"--downloaded 1 of 1 file cannot be used: a.parquet ({problem}): give img2dataset's Parquet, or add the "
        "columns"
    )


def test_files_without_a_key_in_common_are_refused(tmp_path):
    write(tmp_path, "1.parquet", pair_id=["1"], status=["success"])
    write(tmp_path, "2.parquet", url=["http://b/"], status=["success"])
    assert refusal(tmp_path) == (
        "--downloaded 1 of 2 files cannot be used: 1.parquet (no column image_url or url): other files have "
        "no pair_id: give them apart, in two runs, or add the column"
    )


def test_what_is_no_parquet_or_not_there_is_refused(tmp_path):
    for number in range(7):
        (tmp_path / f"{number}.parquet").write_bytes(b"PAR1 half")
    footer = "no Parquet footer: empty or half-written"
    shown = "; ".join(f"{number}.parquet ({footer})" for number in range(5))
    assert refusal(tmp_path) == (f"--downloaded 7 of 7 files cannot be used: {shown} and 2 more: write them again")
    assert refusal(tmp_path, tmp_path / "none") == "--downloaded none: no such file or folder"
    (tmp_path / "tars").mkdir()
    (tmp_path / "tars/0.tar").touch()
    assert refusal(tmp_path, tmp_path / "tars") == ("--downloaded tars holds no file that ends with one of .parquet")


def test_a_file_is_read_once_however_it_is_named(tmp_path):
    path = write(tmp_path / "in", url=["a"], status=["success"])
    (tmp_path / "link").symlink_to(tmp_path / "in")
    other = write(tmp_path / "other", url=["a"], status=["success"])
    assert len(find(path, tmp_path / "in", tmp_path / "link", tmp_path / "in" / "*.parquet", other).table.files) == 2


@pytest.mark.parametrize(
    ("tally", "line"),
    [
        (
            DownloadTally(100, 51, 40, {}, 90, None),
            "51 of 100 rows (51%) belong to no pair of this run: they are of an",
        ),
        (DownloadTally(3, 0, 3, {"ok": 3}, 0, "ok"), "none of 3 rows has the status success, but such as 'ok': call"),
        (DownloadTally(1, 0, 1, {"no status": 1}, 0, None), "none of 1 row has the status success: call the status"),
    ],
)
def test_a_download_of_another_run_is_refused(tally, line):
    with pytest.raises(InputError, match=r"^--downloaded: ") as error:
        check_tally(tally)
    assert line in str(error.value)


def test_a_few_strange_rows_are_told(caplog):
    check_tally(DownloadTally(100, 1, 99, {}, 99, None))
    assert not caplog.records
    check_tally(DownloadTally(100, 2, 98, {}, 98, None))
    check_tally(DownloadTally(100, 50, 50, {}, 50, None))
    check_tally(DownloadTally(0, 0, 0, {}, 0, None))
    assert [record.message for record in caplog.records] == [
        "--downloaded: 2 of 100 rows (2%) belong to no pair of this run, and are left out",
        "--downloaded: 50 of 100 rows (50%) belong to no pair of this run, and are left out",
        "--downloaded has no rows: no image of the run was attempted",
    ]


def test_two_columns_of_one_name_are_refused(tmp_path):
    table = pa.Table.from_arrays([pa.array(["a"])] * 3, names=["url", "status", "status"])
    pq.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(SchemaMismatchError, match=r"a\.parquet \(two columns status\)"):
        find(tmp_path)
